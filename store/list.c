#include <string.h>

#include "base/error.h"
#include "store/internal.h"
#include "store/names.h"
#include "store/versions.h"

/*
 * Listings: walks over one names tree, or over two in step (current objects and
 * the other versions). A key below a common prefix is never looked at twice:
 * the walk seeks to what follows the prefix.
 */

struct listing {
	struct store *store;
	MDB_txn *txn;
	const struct list_query *query;
	uint64_t bucket;
	list_visit *visit;
	void *arg;
	struct error *err;
	int n_walks;
	struct tree {
		struct names_walk walk;
		int end; /* no name is current */
	} trees[2];
};

static struct slice
tree_name(const struct tree *t)
{
	return (struct slice){ (const char *)t->walk.name, t->walk.name_len };
}

static int
advance(struct listing *l,
    int (*move)(struct names_walk *, struct slice, struct error *),
    struct slice to)
{
	int i, rc;

	for (i = 0; i < l->n_walks; i++) {
		rc = move(&l->trees[i].walk, to, l->err);
		if (rc < 0)
			return -1;
		l->trees[i].end = rc;
	}
	return 0;
}

/* The length of the common prefix that a name falls under, or 0. */
static size_t
common_prefix(const struct list_query *q, struct slice name)
{
	const char *at;

	if (q->delimiter.len == 0 || name.len <= q->prefix.len)
		return 0;
	at = memmem(name.at + q->prefix.len, name.len - q->prefix.len,
	    q->delimiter.at, q->delimiter.len);
	if (at == NULL)
		return 0;
	return (size_t)(at - name.at) + q->delimiter.len;
}

/* Positions at the first name that the listing may show; *same is set when that
 * is `after` itself, of which some versions or uploads may still be due. */
static int
position(struct listing *l, int *same)
{
	const struct list_query *q = l->query;
	struct slice from = q->prefix;
	int i;

	*same = 0;
	if (q->after.len > 0 && slice_compare(q->after, q->prefix) >= 0) {
		from = q->after;
		if (common_prefix(q, from) == from.len)
			return advance(l, names_skip, from);
	}
	if (advance(l, names_seek, from) != 0)
		return -1;
	if (from.at != q->after.at || q->after.len == 0)
		return 0;
	for (i = 0; i < l->n_walks; i++)
		if (!l->trees[i].end &&
		    slice_equal(tree_name(&l->trees[i]), q->after))
			*same = 1;
	return 0;
}

/* The tree whose current name comes first, or NULL at the end of the listing.
 */
static struct tree *
first_tree(struct listing *l)
{
	struct tree *best = NULL;
	struct slice name;
	int i;

	for (i = 0; i < l->n_walks; i++) {
		if (l->trees[i].end)
			continue;
		if (best == NULL ||
		    slice_compare(tree_name(&l->trees[i]), tree_name(best)) < 0)
			best = &l->trees[i];
	}
	if (best == NULL)
		return NULL;
	name = tree_name(best);
	if (name.len < l->query->prefix.len)
		return NULL;
	name.len = l->query->prefix.len;
	if (!slice_equal(name, l->query->prefix))
		return NULL;
	return best;
}

/* Steps every tree that is at the name. */
static int
step(struct listing *l, const char *name, size_t len)
{
	int i, rc;

	for (i = 0; i < l->n_walks; i++) {
		if (l->trees[i].end ||
		    !slice_equal(
			tree_name(&l->trees[i]), (struct slice){ name, len }))
			continue;
		if ((rc = names_next(&l->trees[i].walk, l->err)) < 0)
			return -1;
		l->trees[i].end = rc;
	}
	return 0;
}

/* Shows what stands under one name. `same`: only what follows the query's
 * version or upload. 1 to stop, 0, -1. */
typedef int show_name(struct listing *, struct slice name, int same);

static int
run(struct listing *l, show_name *show)
{
	struct list_entry entry = { 0 };
	char name[KEY_MAX_BYTES];
	struct tree *t;
	size_t len, prefix;
	int same, rc;

	if (position(l, &same) != 0)
		return -1;
	while ((t = first_tree(l)) != NULL) {
		len = t->walk.name_len;
		memcpy(name, t->walk.name, len);
		prefix = common_prefix(l->query, (struct slice){ name, len });
		if (prefix > 0 && !same) {
			entry.key = (struct slice){ name, prefix };
			entry.common_prefix = 1;
			if (l->visit(&entry, l->arg) != 0)
				return 0;
			if (advance(l, names_skip, entry.key) != 0)
				return -1;
			continue;
		}
		rc = show(l, (struct slice){ name, len }, same);
		same = 0;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (step(l, name, len) != 0)
			return -1;
	}
	return 0;
}

