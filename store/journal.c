#include "base/encode.h"
#include "base/error.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/stamp.h"
#include "store/txn.h"

/* The journal's reading side and its end: whoever consumed an entry lets it go,
 * and with it the content that it pinned. Writing: txn_journal(). */

#define TRIM_BATCH 1000 /* entries in one change */
#define NOTE_KEY_MAX_BYTES 500

static int
apply_trim(struct store_txn *txn, struct change *change)
{
	struct trim_journal *t = change_of(change, struct trim_journal, change);
	struct error *err = &change->err;
	struct journal_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc, n;

	rc = mdb_cursor_open(txn->txn, txn_dbi(txn, DB_JOURNAL), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "trimming the journal");
	t->more = 0;
	rc = stamp_step(cursor, &k, &v, MDB_FIRST);
	for (n = 0; rc == 0; n++) {
		if (k.mv_size != 8 || be64_get(k.mv_data) > t->through)
			break;
		if ((t->more = n == TRIM_BATCH))
			break;
		if (journal_decode(
			(struct slice){ v.mv_data, v.mv_size }, &rec, err) != 0)
			goto fail;
		txn->wrote = 1;
		if ((rc = mdb_cursor_del(cursor, 0)) != 0)
			break;
		if (txn_extent_unref(txn, rec.extent, err) != 0)
			goto fail;
		rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "trimming the journal");
	return 0;

fail:
	mdb_cursor_close(cursor);
	return -1;
}

int
store_trim_journal(struct store *store, struct trim_journal *t)
{
	return store_submit(store, &t->change, apply_trim, NULL, 1);
}

static int
apply_notes(struct store_txn *txn, struct change *change)
{
	struct set_notes *s = change_of(change, struct set_notes, change);
	const struct note *note;
	size_t i;

	for (i = 0; i < s->n_notes; i++) {
		note = &s->notes[i];
		if (note->key.len == 0 || note->key.len > NOTE_KEY_MAX_BYTES)
			return error_set(&change->err, ERR_INVALID,
			    "a note's key has 1 to %d bytes",
			    NOTE_KEY_MAX_BYTES);
		if (note->value.at == NULL
			? txn_del(txn, DB_NOTES, note->key, &change->err) < 0
			: txn_put(txn, DB_NOTES, note->key, note->value, 0,
			      &change->err) != 0)
			return -1;
	}
	return 0;
}

int
store_set_notes(struct store *store, struct set_notes *s)
{
	return store_submit(store, &s->change, apply_notes, NULL, 1);
}

int
store_note(struct store *store, struct slice key, struct buffer *memory,
    struct error *err)
{
	return read_value(store, DB_NOTES, key, "note", memory, err);
}

struct noting {
	struct slice prefix;
	note_visit *visit;
	void *arg;
};

static int
visit_note(void *arg, struct slice key, struct slice value, struct error *err)
{
	struct noting *n = arg;

	(void)err;
	if (key.len < n->prefix.len ||
	    !slice_equal((struct slice){ key.at, n->prefix.len }, n->prefix))
		return 1;
	return n->visit(key, value, n->arg) != 0;
}

int
store_notes(struct store *store, struct slice prefix, struct slice after,
    note_visit *visit, void *arg, struct error *err)
{
	struct noting n = { prefix, visit, arg };
	int behind = slice_compare(after, prefix) >= 0 && after.len > 0;

	return read_walk(store, DB_NOTES, behind ? after : prefix, behind,
	    visit_note, &n, err);
}

int
store_journal(struct store *store, uint64_t after, journal_visit *visit,
    void *arg, struct error *err)
{
	struct journal_record rec;
	MDB_cursor *cursor;
	MDB_txn *txn;
	uint8_t be[8];
	MDB_val k = { sizeof(be), be }, v;
	int rc, failed = 0;

	if (after == UINT64_MAX)
		return 0;
	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = mdb_cursor_open(txn, index_dbi(store->index, DB_JOURNAL), &cursor);
	if (rc != 0) {
		index_read_end(store->index, txn);
		return lmdb_error(err, rc, "reading the journal");
	}
	be64_put(be, after + 1);
	rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == 8) {
		failed = journal_decode(
		    (struct slice){ v.mv_data, v.mv_size }, &rec, err);
		if (failed || visit(be64_get(k.mv_data), &rec, arg) != 0)
			break;
		rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	index_read_end(store->index, txn);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading the journal");
	return failed;
}
