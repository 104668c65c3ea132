#ifndef STORE_VERSIONS_H
#define STORE_VERSIONS_H

#include <lmdb.h>
#include <stdint.h>

#include "store/record.h"
#include "store/txn.h"

/*
 * The versions of a key that are not its current object, and its delete
 * markers, newest first. If a key's newest version is a delete marker, the key
 * has no entry in `objects`; else its newest version is the entry there. The
 * same shape holds the uploads of a key. Layout: store/index.h.
 *
 * Each returns 0, 1 for "there is none", or -1 and *err.
 */

/* The node below which a name's entries hang, and the number of its null
 * version (0: none among them). */
int versions_node(MDB_txn *, MDB_dbi, uint64_t bucket, struct slice key,
    uint64_t *node, uint64_t *null_version, struct error *err);
/* An entry by number. Versions: number is ~version. */
int versions_entry(MDB_txn *, MDB_dbi, uint64_t node, uint64_t number,
    struct slice *value, struct error *err);
/* The first entry with a number >= from. */
int versions_seek(MDB_txn *, MDB_dbi, uint64_t node, uint64_t from,
    uint64_t *number, struct slice *value, struct error *err);

/* Add and remove, in DB_VERSIONS or DB_UPLOADS; the node is made with the first
 * entry and goes with the last. is_null: it is (was) the null version. */
int versions_add(struct store_txn *, enum index_db, uint64_t bucket,
    struct slice key, uint64_t number, int is_null, struct slice value,
    struct error *err);
int versions_remove(struct store_txn *, enum index_db, uint64_t bucket,
    struct slice key, uint64_t number, int is_null, struct error *err);

#endif
