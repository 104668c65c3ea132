#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/workers.h"
#include "store/away.h"
#include "store/committer.h"
#include "store/extent.h"
#include "store/heal.h"
#include "store/ids.h"
#include "store/index.h"
#include "store/remote.h"
#include "store/space.h"
#include "store/store.h"
#include "store/tier.h"

/*
 * What the store's own files share; nobody else includes this. After
 * store_open() the pointers do not change. Locks, in the order in which they
 * may be taken: committer's queue, ids, index's idle readers; none is held
 * across a call into another file but for these.
 */

#define INLINE_MAX_BYTES_DEFAULT (16 * 1024)

struct reaper;
struct scrubber;
struct hot_copier;
struct store_lock;
struct tender;

struct store {
	struct store_options options;
	uint8_t id[16];
	int dirfd;
	struct store_lock *lock;
	struct index *index;
	struct extent_dir *extents;
	struct space *space;
	struct workers *workers, *far_workers;
	struct committer *committer;
	struct reaper *reaper;
	struct tender *tender;
	struct scrubber *scrubber;
	struct hot_copier *hot_copier;
	struct ids ids;
	/* Held for reading while the remote is used; taken before all others.
	 */
	pthread_rwlock_t remote_lock;
	const struct remote *remote;
	struct heal_state heal;
	struct tier_state tier;
	struct away_state away;
	uint64_t inline_max_bytes;
	int journal_on; /* the committer's thread */

	_Atomic uint64_t visible; /* newest journal sequence */
	_Atomic uint64_t keys_generation;
	_Atomic uint64_t damaged_blocks, damaged_contents;
	atomic_int incomplete; /* store/remote.h */
	_Atomic uint64_t filled_contents, filled_bytes;
	_Atomic uint64_t healed_contents, read_through_bytes;
	_Atomic uint64_t damaged_elsewhere;
};

/* Fills in change's functions and hands it to the committer; if it has no done,
 * waits. 0, or -1 when it was waited for and failed. */
int store_submit(struct store *, struct change *,
    int (*apply)(struct store_txn *, struct change *),
    struct content_writer *sealed, int frees);

/* Gives an extent its healed bytes (inline ones; else empty) and takes its mark
 * of damage away. Waits. */
int store_healed(
    struct store *, uint64_t extent, struct slice bytes, struct error *err);

/* content.c, for the committer and txn.c. */
struct extent_record;
void content_record(const struct content_writer *, struct extent_record *);
uint64_t content_file_id(const struct content_writer *); /* 0: inline */
int content_made_directory(const struct content_writer *);
/* Appends the bytes of an extent that lives in the index, verified, and sets
 * *found; an extent that does not leaves it 0. */
int content_inline(struct store *, MDB_txn *, uint64_t id, struct buffer *bytes,
    int *found, struct error *err);
/* The content has a durable record now: frees the writer, keeps the file. */
void content_committed(struct content_writer *);

/* A bucket's record, its slices in the transaction's memory. */
int read_bucket(struct store *, MDB_txn *, struct slice name,
    struct bucket_record *, struct slice *value, struct error *err);

/* A value copied into memory: 0, or -1 and ERR_NOT_FOUND ("there is no WHAT").
 */
int read_value(struct store *, enum index_db, struct slice key,
    const char *what, struct buffer *memory, struct error *err);
/* Walks a whole database, from a key on or behind it, until visit returns 1, or
 * -1 and *err. */
typedef int read_visit(
    void *arg, struct slice key, struct slice value, struct error *err);
int read_walk(struct store *, enum index_db, struct slice from, int behind,
    read_visit *, void *arg, struct error *err);

/* Logs, counts and remembers that a block of an extent failed its check. Any
 * thread. */
void store_damaged(
    struct store *, uint64_t extent, uint64_t block, const struct error *why);

#define change_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
