#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include <stdint.h>

struct error;
struct space;

/*
 * The disk's three bands. Open: everything goes. Reserve: only writes of at
 * most SPACE_SMALL_BYTES, and deletes, so that a backup can be finished or
 * deleted and its space reclaimed with no operator. Ballast: only deletes, for
 * which the ballast file (reserve in the data directory, preallocated) is given
 * up; it is made again when space is back. Out of inodes counts as ballast. Any
 * thread.
 */
enum space_band {
	SPACE_OPEN,
	SPACE_RESERVE,
	SPACE_BALLAST
};

#define SPACE_SMALL_BYTES (1024 * 1024)

/* reserve_bytes 0: 5 % of the file system, at least 512 MiB and at most 10 GiB
 * but never more than a tenth of it. The ballast is 64 MiB, or a fiftieth of a
 * small file system. NULL and *err. */
struct space *space_open(
    int data_dirfd, uint64_t reserve_bytes, struct error *err);
void space_close(struct space *);
/* 0 if a write of that many bytes (UINT64_MAX: not known, counts as large) may
 * begin now; else -1 and ERR_DISK_FULL or ERR_READ_ONLY with a sentence that
 * says how much is free and what to do. Cheap: asks the file system at most
 * every 100 ms or each 16 MiB that space_write() told of, and before it
 * refuses. */
int space_admit(struct space *, uint64_t bytes, struct error *err);
/* The same for `more` bytes behind `written` ones of a file, just before they
 * are written: what was admitted together may be too much in the end, and the
 * reserve is for other writes. Counts them as used. */
int space_write(
    struct space *, uint64_t written, uint64_t more, struct error *err);
/* Whether only deletes go, looked at now. */
int space_is_full(struct space *);
/* Gives the ballast up after ENOSPC while deleting; 1 if that freed anything.
 */
int space_release_ballast(struct space *);
/* Makes the ballast again if there is room; called now and then by the store.
 */
void space_tend(struct space *);
/* Asks the file system now: what is known may be 100 ms old. */
void space_look(struct space *);
void space_figures(struct space *, uint64_t *total, uint64_t *free,
    uint64_t *reserve, enum space_band *);

#endif
