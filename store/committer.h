#ifndef STORE_COMMITTER_H
#define STORE_COMMITTER_H

#include <stdint.h>

struct change;
struct committer;
struct error;
struct index_counters;
struct store;

/*
 * The committer: one thread that takes every change that is ready, syncs the
 * directories of their new files once, applies them in one LMDB transaction,
 * commits it, and only then tells each of them. So the disk's sync is shared by
 * all who wait for it.
 *
 * On a full disk it gives up the ballast and lets through those changes that
 * free space; the others fail.
 */

/* counters: as read from the index at start. NULL and *err. */
struct committer *committer_start(
    struct store *, const struct index_counters *counters, struct error *err);
/* Hands over a change. Any thread. After committer_stop() began, changes fail
 * with ERR_CLOSING. */
void committer_submit(struct committer *, struct change *);
/* Settles what was submitted and ends the thread. */
void committer_stop(struct committer *);

struct committer_figures {
	uint64_t commits, changes, busy_us;
};
void committer_figures(struct committer *, struct committer_figures *);

#endif
