#include "store/objects.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "store/extents.h"
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
objects_take(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    struct object_record *rec, struct buffer *memory, struct error *err)
{
	struct error why;
	int rc;

	rc = objects_current(txn, b->record.id, key, rec, memory, err);
	if (rc >= 0 || err->kind != ERR_DAMAGED)
		return rc;
	why = *err;
	error_clear(err);
	rc = txn_name_del(txn, DB_OBJECTS, b->record.id, key, err);
	if (rc == 1) /* The damage is beside it. */
		*err = why;
	if (rc != 0)
		return -1;
	log_line(LOG_ERROR, "store.damage",
	    "the record of \"%.*s\" in bucket \"%s\" gives way to what comes"
	    " now, its space stays taken: %s",
	    (int)key.len, key.at, b->name, why.text);
	b->record.objects--;
	b->dirty = 1;
	return 2;
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

int
objects_put(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    const struct object_record *rec, struct error *err)
{
	buffer_clear(&txn->scratch);
	object_encode(&txn->scratch, rec);
	if (txn->scratch.failed)
		return error_nomem(err);
	return txn_name_put(txn, DB_OBJECTS, b->record.id, key,
	    buffer_slice(&txn->scratch), err);
}

int
objects_keep(struct store_txn *txn, struct txn_bucket *b, struct slice key,
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

int
objects_drop(struct store_txn *txn, struct txn_bucket *b, struct slice key,
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

int
objects_keep_here(struct store_txn *txn, struct slice bucket, struct slice key,
    uint64_t extent, struct error *err)
{
	int rc;

	rc = extents_away(txn->txn, txn->index, extent, err);
	if (rc < 0 && err->kind == ERR_DAMAGED) {
		/* What is damaged can be replaced and deleted. */
		error_clear(err);
		return 0;
	}
	if (rc <= 0)
		return rc;
	tier_want(txn->store, bucket, key, 1);
	return error_set(err, ERR_AWAY,
	    "the bytes of %.*s are at the destination alone and are being "
	    "fetched, since this needs them here: come again",
	    (int)(key.len < 200 ? key.len : 200), key.at);
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
	return objects_drop(txn, b, key, &rec, err);
}

void
objects_count(struct txn_bucket *b, const struct object_record *rec, int sign)
{
	b->record.objects += (uint64_t)(int64_t)sign;
	b->record.object_bytes += sign > 0 ? rec->size : -rec->size;
	b->dirty = 1;
}

/* What becomes of the current object (NULL: none) when another version comes.
 */
int
objects_displace(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    const struct object_record *current, struct error *err)
{
	if (b->record.versioning != VERSIONING_OFF) {
		if (b->record.versioning == VERSIONING_SUSPENDED &&
		    (current == NULL || !current->null_version) &&
		    drop_null(txn, b, key, err) != 0)
			return -1;
		if (current == NULL)
			return 0;
		objects_count(b, current, -1);
		if ((b->record.versioning == VERSIONING_ENABLED ||
			!current->null_version) &&
		    objects_keep_here(txn,
			(struct slice){ b->name, b->name_len }, key,
			current->extent, err) != 0)
			return -1;
		if (b->record.versioning == VERSIONING_ENABLED ||
		    !current->null_version)
			return objects_keep(txn, b, key, current, err);
		return txn_extent_unref(txn, current->extent, err);
	}
	if (current == NULL)
		return 0;
	objects_count(b, current, -1);
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

	rc = objects_take(txn, b, key, &current, &memory, err);
	if (rc < 0 ||
	    check_quota(b, rc == 0 ? &current : NULL, rec->size, err) != 0)
		goto fail;
	rec->version = txn->counters.next_version++;
	rec->null_version = b->record.versioning != VERSIONING_ENABLED;
	rec->delete_marker = 0;
	rec->mtime_ms = txn->now_ms;
	if (rc == 0 && current.mtime_ms > rec->mtime_ms)
		rec->mtime_ms = current.mtime_ms;
	if (objects_displace(txn, b, key, rc == 0 ? &current : NULL, err) !=
		0 ||
	    objects_put(txn, b, key, rec, err) != 0)
		goto fail;
	objects_count(b, rec, 1);
	buffer_free(&memory);
	return txn_journal(txn, change, JOURNAL_PUT,
	    (struct slice){ b->name, b->name_len }, key, rec, err);

fail:
	buffer_free(&memory);
	return -1;
}
