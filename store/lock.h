#ifndef STORE_LOCK_H
#define STORE_LOCK_H

struct error;
struct store_lock;

/*
 * One process owns a data directory. The file `lock` in it is locked as a whole
 * (an open file description lock, which NFS servers keep too) and says who
 * holds it. The lock ends with the process, however it ends; the file stays.
 */

/* dir is the directory's name for people. NULL and *err: ERR_LOCKED, naming the
 * other process; ERR_IO when the file system has no locks. */
struct store_lock *lock_take(
    int data_dirfd, const char *dir, struct error *err);
void lock_release(struct store_lock *); /* NULL is allowed */

#endif
