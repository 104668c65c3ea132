#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/objects.h"
#include "store/rebuild_private.h"
#include "store/stamp.h"
#include "store/versions.h"

/* What the hot copy of the index names, and is there no more: lost, or deleted
 * since. It is taken out, some at a time, as a delete would. */

#define BATCH 64

struct lost_item {
	char key[KEY_MAX_BYTES];
	size_t key_len;
	uint64_t version, size;
	int64_t mtime_ms;
};

struct lost {
	struct rebuild *r;
	struct numbers files, chains; /* extents */
	char bucket[BUCKET_NAME_MAX_BYTES + 1];
	uint64_t bucket_id;
	struct names_walk walk;
	size_t n;
	struct lost_item items[BATCH];
};

static int
open_cursor(
    struct rebuild *r, enum index_db db, MDB_cursor **cursor, struct error *err)
{
	int rc;

	rc = mdb_cursor_open(r->txn.txn, txn_dbi(&r->txn, db), cursor);
	return rc == 0 ? 0 : lmdb_error(err, rc, "reading the copy");
}

static int
close_cursor(MDB_cursor *cursor, int rc, struct error *err)
{
	mdb_cursor_close(cursor);
	if (rc == 0 || rc == MDB_NOTFOUND)
		return 0;
	return rc == -1 ? -1 : lmdb_error(err, rc, "reading the copy");
}

/* Whether the extent's file is there, with a sound trailer. */
static int
is_there(struct rebuild *r, uint64_t id, uint64_t size)
{
	struct extent_reader *reader;
	int there;

	if ((reader = extent_open(r->extents, id, NULL)) == NULL)
		return 0;
	there = extent_reader_size(reader) == size;
	extent_close(reader);
	return there;
}

static int
is_lost(const struct lost *l, uint64_t id)
{
	return numbers_have(&l->files, id) || numbers_have(&l->chains, id);
}

static int
chain_is_lost(const struct lost *l, const struct extent_record *rec)
{
	struct chain_entry e;
	size_t i;

	for (i = 0; i < rec->n_entries; i++)
		if (chain_get(rec, i, &e) != 0 ||
		    numbers_have(&l->files, e.extent))
			return 1;
	return 0;
}

