#ifndef STORE_HEAL_H
#define STORE_HEAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;
struct extent_record;
struct object_record;
struct remote;
struct store;

/*
 * Healing: a local copy that is damaged or missing is made anew from an
 * object's copy elsewhere (store/remote.h). Its bytes are verified against the
 * block table of the old file; without that, against the object's MD5. The new
 * file then takes the old one's name, so that every record which names the
 * extent is right at once; who has the old file open goes on with it.
 *
 * The healer is a thread that looks for extents that were found damaged, and
 * for the objects that hold them. It runs while there is a remote.
 */

struct heal_state {
	pthread_mutex_t one;  /* one extent is healed at a time */
	atomic_uint waiting;  /* readers who wait for that */
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	pthread_t thread;
	int runs, nudged;
	atomic_int stopping;
};
void heal_init(struct store *);
void heal_destroy(struct store *);
/* The thread. A failure to start it is logged: readers still heal. */
void healer_start(struct store *);
/* Ends what it does soon, and the thread. */
void healer_stop(struct store *);
/* An extent was found damaged. Any thread. */
void healer_nudge(struct store *);

/* The remote, which stays until it is let go of; NULL: none. */
const struct remote *remote_hold(struct store *);
void remote_release(struct store *);

/* Makes the local copy of an extent anew from copies of the object bucket/key,
 * whose current version must hold it. Blocks. 0 also if there was nothing to
 * heal; -1 and *err. */
int heal_extent(struct store *, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err);

/* Bytes [at, at + len) of the object bucket/key, whose current content must be
 * the extent root, from a copy elsewhere: those of a block of an open file, by
 * whose table they are verified. Blocks. 0, or -1 and *err. */
struct extent_reader;
int heal_read(struct store *, uint64_t root, struct slice bucket,
    struct slice key, uint64_t at, void *bytes, size_t len,
    struct extent_reader *, uint64_t block, struct error *err);

/* For heal.c: which objects hold extents. */
#define WANTED_NAMES 4 /* copies share an extent; one of them is enough */
struct wanted {
	uint64_t extent, root;
	size_t n; /* out: current objects that hold it, so many at most */
	struct {
		struct buffer bucket, key;
	} names[WANTED_NAMES];
};
/* Finds the objects of n extents, which ascend. 0, or -1 and *err. */
int heal_find(struct store *, struct wanted *, size_t n, struct error *err);
/* Extents from `from` on that were found damaged: how many were filled in. */
long heal_marked(struct store *, uint64_t from, uint64_t *ids, size_t room,
    struct error *err);
/* An extent's record, copied. 0, or -1 and *err. */
int heal_record(struct store *, uint64_t extent, struct extent_record *,
    struct buffer *memory, struct error *err);

#endif
