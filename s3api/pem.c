#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/file.h"
#include "s3api/pem.h"

#define PEM_MAX_BYTES (64 * 1024)

int
pem_fail(struct error *err, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	(void)error_set(err, ERR_INTERNAL, "%s: %s", what,
	    reason != NULL ? reason : "OpenSSL failed");
	ERR_clear_error();
	return -1;
}

static BIO *
open_pem(const char *path, char **text, struct error *err)
{
	size_t len;
	BIO *bio;

	if ((*text = file_read(path, PEM_MAX_BYTES, &len, err)) == NULL)
		return NULL;
	if ((bio = BIO_new_mem_buf(*text, (int)len)) == NULL) {
		(void)error_nomem(err);
		free(*text);
	}
	return bio;
}

X509 *
pem_read_cert(const char *path, struct error *err)
{
	char *text;
	X509 *cert;
	BIO *bio;

	if ((bio = open_pem(path, &text, err)) == NULL)
		return NULL;
	if ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL)
		(void)error_set(err, ERR_INVALID,
		    "%s is not a certificate in PEM form", path);
	ERR_clear_error();
	BIO_free(bio);
	free(text);
	return cert;
}

EVP_PKEY *
pem_read_key(const char *path, struct error *err)
{
	char *text;
	EVP_PKEY *key;
	BIO *bio;

	if ((bio = open_pem(path, &text, err)) == NULL)
		return NULL;
	/* An empty passphrase, so that nobody is asked on the terminal. */
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
	if (key == NULL)
		(void)error_set(err, ERR_INVALID,
		    "%s is not a private key in PEM form", path);
	ERR_clear_error();
	BIO_free(bio);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	return key;
}

static int
write_bio(const char *path, BIO *bio, mode_t mode, struct error *err)
{
	char *bytes;
	long len;

	len = BIO_get_mem_data(bio, &bytes);
	return file_write(path, bytes, (size_t)len, mode, err);
}

int
pem_write_cert(const char *path, X509 *cert, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int ret;

	if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1)
		ret = pem_fail(err, path);
	else
		ret = write_bio(path, bio, 0644, err);
	BIO_free(bio);
	return ret;
}

int
pem_write_key(const char *path, EVP_PKEY *key, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int ret;

	if (bio == NULL ||
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		ret = pem_fail(err, path);
	else
		ret = write_bio(path, bio, 0600, err);
	BIO_free(bio);
	return ret;
}
