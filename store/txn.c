#include "store/txn.h"

#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/stamp.h"

MDB_dbi
txn_dbi(const struct store_txn *txn, enum index_db db)
{
	return index_dbi(txn->index, db);
}

int
txn_put(struct store_txn *txn, enum index_db db, struct slice key,
    struct slice value, unsigned flags, struct error *err)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.at };
	MDB_val v = { value.len, (void *)(uintptr_t)value.at };
	int rc;

	txn->wrote = 1;
	if ((rc = stamp_put(txn->txn, txn_dbi(txn, db), &k, &v, flags)) != 0)
		return lmdb_error(err, rc, "writing the index");
	return 0;
}

int
txn_del(struct store_txn *txn, enum index_db db, struct slice key,
    struct error *err)
{
	MDB_val k = { key.len, (void *)(uintptr_t)key.at };
	int rc;

	txn->wrote = 1;
	rc = mdb_del(txn->txn, txn_dbi(txn, db), &k, NULL);
	if (rc == MDB_NOTFOUND)
		return 1;
	if (rc != 0)
		return lmdb_error(err, rc, "writing the index");
	return 0;
}

uint64_t
txn_new_node(struct store_txn *txn)
{
	return txn->counters.next_node++;
}

static uint64_t
new_node(void *arg)
{
	return txn_new_node(arg);
}

int
txn_name_put(struct store_txn *txn, enum index_db db, uint64_t root,
    struct slice name, struct slice value, struct error *err)
{
	txn->wrote = 1;
	return names_put(
	    txn->txn, txn_dbi(txn, db), root, name, value, new_node, txn, err);
}

int
txn_name_del(struct store_txn *txn, enum index_db db, uint64_t root,
    struct slice name, struct error *err)
{
	txn->wrote = 1;
	return names_delete(txn->txn, txn_dbi(txn, db), root, name, err);
}

static int
flush_bucket(struct store_txn *txn, struct txn_bucket *b, struct error *err)
{
	if (b->name_len == 0 || !b->dirty)
		return 0;
	buffer_clear(&txn->scratch);
	bucket_encode(&txn->scratch, &b->record);
	if (txn->scratch.failed)
		return error_nomem(err);
	b->dirty = 0;
	return txn_put(txn, DB_BUCKETS, (struct slice){ b->name, b->name_len },
	    buffer_slice(&txn->scratch), 0, err);
}

struct txn_bucket *
txn_bucket(struct store_txn *txn, struct slice name, struct error *err)
{
	struct txn_bucket *b;
	struct slice bytes;
	size_t i;

	for (i = 0; i < TXN_BUCKETS; i++) {
		b = &txn->buckets[i];
		if (b->name_len == name.len && name.len > 0 &&
		    memcmp(b->name, name.at, name.len) == 0)
			return b;
	}
	if (name.len == 0 || name.len > BUCKET_NAME_MAX_BYTES)
		goto none;

	switch (index_get(txn->txn, txn_dbi(txn, DB_BUCKETS), name.at, name.len,
	    &bytes, err)) {
	case 0:
		break;
	case 1:
		goto none;
	default:
		return NULL;
	}
	b = &txn->buckets[txn->next_bucket++ % TXN_BUCKETS];
	if (flush_bucket(txn, b, err) != 0)
		return NULL;
	b->name_len = 0;
	/* The flush may have moved the value. */
	if (index_get(txn->txn, txn_dbi(txn, DB_BUCKETS), name.at, name.len,
		&bytes, err) != 0)
		return NULL;
	buffer_clear(&b->memory);
	buffer_add_slice(&b->memory, bytes);
	if (b->memory.failed) {
		error_nomem(err);
		return NULL;
	}
	if (bucket_decode(buffer_slice(&b->memory), &b->record, err) != 0)
		return NULL;
	memcpy(b->name, name.at, name.len);
	b->name[name.len] = '\0';
	b->name_len = name.len;
	b->dirty = 0;
	return b;

none:
	error_set(err, ERR_NO_BUCKET, "there is no bucket \"%.*s\"",
	    (int)(name.len < 64 ? name.len : 64), name.len ? name.at : "");
	return NULL;
}

int
txn_flush(struct store_txn *txn, struct error *err)
{
	size_t i;

	for (i = 0; i < TXN_BUCKETS; i++)
		if (flush_bucket(txn, &txn->buckets[i], err) != 0)
			return -1;
	return 0;
}

void
txn_forget_bucket(struct store_txn *txn, struct slice name)
{
	size_t i;

	for (i = 0; i < TXN_BUCKETS; i++)
		if (slice_equal(name,
			(struct slice){
			    txn->buckets[i].name, txn->buckets[i].name_len }))
			txn->buckets[i].name_len = 0;
}

