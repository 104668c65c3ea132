#include <sys/random.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/digest.h"

#define KINDS 3
#define SHA256_BLOCK_BYTES 64

/*
 * What digest_once() works with: each thread has its own, made when it first
 * asks and freed when it ends. A thread for which there is no memory shares the
 * spare one, so that a digest never fails.
 *
 * Lock order: spare_lock is taken alone.
 */
struct contexts {
	EVP_MD_CTX *of[KINDS];
};

struct digest {
	enum digest_kind kind;
	EVP_MD_CTX *context;
};

static const struct {
	const char *name;
	size_t bytes;
} kinds[KINDS] = {
	[DIGEST_MD5] = { "MD5", MD5_BYTES },
	[DIGEST_SHA1] = { "SHA1", SHA1_BYTES },
	[DIGEST_SHA256] = { "SHA256", SHA256_BYTES },
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithms[KINDS];
static pthread_key_t thread_end;
static struct contexts spare;
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct contexts *mine;

/* For what cannot happen on a sound system and has no answer if it does. */
static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "holdfast: %s\n", what);
	abort();
}

static void
start(enum digest_kind kind, EVP_MD_CTX *context)
{
	if (EVP_DigestInit_ex2(context, algorithms[kind], NULL) != 1)
		die("OpenSSL cannot start a digest");
}

static void
contexts_free(void *arg)
{
	struct contexts *c = arg;
	size_t i;

	for (i = 0; i < KINDS; i++)
		EVP_MD_CTX_free(c->of[i]);
	free(c);
	mine = NULL;
}

/* Contexts that have been started once: starting them again allocates
 * nothing. 0, or -1 without memory. */
static int
contexts_fill(struct contexts *c)
{
	size_t i;

	for (i = 0; i < KINDS; i++) {
		if ((c->of[i] = EVP_MD_CTX_new()) == NULL)
			return -1;
		if (EVP_DigestInit_ex2(c->of[i], algorithms[i], NULL) != 1)
			return -1;
	}
	return 0;
}

static void
fetch(void)
{
	size_t i;

	for (i = 0; i < KINDS; i++) {
		/* Not only what FIPS allows: S3's ETag is an MD5. */
		algorithms[i] = EVP_MD_fetch(NULL, kinds[i].name, "-fips");
		if (algorithms[i] == NULL)
			die("OpenSSL offers no MD5, SHA-1 or SHA-256");
	}
	if (contexts_fill(&spare) != 0 ||
	    pthread_key_create(&thread_end, contexts_free) != 0)
		die("no memory for digests");
}

/* This thread's contexts; NULL without memory. */
static struct contexts *
contexts_mine(void)
{
	struct contexts *c;

	if (mine != NULL)
		return mine;
	pthread_once(&once, fetch);
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	if (contexts_fill(c) != 0 || pthread_setspecific(thread_end, c) != 0) {
		contexts_free(c);
		return NULL;
	}
	return mine = c;
}

struct digest *
digest_new(enum digest_kind kind)
{
	struct digest *d;

	pthread_once(&once, fetch);
	if ((d = malloc(sizeof(*d))) == NULL)
		return NULL;
	d->kind = kind;
	if ((d->context = EVP_MD_CTX_new()) == NULL)
		goto fail;
	if (EVP_DigestInit_ex2(d->context, algorithms[kind], NULL) != 1)
		goto fail;
	return d;

fail:
	digest_free(d);
	return NULL;
}

void
digest_reset(struct digest *d)
{
	start(d->kind, d->context);
}

void
digest_update(struct digest *d, const void *bytes, size_t len)
{
	if (EVP_DigestUpdate(d->context, bytes, len) != 1)
		die("OpenSSL cannot continue a digest");
}

void
digest_final(struct digest *d, uint8_t *out)
{
	if (EVP_DigestFinal_ex(d->context, out, NULL) != 1)
		die("OpenSSL cannot finish a digest");
}

void
digest_free(struct digest *d)
{
	if (d == NULL)
		return;
	EVP_MD_CTX_free(d->context);
	free(d);
}

size_t
digest_size(enum digest_kind kind)
{
	return kinds[kind].bytes;
}

/* The digest of a then b. */
static void
digest_two(EVP_MD_CTX *context, enum digest_kind kind, const void *a,
    size_t a_len, const void *b, size_t b_len, uint8_t *out)
{
	start(kind, context);
	if (EVP_DigestUpdate(context, a, a_len) != 1 ||
	    EVP_DigestUpdate(context, b, b_len) != 1 ||
	    EVP_DigestFinal_ex(context, out, NULL) != 1)
		die("OpenSSL cannot finish a digest");
}

void
digest_once(enum digest_kind kind, const void *bytes, size_t len, uint8_t *out)
{
	struct contexts *c;

	if ((c = contexts_mine()) != NULL) {
		digest_two(c->of[kind], kind, NULL, 0, bytes, len, out);
		return;
	}
	pthread_mutex_lock(&spare_lock);
	digest_two(spare.of[kind], kind, NULL, 0, bytes, len, out);
	pthread_mutex_unlock(&spare_lock);
}

void
hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
    uint8_t out[SHA256_BYTES])
{
	uint8_t block[SHA256_BLOCK_BYTES] = { 0 }, inner[SHA256_BYTES];
	EVP_MD_CTX *context;
	struct contexts *c;
	size_t i;

	if (key_len > sizeof(block))
		digest_once(DIGEST_SHA256, key, key_len, block);
	else if (key_len > 0)
		memcpy(block, key, key_len);

	if ((c = contexts_mine()) == NULL) {
		pthread_mutex_lock(&spare_lock);
		context = spare.of[DIGEST_SHA256];
	} else {
		context = c->of[DIGEST_SHA256];
	}
	for (i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	digest_two(
	    context, DIGEST_SHA256, block, sizeof(block), bytes, len, inner);
	for (i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	digest_two(context, DIGEST_SHA256, block, sizeof(block), inner,
	    sizeof(inner), out);
	if (c == NULL)
		pthread_mutex_unlock(&spare_lock);
	bytes_wipe(block, sizeof(block));
	bytes_wipe(inner, sizeof(inner));
}

int
bytes_equal_secret(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void
bytes_wipe(void *bytes, size_t len)
{
	OPENSSL_cleanse(bytes, len);
}

void
bytes_random(void *bytes, size_t len)
{
	uint8_t *p = bytes;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("the system gives no random bytes");
		p += n;
		len -= (size_t)n;
	}
}
