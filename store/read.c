#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/objects.h"
#include "store/stamp.h"
#include "store/uploads.h"
#include "store/versions.h"

/* Look-ups, each in a read transaction of its own. */

static int
copy_value(struct buffer *memory, struct slice value, struct error *err)
{
	buffer_clear(memory);
	buffer_add_slice(memory, value);
	return memory->failed ? error_nomem(err) : 0;
}

/* A bucket's record; its slices point into the transaction's memory. */
int
read_bucket(struct store *store, MDB_txn *txn, struct slice name,
    struct bucket_record *rec, struct slice *value, struct error *err)
{
	int rc = 1;

	if (name.len > 0 && name.len <= BUCKET_NAME_MAX_BYTES)
		rc = index_get(txn, index_dbi(store->index, DB_BUCKETS),
		    name.at, name.len, value, err);
	if (rc == 1)
		return error_set(err, ERR_NO_BUCKET,
		    "there is no bucket \"%.*s\"",
		    (int)(name.len < 64 ? name.len : 64),
		    name.len ? name.at : "");
	if (rc != 0)
		return -1;
	return bucket_decode(*value, rec, err);
}

int
store_bucket(struct store *store, struct slice name, struct bucket_record *rec,
    struct buffer *memory, struct error *err)
{
	struct slice value;
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	if ((rc = read_bucket(store, txn, name, rec, &value, err)) == 0)
		rc = copy_value(memory, value, err);
	index_read_end(store->index, txn);
	if (rc != 0)
		return -1;
	return bucket_decode(buffer_slice(memory), rec, err);
}

/* Why a key has no current object: its delete marker, if that is the reason. */
static int
explain_missing(struct store *store, MDB_txn *txn, uint64_t bucket,
    struct slice key, struct object_record *rec, struct error *err)
{
	MDB_dbi dbi = index_dbi(store->index, DB_VERSIONS);
	uint64_t node, null_version, number;
	struct slice bytes;
	int rc;

	*rec = (struct object_record){ 0 };
	rc = versions_node(txn, dbi, bucket, key, &node, &null_version, err);
	if (rc == 0)
		rc = versions_seek(txn, dbi, node, 0, &number, &bytes, err);
	if (rc < 0 || (rc == 0 && object_decode(bytes, rec, err) != 0))
		return -1;
	rec->attributes = rec->tags = SLICE_NULL;
	rec->retention = rec->encryption = rec->replication = SLICE_NULL;
	return error_set(err, ERR_NOT_FOUND, "there is no such object");
}

int
store_object(struct store *store, struct slice bucket, struct slice key,
    uint64_t version, struct object_record *rec, struct buffer *memory,
    struct buffer *inline_bytes, int *inline_found, struct error *err)
{
	struct bucket_record b;
	struct slice value;
	MDB_txn *txn;
	int is_current, rc;

	if (inline_bytes != NULL)
		*inline_found = 0;
	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	if (read_bucket(store, txn, bucket, &b, &value, err) != 0)
		goto fail;
	rc = key.len == 0 || key.len > KEY_MAX_BYTES
	    ? 1
	    : objects_find(txn, store->index, b.id, key, version, &value,
		  &is_current, err);
	if (rc < 0)
		goto fail;
	if (rc == 1) {
		if (version != 0)
			error_set(err, ERR_NO_VERSION,
			    "there is no such version of the object");
		else if (key.len > 0 && key.len <= KEY_MAX_BYTES &&
		    b.versioning != VERSIONING_OFF)
			explain_missing(store, txn, b.id, key, rec, err);
		else {
			*rec = (struct object_record){ 0 };
			error_set(
			    err, ERR_NOT_FOUND, "there is no such object");
		}
		goto fail;
	}
	if (copy_value(memory, value, err) != 0 ||
	    object_decode(buffer_slice(memory), rec, err) != 0)
		goto fail;
	if (rec->delete_marker) {
		error_set(
		    err, ERR_DELETE_MARKER, "the version is a delete marker");
		goto fail;
	}
	if (inline_bytes != NULL &&
	    content_inline(
		store, txn, rec->extent, inline_bytes, inline_found, err) != 0)
		goto fail;
	index_read_end(store->index, txn);
	return 0;

fail:
	index_read_end(store->index, txn);
	return -1;
}

