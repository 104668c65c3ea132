#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/check_tree.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/stamp.h"

/*
 * The checker's walk of a tree of names, from each bucket. What the walks did
 * not come by hangs below a node that nothing names.
 */

#define CONTINUATION_KEY_BYTES (8 + NAMES_STEP_BYTES + 1)

static const char *
tree_name(const struct check_tree *t)
{
	return index_db_name(t->db);
}

/* Finds the nodes that long names continue in: each once, none empty. */
static int
collect_children(struct check_tree *t, struct error *err)
{
	struct check *c = t->c;
	MDB_cursor *cursor;
	MDB_val k, v;
	size_t i;
	int rc;

	rc = mdb_cursor_open(c->txn, index_dbi(c->index, t->db), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size <= 8 || k.mv_size > CONTINUATION_KEY_BYTES) {
			check_damage(c, FOUND_KEY,
			    "the tree of %s has a key of %zu bytes",
			    tree_name(t), k.mv_size);
			continue;
		}
		if (k.mv_size < CONTINUATION_KEY_BYTES)
			continue;
		t->came_by++;
		if (v.mv_size != 8 ||
		    ((uint8_t *)k.mv_data)[CONTINUATION_KEY_BYTES - 1] != 1) {
			check_damage(c, FOUND_TREE,
			    "in the tree of %s the continuation of a long name "
			    "is wrong",
			    tree_name(t));
			continue;
		}
		if (numbers_add(&t->children, be64_get(v.mv_data), err) != 0) {
			mdb_cursor_close(cursor);
			return -1;
		}
	}
	mdb_cursor_close(cursor);
	if (rc != MDB_NOTFOUND) {
		lmdb_error(err, rc, "reading the index");
		return error_add(err, "the tree of %s", tree_name(t));
	}

	numbers_sort(&t->children);
	for (i = 0; i < t->children.n; i++) {
		if (i > 0 && t->children.at[i] == t->children.at[i - 1])
			check_damage(c, FOUND_TREE,
			    "in the tree of %s two long names continue in the "
			    "same node",
			    tree_name(t));
		rc = names_empty(
		    c->txn, index_dbi(c->index, t->db), t->children.at[i], err);
		if (rc < 0)
			return -1;
		if (rc == 1)
			check_damage(c, FOUND_TREE,
			    "in the tree of %s a long name continues in a node "
			    "that is empty",
			    tree_name(t));
	}
	return 0;
}

static int
walk_bucket(struct check_tree *t, struct names_walk *walk, size_t bucket,
    struct error *err)
{
	const struct check_bucket *b = &t->c->buckets[bucket];
	int rc;

	names_open(walk, t->c->txn, index_dbi(t->c->index, t->db), b->id);
	walk->skip_stamps = 1;
	for (rc = names_seek(walk, SLICE_LITERAL(""), err); rc == 0;
	     rc = names_next(walk, err)) {
		t->came_by++;
		if (t->see(t, bucket,
			(struct slice){
			    (const char *)walk->name, walk->name_len },
			walk->value, err) != 0)
			break;
	}
	names_close(walk);
	if (rc == 1)
		return 0;
	if (rc == -1 && err->kind == ERR_DAMAGED) {
		check_damage(t->c, FOUND_TREE, "bucket \"%s\", tree of %s: %s",
		    b->name, tree_name(t), err->text);
		error_clear(err);
		return 0;
	}
	return -1;
}

/* Names the nodes that nothing leads to. */
static int
find_unreachable(struct check_tree *t, struct error *err)
{
	struct check *c = t->c;
	MDB_cursor *cursor;
	uint64_t node, found = 0;
	uint8_t be[8];
	MDB_val k, v;
	int rc;

	rc = mdb_cursor_open(c->txn, index_dbi(c->index, t->db), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	rc = stamp_skip(cursor, &k, &v, MDB_FIRST);
	while (rc == 0 && k.mv_size >= 8) {
		node = be64_get(k.mv_data);
		if (!check_is_bucket(c, node) &&
		    !numbers_have(&t->children, node) &&
		    !numbers_have(&t->lists, node)) {
			found++;
			check_damage(c, FOUND_TREE,
			    "in the tree of %s there are entries below the "
			    "node "
			    "%" PRIu64 ", to which nothing leads",
			    tree_name(t), node);
		}
		if (node == UINT64_MAX)
			break;
		be64_put(be, node + 1);
		k = (MDB_val){ sizeof(be), be };
		rc = stamp_skip(cursor, &k, &v, MDB_SET_RANGE);
	}
	mdb_cursor_close(cursor);
	if (found == 0)
		check_damage(c, FOUND_TREE,
		    "in the tree of %s there are entries to which nothing "
		    "leads",
		    tree_name(t));
	return 0;
}

int
check_tree(struct check_tree *t, struct error *err)
{
	struct names_walk *walk;
	MDB_stat stat;
	size_t i;
	int rc = -1;

	if ((walk = malloc(sizeof(*walk))) == NULL)
		return error_nomem(err);
	if (collect_children(t, err) != 0)
		goto out;
	for (i = 0; i < t->c->n_buckets; i++)
		if (walk_bucket(t, walk, i, err) != 0)
			goto out;

	numbers_sort(&t->lists);
	for (i = 1; i < t->lists.n; i++)
		if (t->lists.at[i] == t->lists.at[i - 1])
			check_damage(t->c, FOUND_TREE,
			    "in the tree of %s two names have the same list",
			    tree_name(t));
	rc = mdb_stat(t->c->txn, index_dbi(t->c->index, t->db), &stat);
	if (rc != 0)
		rc = lmdb_error(err, rc, "reading the index");
	else if (stat.ms_entries != t->came_by)
		rc = find_unreachable(t, err);
out:
	free(walk);
	free(t->children.at);
	free(t->lists.at);
	return rc;
}

/* ---- lists ---- */

int
check_open_list(struct check_tree *t, struct check_owner *owner,
    struct slice value, MDB_cursor **cursor, MDB_val *k, MDB_val *v,
    struct error *err)
{
	char text[CHECK_NAME_BYTES];
	int rc;

	*cursor = NULL;
	if (value.len != 16) {
		check_damage(t->c, FOUND_RECORD,
		    "%s: where its list is cannot be read",
		    check_name(owner, text));
		return MDB_NOTFOUND;
	}
	if (numbers_add(&t->lists, be64_get((const uint8_t *)value.at), err) !=
	    0)
		return -1;
	rc = mdb_cursor_open(t->c->txn, index_dbi(t->c->index, t->db), cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	*k = (MDB_val){ 8, (void *)(uintptr_t)value.at };
	return stamp_skip(*cursor, k, v, MDB_SET_RANGE);
}

int
check_in_list(struct slice value, const MDB_val *k)
{
	return k->mv_size == 16 && memcmp(k->mv_data, value.at, 8) == 0;
}

int
check_close_list(struct check_tree *t, struct check_owner *owner,
    MDB_cursor *cursor, uint64_t n, int rc, struct error *err)
{
	char text[CHECK_NAME_BYTES];

	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (rc == -1)
		return -1;
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading the index");
	if (cursor != NULL && n == 0)
		check_damage(t->c, FOUND_TREE, "%s: its list is empty",
		    check_name(owner, text));
	return 0;
}
