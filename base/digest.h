#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Digests by OpenSSL. Once a digest has been made it cannot fail. A digest
 * belongs to one thread at a time.
 */

enum digest_kind {
	DIGEST_MD5,
	DIGEST_SHA1,
	DIGEST_SHA256
};

#define MD5_BYTES 16
#define SHA1_BYTES 20
#define SHA256_BYTES 32

struct digest;

/* NULL without memory. The caller frees it. */
struct digest *digest_new(enum digest_kind);
/* Starts again from nothing. */
void digest_reset(struct digest *);
void digest_update(struct digest *, const void *bytes, size_t len);
/* Writes the digest's bytes (16, 20 or 32); only reset or free may follow. */
void digest_final(struct digest *, uint8_t *out);
void digest_free(struct digest *); /* NULL is allowed */
size_t digest_size(enum digest_kind);

/* One run of bytes at once, without allocation. */
void digest_once(enum digest_kind, const void *bytes, size_t len, uint8_t *out);
/* RFC 2104 with SHA-256. */
void hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
    uint8_t out[SHA256_BYTES]);

/* Compares in time that depends on len alone. 1 when equal. */
int bytes_equal_secret(const void *a, const void *b, size_t len);
/* Overwrites a secret so that the compiler cannot leave it out. */
void bytes_wipe(void *, size_t len);
/* From the system's generator; ends the process if there is none. */
void bytes_random(void *, size_t len);

#endif
