#ifndef REPLICATOR_WINDOW_H
#define REPLICATOR_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The changes that a destination has in memory: a bounded run of the journal,
 * and, beside it, keys whose present state is to be published. A change leaves
 * when it has been settled; the run's low end moves over settled ones, which is
 * the watermark. Who owns the window has a lock around it.
 */

#define WINDOW_ENTRIES \
	4096               /* of the journal, settled ones behind the low end \
			      included */
#define WINDOW_BESIDE 1024 /* of keys beside it */

enum item_kind {
	ITEM_PUT,
	ITEM_DELETE,
	ITEM_TAGS,
	ITEM_CURRENT /* whatever the key holds when its turn comes */
};

enum item_source {
	FROM_JOURNAL,
	FROM_SEED,    /* was there before the destination */
	FROM_DIRTY,   /* a folded backlog */
	FROM_HELD,    /* a Velero backup that became whole */
	FROM_PARKED,  /* tried again */
	FROM_DEFERRED /* a delete that was put off */
};

struct item_upload; /* replicator/upload.h */

struct item {
	struct item *next, *prev; /* waiting or under way, in their order */
	struct item *same_hash;
	void *step;    /* the owner's */
	uint64_t slot; /* in the run */
	uint64_t sequence, begin, version, extent, size;
	int64_t time_ms;
	uint64_t not_before_ms; /* monotonic */
	uint64_t unknown_ms; /* when a request's fate was lost; 0: never was */
	struct item_upload *upload; /* the owner's; of one sent in parts */
	uint32_t hash, attempts;
	uint8_t kind, source;
	uint8_t running;     /* calls under way */
	uint8_t large;       /* goes in parts */
	uint8_t small;       /* one of many at once, on one thread */
	uint8_t settled;     /* the owner's: leaves when running is 0 */
	uint8_t what;        /* JOURNAL_* of what is parked */
	uint8_t upload_gone; /* 1: anew; 2: looked up again */
	uint8_t anew; /* what is known of its upload is to be forgotten */
	uint16_t bucket_len, key_len;
	char names[]; /* bucket, then key */
};

struct window {
	struct item *first, *last;
	size_t items, beside, small;
	struct item *by_hash[WINDOW_ENTRIES];
	struct {
		uint64_t sequence;
		uint8_t settled;
	} run[WINDOW_ENTRIES];
	uint64_t run_first, run_end; /* slots, counted from the start */
	uint64_t low;                /* everything up to it is settled */
	uint64_t read; /* the newest sequence that is in the run, or was */
};

void window_reset(struct window *, uint64_t low);
/* Room in the run, and beside it. */
int window_room(const struct window *);
int window_room_beside(const struct window *);
/* An entry that needs nothing. */
void window_skip(struct window *, uint64_t sequence);
/* An entry (source FROM_JOURNAL) or a key beside the run. Zeroed but for its
 * names, kind, source and sequence; NULL without memory. The window owns it. */
struct item *window_add(struct window *, enum item_source, enum item_kind,
    uint64_t sequence, struct slice bucket, struct slice key);
/* Says whether it is small. */
void window_set_small(struct window *, struct item *, int small);
/* It is done: forgets it and moves the low end. */
void window_settle(struct window *, struct item *);
/* item.hash of a key. */
uint32_t window_hash(struct slice bucket, struct slice key);
/* Whether no earlier change of its key is unsettled. */
int window_is_first(const struct window *, const struct item *);
/* Whether no later one of its key is in memory. */
int window_is_last(const struct window *, const struct item *);
/* The unsettled change of a key that came first, or NULL. */
struct item *window_find(
    const struct window *, struct slice bucket, struct slice key);
/* Whether a change of a key with that prefix is unsettled. */
int window_has_prefix(
    const struct window *, struct slice bucket, struct slice prefix);

static inline struct slice
item_bucket(const struct item *item)
{
	return (struct slice){ item->names, item->bucket_len };
}

static inline struct slice
item_key(const struct item *item)
{
	return (struct slice){ item->names + item->bucket_len, item->key_len };
}

#endif
