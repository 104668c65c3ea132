#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include <lmdb.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/record.h"

struct error;

/*
 * Names of up to 1,024 bytes of any value, in exact byte order, above LMDB's
 * limit of 511. A tree is an LMDB database; names hang below a root, a 64-bit
 * number (a bucket's id). The entry of a name of up to 500 bytes has the key
 * {root be64, name}. A longer one continues in a child node: the key
 * {root be64, first 500 bytes, 01} has a be64 node number as its value, below
 * which the rest of the name hangs in the same way. No other key has 509 bytes, so
 * a continuation sorts right behind the name of exactly 500 bytes and before
 * whatever is greater. Node numbers come from the caller's counter and are never
 * used again; a node that becomes empty is removed with its continuation.
 *
 * All calls within a transaction of the caller's, on its thread.
 */

#define NAMES_STEP_BYTES 500

/* 0 and *value (valid as LMDB's values are), 1 when there is none, -1 and *err. */
int names_get(MDB_txn *, MDB_dbi, uint64_t root, struct slice name,
    struct slice *value, struct error *err);
/* Sets the value. new_node is called when a node number is needed. */
int names_put(MDB_txn *, MDB_dbi, uint64_t root, struct slice name,
    struct slice value, uint64_t (*new_node)(void *), void *arg,
    struct error *err);
/* 0, 1 when there was none, -1 and *err. */
int names_delete(MDB_txn *, MDB_dbi, uint64_t root, struct slice name,
    struct error *err);
/* 1 when no name hangs below root, 0, or -1 and *err. */
int names_empty(MDB_txn *, MDB_dbi, uint64_t root, struct error *err);

/* A walk in ascending order. Allocated by the caller (it is large: not on an
 * event loop's deep stack); after names_open() it must be closed. The tree must
 * not change during a walk, except through names_walk_delete(). */
struct names_walk {
	MDB_txn *txn;
	MDB_dbi dbi;
	int depth; /* of the node that the walk is in, 0 to 2 */
	struct {
		MDB_cursor *cursor;
		uint64_t node;
	} level[3];
	uint8_t name[KEY_MAX_BYTES]; /* of the current entry, from its root */
	size_t name_len;
	struct slice value;
};

int names_open(struct names_walk *, MDB_txn *, MDB_dbi, uint64_t root,
    struct error *err);
/* Each sets name and value to an entry: the first that is >= name; the first
 * behind the current one; the first that is greater than every name with that
 * prefix. 0, 1 at the end, -1 and *err. */
int names_seek(struct names_walk *, struct slice name, struct error *err);
int names_next(struct names_walk *, struct error *err);
int names_skip(struct names_walk *, struct slice prefix, struct error *err);
void names_close(struct names_walk *);

#endif
