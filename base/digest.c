/*
 * OpenSSL 3 calls these functions deprecated in favour of EVP. EVP allocates a
 * context each time that a digest starts, hence can fail where nobody could do
 * anything about it; these work in the caller's memory and cannot.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <sys/random.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/digest.h"

#define SHA256_BLOCK_BYTES 64

struct digest {
	enum digest_kind kind;
	union {
		MD5_CTX md5;
		SHA_CTX sha1;
		SHA256_CTX sha256;
	} of;
};

struct digest *
digest_new(enum digest_kind kind)
{
	struct digest *d;

	if ((d = malloc(sizeof(*d))) == NULL)
		return NULL;
	d->kind = kind;
	digest_reset(d);
	return d;
}

void
digest_reset(struct digest *d)
{
	switch (d->kind) {
	case DIGEST_MD5:
		MD5_Init(&d->of.md5);
		break;
	case DIGEST_SHA1:
		SHA1_Init(&d->of.sha1);
		break;
	case DIGEST_SHA256:
		SHA256_Init(&d->of.sha256);
		break;
	}
}

void
digest_update(struct digest *d, const void *bytes, size_t len)
{
	switch (d->kind) {
	case DIGEST_MD5:
		MD5_Update(&d->of.md5, bytes, len);
		break;
	case DIGEST_SHA1:
		SHA1_Update(&d->of.sha1, bytes, len);
		break;
	case DIGEST_SHA256:
		SHA256_Update(&d->of.sha256, bytes, len);
		break;
	}
}

void
digest_final(struct digest *d, uint8_t *out)
{
	switch (d->kind) {
	case DIGEST_MD5:
		MD5_Final(out, &d->of.md5);
		break;
	case DIGEST_SHA1:
		SHA1_Final(out, &d->of.sha1);
		break;
	case DIGEST_SHA256:
		SHA256_Final(out, &d->of.sha256);
		break;
	}
}

void
digest_free(struct digest *d)
{
	free(d);
}

size_t
digest_size(enum digest_kind kind)
{
	static const size_t sizes[] = {
		[DIGEST_MD5] = MD5_BYTES,
		[DIGEST_SHA1] = SHA1_BYTES,
		[DIGEST_SHA256] = SHA256_BYTES,
	};

	return sizes[kind];
}

void
digest_once(enum digest_kind kind, const void *bytes, size_t len, uint8_t *out)
{
	struct digest d;

	d.kind = kind;
	digest_reset(&d);
	digest_update(&d, bytes, len);
	digest_final(&d, out);
}

void
hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
    uint8_t out[SHA256_BYTES])
{
	uint8_t block[SHA256_BLOCK_BYTES] = { 0 }, inner[SHA256_BYTES];
	SHA256_CTX context;
	size_t i;

	if (key_len > sizeof(block))
		digest_once(DIGEST_SHA256, key, key_len, block);
	else if (key_len > 0)
		memcpy(block, key, key_len);

	for (i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	SHA256_Init(&context);
	SHA256_Update(&context, block, sizeof(block));
	SHA256_Update(&context, bytes, len);
	SHA256_Final(inner, &context);

	for (i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	SHA256_Init(&context);
	SHA256_Update(&context, block, sizeof(block));
	SHA256_Update(&context, inner, sizeof(inner));
	SHA256_Final(out, &context);

	bytes_wipe(&context, sizeof(context));
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
		if (n < 0) {
			fprintf(stderr,
			    "holdfast: the system gives no random bytes: %s\n",
			    strerror(errno));
			abort();
		}
		p += n;
		len -= (size_t)n;
	}
}
