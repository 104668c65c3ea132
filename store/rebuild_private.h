#ifndef STORE_REBUILD_PRIVATE_H
#define STORE_REBUILD_PRIVATE_H

#include "store/check_private.h"
#include "store/extent.h"
#include "store/internal.h"
#include "store/rebuild.h"
#include "store/txn.h"

/*
 * What rebuild*.c share: the new index under construction, changed through the
 * committer's own functions in write transactions of many changes each.
 */
struct rebuild {
	int dirfd;
	struct extent_dir *extents;
	struct store store; /* only what store_txn's functions ask for */
	struct store_txn txn;
	struct index_counters counters; /* as committed */
	uint64_t
	    settled; /* of the hot copy: below it, all files have records */
	unsigned changes; /* in the transaction */
	void (*report)(const char *sentence, void *arg);
	void *report_arg;
	struct rebuild_result *result;
};

void rebuild_say(struct rebuild *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Counts a change, and commits when there are many: slices of the index do not
 * outlive it. */
int rebuild_step(struct rebuild *, struct error *err);

/* Moves a file that cannot be placed to lost/. */
int rebuild_set_aside(
    struct rebuild *, uint64_t id, const char *why, struct error *err);

/* Takes out of the index what is there no more. */
int rebuild_drop_lost(struct rebuild *, struct error *err);
/* Takes in files that the index does not know. */
int rebuild_add_files(struct rebuild *, struct error *err);
/* Says of contents whose files have no data that they are elsewhere. */
int rebuild_send_away(struct rebuild *, struct error *err);

#endif
