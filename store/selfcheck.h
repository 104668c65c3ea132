#ifndef STORE_SELFCHECK_H
#define STORE_SELFCHECK_H

struct error;

/*
 * What a data directory must be able to do, tried out at start, so that what is
 * wrong is said once, in one sentence with its remedy, and not as an odd
 * failure later. dir is the directory's name for people.
 */

/* Before the lock is taken: whose the directory is and whether this process may
 * write there. 0, or -1 and *err (ERR_INVALID, ERR_READ_ONLY, ERR_IO). */
int selfcheck_access(int data_dirfd, const char *dir, struct error *err);

/* By the owner of the lock: making, writing, reading, syncing, mapping,
 * renaming and removing a file. A full disk is no failure here: see
 * store/space.h. What is merely unwise (a file system in memory, say) is
 * logged. */
int selfcheck_disk(int data_dirfd, const char *dir, struct error *err);

#endif