/* Fills files or, these being known, chains; in ascending order. */
static int
find_extents(struct lost *l, enum extent_kind kind, struct error *err)
{
	struct extent_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	uint64_t id;
	int rc;

	if (open_cursor(l->r, DB_EXTENTS, &cursor, err) != 0)
		return -1;
	for (rc = stamp_step(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		id = be64_get(k.mv_data);
		if ((rc = extent_decode(SLICE_OF(v), &rec, err)) != 0)
			break;
		if (rec.kind != kind || rec.references == 0)
			continue;
		if (kind == EXTENT_FILE && !is_there(l->r, id, rec.size))
			rc = numbers_add(&l->files, id, err);
		else if (kind == EXTENT_CHAIN && chain_is_lost(l, &rec))
			rc = numbers_add(&l->chains, id, err);
		if (rc != 0)
			break;
	}
	return close_cursor(cursor, rc, err);
}

static void
note_item(struct lost *l, struct slice key, const struct object_record *rec)
{
	struct lost_item *item = &l->items[l->n++];

	memcpy(item->key, key.at, key.len);
	item->key_len = key.len;
	item->version = rec->version;
	item->size = rec->size;
	item->mtime_ms = rec->mtime_ms;
}

/* The lost ones of a key's versions. 0, or -1 and *err. */
static int
note_versions(
    struct lost *l, struct slice key, struct slice value, struct error *err)
{
	MDB_dbi dbi = txn_dbi(&l->r->txn, DB_VERSIONS);
	uint64_t node = be64_get((const uint8_t *)value.at), number = 0;
	struct object_record rec;
	struct slice bytes;
	int rc;

	while (l->n < BATCH) {
		rc = versions_seek(
		    l->r->txn.txn, dbi, node, number, &number, &bytes, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (object_decode(bytes, &rec, err) != 0)
			return -1;
		if (is_lost(l, rec.extent))
			note_item(l, key, &rec);
		number++;
	}
	return 0;
}

/* Fills items with lost ones of the bucket in one tree, from a name on. */
static int
collect(struct lost *l, enum index_db db, struct slice from, struct error *err)
{
	struct names_walk *walk = &l->walk;
	struct object_record rec;
	struct slice key;
	int rc;

	l->n = 0;
	names_open(walk, l->r->txn.txn, txn_dbi(&l->r->txn, db), l->bucket_id);
	for (rc = names_seek(walk, from, err); rc == 0 && l->n < BATCH;
	     rc = names_next(walk, err)) {
		key = (struct slice){ (char *)walk->name, walk->name_len };
		if (db == DB_VERSIONS) {
			if (note_versions(l, key, walk->value, err) != 0)
				rc = -1;
		} else if (object_decode(walk->value, &rec, err) != 0)
			rc = -1;
		else if (is_lost(l, rec.extent))
			note_item(l, key, &rec);
		if (rc == -1)
			break;
	}
	names_close(walk);
	return rc == -1 ? -1 : 0;
}

static int
drop_item(struct lost *l, const struct lost_item *item, struct error *err)
{
	struct check_owner owner = { "object", slice_text(l->bucket),
		{ item->key, item->key_len } };
	struct delete_item gone = { .key = owner.key,
		.version = item->version };
	char text[CHECK_NAME_BYTES], when[CLOCK_TEXT_BYTES];
	struct change change = { 0 };
	struct txn_bucket *b;

	if ((b = txn_bucket(&l->r->txn, owner.bucket, err)) == NULL ||
	    objects_delete_version(&l->r->txn, &change, b, &gone, err) != 0)
		return -1;
	clock_iso8601(item->mtime_ms, when);
	rebuild_say(l->r,
	    "%s (%" PRIu64
	    " bytes, of %s) is lost, unless it was deleted since:"
	    " its content is gone",
	    check_name(&owner, text), item->size, when);
	l->r->result->dropped++;
	return rebuild_step(l->r, err);
}

/* Each batch begins at the last one's end, where there may be more versions. */
static int
drop_objects(struct lost *l, enum index_db db, struct error *err)
{
	char from[KEY_MAX_BYTES];
	size_t from_len = 0, i;

	do {
		if (collect(l, db, (struct slice){ from, from_len }, err) != 0)
			return -1;
		for (i = 0; i < l->n; i++)
			if (drop_item(l, &l->items[i], err) != 0)
				return -1;
		if (l->n > 0) {
			from_len = l->items[l->n - 1].key_len;
			memcpy(from, l->items[l->n - 1].key, from_len);
		}
	} while (l->n == BATCH);
	return 0;
}

/* ---- parts of uploads ---- */

/* The number of a bucket's uploads is small; each is looked at. */
static int
drop_parts_of(struct lost *l, uint64_t upload, struct error *err)
{
	struct part_record rec;
	MDB_cursor *cursor;
	struct txn_bucket *b;
	uint8_t key[10];
	MDB_val k = { sizeof(key), key }, v;
	unsigned number;
	int rc;

	be64_put(key, upload);
	be16_put(key + 8, 0);
	if (open_cursor(l->r, DB_PARTS, &cursor, err) != 0)
		return -1;
	for (rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE); rc == 0;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != 10 || be64_get(k.mv_data) != upload)
			break;
		number = be16_get((uint8_t *)k.mv_data + 8);
		if (part_decode(SLICE_OF(v), &rec, err) != 0) {
			rc = -1;
			break;
		}
		if (!is_lost(l, rec.extent))
			continue;
		rc = mdb_cursor_del(cursor, 0);
		if (rc != 0)
			break;
		b = txn_bucket(&l->r->txn, slice_text(l->bucket), err);
		if (b == NULL ||
		    txn_extent_unref(&l->r->txn, rec.extent, err) != 0) {
			rc = -1;
			break;
		}
		b->record.upload_bytes -= rec.size;
		b->dirty = 1;
		rebuild_say(l->r,
		    "part %u of the upload %" PRIu64
		    " in bucket \"%s\" is lost",
		    number, upload, l->bucket);
	}
	return close_cursor(cursor, rc, err);
}

static int
drop_parts(struct lost *l, struct error *err)
{
	MDB_dbi dbi = txn_dbi(&l->r->txn, DB_UPLOADS);
	struct names_walk *walk = &l->walk;
	struct numbers uploads = { NULL, 0, 0 };
	uint64_t node, upload;
	struct slice bytes;
	size_t i;
	int rc, found;

	names_open(walk, l->r->txn.txn, dbi, l->bucket_id);
	for (rc = names_seek(walk, SLICE_LITERAL(""), err); rc == 0;
	     rc = names_next(walk, err)) {
		node = be64_get((const uint8_t *)walk->value.at);
		upload = 0;
		while ((found = versions_seek(l->r->txn.txn, dbi, node, upload,
			    &upload, &bytes, err)) == 0)
			if (numbers_add(&uploads, upload++, err) != 0)
				break;
		if (found != 1) {
			rc = -1;
			break;
		}
	}
	names_close(walk);
	for (i = 0; rc != -1 && i < uploads.n; i++)
		if (drop_parts_of(l, uploads.at[i], err) != 0 ||
		    rebuild_step(l->r, err) != 0)
			rc = -1;
	free(uploads.at);
	return rc == -1 ? -1 : 0;
}

/* ---- the journal ---- */