int
store_is_away(struct store *store, uint64_t extent)
{
	MDB_txn *txn;
	int away;

	if (extent == 0 || (txn = index_read(store->index, NULL)) == NULL)
		return 0;
	away = extents_away(txn, store->index, extent, NULL);
	index_read_end(store->index, txn);
	return away == 1;
}

long
store_object_parts(struct store *store, const struct object_record *object,
    size_t first, struct object_part *parts, size_t n, struct error *err)
{
	struct extent_record rec;
	struct chain_entry e, before = { 0 };
	struct slice value;
	MDB_txn *txn;
	size_t i;
	long done = -1;

	if (object->parts == 0 || first >= object->parts)
		return 0;
	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	switch (index_get_u64(txn, index_dbi(store->index, DB_EXTENTS),
	    object->extent, &value, err)) {
	case 0:
		break;
	case 1:
		error_set(err, ERR_NOT_FOUND, "the object is gone");
		/* FALLTHROUGH */
	default:
		goto out;
	}
	if (extent_decode(value, &rec, err) != 0)
		goto out;
	if (first > 0 && (rec.flags & EXTENT_ADOPTED)) {
		done = 0;
		goto out;
	}
	if (rec.kind != EXTENT_CHAIN ||
	    (first > 0 && chain_get(&rec, first - 1, &before) != 0)) {
		error_set(err, ERR_DAMAGED, "the object's parts are not there");
		goto out;
	}
	/* Their sizes are not known: it counts as one of one part. */
	if (rec.flags & EXTENT_ADOPTED)
		rec.n_entries = 1;
	for (i = 0; i < n && first + i < rec.n_entries; i++) {
		if (chain_get(&rec, first + i, &e) != 0 || e.end < before.end) {
			error_set(err, ERR_DAMAGED,
			    "the object's parts cannot be read");
			goto out;
		}
		parts[i].number = e.number;
		parts[i].size = e.end - before.end;
		parts[i].checksum = (struct checksum){ 0 };
		parts[i].checksum.kind = rec.checksum_kind;
		memcpy(parts[i].checksum.value, e.checksum,
		    checksum_bytes(rec.checksum_kind));
		before = e;
	}
	done = (long)i;
out:
	index_read_end(store->index, txn);
	return done;
}

int
store_upload(struct store *store, struct slice bucket, struct slice key,
    uint64_t upload, struct upload_record *rec, struct buffer *memory,
    struct error *err)
{
	struct bucket_record b;
	struct slice value;
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = read_bucket(store, txn, bucket, &b, &value, err);
	if (rc == 0)
		rc = uploads_find(
		    txn, store->index, b.id, key, upload, &value, err);
	if (rc == 0)
		rc = copy_value(memory, value, err);
	index_read_end(store->index, txn);
	if (rc != 0)
		return -1;
	return upload_decode(buffer_slice(memory), rec, err);
}

