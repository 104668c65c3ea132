#include "store/objects.h"

#include <string.h>

#include "base/error.h"
#include "store/internal.h"
#include "store/names.h"
#include "store/versions.h"

int
objects_current(struct store_txn *txn, uint64_t bucket, struct slice key,
    struct object_record *rec, struct buffer *memory, struct error *err)
{
	struct slice value;
	int rc;

	rc = names_get(
	    txn->txn, txn_dbi(txn, DB_OBJECTS), bucket, key, &value, err);
	if (rc != 0)
		return rc;
	buffer_clear(memory);
	buffer_add_slice(memory, value);
	if (memory->failed)
		return error_nomem(err);
	return object_decode(buffer_slice(memory), rec, err);
}

int
objects_find(MDB_txn *txn, const struct index *index, uint64_t bucket,
    struct slice key, uint64_t version, struct slice *bytes, int *is_current,
    struct error *err)
{
	MDB_dbi versions = index_dbi(index, DB_VERSIONS);
	struct object_record rec;
	uint64_t node, null_version;
	int rc;

	*is_current = 0;
	rc = names_get(
	    txn, index_dbi(index, DB_OBJECTS), bucket, key, bytes, err);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		if (object_decode(*bytes, &rec, err) != 0)
			return -1;
		if (version == 0 || version == rec.version ||
		    (version == VERSION_NULL && rec.null_version)) {
			*is_current = 1;
			return 0;
		}
	}
	if (version == 0)
		return 1;
	rc = versions_node(
	    txn, versions, bucket, key, &node, &null_version, err);
	if (rc != 0)
		return rc;
	if (version == VERSION_NULL)
		version = null_version;
	if (version == 0)
		return 1;
	return versions_entry(txn, versions, node, ~version, bytes, err);
}

int
objects_check(struct store_txn *txn, uint64_t bucket, struct slice key,
    object_check *check, void *arg, struct error *err)
{
	struct object_record rec;
	struct slice value;
	int rc;

	if (check == NULL)
		return 0;
	rc = names_get(
	    txn->txn, txn_dbi(txn, DB_OBJECTS), bucket, key, &value, err);
	if (rc < 0 || (rc == 0 && object_decode(value, &rec, err) != 0))
		return -1;
	return check(rc == 0 ? &rec : NULL, arg, err);
}

static int
put_object(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    const struct object_record *rec, struct error *err)
{
	buffer_clear(&txn->scratch);
	object_encode(&txn->scratch, rec);
	if (txn->scratch.failed)
		return error_nomem(err);
	return txn_name_put(txn, DB_OBJECTS, b->record.id, key,
	    buffer_slice(&txn->scratch), err);
}

/* Puts a record among the versions. */
static int
keep_version(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    const struct object_record *rec, struct error *err)
{
	buffer_clear(&txn->scratch);
	object_encode(&txn->scratch, rec);
	if (txn->scratch.failed)
		return error_nomem(err);
	if (versions_add(txn, DB_VERSIONS, b->record.id, key, ~rec->version,
		rec->null_version, buffer_slice(&txn->scratch), err) != 0)
		return -1;
	b->record.versions++;
	b->record.version_bytes += rec->size;
	b->dirty = 1;
	return 0;
}

/* Takes a record out of the versions, with its content. */
static int
drop_version(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    const struct object_record *rec, struct error *err)
{
	if (versions_remove(txn, DB_VERSIONS, b->record.id, key, ~rec->version,
		rec->null_version, err) != 0)
		return -1;
	b->record.versions--;
	b->record.version_bytes -= rec->size;
	b->dirty = 1;
	return txn_extent_unref(txn, rec->extent, err);
}

/* Removes the null version from among the versions, if it is there. */
static int
drop_null(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    struct error *err)
{
	struct object_record rec;
	struct slice bytes;
	uint64_t node, null_version;
	int rc;

	rc = versions_node(txn->txn, txn_dbi(txn, DB_VERSIONS), b->record.id,
	    key, &node, &null_version, err);
	if (rc != 0 || null_version == 0)
		return rc < 0 ? -1 : 0;
	if (versions_entry(txn->txn, txn_dbi(txn, DB_VERSIONS), node,
		~null_version, &bytes, err) != 0 ||
	    object_decode(bytes, &rec, err) != 0)
		return -1;
	return drop_version(txn, b, key, &rec, err);
}

static void
count_current(struct txn_bucket *b, const struct object_record *rec, int sign)
{
	b->record.objects += (uint64_t)(int64_t)sign;
	b->record.object_bytes += sign > 0 ? rec->size : -rec->size;
	b->dirty = 1;
}

/* What becomes of the current object (NULL: none) when another version comes.
 */
