#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/names.h"
#include "store/objects.h"
#include "store/versions.h"

/* Deletes, by key and by version. */

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
		    objects_put(txn, b, key, &rec, err) == 0) {
			b->record.versions--;
			b->record.version_bytes -= rec.size;
			objects_count(b, &rec, 1);
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

/* A version that is not the current one can be deleted by its number. */
static int
delete_damaged(struct store_txn *txn, const struct change *change,
    struct txn_bucket *b, struct delete_item *item, struct error *err)
{
	struct object_record gone = { .version = item->version };
	struct error why = *err;
	int rc;

	error_clear(err);
	rc = versions_remove(
	    txn, DB_VERSIONS, b->record.id, item->key, ~item->version, 0, err);
	if (rc < 0)
		return -1;
	if (rc == 1) {
		*err = why;
		return -1;
	}
	log_line(LOG_ERROR, "store.damage",
	    "a version of \"%.*s\" in bucket \"%s\" is deleted, its space stays"
	    " taken: %s",
	    (int)item->key.len, item->key.at, b->name, why.text);
	b->record.versions--;
	b->dirty = 1;
	item->new_version = item->version;
	return settle_current(txn, change, b, item->key, &gone, 0, err);
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
	if (rc < 0 && err->kind == ERR_DAMAGED)
		return delete_damaged(txn, change, b, item, err);
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
		objects_count(b, &rec, -1);
		if (txn_extent_unref(txn, rec.extent, err) != 0)
			return -1;
	} else if (objects_drop(txn, b, item->key, &rec, err) != 0)
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

	rc = objects_take(txn, b, item->key, &current, &memory, err);
	if (rc < 0)
		goto fail;
	if (rc == 1 && b->record.versioning == VERSIONING_OFF) {
		buffer_free(&memory);
		return 0;
	}
	if (objects_displace(
		txn, b, item->key, rc == 0 ? &current : NULL, err) != 0)
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
		if (objects_keep(txn, b, item->key, &marker, err) != 0)
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
