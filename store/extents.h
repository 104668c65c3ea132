#ifndef STORE_EXTENTS_H
#define STORE_EXTENTS_H

#include <lmdb.h>
#include <stdint.h>

#include "store/record.h"

struct error;
struct index;
struct store_txn;

/* The records of extents in the index. Slices of a record that was looked up
 * are the transaction's, until it writes. */

/* 0, or 1 when there is none, or -1 and *err. */
int extents_get(MDB_txn *, const struct index *, uint64_t id,
    struct extent_record *, struct error *err);
/* The same for one that must be there (ERR_DAMAGED). 0, or -1 and *err. */
int extents_need(MDB_txn *, const struct index *, uint64_t id,
    struct extent_record *, struct error *err);
/* The same for one that may have been let go of meanwhile (ERR_NOT_FOUND). */
int extents_find(MDB_txn *, const struct index *, uint64_t id,
    struct extent_record *, struct error *err);

/* Whether an extent, or a part of it, is elsewhere alone: 1, 0, or -1 and
 * *err. */
int extents_away(
    MDB_txn *, const struct index *, uint64_t id, struct error *err);

/* Writes one, on the committer's thread. 0, or -1 and *err. */
int extents_put(struct store_txn *, uint64_t id, const struct extent_record *,
    struct error *err);

#endif
