#include "store/adopt.h"

#include <string.h>

#include "base/error.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/objects.h"
#include "store/versions.h"

/* An extent whose bytes are elsewhere, from an offset of the object on. */
static int
put_remote(struct store_txn *txn, const struct adopt_object *a, uint64_t offset,
    uint64_t size, uint64_t *id, struct error *err)
{
	struct extent_record content = { .kind = EXTENT_REMOTE,
		.references = 1,
		.size = size,
		.place = a->place,
		.place_offset = offset };

	*id = 0;
	if (size == 0)
		return 0;
	/* Of all of the object, which a part is not. */
	content.has_sum = a->has_crc32c && size == a->record.size;
	content.crc32c = a->crc32c;
	if (a->has_md5 && a->record.parts == 0)
		content.md5 = (struct slice){ (const char *)a->record.md5,
			sizeof(a->record.md5) };
	*id = ids_next(&txn->store->ids);
	return extents_put(txn, *id, &content, err);
}

/* Where the sizes of the parts are not known, all bytes count as those of the
 * first. */
int
adopt_chain(struct store_txn *txn, unsigned parts, uint64_t size,
    uint64_t content, uint64_t *id, struct error *err)
{
	struct extent_record chain = { .kind = EXTENT_CHAIN,
		.flags = EXTENT_ADOPTED,
		.references = 1,
		.size = size };
	struct chain_entry e = { .extent = content, .end = size };
	struct buffer entries = BUFFER_INIT;
	unsigned i;
	int rc;

	for (i = 1; i <= parts; i++) {
		e.number = (uint16_t)i;
		chain_add(&entries, CHECKSUM_NONE, &e);
		e.extent = 0;
	}
	chain.entries = buffer_slice(&entries);
	chain.n_entries = parts;
	*id = ids_next(&txn->store->ids);
	rc = entries.failed ? error_nomem(err)
			    : extents_put(txn, *id, &chain, err);
	buffer_free(&entries);
	return rc;
}

/* Parts as they were, each elsewhere for itself. */
static int
put_parts(struct store_txn *txn, const struct adopt_object *a, uint64_t *id,
    struct error *err)
{
	struct extent_record chain = { .kind = EXTENT_CHAIN,
		.references = 1,
		.size = a->record.size,
		.has_sum = a->has_crc32c,
		.crc32c = a->crc32c,
		.n_entries = a->record.parts };
	struct buffer entries = BUFFER_INIT;
	struct chain_entry e = { .end = 0 };
	unsigned i;
	int rc = 0;

	for (i = 0; i < a->record.parts && rc == 0; i++) {
		rc =
		    put_remote(txn, a, e.end, a->part_sizes[i], &e.extent, err);
		e.end += a->part_sizes[i];
		e.number = (uint16_t)(i + 1);
		chain_add(&entries, CHECKSUM_NONE, &e);
	}
	chain.entries = buffer_slice(&entries);
	*id = ids_next(&txn->store->ids);
	if (rc == 0)
		rc = entries.failed ? error_nomem(err)
				    : extents_put(txn, *id, &chain, err);
	buffer_free(&entries);
	return rc;
}

static int
put_content(struct store_txn *txn, const struct adopt_object *a,
    struct object_record *rec, struct error *err)
{
	uint64_t content;

	if (rec->parts > 0 && a->part_sizes != NULL)
		return put_parts(txn, a, &rec->extent, err);
	if (put_remote(txn, a, 0, rec->size, &content, err) != 0)
		return -1;
	rec->extent = content;
	return rec->parts == 0 ? 0
			       : adopt_chain(txn, rec->parts, rec->size,
				     content, &rec->extent, err);
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
