#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/stat.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buffer.h"
#include "base/error.h"
#include "s3api/pem.h"
#include "s3api/tls.h"

/*
 * A certificate authority of one's own and a server certificate under it. The
 * authority is made once, since clients are told to trust it by hand; the
 * server's certificate is renewed under it and keeps its key, so that there is
 * never a moment when the two files on disk do not belong together.
 */

#define CA_DAYS 3650
#define SERVER_DAYS 825 /* the most that some clients accept */
#define RENEW_DAYS 30
#define CLOCK_SKEW_SECONDS 3600
#define SERIAL_BITS 127

struct authority {
	X509 *cert;
	EVP_PKEY *key;
};

struct paths {
	char ca_cert[4096], ca_key[4096], cert[4096], key[4096];
};

static int
make_paths(const char *dir, struct paths *paths, struct error *err)
{
	const struct {
		char *at;
		const char *name;
	} each[] = {
		{ paths->ca_cert, "ca.pem" },
		{ paths->ca_key, "ca.key" },
		{ paths->cert, "server.pem" },
		{ paths->key, "server.key" },
	};
	size_t i;
	int n;

	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		n = snprintf(each[i].at, sizeof(paths->ca_cert), "%s/%s", dir,
		    each[i].name);
		if (n < 0 || (size_t)n >= sizeof(paths->ca_cert))
			return error_set(
			    err, ERR_INVALID, "the path %s is too long", dir);
	}
	return 0;
}

/* Names. */

static int
add_name(GENERAL_NAMES *names, const char *text)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value = NULL;
	struct in6_addr addr;
	int type = GEN_DNS;

	if (name == NULL)
		return -1;
	if (inet_pton(AF_INET, text, &addr) == 1 ||
	    inet_pton(AF_INET6, text, &addr) == 1) {
		type = GEN_IPADD;
		value = a2i_IPADDRESS(text);
	} else if ((value = ASN1_IA5STRING_new()) != NULL &&
	    ASN1_STRING_set(value, text, -1) != 1) {
		ASN1_STRING_free(value);
		value = NULL;
	}
	if (value == NULL) {
		GENERAL_NAME_free(name);
		return -1;
	}
	GENERAL_NAME_set0_value(name, type, value);
	if (sk_GENERAL_NAME_push(names, name) == 0) {
		GENERAL_NAME_free(name);
		return -1;
	}
	return 0;
}

static int
is_name(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
				      "OPQRSTUVWXYZ0123456789.-_*:";
	size_t len = strlen(text);

	return len > 0 && len <= 253 && strspn(text, allowed) == len;
}

/* The subject's alternative names from a list with commas. */
static GENERAL_NAMES *
parse_names(const char *list, struct error *err)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	char *copy = strdup(list), *rest = copy, *name;

	if (names == NULL || copy == NULL)
		goto nomem;
	while ((name = strsep(&rest, ", ")) != NULL) {
		if (*name == '\0')
			continue;
		if (!is_name(name)) {
			(void)error_set(err, ERR_INVALID,
			    "\"%s\" is neither a DNS name nor an IP address",
			    name);
			goto fail;
		}
		if (add_name(names, name) != 0)
			goto nomem;
	}
	if (sk_GENERAL_NAME_num(names) == 0) {
		(void)error_set(
		    err, ERR_INVALID, "a certificate needs at least one name");
		goto fail;
	}
	free(copy);
	return names;

nomem:
	(void)error_nomem(err);
fail:
	free(copy);
	GENERAL_NAMES_free(names);
	return NULL;
}

static int
names_equal(GENERAL_NAMES *a, GENERAL_NAMES *b)
{
	int i;

	if (a == NULL || b == NULL ||
	    sk_GENERAL_NAME_num(a) != sk_GENERAL_NAME_num(b))
		return 0;
	for (i = 0; i < sk_GENERAL_NAME_num(a); i++) {
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(a, i),
			sk_GENERAL_NAME_value(b, i)) != 0)
			return 0;
	}
	return 1;
}

/* Certificates. */

static int
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&ctx);
	if ((ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return -1;
	ok = X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok == 1 ? 0 : -1;
}

static int
set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	int ok;

	ok = number != NULL &&
	    BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) ==
		1 &&
	    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return ok ? 0 : -1;
}

static int
set_subject(X509 *cert, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
		   (const unsigned char *)"holdfast", -1, -1, 0) == 1 &&
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
		    (const unsigned char *)name, -1, -1, 0) == 1
	    ? 0
	    : -1;
}

/* What both kinds have in common, unsigned. */
static X509 *
cert_new(EVP_PKEY *key, long days, const char *name)
{
	X509 *cert;

	if ((cert = X509_new()) == NULL)
		return NULL;
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
	    set_serial(cert) != 0 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW_SECONDS) ==
		NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, NULL) ==
		NULL ||
	    X509_set_pubkey(cert, key) != 1 || set_subject(cert, name) != 0) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static X509 *
