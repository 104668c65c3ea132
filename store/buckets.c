#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/stamp.h"
#include "store/txn.h"

/* Changes of buckets, access keys and settings. */

static int
apply_create(struct store_txn *txn, struct change *change)
{
	struct put_bucket *p = change_of(change, struct put_bucket, change);
	struct bucket_record rec = { 0 };
	struct slice value;
	int rc;

	if (p->name.len == 0 || p->name.len > BUCKET_NAME_MAX_BYTES)
		return error_set(&change->err, ERR_INVALID,
		    "a bucket's name has 1 to %d bytes", BUCKET_NAME_MAX_BYTES);
	rc = index_get(txn->txn, txn_dbi(txn, DB_BUCKETS), p->name.at,
	    p->name.len, &value, &change->err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return error_set(&change->err, ERR_EXISTS,
		    "the bucket \"%.*s\" exists", (int)p->name.len, p->name.at);
	rec.id = txn_new_node(txn);
	rec.created_ms = p->created_ms = txn->now_ms;
	rec.owner = p->owner;
	buffer_clear(&txn->scratch);
	bucket_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(&change->err);
	if (txn_put(txn, DB_BUCKETS, p->name, buffer_slice(&txn->scratch), 0,
		&change->err) != 0)
		return -1;
	return txn_journal(txn, change, JOURNAL_BUCKET, p->name, SLICE_NULL,
	    NULL, &change->err);
}

int
store_create_bucket(struct store *store, struct put_bucket *p)
{
	return store_submit(store, &p->change, apply_create, NULL, 0);
}

static int
apply_delete(struct store_txn *txn, struct change *change)
{
	struct delete_bucket *d =
	    change_of(change, struct delete_bucket, change);
	static const enum index_db trees[] = { DB_OBJECTS, DB_VERSIONS,
		DB_UPLOADS };
	static const char *const what[] = { "objects", "versions",
		"unfinished multipart uploads" };
	struct error *err = &change->err;
	struct txn_bucket *b;
	size_t i;
	int rc;

	if ((b = txn_bucket(txn, d->name, err)) == NULL)
		return -1;
	for (i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		rc = names_empty(
		    txn->txn, txn_dbi(txn, trees[i]), b->record.id, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return error_set(err, ERR_NOT_EMPTY,
			    "the bucket still holds %s: delete them first",
			    what[i]);
	}
	txn_forget_bucket(txn, d->name);
	if (txn_del(txn, DB_BUCKETS, d->name, err) != 0)
		return -1;
	return txn_journal(
	    txn, change, JOURNAL_DELETE_BUCKET, d->name, SLICE_NULL, NULL, err);
}

int
store_delete_bucket(struct store *store, struct delete_bucket *d)
{
	return store_submit(store, &d->change, apply_delete, NULL, 1);
}

static int
apply_set(struct store_txn *txn, struct change *change)
{
	struct set_bucket *s = change_of(change, struct set_bucket, change);
	struct bucket_record rec;
	struct txn_bucket *b;

	if ((b = txn_bucket(txn, s->name, &change->err)) == NULL)
		return -1;
	rec = b->record;
	switch (s->what) {
	case BUCKET_SET_VERSIONING:
		if (s->versioning == VERSIONING_OFF &&
		    rec.versioning != VERSIONING_OFF)
			return error_set(&change->err, ERR_INVALID,
			    "versioning can be suspended, not turned off");
		rec.versioning = (uint8_t)s->versioning;
		break;
	case BUCKET_SET_TAGS:
		rec.tags = s->tags;
		break;
	case BUCKET_SET_QUOTA:
		rec.quota_bytes = s->quota_bytes;
		break;
	}
	/* Encoded at once: its slices are the submitter's. */
	buffer_clear(&txn->scratch);
	bucket_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(&change->err);
	txn_forget_bucket(txn, s->name);
	if (txn_put(txn, DB_BUCKETS, s->name, buffer_slice(&txn->scratch), 0,
		&change->err) != 0)
		return -1;
	return txn_journal(txn, change, JOURNAL_BUCKET, s->name, SLICE_NULL,
	    NULL, &change->err);
}

int
store_set_bucket(struct store *store, struct set_bucket *s)
{
	return store_submit(store, &s->change, apply_set, NULL, 0);
}

/* Finds an access key by the name that people gave it. 0, 1, -1. */
static int
find_key(struct store_txn *txn, struct slice name, char *access,
    size_t *access_len, struct error *err)
{
	struct key_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc, found = 1;

	rc = mdb_cursor_open(txn->txn, txn_dbi(txn, DB_KEYS), &cursor);
	if (rc != 0)
		return error_set(err, ERR_NOMEM, "reading keys");
	while (found == 1 &&
	    (rc = stamp_step(cursor, &k, &v, MDB_NEXT)) != MDB_NOTFOUND) {
		if (rc != 0)
			found = lmdb_error(err, rc, "reading keys");
		else if (key_decode((struct slice){ v.mv_data, v.mv_size },
			     &rec, err) != 0)
			found = -1;
		else if (slice_equal(rec.name, name) && k.mv_size <= 128) {
			memcpy(access, k.mv_data, k.mv_size);
			*access_len = k.mv_size;
			found = 0;
		}
	}
	mdb_cursor_close(cursor);
	return found;
}

static int
apply_key(struct store_txn *txn, struct change *change)
{
	struct set_key *s = change_of(change, struct set_key, change);
	struct slice key = s->record.access_key, value;
	struct error *err = &change->err;
	char access[128];
	size_t len = 0;
	int rc;

	if (s->remove) {
		if (key.len == 0) {
			rc = find_key(txn, s->name, access, &len, err);
			if (rc < 0)
				return -1;
			key = (struct slice){ access, len };
		}
		rc = len == 0 && key.len == 0
		    ? 1
		    : index_get(txn->txn, txn_dbi(txn, DB_KEYS), key.at,
			  key.len, &value, err);
		/* One whose record is damaged can be taken back. */
		if (rc < 0 && err->kind != ERR_DAMAGED)
			return -1;
		if (rc < 0)
			error_clear(err);
		if (rc == 1)
			return error_set(
			    err, ERR_NOT_FOUND, "there is no such key");
		txn->keys_changed = 1;
		return txn_del(txn, DB_KEYS, key, err) == 0 ? 0 : -1;
	}

	if (key.len == 0 || key.len > 128)
		return error_set(
		    err, ERR_INVALID, "an access key has 1 to 128 characters");
	rc = index_get(
	    txn->txn, txn_dbi(txn, DB_KEYS), key.at, key.len, &value, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return error_set(err, ERR_EXISTS,
		    "the access key \"%.*s\" exists", (int)key.len, key.at);
	rc = find_key(txn, s->name, access, &len, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return error_set(err, ERR_EXISTS,
		    "a key named \"%.*s\" exists: remove it first, or choose"
		    " another name",
		    (int)s->name.len, s->name.at);
	s->record.name = s->name;
	s->record.created_ms = txn->now_ms;
	buffer_clear(&txn->scratch);
	key_encode(&txn->scratch, &s->record);
	if (txn->scratch.failed)
		return error_nomem(err);
	txn->keys_changed = 1;
	return txn_put(txn, DB_KEYS, key, buffer_slice(&txn->scratch), 0, err);
}

int
store_set_key(struct store *store, struct set_key *s)
{
	return store_submit(store, &s->change, apply_key, NULL, s->remove);
}

static int
apply_setting(struct store_txn *txn, struct change *change)
{
	struct set_setting *s = change_of(change, struct set_setting, change);
	struct slice name = slice_text(s->name);

	if (slice_is(name, SETTING_COUNTERS) || slice_is(name, SETTING_FORMAT))
		return error_set(&change->err, ERR_INVALID,
		    "%s is the store's own", s->name);
	if (slice_is(name, SETTING_JOURNAL))
		txn->store->journal_on = slice_is(s->value, "on");
	if (s->value.len == 0)
		return txn_del(txn, DB_SETTINGS, name, &change->err) < 0 ? -1
									 : 0;
	return txn_put(txn, DB_SETTINGS, name, s->value, 0, &change->err);
}

int
store_set_setting(struct store *store, struct set_setting *s)
{
	return store_submit(store, &s->change, apply_setting, NULL, 1);
}
