#include "base/error.h"
#include "store/internal.h"
#include "store/objects.h"
#include "store/versions.h"

/* Tags of a version. */

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
		if (objects_put(txn, b, s->key, &rec, err) != 0)
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
