#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/check_private.h"
#include "store/lmdb_error.h"
#include "store/names.h"

/*
 * The checker's steps about buckets and what they hold. A tree of names is
 * walked from each bucket; what the walks did not come by hangs below a node
 * that nothing names.
 */

#define CONTINUATION_KEY_BYTES (8 + NAMES_STEP_BYTES + 1)

struct tree {
	struct check *c;
	enum index_db db;
	struct numbers children; /* nodes of long names */
	struct numbers lists;    /* nodes of versions or uploads of one name */
	uint64_t came_by;        /* entries that the walks saw */
	/* What a name's value is to be, its bucket being at c->buckets[bucket].
	 */
	int (*see)(struct tree *, size_t bucket, struct slice name,
	    struct slice value, struct error *err);
};

static const char *
tree_name(const struct tree *t)
{
	return index_db_name(t->db);
}

/* ---- buckets ---- */

static int
compare_buckets(const void *a, const void *b)
{
	const struct check_bucket *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void
take_bucket(struct check *c, struct slice name, struct slice value)
{
	struct check_bucket *b = &c->buckets[c->n_buckets];
	struct error why = ERROR_INIT;

	if (name.len == 0 || name.len > BUCKET_NAME_MAX_BYTES) {
		check_damage(
		    c, FOUND_KEY, "a bucket has a name of %zu bytes", name.len);
		return;
	}
	memcpy(b->name, name.at, name.len);
	if (bucket_decode(value, &b->recorded, &why) != 0) {
		check_damage(
		    c, FOUND_RECORD, "bucket \"%s\": %s", b->name, why.text);
		memset(b, 0, sizeof(*b));
		return;
	}
	b->recorded.owner = b->recorded.tags = SLICE_NULL;
	b->id = b->recorded.id;
	if (c->counters_known && b->id >= c->counters.next_node)
		check_damage(c, FOUND_INDEX,
		    "bucket \"%s\" has a number that was never given", b->name);
	c->n_buckets++;
}

int
check_buckets(struct check *c, struct error *err)
{
	MDB_dbi dbi = index_dbi(c->index, DB_BUCKETS);
	MDB_cursor *cursor;
	MDB_stat stat;
	MDB_val k, v;
	size_t i;
	int rc;

	if ((rc = mdb_stat(c->txn, dbi, &stat)) != 0 ||
	    (rc = mdb_cursor_open(c->txn, dbi, &cursor)) != 0)
		return lmdb_error(err, rc, "reading buckets");
	c->buckets = calloc(stat.ms_entries + 1, sizeof(*c->buckets));
	if (c->buckets == NULL) {
		mdb_cursor_close(cursor);
		return error_nomem(err);
	}
	for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
	     rc == 0 && c->n_buckets < stat.ms_entries;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
		take_bucket(c, SLICE_OF(k), SLICE_OF(v));
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading buckets");

	qsort(c->buckets, c->n_buckets, sizeof(*c->buckets), compare_buckets);
	for (i = 1; i < c->n_buckets; i++)
		if (c->buckets[i].id == c->buckets[i - 1].id)
			check_damage(c, FOUND_TREE,
			    "buckets \"%s\" and \"%s\" have the same number",
			    c->buckets[i - 1].name, c->buckets[i].name);
	c->result.buckets = c->n_buckets;
	return 0;
}

static void
check_figure(struct check *c, const struct check_bucket *b, const char *what,
    uint64_t recorded, uint64_t counted)
{
	if (recorded != counted)
		check_damage(c, FOUND_USAGE,
		    "bucket \"%s\" should hold %" PRIu64
		    " %s, but holds %" PRIu64,
		    b->name, recorded, what, counted);
}

int
check_usage(struct check *c, struct error *err)
{
	const struct check_bucket *b;
	const struct bucket_record *r;

	(void)err;
	for (b = c->buckets; b < c->buckets + c->n_buckets; b++) {
		r = &b->recorded;
		check_figure(c, b, "objects", r->objects, b->objects);
		check_figure(
		    c, b, "bytes of objects", r->object_bytes, b->object_bytes);
		check_figure(c, b, "other versions", r->versions, b->versions);
		check_figure(c, b, "bytes of other versions", r->version_bytes,
		    b->version_bytes);
		check_figure(c, b, "uploads", r->uploads, b->uploads);
		check_figure(
		    c, b, "bytes of uploads", r->upload_bytes, b->upload_bytes);
	}
	return 0;
}

/* ---- trees of names ---- */

/* Finds the nodes that long names continue in: each once, none empty. */
static int
collect_children(struct tree *t, struct error *err)
{
	struct check *c = t->c;
	MDB_cursor *cursor;
	MDB_val k, v;
	size_t i;
	int rc;

	rc = mdb_cursor_open(c->txn, index_dbi(c->index, t->db), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
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
walk_bucket(
    struct tree *t, struct names_walk *walk, size_t bucket, struct error *err)
{
	const struct check_bucket *b = &t->c->buckets[bucket];
	int rc;

	names_open(walk, t->c->txn, index_dbi(t->c->index, t->db), b->id);
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

static int
is_bucket(const struct check *c, uint64_t id)
{
	struct check_bucket key = { .id = id };

	return c->n_buckets > 0 &&
	    bsearch(&key, c->buckets, c->n_buckets, sizeof(key),
		compare_buckets) != NULL;
}

/* Names the nodes that nothing leads to. */
static int
find_unreachable(struct tree *t, struct error *err)
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
	rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
	while (rc == 0 && k.mv_size >= 8) {
		node = be64_get(k.mv_data);
		if (!is_bucket(c, node) && !numbers_have(&t->children, node) &&
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
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	}
	mdb_cursor_close(cursor);
	if (found == 0)
		check_damage(c, FOUND_TREE,
		    "in the tree of %s there are entries to which nothing "
		    "leads",
		    tree_name(t));
	return 0;
}

static int
check_tree(struct tree *t, struct error *err)
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

/* ---- objects ---- */

static int
see_object(struct tree *t, size_t bucket, struct slice name, struct slice value,
    struct error *err)
{
	struct check_bucket *b = &t->c->buckets[bucket];
	struct check_owner owner = { "object", slice_text(b->name), name };
	struct error why = ERROR_INIT;
	struct object_record rec;
	char text[CHECK_NAME_BYTES];

	(void)err;
	t->c->result.objects++;
	if (object_decode(value, &rec, &why) != 0) {
		check_damage(t->c, FOUND_RECORD, "%s: %s",
		    check_name(&owner, text), why.text);
		return 0;
	}
	if (rec.delete_marker)
		check_damage(t->c, FOUND_VERSION,
		    "%s is a delete marker, but stands among the objects",
		    check_name(&owner, text));
	b->objects++;
	b->object_bytes += rec.size;
	check_unique(t->c, rec.version, &owner);
	check_content(t->c, rec.extent, rec.size, rec.parts, &owner);
	return 0;
}

int
check_objects(struct check *c, struct error *err)
{
	struct tree t = { .c = c, .db = DB_OBJECTS, .see = see_object };

	return check_tree(&t, err);
}

/* ---- versions ---- */

/* What a name's list came to. */
struct list {
	uint64_t n, nulls, null_version;
	struct object_record newest;
};

static void
see_version(struct tree *t, struct check_bucket *b, struct check_owner *owner,
    uint64_t number, struct slice value, struct list *list)
{
	struct error why = ERROR_INIT;
	struct object_record rec;
	char text[CHECK_NAME_BYTES];

	t->c->result.versions++;
	if (object_decode(value, &rec, &why) != 0) {
		check_damage(t->c, FOUND_RECORD, "%s: %s",
		    check_name(owner, text), why.text);
		return;
	}
	if (rec.version != ~number)
		check_damage(t->c, FOUND_VERSION,
		    "%s: version %" PRIu64 " stands in the place of %" PRIu64,
		    check_name(owner, text), rec.version, ~number);
	if (rec.delete_marker && (rec.extent != 0 || rec.size != 0))
		check_damage(t->c, FOUND_VERSION,
		    "%s: a delete marker has bytes", check_name(owner, text));
	if (list->n++ == 0)
		list->newest = rec;
	if (rec.null_version) {
		list->nulls++;
		list->null_version = rec.version;
	}
	b->versions++;
	b->version_bytes += rec.size;
	check_unique(t->c, rec.version, owner);
	check_content(t->c, rec.extent, rec.size, rec.parts, owner);
}

/* That the list and the current object fit together. */
static void
check_list(struct tree *t, const struct check_bucket *b,
    struct check_owner *owner, const struct list *list, uint64_t null_version)
{
	struct object_record current;
	char text[CHECK_NAME_BYTES];
	struct slice value;
	int rc;

	if (list->nulls > 1 || list->null_version != null_version)
		check_damage(t->c, FOUND_VERSION,
		    "%s: its null version should be %" PRIu64
		    ", but is %" PRIu64,
		    check_name(owner, text), null_version, list->null_version);
	rc = names_get(t->c->txn, index_dbi(t->c->index, DB_OBJECTS), b->id,
	    owner->key, &value, NULL);
	if (rc == 0 && object_decode(value, &current, NULL) == 0) {
		if (current.version <= list->newest.version)
			check_damage(t->c, FOUND_VERSION,
			    "%s: the current one is older than another one",
			    check_name(owner, text));
		if (current.null_version && list->nulls > 0)
			check_damage(t->c, FOUND_VERSION,
			    "%s: there are two null versions",
			    check_name(owner, text));
	} else if (rc == 1 && !list->newest.delete_marker)
		check_damage(t->c, FOUND_VERSION,
		    "%s: the newest is no delete marker, but there is no "
		    "object",
		    check_name(owner, text));
}

/* Opens the list that a name's value tells of, at its first entry: LMDB's
 * answer, or -1 and *err. */
static int
open_list(struct tree *t, struct check_owner *owner, struct slice value,
    MDB_cursor **cursor, MDB_val *k, MDB_val *v, struct error *err)
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
	return mdb_cursor_get(*cursor, k, v, MDB_SET_RANGE);
}

static int
in_list(struct slice value, const MDB_val *k)
{
	return k->mv_size == 16 && memcmp(k->mv_data, value.at, 8) == 0;
}

/* The end of a list's walk, at LMDB's answer rc. */
static int
close_list(struct tree *t, struct check_owner *owner, MDB_cursor *cursor,
    uint64_t n, int rc, struct error *err)
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

static int
see_versions(struct tree *t, size_t bucket, struct slice name,
    struct slice value, struct error *err)
{
	struct check_bucket *b = &t->c->buckets[bucket];
	struct check_owner owner = { "a version of", slice_text(b->name),
		name };
	struct list list = { 0 };
	MDB_cursor *cursor;
	uint64_t n = 0;
	MDB_val k, v;
	int rc;

	rc = open_list(t, &owner, value, &cursor, &k, &v, err);
	for (; rc == 0 && in_list(value, &k); n++) {
		t->came_by++;
		see_version(t, b, &owner, be64_get((uint8_t *)k.mv_data + 8),
		    SLICE_OF(v), &list);
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	if (list.n > 0)
		check_list(t, b, &owner, &list,
		    be64_get((const uint8_t *)value.at + 8));
	return close_list(t, &owner, cursor, n, rc, err);
}

int
check_versions(struct check *c, struct error *err)
{
	struct tree t = { .c = c, .db = DB_VERSIONS, .see = see_versions };

	return check_tree(&t, err);
}

/* ---- uploads ---- */

static int
add_upload(struct check *c, uint64_t id, size_t bucket, struct error *err)
{
	struct check_upload *uploads;
	size_t room;

	if (c->n_uploads == c->room_uploads) {
		room = c->room_uploads == 0 ? 64 : c->room_uploads * 2;
		uploads = realloc(c->uploads, room * sizeof(*uploads));
		if (uploads == NULL)
			return error_nomem(err);
		c->uploads = uploads;
		c->room_uploads = room;
	}
	c->uploads[c->n_uploads++] = (struct check_upload){ id, bucket };
	return 0;
}

static int
see_uploads(struct tree *t, size_t bucket, struct slice name,
    struct slice value, struct error *err)
{
	struct check_bucket *b = &t->c->buckets[bucket];
	struct check_owner owner = { "an upload of", slice_text(b->name),
		name };
	struct error why = ERROR_INIT;
	struct upload_record rec;
	char text[CHECK_NAME_BYTES];
	MDB_cursor *cursor;
	uint64_t n = 0, id;
	MDB_val k, v;
	int rc;

	rc = open_list(t, &owner, value, &cursor, &k, &v, err);
	for (; rc == 0 && in_list(value, &k); n++) {
		t->came_by++;
		t->c->result.uploads++;
		b->uploads++;
		id = be64_get((uint8_t *)k.mv_data + 8);
		check_unique(t->c, id, &owner);
		if (upload_decode(SLICE_OF(v), &rec, &why) != 0)
			check_damage(t->c, FOUND_RECORD, "%s: %s",
			    check_name(&owner, text), why.text);
		if (add_upload(t->c, id, bucket, err) != 0)
			rc = -1;
		else
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	return close_list(t, &owner, cursor, n, rc, err);
}

static int
compare_uploads(const void *a, const void *b)
{
	const struct check_upload *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

int
check_uploads(struct check *c, struct error *err)
{
	struct tree t = { .c = c, .db = DB_UPLOADS, .see = see_uploads };

	if (check_tree(&t, err) != 0)
		return -1;
	if (c->n_uploads > 0)
		qsort(c->uploads, c->n_uploads, sizeof(*c->uploads),
		    compare_uploads);
	return 0;
}

static void
see_part(struct check *c, uint64_t upload, unsigned number, struct slice value)
{
	struct check_upload key = { .id = upload }, *found = NULL;
	struct check_owner owner = { "part", SLICE_LITERAL("?"), SLICE_NULL };
	struct error why = ERROR_INIT;
	struct part_record rec;
	char id[40], text[CHECK_NAME_BYTES];

	snprintf(id, sizeof(id), "%" PRIu64 "/%u", upload, number);
	owner.key = slice_text(id);
	if (c->n_uploads > 0)
		found = bsearch(&key, c->uploads, c->n_uploads, sizeof(key),
		    compare_uploads);
	if (found == NULL)
		check_damage(c, FOUND_PART,
		    "part %u belongs to the upload %" PRIu64
		    ", which is not there",
		    number, upload);
	else
		owner.bucket = slice_text(c->buckets[found->bucket].name);
	if (number < 1 || number > PARTS_MAX)
		check_damage(c, FOUND_PART,
		    "the upload %" PRIu64 " has a part %u", upload, number);
	if (part_decode(value, &rec, &why) != 0) {
		check_damage(c, FOUND_RECORD, "%s: %s",
		    check_name(&owner, text), why.text);
		return;
	}
	if (found != NULL)
		c->buckets[found->bucket].upload_bytes += rec.size;
	check_content(c, rec.extent, rec.size, 0, &owner);
}

int
check_parts(struct check *c, struct error *err)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	rc = mdb_cursor_open(c->txn, index_dbi(c->index, DB_PARTS), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading parts");
	for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		c->result.parts++;
		if (k.mv_size == 10)
			see_part(c, be64_get(k.mv_data),
			    be16_get((uint8_t *)k.mv_data + 8), SLICE_OF(v));
		else
			check_damage(c, FOUND_KEY,
			    "the database of parts has a key of %zu bytes",
			    k.mv_size);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : lmdb_error(err, rc, "reading parts");
}
