#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/check_tree.h"
#include "store/lmdb_error.h"
#include "store/stamp.h"

/* The checker's steps about uploads and their parts. */

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
see_uploads(struct check_tree *t, size_t bucket, struct slice name,
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

	rc = check_open_list(t, &owner, value, &cursor, &k, &v, err);
	for (; rc == 0 && check_in_list(value, &k); n++) {
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
			rc = stamp_skip(cursor, &k, &v, MDB_NEXT);
	}
	return check_close_list(t, &owner, cursor, n, rc, err);
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
	struct check_tree t = { .c = c, .db = DB_UPLOADS, .see = see_uploads };

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
	check_digest(c, rec.extent, 0, rec.md5, &owner);
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
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT)) {
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
