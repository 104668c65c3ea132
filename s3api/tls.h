#ifndef S3API_TLS_H
#define S3API_TLS_H

struct error;
struct tls_context;
struct ssl_st;

/*
 * The server's TLS settings: TLS 1.2 and 1.3, a certificate chain and its key.
 * Reloaded without restart: connections keep what they began with. Any thread.
 */

/* PEM files. NULL and *err (which names the file and the remedy) on failure. */
struct tls_context *tls_context_new(
    const char *cert_file, const char *key_file, struct error *err);
/* Reads the files again if their time or size changed (or if force). On failure
 * the old ones stay in use. 1 when reloaded, 0 when unchanged, -1 and *err. */
int tls_context_reload(struct tls_context *, int force, struct error *err);
void tls_context_free(struct tls_context *);
/* A new server-side session for a descriptor; NULL without memory. The caller
 * frees it with SSL_free(). */
struct ssl_st *tls_session_new(struct tls_context *, int fd);
/* Days until the certificate expires; negative when it has. */
long tls_context_days_left(struct tls_context *);

/*
 * Makes dir/ca.pem, ca.key, server.pem and server.key (P-256, 10 years and 825
 * days) for the given names (DNS or IP, comma separated) unless valid ones for
 * these names are there; keys are 0600. Renews the server's when it has less
 * than 30 days left, under the same CA. 0, or -1 and *err.
 */
int tls_self_signed(const char *dir, const char *names, struct error *err);

#endif
