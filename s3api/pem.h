#ifndef S3API_PEM_H
#define S3API_PEM_H

#include <openssl/types.h>

struct error;

/* Certificates and keys in files of PEM form. Any thread. */

/* What the caller frees with X509_free() or EVP_PKEY_free(); NULL and *err. A
 * key with a passphrase is an error, not a question. */
X509 *pem_read_cert(const char *path, struct error *err);
EVP_PKEY *pem_read_key(const char *path, struct error *err);
/* Durably and at once; a key for its owner alone. 0, or -1 and *err. */
int pem_write_cert(const char *path, X509 *, struct error *err);
int pem_write_key(const char *path, EVP_PKEY *, struct error *err);

/* Sets what OpenSSL failed at, and why. Returns -1. */
int pem_fail(struct error *err, const char *what);

#endif