make_ca_cert(EVP_PKEY *key, struct error *err)
{
	X509 *cert;

	if ((cert = cert_new(key, CA_DAYS, "holdfast certificate authority")) ==
		NULL ||
	    X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
	    add_extension(cert, cert, NID_basic_constraints,
		"critical,CA:TRUE,pathlen:0") != 0 ||
	    add_extension(cert, cert, NID_key_usage,
		"critical,keyCertSign,cRLSign") != 0 ||
	    add_extension(cert, cert, NID_subject_key_identifier, "hash") !=
		0 ||
	    X509_sign(cert, key, EVP_sha256()) == 0) {
		(void)pem_fail(err, "make a certificate authority");
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static X509 *
make_server_cert(EVP_PKEY *key, const struct authority *ca,
    GENERAL_NAMES *names, struct error *err)
{
	X509 *cert;

	if ((cert = cert_new(key, SERVER_DAYS, "holdfast server")) == NULL ||
	    X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) != 1 ||
	    add_extension(cert, ca->cert, NID_basic_constraints,
		"critical,CA:FALSE") != 0 ||
	    add_extension(cert, ca->cert, NID_key_usage,
		"critical,digitalSignature") != 0 ||
	    add_extension(cert, ca->cert, NID_ext_key_usage, "serverAuth") !=
		0 ||
	    add_extension(cert, ca->cert, NID_subject_key_identifier, "hash") !=
		0 ||
	    add_extension(
		cert, ca->cert, NID_authority_key_identifier, "keyid") != 0 ||
	    X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) != 1 ||
	    X509_sign(cert, ca->key, EVP_sha256()) == 0) {
		(void)pem_fail(err, "make a server certificate");
		X509_free(cert);
		return NULL;
	}
	return cert;
}

/* It has begun and does not end within so many days. */
static int
is_current(const X509 *cert, int days)
{
	int left = 0, seconds = 0;

	if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0 ||
	    ASN1_TIME_diff(&left, &seconds, NULL, X509_get0_notAfter(cert)) !=
		1)
		return 0;
	return left >= days && seconds >= 0;
}

static int
has_names(const X509 *cert, GENERAL_NAMES *names)
{
	GENERAL_NAMES *have;
	int equal;

	have = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	equal = names_equal(have, names);
	GENERAL_NAMES_free(have);
	return equal;
}

/* The authority: read, or made if there is none. */

static int
make_authority(
    const struct paths *paths, struct authority *ca, struct error *err)
{
	if ((ca->key = EVP_EC_gen("P-256")) == NULL)
		return pem_fail(err, "make a key");
	if ((ca->cert = make_ca_cert(ca->key, err)) == NULL)
		return -1;
	if (pem_write_key(paths->ca_key, ca->key, err) != 0)
		return -1;
	return pem_write_cert(paths->ca_cert, ca->cert, err);
}

static int
read_authority(
    const struct paths *paths, struct authority *ca, struct error *err)
{
	if ((ca->cert = pem_read_cert(paths->ca_cert, err)) == NULL ||
	    (ca->key = pem_read_key(paths->ca_key, err)) == NULL ||
	    X509_check_private_key(ca->cert, ca->key) != 1) {
		if (ca->key != NULL)
			(void)error_set(err, ERR_INVALID,
			    "%s is not the key of %s", paths->ca_key,
			    paths->ca_cert);
		ERR_clear_error();
		return error_add(err,
		    "the certificate authority cannot be used: put its two "
		    "files back, or remove both to have a new one made, which "
		    "clients must be told to trust");
	}
	return 0;
}

static int
get_authority(
    const struct paths *paths, struct authority *ca, struct error *err)
{
	if (access(paths->ca_cert, F_OK) == -1)
		return make_authority(paths, ca, err);
	if (read_authority(paths, ca, err) != 0)
		return -1;
	if (is_current(ca->cert, RENEW_DAYS))
		return 0;
	return error_set(err, ERR_INVALID,
	    "the certificate authority in %s ends within %d days, or its time "
	    "has not come: check the clock, or remove it and its key to have a "
	    "new one made, which clients must be told to trust",
	    paths->ca_cert, RENEW_DAYS);
}

static int
get_server_key(const struct paths *paths, EVP_PKEY **key, struct error *err)
{
	if (access(paths->key, F_OK) == 0)
		return (*key = pem_read_key(paths->key, err)) != NULL ? 0 : -1;
	if ((*key = EVP_EC_gen("P-256")) == NULL)
		return pem_fail(err, "make a key");
	return pem_write_key(paths->key, *key, err);
}

static int
server_is_valid(const struct paths *paths, GENERAL_NAMES *names)
{
	X509 *cert = NULL, *ca = NULL;
	EVP_PKEY *key = NULL;
	int valid;

	valid = (cert = pem_read_cert(paths->cert, NULL)) != NULL &&
	    (ca = pem_read_cert(paths->ca_cert, NULL)) != NULL &&
	    (key = pem_read_key(paths->key, NULL)) != NULL &&
	    X509_check_private_key(cert, key) == 1 &&
	    X509_verify(cert, X509_get0_pubkey(ca)) == 1 &&
	    is_current(cert, RENEW_DAYS) && has_names(cert, names);
	ERR_clear_error();
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(key);
	return valid;
}

int
tls_self_signed(const char *dir, const char *names_list, struct error *err)
{
	struct authority ca = { NULL, NULL };
	GENERAL_NAMES *names = NULL;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	struct paths *paths;
	int ret = -1;

	if ((paths = malloc(sizeof(*paths))) == NULL)
		return error_nomem(err);
	if (make_paths(dir, paths, err) != 0 ||
	    (names = parse_names(names_list, err)) == NULL)
		goto done;
	if (server_is_valid(paths, names)) {
		ret = 0;
		goto done;
	}
	if (mkdir(dir, 0755) == -1 && errno != EEXIST) {
		(void)error_sys(err, errno, "make the directory %s", dir);
		goto done;
	}
	if (get_authority(paths, &ca, err) != 0 ||
	    get_server_key(paths, &key, err) != 0 ||
	    (cert = make_server_cert(key, &ca, names, err)) == NULL)
		goto done;
	ret = pem_write_cert(paths->cert, cert, err);

done:
	X509_free(cert);
	EVP_PKEY_free(key);
	X509_free(ca.cert);
	EVP_PKEY_free(ca.key);
	GENERAL_NAMES_free(names);
	free(paths);
	return ret;
}
