#ifndef STORE_TIER_H
#define STORE_TIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;
struct store;

/*
 * Tiering: when more of the disk is used than a mark says, local copies are
 * given up of contents whose copy elsewhere was found whole a moment before,
 * least recently read first, until a lower mark is reached. The index says
 * first that the bytes are elsewhere alone (EXTENT_REMOTE), then the file is
 * replaced by one without data that keeps the block table (extent_shed()): what
 * comes from elsewhere is verified by it. A crash between the two leaves a file
 * with its data, which the next start takes back.
 *
 * Never given up: what lives in the index and other small contents, what is
 * below backups/, what is shared or waits in the journal, and what is in a
 * bucket with versions, since destinations keep only the newest. So what is
 * away is the current content of one object alone; whoever wants to share it or
 * to keep it as an old version is told to come again, and it is fetched.
 *
 * Which file was read last is told by its access time, set when it is read, at
 * most once an hour, and never synced.
 *
 * One thread does all that while there is a remote; it also fetches what
 * readers of a part of a large content asked for, and, with tiering off, what
 * is away and fits.
 */

#define TIER_MIN_BYTES (64 * 1024)
#define TIER_WANTED_MAX 64

struct tier_state {
	/* Held for writing while contents are given up, for reading while
	 * fetched ones become the index's. Taken after remote_lock. */
	pthread_rwlock_t moving;
	pthread_mutex_t lock; /* of all up to the figures */
	pthread_cond_t wake;
	pthread_t thread;
	int runs;
	atomic_int stopping;
	size_t n_wanted;
	struct {
		struct buffer bucket, key;
		int needed;
	} wanted[TIER_WANTED_MAX];
	/* Figures */
	atomic_int stale; /* the two below are to be counted again */
	_Atomic uint64_t away_contents, away_bytes;
	_Atomic uint64_t dropped_contents, dropped_bytes;
};

void tier_init(struct store *);
void tier_destroy(struct store *);
void tier_start(struct store *);
void tier_stop(struct store *);

/* The marks, in bytes of the file system that may be used: 0 when it is off. */
struct tier_marks {
	uint64_t used, high, low;
};
void tier_marks(struct store *, struct tier_marks *);
/* Whether so much that was read may be kept now: 0, or -1 and ERR_DISK_FULL. */
int tier_admit(struct store *, uint64_t bytes, struct error *err);

/* An object's content is wanted here, soon; needed: also above the mark. Brief;
 * any thread. */
void tier_want(
    struct store *, struct slice bucket, struct slice key, int needed);
/* What is away has changed. */
void tier_moved(struct store *);
/* Logs and counts that what came from elsewhere is not what it must be. */
void tier_tell_damage(
    struct store *, uint64_t extent, uint64_t offset, const struct error *why);

/* ---- for tier*.c ---- */

/* Gives up what it can of an object's content. How many bytes, or -1 and *err.
 */
int64_t tier_drop(
    struct store *, struct slice bucket, struct slice key, struct error *err);
/* An extent whose file has its data after all: the index says so again. */
int tier_take_back(struct store *, uint64_t extent, struct error *err);

/* The objects whose contents may be given up, least recently read first. */
struct tier_candidate {
	int64_t read_s;
	struct buffer bucket, key;
};
#define TIER_CANDIDATES 256
/* Fills in at most TIER_CANDIDATES; how many, or -1 and *err. */
long tier_find(struct store *, struct tier_candidate *, struct error *err);
void tier_candidates_clear(struct tier_candidate *, size_t n);
/* Counts what is away. With take_back, extents whose files have their data
 * after all are taken back. 0, or -1 and *err. */
int tier_count(struct store *, int take_back, struct error *err);

#endif
