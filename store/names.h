#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include <lmdb.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/record.h"

struct error;

/*
 * Names of 1 to 1,024 bytes of any value, in exact byte order, above LMDB's
 * limit of 511. A tree is an LMDB database; names hang below a root, a 64-bit
 * number (a bucket's id). The entry of a name of up to 500 bytes has the key
 * {root be64, name}. A longer one continues in a child node: the key
 * {root be64, first 500 bytes, 01} has a be64 node number as its value, below
 * which the rest of the name hangs in the same way. No other key has 509 bytes,
 * so a continuation sorts right behind the name of exactly 500 bytes and before
 * whatever is greater. Roots and node numbers of a tree come from one counter
 * of the caller's, which gives no number twice; a node that becomes empty is
 * removed with its continuation.
 *
 * All calls within a transaction of the caller's, on its thread. What does not
 * hold together is ERR_DAMAGED, a name of another length ERR_INVALID.
 */

#define NAMES_STEP_BYTES 500
#define NAMES_LEVELS 3 /* nodes on the way to a name of KEY_MAX_BYTES */

/* 0 and *value (valid as LMDB's values are), 1 when there is none, -1 and *err.
 */
int names_get(MDB_txn *, MDB_dbi, uint64_t root, struct slice name,
    struct slice *value, struct error *err);
/* Sets the value. new_node is called when a node number is needed. 0, or -1 and
 * *err, after which the transaction can only be aborted. */
int names_put(MDB_txn *, MDB_dbi, uint64_t root, struct slice name,
    struct slice value, uint64_t (*new_node)(void *), void *arg,
    struct error *err);
/* 0, 1 when there was none, -1 and *err as names_put. */
int names_delete(
    MDB_txn *, MDB_dbi, uint64_t root, struct slice name, struct error *err);
/* 1 when no name hangs below root, 0, or -1 and *err. */
int names_empty(MDB_txn *, MDB_dbi, uint64_t root, struct error *err);

/* A walk in ascending order. Allocated by the caller, closed within its
 * transaction. When the tree has changed, names_seek() or names_skip() starts
 * the walk anew; names_next() must not be called before. */
struct names_walk {
	MDB_txn *txn;
	MDB_dbi dbi;
	int depth; /* of the node that the walk is in; -1: not at a name */
	int skip_stamps; /* the checker looks at them by itself */
	struct {
		MDB_cursor *cursor; /* opened when first needed */
		uint64_t node;
	} level[NAMES_LEVELS];
	/* The current entry; value valid as LMDB's values are. */
	uint8_t name[KEY_MAX_BYTES];
	size_t name_len;
	struct slice value;
};

/* Prepares; no name is current. Cannot fail, and allocates nothing. */
void names_open(struct names_walk *, MDB_txn *, MDB_dbi, uint64_t root);
/* Each makes an entry the current one: the first whose name is >= name; the
 * first behind the current one; the first that is greater than every name that
 * starts with prefix. name and prefix may be of any length and may point into
 * the walk's own. 0, 1 at the end (and from then on, until a seek), -1 and
 * *err. */
int names_seek(struct names_walk *, struct slice name, struct error *err);
int names_next(struct names_walk *, struct error *err);
int names_skip(struct names_walk *, struct slice prefix, struct error *err);
void names_close(struct names_walk *); /* again is allowed */

#endif
