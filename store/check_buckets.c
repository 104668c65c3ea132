#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/check_private.h"
#include "store/lmdb_error.h"
#include "store/stamp.h"

/* The checker's steps about buckets and their usage figures. */

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
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST);
	     rc == 0 && c->n_buckets < stat.ms_entries;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT))
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

int
check_is_bucket(const struct check *c, uint64_t id)
{
	struct check_bucket key = { .id = id };

	return c->n_buckets > 0 &&
	    bsearch(&key, c->buckets, c->n_buckets, sizeof(key),
		compare_buckets) != NULL;
}
