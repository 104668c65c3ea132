#ifndef S3API_ACCESS_H
#define S3API_ACCESS_H

#include <stddef.h>

#include "base/buffer.h"
#include "s3api/s3error.h"
#include "s3api/sigv4.h"
#include "store/record.h"

struct error;
struct store;
struct access;

/*
 * Access keys and their rights: the administrator's pair, and the key records
 * of the store. Each event loop has a cache of its own, made anew when a key
 * has changed, so nothing here is locked: an access belongs to one thread.
 * Secrets are wiped when their copy goes.
 */

/* One key; what access_find() gives out stays valid until access_release(). */
struct access_key {
	struct slice access_key, name, secret;
	uint8_t rights;
	struct slice bucket; /* empty: all */
	struct slice prefix; /* empty: all */
	int administrator;
	int unknown; /* stands for a key that does not exist: verify, then
			refuse */
	struct access_keys *keys; /* what it is part of */
	struct access_derived *derived;
};

/* The strings are copied. NULL and *err without memory. */
struct access *access_new(struct store *, const char *admin_access_key,
    const char *admin_secret, struct error *err);
void access_free(struct access *); /* NULL is allowed */

/* The key of that name, or one marked unknown, with a secret of its own, so
 * that the same work is done for both. NULL and *s3err when the store cannot
 * say. */
struct access_key *access_find(
    struct access *, struct slice access_key, struct s3_error *s3err);
void access_release(struct access_key *); /* NULL is allowed */

/* The signing key for the scope of the signature, derived at most once a day.
 */
const struct sigv4_key *access_derive(
    struct access_key *, const struct sigv4 *);

/* Whether the key has the right on an object, or (RIGHT_LIST) on what begins
 * with a prefix. right 0: any right on that bucket at all. */
int access_allows(const struct access_key *, enum key_right right,
    struct slice bucket, struct slice name);
/* Whether the key may change the bucket itself: administer, not confined to a
 * prefix. */
int access_administers(const struct access_key *, struct slice bucket);
/* Whether anything in the bucket is this key's business. */
int access_sees_bucket(const struct access_key *, struct slice bucket);

#endif
