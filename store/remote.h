#ifndef STORE_REMOTE_H
#define STORE_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;
struct object_record;
struct store;

/*
 * Copies of objects that someone keeps elsewhere. The store defines what it
 * needs of them, so that reading through and healing are its own business;
 * whoever keeps the copies implements it. The store asks only about objects
 * that it knows, and believes no byte that does not agree with its own record.
 * Without a remote, a damaged content is an error.
 */
struct remote {
	void *context;
	/* Finds a copy of the object as the record has it (the same version, or
	 * the same bytes by size and ETag), among those from *next on, and sets
	 * *next behind it: so copies can be tried one after another. NULL and
	 * *err; ERR_NOT_FOUND when there is none left. May block. */
	void *(*open)(void *context, struct slice bucket, struct slice key,
	    const struct object_record *, unsigned *next, struct error *err);
	/* Bytes [offset, offset + len) of the object; blocks. 0, or -1 and
	 * *err: ERR_NOT_FOUND (it is not there), ERR_ARCHIVED, ERR_AWAY (it
	 * cannot be reached now), ERR_CLOSING, ERR_IO. */
	int (*read)(void *copy, uint64_t offset, void *bytes, size_t len,
	    struct error *err);
	void (*close)(void *copy);
	/* Opens what an EXTENT_REMOTE names by its place. May block. */
	void *(*open_place)(void *context, struct slice place, uint64_t size,
	    struct error *err);
	/* Whether a copy of the object, as the record has it, is elsewhere now,
	 * whole, published and readable at once: sets *place to what
	 * open_place() takes. Blocks. 0, or -1 and *err. */
	int (*verify)(void *context, struct slice bucket, struct slice key,
	    const struct object_record *, struct buffer *place,
	    struct error *err);
	/* While the store is incomplete (store_set_incomplete()): makes sure
	 * that what is there of a key is known here; blocks. 0, or -1 and
	 * *err. */
	int (*want)(void *context, struct slice bucket, struct slice key,
	    struct error *err);
	/* Whether all keys of a bucket's prefix are known here; of an empty
	 * bucket: whether all buckets are. Brief. */
	int (*knows)(void *context, struct slice bucket, struct slice prefix);
};

/* How many contents are there alone whose place begins with prefix. */
struct place_use {
	uint64_t contents, bytes;
};
int store_place_use(
    struct store *, struct slice prefix, struct place_use *, struct error *err);

/* Sets it; NULL: none from now on, waiting for calls under way, which the
 * remote had better end by then. Not owned. */
void store_set_remote(struct store *, const struct remote *);

/* Whether there may be objects elsewhere that are not known here yet. */
void store_set_incomplete(struct store *, int incomplete);
int store_is_incomplete(struct store *); /* cheap */
/* The remote's want() and knows(). */
int store_want(
    struct store *, struct slice bucket, struct slice key, struct error *err);
int store_knows(struct store *, struct slice bucket, struct slice prefix);

#endif
