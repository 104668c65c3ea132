#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

/*
 * One X509_STORE for all connections of a destination: libcurl would parse the
 * system's bundle anew for each, which costs milliseconds and a megabyte, and
 * takes a private bundle only in place of the system's.
 */

struct http_trust {
	X509_STORE *store;
};

/* Where systems keep all certificates in one file. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

/* SSL_CERT_FILE and SSL_CERT_DIR are honoured by the default paths. */
static void
add_system(X509_STORE *store)
{
	size_t i;

	X509_STORE_set_default_paths(store);
	if (getenv("SSL_CERT_FILE") == NULL)
		for (i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++)
			if (access(bundles[i], R_OK) == 0 &&
			    X509_STORE_load_file(store, bundles[i]) == 1)
				break;
	ERR_clear_error();
}

/* The number of certificates that were added. */
static size_t
add_pem(X509_STORE *store, const char *pem)
{
	size_t n = 0, len = strlen(pem);
	X509 *cert;
	BIO *bio;

	if (len > INT_MAX || (bio = BIO_new_mem_buf(pem, (int)len)) == NULL)
		return 0;
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, cert) == 1)
			n++;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

struct http_trust *
http_trust_new(const char *ca_pem, struct error *err)
{
	struct http_trust *trust;

	if ((trust = calloc(1, sizeof(*trust))) == NULL ||
	    (trust->store = X509_STORE_new()) == NULL) {
		error_nomem(err);
		goto fail;
	}
	add_system(trust->store);
	if (ca_pem != NULL && ca_pem[0] != '\0' &&
	    add_pem(trust->store, ca_pem) == 0) {
		error_set(err, ERR_INVALID,
		    "the CA certificate holds no certificate in PEM form "
		    "(-----BEGIN CERTIFICATE----- ...)");
		goto fail;
	}
	return trust;

fail:
	http_trust_free(trust);
	return NULL;
}

void
http_trust_free(struct http_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	free(trust);
}

CURLcode
http_trust_apply(CURL *curl, void *ssl_ctx, void *trust)
{
	const struct http_trust *t = trust;

	(void)curl;
	SSL_CTX_set1_cert_store(ssl_ctx, t->store);
	return CURLE_OK;
}