static int
displace(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    const struct object_record *current, struct error *err)
{
	if (b->record.versioning != VERSIONING_OFF) {
		if (b->record.versioning == VERSIONING_SUSPENDED &&
		    (current == NULL || !current->null_version) &&
		    drop_null(txn, b, key, err) != 0)
			return -1;
		if (current == NULL)
			return 0;
		count_current(b, current, -1);
		if (b->record.versioning == VERSIONING_ENABLED ||
		    !current->null_version)
			return keep_version(txn, b, key, current, err);
		return txn_extent_unref(txn, current->extent, err);
	}
	if (current == NULL)
		return 0;
	count_current(b, current, -1);
	return txn_extent_unref(txn, current->extent, err);
}

static int
check_quota(const struct txn_bucket *b, const struct object_record *current,
    uint64_t more, struct error *err)
{
	const struct bucket_record *rec = &b->record;
	uint64_t used;

	if (rec->quota_bytes == 0)
		return 0;
	used = rec->object_bytes + rec->version_bytes + rec->upload_bytes;
	if (current != NULL && rec->versioning == VERSIONING_OFF)
		used -= current->size;
	if (used <= rec->quota_bytes && more <= rec->quota_bytes - used)
		return 0;
	return error_set(err, ERR_QUOTA,
	    "the bucket \"%s\" would hold %" PRIu64
	    " bytes, its quota is %" PRIu64
	    ": delete something or raise the quota",
	    b->name, used + more, rec->quota_bytes);
}

int
objects_place(struct store_txn *txn, const struct change *change,
    struct txn_bucket *b, struct slice key, struct object_record *rec,
    struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record current;
	int rc;

	rc = objects_current(txn, b->record.id, key, &current, &memory, err);
	if (rc < 0 ||
	    check_quota(b, rc == 0 ? &current : NULL, rec->size, err) != 0)
		goto fail;
	rec->version = txn->counters.next_version++;
	rec->null_version = b->record.versioning != VERSIONING_ENABLED;
	rec->delete_marker = 0;
	rec->mtime_ms = txn->now_ms;
	if (rc == 0 && current.mtime_ms > rec->mtime_ms)
		rec->mtime_ms = current.mtime_ms;
	if (displace(txn, b, key, rc == 0 ? &current : NULL, err) != 0 ||
	    put_object(txn, b, key, rec, err) != 0)
		goto fail;
	count_current(b, rec, 1);
	buffer_free(&memory);
	return txn_journal(txn, change, JOURNAL_PUT,
	    (struct slice){ b->name, b->name_len }, key, rec, err);

fail:
	buffer_free(&memory);
	return -1;
}

/* ---- put and copy ---- */

static int
take_source(struct store_txn *txn, struct put_object *p, struct buffer *memory,
    struct error *err)
{
	struct txn_bucket *b;
	struct slice bytes;
	int is_current, rc;