static int
drop_journal(struct lost *l, struct error *err)
{
	struct journal_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	if (open_cursor(l->r, DB_JOURNAL, &cursor, err) != 0)
		return -1;
	for (rc = stamp_step(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		if (journal_decode(SLICE_OF(v), &rec, err) != 0) {
			rc = -1;
			break;
		}
		if (!is_lost(l, rec.extent))
			continue;
		if ((rc = mdb_cursor_del(cursor, 0)) != 0)
			break;
		if (txn_extent_unref(&l->r->txn, rec.extent, err) != 0) {
			rc = -1;
			break;
		}
	}
	return close_cursor(cursor, rc, err);
}

/* ---- what is left of lost objects of parts ---- */

/* Sets a part's file aside if nothing else names it: the reaper would remove
 * it. */
static int
keep_part(struct lost *l, uint64_t id, struct error *err)
{
	struct extent_record rec;
	struct slice value;

	if (is_lost(l, id) ||
	    index_get_u64(l->r->txn.txn, txn_dbi(&l->r->txn, DB_EXTENTS), id,
		&value, err) != 0 ||
	    extent_decode(value, &rec, err) != 0 || rec.kind != EXTENT_FILE ||
	    rec.references > 0)
		return 0;
	return rebuild_set_aside(l->r, id,
	    "it is a part of an object of which other parts are lost", err);
}

/* As the reaper would let go of a chain. */
static int
dissolve(struct lost *l, uint64_t id, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	struct chain_entry e;
	struct slice value, key;
	uint8_t be[8];
	size_t i;
	int rc;

	rc = index_get_u64(
	    l->r->txn.txn, txn_dbi(&l->r->txn, DB_EXTENTS), id, &value, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	buffer_add_slice(&memory, value);
	rc = memory.failed ? error_nomem(err)
			   : extent_decode(buffer_slice(&memory), &rec, err);
	for (i = 0; rc == 0 && rec.references == 0 && i < rec.n_entries; i++) {
		if (chain_get(&rec, i, &e) != 0)
			continue;
		rc = txn_extent_unref(&l->r->txn, e.extent, err);
		if (rc == 0 && e.extent != 0)
			rc = keep_part(l, e.extent, err);
	}
	buffer_free(&memory);
	if (rc != 0 || rec.references != 0)
		return rc;
	be64_put(be, id);
	key = (struct slice){ (char *)be, sizeof(be) };
	if (txn_del(&l->r->txn, DB_EXTENTS, key, err) < 0 ||
	    txn_del(&l->r->txn, DB_REAP, key, err) < 0)
		return -1;
	return rebuild_step(l->r, err);
}

/* ---- all of it ---- */

/* Goes on to the next bucket: 0, 1 at the end, -1 and *err. */
static int
next_bucket(struct lost *l, struct error *err)
{
	struct bucket_record rec;
	MDB_cursor *cursor;
	size_t len = strlen(l->bucket);
	MDB_val k = { len, l->bucket }, v;
	int rc;

	if (open_cursor(l->r, DB_BUCKETS, &cursor, err) != 0)
		return -1;
	if (len == 0)
		rc = stamp_step(cursor, &k, &v, MDB_FIRST);
	else if ((rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE)) == 0 &&
	    k.mv_size == len && memcmp(k.mv_data, l->bucket, len) == 0)
		rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	if (rc == 0) {
		if (k.mv_size > BUCKET_NAME_MAX_BYTES)
			rc = error_set(
			    err, ERR_DAMAGED, "a bucket's name is too long");
		else if (bucket_decode(SLICE_OF(v), &rec, err) != 0)
			rc = -1;
		else {
			memcpy(l->bucket, k.mv_data, k.mv_size);
			l->bucket[k.mv_size] = '\0';
			l->bucket_id = rec.id;
		}
	}
	if (rc == MDB_NOTFOUND) {
		mdb_cursor_close(cursor);
		return 1;
	}
	return close_cursor(cursor, rc, err);
}

int
rebuild_drop_lost(struct rebuild *r, struct error *err)
{
	struct lost *l;
	size_t i;
	int rc = -1, more;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return error_nomem(err);
	l->r = r;
	if (find_extents(l, EXTENT_FILE, err) != 0 ||
	    find_extents(l, EXTENT_CHAIN, err) != 0)
		goto out;
	if (l->files.n > 0) {
		while ((more = next_bucket(l, err)) == 0)
			/* Versions first: what takes a lost object's place is
			 * then none. */
			if (drop_objects(l, DB_VERSIONS, err) != 0 ||
			    drop_objects(l, DB_OBJECTS, err) != 0 ||
			    drop_parts(l, err) != 0)
				goto out;
		if (more < 0 || drop_journal(l, err) != 0)
			goto out;
		for (i = 0; i < l->chains.n; i++)
			if (dissolve(l, l->chains.at[i], err) != 0)
				goto out;
	}
	rc = 0;
out:
	free(l->files.at);
	free(l->chains.at);
	free(l);
	return rc;
}
