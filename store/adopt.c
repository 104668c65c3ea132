#include "store/adopt.h"

#include <string.h>

#include "base/error.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/objects.h"
#include "store/versions.h"

/* Of a multipart object only the number of parts is known: all bytes count as
 * those of the first. */
static int
put_chain(struct store_txn *txn, const struct object_record *rec,
    uint64_t content, uint64_t *id, struct error *err)
{
	struct extent_record chain = { .kind = EXTENT_CHAIN,
		.flags = EXTENT_ADOPTED,
		.references = 1,
		.size = rec->size };
	struct chain_entry e = { .extent = content, .end = rec->size };
	struct buffer entries = BUFFER_INIT;
	unsigned i;
	int rc;

	for (i = 1; i <= rec->parts; i++) {
		e.number = (uint16_t)i;
		chain_add(&entries, CHECKSUM_NONE, &e);
		e.extent = 0;
	}
	chain.entries = buffer_slice(&entries);
	chain.n_entries = rec->parts;
	*id = ids_next(&txn->store->ids);
	rc = entries.failed ? error_nomem(err)
			    : extents_put(txn, *id, &chain, err);
	buffer_free(&entries);
	return rc;
}

static int
put_content(struct store_txn *txn, struct adopt_object *a,
    struct object_record *rec, struct error *err)
{
	struct extent_record content = { .kind = EXTENT_REMOTE,
		.references = 1,
		.size = rec->size,
		.place = a->place };

	rec->extent = 0;
	if (rec->size > 0) {
		if (a->has_md5 && rec->parts == 0)
			content.md5 = (struct slice){ (const char *)rec->md5,
				sizeof(rec->md5) };
		rec->extent = ids_next(&txn->store->ids);
		if (extents_put(txn, rec->extent, &content, err) != 0)
			return -1;
	}
	if (rec->parts == 0)
		return 0;
	return put_chain(txn, rec, rec->extent, &rec->extent, err);
}

/* Whether the key was ever used here. 1, 0, or -1. */
static int
is_known(struct store_txn *txn, struct txn_bucket *b, struct slice key,
    struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	uint64_t node, null_version;
	int rc;

	rc = objects_current(txn, b->record.id, key, &rec, &memory, err);
	buffer_free(&memory);
	if (rc != 1)
		return rc < 0 ? -1 : 1;
	rc = versions_node(txn->txn, txn_dbi(txn, DB_VERSIONS), b->record.id,
	    key, &node, &null_version, err);
	return rc < 0 ? -1 : rc == 0;
}

static int
apply_adopt(struct store_txn *txn, struct change *change)
{
	struct adopt_object *a = change_of(change, struct adopt_object, change);
	struct object_record rec = a->record;
	struct error *err = &change->err;
	struct txn_bucket *b;
	int rc;

	a->added = 0;
	if ((b = txn_bucket(txn, a->bucket, err)) == NULL ||
	    (rc = is_known(txn, b, a->key, err)) < 0)
		return -1;
	if (rc == 1)
		return 0;
	if (rec.version == 0)
		rec.version = txn->counters.next_version++;
	else if (rec.version >= txn->counters.next_version)
		txn->counters.next_version = rec.version + 1;
	rec.null_version = b->record.versioning != VERSIONING_ENABLED;
	rec.delete_marker = 0;
	if (put_content(txn, a, &rec, err) != 0 ||
	    objects_put(txn, b, a->key, &rec, err) != 0)
		return -1;
	objects_count(b, &rec, 1);
	a->added = 1;
	return 0;
}

int
store_adopt(struct store *store, struct adopt_object *a)
{
	if (a->record.size > OBJECT_MAX_BYTES || a->record.parts > PARTS_MAX)
		return error_set(&a->change.err, ERR_TOO_LARGE,
		    "an object of %" PRIu64 " bytes is more than can be kept",
		    a->record.size);
	return store_submit(store, &a->change, apply_adopt, NULL, 0);
}

static int
apply_raise(struct store_txn *txn, struct change *change)
{
	struct raise_versions *r =
	    change_of(change, struct raise_versions, change);

	if (txn->counters.next_version < r->next)
		txn->counters.next_version = r->next;
	txn->wrote = 1;
	return 0;
}

int
store_raise_versions(struct store *store, struct raise_versions *r)
{
	return store_submit(store, &r->change, apply_raise, NULL, 0);
}
