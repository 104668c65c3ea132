#ifndef STORE_CHECK_TREE_H
#define STORE_CHECK_TREE_H

#include "store/check_private.h"

/* The trees of objects, versions and uploads, for the checker's steps. */

struct check_tree {
	struct check *c;
	enum index_db db;
	struct numbers children; /* nodes of long names */
	struct numbers lists;    /* nodes of versions or uploads of one name */
	uint64_t came_by;        /* entries that the walks saw */
	/* What a name's value is to be, its bucket being at c->buckets[bucket].
	 */
	int (*see)(struct check_tree *, size_t bucket, struct slice name,
	    struct slice value, struct error *err);
};

/* Walks it, showing each name. 0, or -1 and *err. Frees the tree's numbers. */
int check_tree(struct check_tree *, struct error *err);

/* Opens the list that a name's value tells of, at its first entry: LMDB's
 * answer, or -1 and *err. */
int check_open_list(struct check_tree *, struct check_owner *,
    struct slice value, MDB_cursor **, MDB_val *k, MDB_val *v,
    struct error *err);
/* Whether the key is still of that list. */
int check_in_list(struct slice value, const MDB_val *k);
/* The end of a list of n entries, at LMDB's answer rc. */
int check_close_list(struct check_tree *, struct check_owner *, MDB_cursor *,
    uint64_t n, int rc, struct error *err);

#endif