int
txn_extent_content(struct store_txn *txn, struct content_writer *w,
    uint64_t *id, struct error *err)
{
	struct extent_record rec;

	if (content_size(w) == 0) {
		*id = 0;
		return 0;
	}
	content_record(w, &rec);
	*id = rec.kind == EXTENT_FILE ? content_file_id(w)
				      : ids_next(&txn->store->ids);
	return extents_put(txn, *id, &rec, err);
}

int
txn_extent_chain(struct store_txn *txn, struct slice entries,
    uint32_t n_entries, enum checksum_kind kind, uint64_t size, uint64_t *id,
    struct error *err)
{
	struct extent_record rec = { 0 };

	rec.kind = EXTENT_CHAIN;
	rec.references = 1;
	rec.size = size;
	rec.n_entries = n_entries;
	rec.checksum_kind = (uint8_t)kind;
	rec.entries = entries;
	*id = ids_next(&txn->store->ids);
	return extents_put(txn, *id, &rec, err);
}

static int
put_references(
    struct store_txn *txn, uint64_t id, uint32_t references, struct error *err)
{
	struct slice bytes;
	uint8_t key[8];

	if (index_get_u64(
		txn->txn, txn_dbi(txn, DB_EXTENTS), id, &bytes, err) != 0)
		return -1;
	buffer_clear(&txn->scratch);
	buffer_add_slice(&txn->scratch, bytes);
	if (txn->scratch.failed)
		return error_nomem(err);
	extent_set_references((uint8_t *)txn->scratch.at, references);
	be64_put(key, id);
	return txn_put(txn, DB_EXTENTS,
	    (struct slice){ (char *)key, sizeof(key) },
	    buffer_slice(&txn->scratch), 0, err);
}

int
txn_extent_ref(struct store_txn *txn, uint64_t id, struct error *err)
{
	struct extent_record rec;

	if (id == 0)
		return 0;
	if (extents_need(txn->txn, txn->index, id, &rec, err) != 0)
		return -1;
	if (rec.references == 0 || rec.references == UINT32_MAX)
		return error_set(err, ERR_CONFLICT,
		    "extent %" PRIu64 " cannot be shared", id);
	return put_references(txn, id, rec.references + 1, err);
}

int
txn_extent_unref(struct store_txn *txn, uint64_t id, struct error *err)
{
	struct extent_record rec;
	struct slice key, value;
	uint8_t be[8];

	if (id == 0)
		return 0;
	if (index_get_u64(txn->txn, txn_dbi(txn, DB_EXTENTS), id, &value, err) <
		0 &&
	    err->kind == ERR_DAMAGED) {
		/* What is damaged can be deleted; its space stays taken. */
		log_line(LOG_ERROR, "store.damage", "%s", err->text);
		error_clear(err);
		return 0;
	}
	if (extents_need(txn->txn, txn->index, id, &rec, err) != 0)
		return -1;
	if (rec.references == 0)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 " has no reference to give back", id);
	if (rec.references > 1)
		return put_references(txn, id, rec.references - 1, err);

	be64_put(be, id);
	key = (struct slice){ (char *)be, sizeof(be) };
	if (rec.kind == EXTENT_INLINE)
		return txn_del(txn, DB_EXTENTS, key, err) == 0 ? 0 : -1;
	txn->reaped = 1;
	if (put_references(txn, id, 0, err) != 0)
		return -1;
	return txn_put(txn, DB_REAP, key, SLICE_LITERAL(""), 0, err);
}

int
txn_journal(struct store_txn *txn, const struct change *change,
    enum journal_what what, struct slice bucket, struct slice key,
    const struct object_record *object, struct error *err)
{
	struct journal_record rec = { 0 };
	uint8_t be[8];

	if (!txn->store->journal_on)
		return 0;
	rec.begin = change->begin;
	rec.what = (uint8_t)what;
	rec.time_ms = txn->now_ms;
	rec.bucket = bucket;
	rec.key = key;
	if (object != NULL) {
		rec.version = object->version;
		rec.extent = object->extent;
		rec.size = object->size;
		if (txn_extent_ref(txn, rec.extent, err) != 0)
			return -1;
	}
	buffer_clear(&txn->object);
	if (what == JOURNAL_PUT || what == JOURNAL_TAGS) {
		object_encode(&txn->object, object);
		if (txn->object.failed)
			return error_nomem(err);
		rec.object = buffer_slice(&txn->object);
	}
	buffer_clear(&txn->scratch);
	journal_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(err);
	be64_put(be, ++txn->counters.journal);
	txn->journalled = 1;
	return txn_put(txn, DB_JOURNAL,
	    (struct slice){ (char *)be, sizeof(be) },
	    buffer_slice(&txn->scratch), MDB_APPEND, err);
}