	if ((b = txn_bucket(txn, p->source_bucket, err)) == NULL)
		return -1;
	rc = objects_find(txn->txn, txn->index, b->record.id, p->source_key,
	    p->source_version, &bytes, &is_current, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return error_set(err,
		    p->source_version ? ERR_NO_VERSION : ERR_NOT_FOUND,
		    "the source of the copy does not exist");
	buffer_add_slice(memory, bytes);
	if (memory->failed)
		return error_nomem(err);
	if (object_decode(buffer_slice(memory), &p->source, err) != 0)
		return -1;
	if (p->source.delete_marker)
		return error_set(err, ERR_DELETE_MARKER,
		    "the source of the copy is a delete marker");
	if (p->source_check != NULL)
		return p->source_check(&p->source, p->source_check_arg, err);
	return 0;
}

static int
apply_put(struct store_txn *txn, struct change *change)
{
	struct put_object *p = change_of(change, struct put_object, change);
	struct buffer memory = BUFFER_INIT;
	struct object_record rec = p->record;
	struct error *err = &change->err;
	struct txn_bucket *b;

	if ((b = txn_bucket(txn, p->bucket, err)) == NULL)
		return -1;
	p->versioning = b->record.versioning;
	if (objects_check(
		txn, b->record.id, p->key, p->check, p->check_arg, err) != 0)
		return -1;
	if (p->content != NULL) {
		rec.size = content_size(p->content);
		if (txn_extent_content(txn, p->content, &rec.extent, err) != 0)
			return -1;
	} else {
		if (take_source(txn, p, &memory, err) != 0)
			goto fail;
		rec.size = p->source.size;
		rec.extent = p->source.extent;
		memcpy(rec.md5, p->source.md5, sizeof(rec.md5));
		rec.parts = p->source.parts;
		if (!p->replace_checksum)
			rec.checksum = p->source.checksum;
		if (!p->replace_attributes)
			rec.attributes = p->source.attributes;
		if (!p->replace_tags)
			rec.tags = p->source.tags;
		if (txn_extent_ref(txn, rec.extent, err) != 0)
			goto fail;
		/* The source's bucket may have taken the place of ours. */
		if ((b = txn_bucket(txn, p->bucket, err)) == NULL)
			goto fail;
	}
	if (objects_place(txn, change, b, p->key, &rec, err) != 0)
		goto fail;
	/* What came from the source points into memory that goes away. */
	p->record = rec;
	if (p->content == NULL) {
		if (!p->replace_attributes)
			p->record.attributes = SLICE_NULL;
		if (!p->replace_tags)
			p->record.tags = SLICE_NULL;
		p->source.attributes = p->source.tags = SLICE_NULL;
	}
	buffer_free(&memory);
	return 0;

fail:
	buffer_free(&memory);
	return -1;
}

int
store_put_object(struct store *store, struct put_object *p)
{
	return store_submit(store, &p->change, apply_put, p->content, 0);
}

/* ---- delete ---- */

/* The newest of the versions becomes current again, if it is an object: 1, or 0
 * when there is none, or -1. */
static int
promote(struct store_txn *txn, const struct change *change,
    struct txn_bucket *b, struct slice key, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	uint64_t node, null_version, number;
	struct slice bytes;
	int rc;

	rc = versions_node(txn->txn, txn_dbi(txn, DB_VERSIONS), b->record.id,
	    key, &node, &null_version, err);
	if (rc == 0)
		rc = versions_seek(txn->txn, txn_dbi(txn, DB_VERSIONS), node, 0,
		    &number, &bytes, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	buffer_add_slice(&memory, bytes);
	rc = -1;
	if (memory.failed)
		error_nomem(err);
	else if (object_decode(buffer_slice(&memory), &rec, err) == 0) {
		if (rec.delete_marker)
			rc = 0;
		else if (versions_remove(txn, DB_VERSIONS, b->record.id, key,
			     number, rec.null_version, err) == 0 &&
		    put_object(txn, b, key, &rec, err) == 0) {
			b->record.versions--;
			b->record.version_bytes -= rec.size;
			count_current(b, &rec, 1);
			rc = txn_journal(txn, change, JOURNAL_PUT,
				 (struct slice){ b->name, b->name_len }, key,
				 &rec, err) == 0
			    ? 1
			    : -1;
		}
	}
	buffer_free(&memory);
	return rc;
}

/* After a version went: what clients without a version see now. */
static int
settle_current(struct store_txn *txn, const struct change *change,
    struct txn_bucket *b, struct slice key, struct object_record *gone,
    int was_current, struct error *err)
{
	enum journal_what what = JOURNAL_DELETE_VERSION;
	struct slice bytes;
	int rc = 0;

	/* Without versioning there are no others to look for. */
	if (b->record.versioning != VERSIONING_OFF) {
		rc = names_get(txn->txn, txn_dbi(txn, DB_OBJECTS), b->record.id,
		    key, &bytes, err);
		if (rc == 1)
			rc = promote(txn, change, b, key, err);
		else if (rc == 0)
			was_current = 0;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	if (was_current)
		what = JOURNAL_DELETE;
	gone->extent = 0;
	return txn_journal(txn, change, what,
	    (struct slice){ b->name, b->name_len }, key, gone, err);
}

int
objects_delete_version(struct store_txn *txn, const struct change *change,
    struct txn_bucket *b, struct delete_item *item, struct error *err)
{
	struct object_record rec;
	struct slice bytes;
	int is_current, rc;

	rc = objects_find(txn->txn, txn->index, b->record.id, item->key,
	    item->version, &bytes, &is_current, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (object_decode(bytes, &rec, err) != 0)
		return -1;
	rec.attributes = rec.tags = SLICE_NULL;
	rec.retention = rec.encryption = rec.replication = SLICE_NULL;
	item->was_marker = rec.delete_marker;
	item->null_version = rec.null_version;
	item->new_version = rec.version;
	if (is_current) {
		if (txn_name_del(
			txn, DB_OBJECTS, b->record.id, item->key, err) != 0)
			return -1;
		count_current(b, &rec, -1);
		if (txn_extent_unref(txn, rec.extent, err) != 0)
			return -1;
	} else if (drop_version(txn, b, item->key, &rec, err) != 0)
		return -1;
	return settle_current(txn, change, b, item->key, &rec, is_current, err);
}

static int
delete_current(struct store_txn *txn, const struct change *change,
    struct txn_bucket *b, struct delete_item *item, struct error *err)
{
	struct object_record current, marker = { 0 };
	struct buffer memory = BUFFER_INIT;
	int rc;

	rc = objects_current(
	    txn, b->record.id, item->key, &current, &memory, err);
	if (rc < 0)
		goto fail;
	if (rc == 1 && b->record.versioning == VERSIONING_OFF) {
		buffer_free(&memory);
		return 0;
	}
	if (displace(txn, b, item->key, rc == 0 ? &current : NULL, err) != 0)
		goto fail;
	if (rc == 0 &&
	    txn_name_del(txn, DB_OBJECTS, b->record.id, item->key, err) != 0)
		goto fail;
	if (b->record.versioning != VERSIONING_OFF) {
		marker.version = txn->counters.next_version++;
		marker.delete_marker = 1;
		marker.null_version =
		    b->record.versioning == VERSIONING_SUSPENDED;
		marker.mtime_ms = txn->now_ms;
		if (rc == 0 && current.mtime_ms > marker.mtime_ms)
			marker.mtime_ms = current.mtime_ms;
		if (keep_version(txn, b, item->key, &marker, err) != 0)
			goto fail;
		item->made_marker = 1;
		item->null_version = marker.null_version;
		item->new_version = marker.version;
	}
	buffer_free(&memory);
	return txn_journal(txn, change, JOURNAL_DELETE,
	    (struct slice){ b->name, b->name_len }, item->key, &marker, err);

fail:
	buffer_free(&memory);
	return -1;
}

static int
apply_delete(struct store_txn *txn, struct change *change)
{
	struct delete_objects *d =
	    change_of(change, struct delete_objects, change);
	struct delete_item *item;
	struct txn_bucket *b;
	size_t i;

	if ((b = txn_bucket(txn, d->bucket, &change->err)) == NULL)
		return -1;
	for (i = 0; i < d->n_items; i++) {
		item = &d->items[i];
		item->made_marker = item->was_marker = item->null_version = 0;
		item->new_version = 0;
		error_clear(&item->err);
		if (item->key.len == 0 || item->key.len > KEY_MAX_BYTES) {
			error_set(&item->err, ERR_INVALID,
			    "a key has 1 to %d bytes", KEY_MAX_BYTES);
			continue;
		}
		if (objects_check(txn, b->record.id, item->key, item->check,
			item->check_arg, &item->err) != 0)
			continue;
		if (item->version != 0
			? objects_delete_version(
			      txn, change, b, item, &change->err)
			: delete_current(txn, change, b, item, &change->err))
			return -1;
	}
	return 0;
}

int
store_delete_objects(struct store *store, struct delete_objects *d)
{
	return store_submit(store, &d->change, apply_delete, NULL, 1);
}

/* ---- tags ---- */

static int
apply_tags(struct store_txn *txn, struct change *change)
{
	struct set_tags *s = change_of(change, struct set_tags, change);
	struct buffer memory = BUFFER_INIT;
	struct error *err = &change->err;
	struct object_record rec;
	struct txn_bucket *b;
	uint64_t node, null_version;
	struct slice bytes;
	int is_current, rc;

	if ((b = txn_bucket(txn, s->bucket, err)) == NULL)
		return -1;
	rc = objects_find(txn->txn, txn->index, b->record.id, s->key,
	    s->version, &bytes, &is_current, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return error_set(err,
		    s->version ? ERR_NO_VERSION : ERR_NOT_FOUND,
		    "there is no such object");
	buffer_add_slice(&memory, bytes);
	if (memory.failed) {
		error_nomem(err);
		goto fail;
	}
	if (object_decode(buffer_slice(&memory), &rec, err) != 0)
		goto fail;
	if (rec.delete_marker) {
		error_set(
		    err, ERR_DELETE_MARKER, "a delete marker has no tags");
		goto fail;
	}
	rec.tags = s->tags;
	if (is_current) {
		if (put_object(txn, b, s->key, &rec, err) != 0)
			goto fail;
	} else {
		buffer_clear(&txn->scratch);
		object_encode(&txn->scratch, &rec);
		if (txn->scratch.failed) {
			error_nomem(err);
			goto fail;
		}
		if (versions_node(txn->txn, txn_dbi(txn, DB_VERSIONS),
			b->record.id, s->key, &node, &null_version, err) != 0 ||
		    versions_add(txn, DB_VERSIONS, b->record.id, s->key,
			~rec.version, rec.null_version,
			buffer_slice(&txn->scratch), err) != 0)
			goto fail;
	}
	if (txn_journal(
		txn, change, JOURNAL_TAGS, s->bucket, s->key, &rec, err) != 0)
		goto fail;
	s->record = rec;
	s->record.attributes = SLICE_NULL;
	buffer_free(&memory);
	return 0;

fail:
	buffer_free(&memory);
	return -1;
}

int
store_set_tags(struct store *store, struct set_tags *s)
{
	return store_submit(store, &s->change, apply_tags, NULL, 0);
}
