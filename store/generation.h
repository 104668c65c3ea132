#ifndef STORE_GENERATION_H
#define STORE_GENERATION_H

#include <lmdb.h>
#include <stdint.h>

struct error;
struct index;
struct store;

/*
 * The index's generation: a number in it (setting "generation", be64) and in
 * the file <data>/generation (decimal, a line), raised at each start and after
 * each hot copy; in the index first. So an index that is older than the file is
 * an old copy that somebody put in place by hand, and contents that are newer
 * than it must not be taken for what a crash left.
 */
#define SETTING_GENERATION "generation"

/* 0 where there is none. */
uint64_t generation_in_file(int data_dirfd);
int generation_in_index(
    MDB_txn *, const struct index *, uint64_t *generation, struct error *err);

/* 0, or -1 and ERR_DAMAGED with the remedy. */
int generation_check(struct store *, struct error *err);
/* Raises it. That it cannot be, on a full disk, is only logged. */
void generation_raise(struct store *);

#endif