int
store_parts(struct store *store, struct slice bucket, struct slice key,
    uint64_t upload, uint16_t after, part_visit *visit, void *arg,
    struct error *err)
{
	struct bucket_record b;
	struct part_record part;
	struct slice value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	uint8_t key_bytes[10];
	MDB_val k = { sizeof(key_bytes), key_bytes }, v;
	int rc, failed = -1;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	if (read_bucket(store, txn, bucket, &b, &value, err) != 0 ||
	    uploads_find(txn, store->index, b.id, key, upload, &value, err) !=
		0)
		goto out;
	rc = mdb_cursor_open(txn, index_dbi(store->index, DB_PARTS), &cursor);
	if (rc != 0) {
		lmdb_error(err, rc, "reading parts");
		goto out;
	}
	be64_put(key_bytes, upload);
	be16_put(key_bytes + 8, (uint16_t)(after + 1));
	failed = 0;
	if (after == UINT16_MAX)
		goto out;
	for (rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE); rc == 0;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != 10 || be64_get(k.mv_data) != upload)
			goto out;
		if (part_decode((struct slice){ v.mv_data, v.mv_size }, &part,
			err) != 0) {
			failed = -1;
			goto out;
		}
		if (visit(be16_get((const uint8_t *)k.mv_data + 8), &part,
			arg) != 0)
			goto out;
	}
	if (rc != MDB_NOTFOUND)
		failed = lmdb_error(err, rc, "reading parts");
out:
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	index_read_end(store->index, txn);
	return failed;
}

int
read_walk(struct store *store, enum index_db db, struct slice from, int behind,
    read_visit *visit, void *arg, struct error *err)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k = { from.len, (void *)(uintptr_t)from.at }, v;
	int rc, stop = 0;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = mdb_cursor_open(txn, index_dbi(store->index, db), &cursor);
	if (rc != 0) {
		lmdb_error(err, rc, "reading the index");
		index_read_end(store->index, txn);
		return -1;
	}
	rc = stamp_step(cursor, &k, &v, from.len ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && behind &&
	    slice_equal(from, (struct slice){ k.mv_data, k.mv_size }))
		rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	while (rc == 0 && stop == 0) {
		stop = visit(arg, (struct slice){ k.mv_data, k.mv_size },
		    (struct slice){ v.mv_data, v.mv_size }, err);
		if (stop == 0)
			rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	index_read_end(store->index, txn);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading the index");
	return stop < 0 ? -1 : 0;
}

struct visiting {
	bucket_visit *bucket;
	key_visit *key;
	void *arg;
};

static int
visit_bucket(void *arg, struct slice key, struct slice value, struct error *err)
{
	struct visiting *v = arg;
	struct bucket_record rec;

	if (bucket_decode(value, &rec, err) != 0)
		return -1;
	return v->bucket(key, &rec, v->arg) != 0;
}

int
store_buckets(struct store *store, struct slice after, bucket_visit *visit,
    void *arg, struct error *err)
{
	struct visiting v = { .bucket = visit, .arg = arg };

	return read_walk(store, DB_BUCKETS, after, 1, visit_bucket, &v, err);
}

static int
visit_key(void *arg, struct slice key, struct slice value, struct error *err)
{
	struct visiting *v = arg;
	struct key_record rec;

	(void)key;
	if (key_decode(value, &rec, err) != 0)
		return -1;
	return v->key(&rec, v->arg) != 0;
}

int
store_keys(struct store *store, key_visit *visit, void *arg, struct error *err)
{
	struct visiting v = { .key = visit, .arg = arg };

	return read_walk(store, DB_KEYS, SLICE_NULL, 0, visit_key, &v, err);
}

uint64_t
store_keys_generation(struct store *store)
{
	return atomic_load(&store->keys_generation);
}

int
read_value(struct store *store, enum index_db db, struct slice key,
    const char *what, struct buffer *memory, struct error *err)
{
	struct slice value;
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = index_get(
	    txn, index_dbi(store->index, db), key.at, key.len, &value, err);
	if (rc == 0)
		rc = copy_value(memory, value, err);
	else if (rc == 1)
		rc = error_set(err, ERR_NOT_FOUND, "there is no %s \"%.*s\"",
		    what, (int)(key.len < 64 ? key.len : 64), key.at);
	index_read_end(store->index, txn);
	return rc;
}

int
store_setting(struct store *store, const char *name, struct buffer *memory,
    struct error *err)
{
	return read_value(
	    store, DB_SETTINGS, slice_text(name), "setting", memory, err);
}