static int
list(struct store *store, const struct list_query *query,
    const enum index_db *trees, int n_trees, show_name *show, list_visit *visit,
    void *arg, struct error *err)
{
	struct listing l = { 0 };
	struct bucket_record b;
	struct slice value;
	int i, rc = -1;

	l.store = store;
	l.query = query;
	l.visit = visit;
	l.arg = arg;
	l.err = err;
	l.n_walks = n_trees;
	if ((l.txn = index_read(store->index, err)) == NULL)
		return -1;
	if (read_bucket(store, l.txn, query->bucket, &b, &value, err) == 0) {
		l.bucket = b.id;
		for (i = 0; i < n_trees; i++)
			names_open(&l.trees[i].walk, l.txn,
			    index_dbi(store->index, trees[i]), b.id);
		rc = run(&l, show);
		for (i = 0; i < n_trees; i++)
			names_close(&l.trees[i].walk);
	}
	index_read_end(store->index, l.txn);
	return rc;
}

/* ---- objects ---- */

static int
show_object(struct listing *l, struct slice name, int same)
{
	struct list_entry entry = { .key = name };
	struct object_record rec;

	if (same)
		return 0;
	if (object_decode(l->trees[0].walk.value, &rec, l->err) != 0)
		return error_add(l->err, "\"%.*s\"", (int)name.len, name.at);
	entry.object = &rec;
	return l->visit(&entry, l->arg) != 0;
}

int
store_list_objects(struct store *store, const struct list_query *query,
    list_visit *visit, void *arg, struct error *err)
{
	static const enum index_db trees[] = { DB_OBJECTS };

	return list(store, query, trees, 1, show_object, visit, arg, err);
}

/* ---- versions ---- */

/* Shows the versions below a node, from the one behind `after` (0: the newest).
 */
static int
show_node(
    struct listing *l, struct list_entry *entry, uint64_t node, uint64_t after)
{
	struct object_record rec;
	uint64_t from = after ? ~after + 1 : 0, number;
	struct slice bytes;
	int rc;

	for (;;) {
		rc = versions_seek(l->txn,
		    index_dbi(l->store->index, DB_VERSIONS), node, from,
		    &number, &bytes, l->err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (object_decode(bytes, &rec, l->err) != 0)
			return -1;
		entry->object = &rec;
		if (l->visit(entry, l->arg) != 0)
			return 1;
		entry->is_latest = 0;
		if (number == UINT64_MAX)
			return 0;
		from = number + 1;
	}
}

static int
show_versions(struct listing *l, struct slice name, int same)
{
	struct list_entry entry = { .key = name, .is_latest = 1 };
	uint64_t node, null_version;
	uint64_t after = same ? l->query->after_version : 0;
	struct object_record rec;
	int rc;

	if (same && after == 0)
		return 0;
	if (!l->trees[0].end && slice_equal(tree_name(&l->trees[0]), name)) {
		if (object_decode(l->trees[0].walk.value, &rec, l->err) != 0)
			return -1;
		entry.object = &rec;
		if (after == 0 && l->visit(&entry, l->arg) != 0)
			return 1;
		entry.is_latest = 0;
	}
	if (after != 0)
		entry.is_latest = 0;
	if (l->trees[1].end || !slice_equal(tree_name(&l->trees[1]), name))
		return 0;
	rc = versions_node(l->txn, index_dbi(l->store->index, DB_VERSIONS),
	    l->bucket, name, &node, &null_version, l->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (after == VERSION_NULL)
		after = null_version ? null_version : 0;
	return show_node(l, &entry, node, after);
}

int
store_list_versions(struct store *store, const struct list_query *query,
    list_visit *visit, void *arg, struct error *err)
{
	static const enum index_db trees[] = { DB_OBJECTS, DB_VERSIONS };

	return list(store, query, trees, 2, show_versions, visit, arg, err);
}

/* ---- uploads ---- */

static int
show_uploads(struct listing *l, struct slice name, int same)
{
	MDB_dbi dbi = index_dbi(l->store->index, DB_UPLOADS);
	struct list_entry entry = { .key = name };
	struct upload_record rec;
	uint64_t node, none, number, from = 0;
	struct slice bytes;
	int rc;

	if (same && (from = l->query->after_upload) == 0)
		return 0;
	rc = versions_node(l->txn, dbi, l->bucket, name, &node, &none, l->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	for (from += same ? 1 : 0;; from = number + 1) {
		rc = versions_seek(
		    l->txn, dbi, node, from, &number, &bytes, l->err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (upload_decode(bytes, &rec, l->err) != 0)
			return -1;
		entry.upload = number;
		entry.upload_record = &rec;
		if (l->visit(&entry, l->arg) != 0)
			return 1;
	}
}

int
store_list_uploads(struct store *store, const struct list_query *query,
    list_visit *visit, void *arg, struct error *err)
{
	static const enum index_db trees[] = { DB_UPLOADS };

	return list(store, query, trees, 1, show_uploads, visit, arg, err);
}
