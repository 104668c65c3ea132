#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "s3api/tls.h"

/* What tells one version of a file from the next. */
struct file_stamp {
	struct timespec changed;
	off_t size;
	ino_t inode;
};

struct tls_context {
	char *cert_file, *key_file;
	pthread_mutex_t lock; /* of what follows */
	SSL_CTX *ctx;
	struct file_stamp cert_stamp, key_stamp;
};

static int
stamp_file(const char *path, struct file_stamp *stamp, struct error *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return error_sys(err, errno, "%s", path);
	stamp->changed = st.st_mtim;
	stamp->size = st.st_size;
	stamp->inode = st.st_ino;
	return 0;
}

static int
stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->changed.tv_sec == b->changed.tv_sec &&
	    a->changed.tv_nsec == b->changed.tv_nsec && a->size == b->size &&
	    a->inode == b->inode;
}

/* OpenSSL's reason for what just failed. */
static const char *
last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason != NULL ? reason : "no reason given";
}

/* An encrypted key is an error, not a question on the terminal. */
static int
no_passphrase(char *text, int room, int writing, void *arg)
{
	(void)text;
	(void)room;
	(void)writing;
	(void)arg;
	return -1;
}

/* ALPN: clients that offer h2 first learn at once that it is HTTP/1.1. */
static int
select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in,
		in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
settings_new(void)
{
	SSL_CTX *ctx;

	if ((ctx = SSL_CTX_new(TLS_server_method())) == NULL)
		return NULL;
	SSL_CTX_set_security_level(ctx, 2);
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* Tickets resume sessions; a cache would only take memory. */
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* A record's header and the record in one system call. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
	return ctx;
}

static SSL_CTX *
load(const char *cert_file, const char *key_file, struct error *err)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	if ((ctx = settings_new()) == NULL) {
		(void)error_nomem(err);
		return NULL;
	}
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
		(void)error_set(err, ERR_INVALID,
		    "%s is not a certificate chain in PEM form, the server's "
		    "own first (%s)",
		    cert_file, last_reason());
		goto fail;
	}
	/* This also finds out whether it is the certificate's. */
	if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509)
			(void)error_set(err, ERR_INVALID,
			    "the key in %s does not belong to the certificate "
			    "in %s: give the two files that were made together",
			    key_file, cert_file);
		else
			(void)error_set(err, ERR_INVALID,
			    "%s is not a private key in PEM form without a "
			    "passphrase (%s)",
			    key_file, last_reason());
		goto fail;
	}
	return ctx;

fail:
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}

struct tls_context *
tls_context_new(const char *cert_file, const char *key_file, struct error *err)
{
	struct tls_context *tls;

	if ((tls = calloc(1, sizeof(*tls))) == NULL)
		goto nomem;
	(void)pthread_mutex_init(&tls->lock, NULL);
	tls->cert_file = strdup(cert_file);
	tls->key_file = strdup(key_file);
	if (tls->cert_file == NULL || tls->key_file == NULL)
		goto nomem;
	if (tls_context_reload(tls, 1, err) == -1) {
		tls_context_free(tls);
		return NULL;
	}
	return tls;

nomem:
	(void)error_nomem(err);
	tls_context_free(tls);
	return NULL;
}

int
tls_context_reload(struct tls_context *tls, int force, struct error *err)
{
	struct file_stamp cert, key;
	SSL_CTX *ctx, *old;
	int same;

	if (stamp_file(tls->cert_file, &cert, err) != 0 ||
	    stamp_file(tls->key_file, &key, err) != 0)
		return -1;
	(void)pthread_mutex_lock(&tls->lock);
	same = stamp_equal(&cert, &tls->cert_stamp) &&
	    stamp_equal(&key, &tls->key_stamp);
	(void)pthread_mutex_unlock(&tls->lock);
	if (same && !force)
		return 0;
	if ((ctx = load(tls->cert_file, tls->key_file, err)) == NULL)
		return -1;

	(void)pthread_mutex_lock(&tls->lock);
	old = tls->ctx;
	tls->ctx = ctx;
	tls->cert_stamp = cert;
	tls->key_stamp = key;
	(void)pthread_mutex_unlock(&tls->lock);
	SSL_CTX_free(old); /* sessions that began with it hold it */
	return 1;
}

void
tls_context_free(struct tls_context *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	(void)pthread_mutex_destroy(&tls->lock);
	free(tls->cert_file);
	free(tls->key_file);
	free(tls);
}

struct ssl_st *
tls_session_new(struct tls_context *tls, int fd)
{
	SSL *ssl;

	(void)pthread_mutex_lock(&tls->lock);
	ssl = SSL_new(tls->ctx);
	(void)pthread_mutex_unlock(&tls->lock);
	if (ssl == NULL)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

long
tls_context_days_left(struct tls_context *tls)
{
	int days = 0, seconds = 0;

	(void)pthread_mutex_lock(&tls->lock);
	(void)ASN1_TIME_diff(&days, &seconds, NULL,
	    X509_get0_notAfter(SSL_CTX_get0_certificate(tls->ctx)));
	(void)pthread_mutex_unlock(&tls->lock);
	return seconds < 0 ? days - 1 : days;
}
