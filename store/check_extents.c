#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/check_private.h"
#include "store/lmdb_error.h"
#include "store/stamp.h"

/* The checker's steps about settings, extents, their references, the reaper's
 * queue, the journal and access keys. */

/* Beyond so many versions ever given, which no store comes to (2^32 a recovery,
 * 2^16 recoveries), uniqueness is not checked. */
#define VERSIONS_MAX (1ULL << 49)

static int
open_cursor(
    struct check *c, enum index_db db, MDB_cursor **cursor, struct error *err)
{
	int rc;

	rc = mdb_cursor_open(c->txn, index_dbi(c->index, db), cursor);
	return rc == 0 ? 0 : lmdb_error(err, rc, "reading the index");
}

/* The end of a walk by cursor. */
static int
close_cursor(MDB_cursor *cursor, int rc, enum index_db db, struct error *err)
{
	mdb_cursor_close(cursor);
	if (rc == 0 || rc == MDB_NOTFOUND)
		return 0;
	lmdb_error(err, rc, "reading the index");
	return error_add(err, "the database %s", index_db_name(db));
}

/* A new index that no change was committed to yet, as after a crash in the
 * first moment. */
static int
is_new(struct check *c)
{
	MDB_stat buckets, extents;

	return mdb_stat(c->txn, index_dbi(c->index, DB_BUCKETS), &buckets) ==
	    0 &&
	    mdb_stat(c->txn, index_dbi(c->index, DB_EXTENTS), &extents) == 0 &&
	    buckets.ms_entries == 0 && extents.ms_entries == 0;
}

int
check_settings(struct check *c, struct error *err)
{
	MDB_dbi dbi = index_dbi(c->index, DB_SETTINGS);
	struct error why = ERROR_INIT;
	struct slice value;
	int rc, fresh = is_new(c);

	rc = index_get(c->txn, dbi, SETTING_COUNTERS,
	    sizeof(SETTING_COUNTERS) - 1, &value, err);
	if (rc < 0)
		return -1;
	if (rc == 1 && fresh)
		check_note(c, FOUND_INDEX, "the index is new");
	else if (rc == 1)
		check_damage(c, FOUND_INDEX, "the index has no counters");
	else if (counters_decode(value, &c->counters, &why) != 0)
		check_damage(c, FOUND_INDEX, "%s", why.text);
	else
		c->counters_known = 1;

	rc = index_get(c->txn, dbi, SETTING_STORE_ID,
	    sizeof(SETTING_STORE_ID) - 1, &value, err);
	if (rc < 0)
		return -1;
	if ((rc == 1 && !fresh) || (rc == 0 && value.len != 16))
		check_damage(c, FOUND_INDEX,
		    "the index does not say which store this is");
	if (!c->counters_known || c->counters.next_version > VERSIONS_MAX)
		return 0;
	c->n_versions =
	    (size_t)(c->counters.next_version >> CHECK_VERSIONS_BITS) + 1;
	c->versions = calloc(c->n_versions, sizeof(*c->versions));
	return c->versions == NULL ? error_nomem(err) : 0;
}

static int
allocate_ids(struct check *c, struct error *err)
{
	MDB_stat stat;
	size_t n;
	int rc;

	rc = mdb_stat(c->txn, index_dbi(c->index, DB_EXTENTS), &stat);
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	n = c->room_ids = stat.ms_entries + 1;
	c->ids = malloc(n * sizeof(*c->ids));
	c->named = calloc(n, sizeof(*c->named));
	c->marks = calloc(n, sizeof(*c->marks));
	if (c->ids == NULL || c->named == NULL || c->marks == NULL)
		return error_nomem(err);
	return 0;
}

static void
check_inline(struct check *c, uint64_t id, const struct extent_record *rec)
{
	uint32_t crc;

	if (!c->options.read_data)
		return;
	crc = crc32c(0, rec->bytes.at, rec->bytes.len);
	c->result.bytes_read += rec->bytes.len;
	if (crc != rec->crc32c)
		check_damage(c, FOUND_DATA,
		    "the content %" PRIu64
		    " in the index has checksum %08x, expected %08x",
		    id, (unsigned)crc, (unsigned)rec->crc32c);
}

static void
check_extent(struct check *c, uint64_t id, struct slice value, uint8_t *marks)
{
	struct error why = ERROR_INIT;
	struct extent_record rec;

	if (extent_decode(value, &rec, &why) != 0) {
		check_damage(
		    c, FOUND_RECORD, "content %" PRIu64 ": %s", id, why.text);
		return;
	}
	*marks |= MARK_DECODED;
	if (rec.kind == EXTENT_FILE)
		*marks |= MARK_FILE;
	if (rec.kind == EXTENT_REMOTE)
		*marks |= MARK_REMOTE;
	if (rec.kind == EXTENT_INLINE)
		check_inline(c, id, &rec);
	if (rec.flags & EXTENT_DAMAGED)
		check_damage(c, FOUND_MARKED,
		    "content %" PRIu64 " was found damaged before", id);
	if (c->counters_known && id >= c->counters.next_extent)
		check_damage(c, FOUND_INDEX,
		    "content %" PRIu64
		    " has a number that was never given (the next is %" PRIu64
		    ")",
		    id, c->counters.next_extent);
}

int
check_extents(struct check *c, struct error *err)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	if (allocate_ids(c, err) != 0 ||
	    open_cursor(c, DB_EXTENTS, &cursor, err) != 0)
		return -1;
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST);
	     rc == 0 && c->n_ids < c->room_ids;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != 8) {
			check_damage(c, FOUND_KEY,
			    "the database of contents has a key of %zu bytes",
			    k.mv_size);
			continue;
		}
		c->ids[c->n_ids] = be64_get(k.mv_data);
		check_extent(
		    c, c->ids[c->n_ids], SLICE_OF(v), &c->marks[c->n_ids]);
		c->n_ids++;
	}
	c->result.extents = c->n_ids;
	return close_cursor(cursor, rc, DB_EXTENTS, err);
}

int
check_journal(struct check *c, struct error *err)
{
	struct error why = ERROR_INIT;
	struct journal_record rec;
	struct check_owner owner;
	struct extent_record extent;
	MDB_cursor *cursor;
	uint64_t sequence;
	MDB_val k, v;
	int rc;

	if (open_cursor(c, DB_JOURNAL, &cursor, err) != 0)
		return -1;
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT)) {
		c->result.journal_entries++;
		if (k.mv_size != 8) {
			check_damage(c, FOUND_KEY,
			    "the journal has a key of %zu bytes", k.mv_size);
			continue;
		}
		sequence = be64_get(k.mv_data);
		if (journal_decode(SLICE_OF(v), &rec, &why) != 0) {
			check_damage(c, FOUND_RECORD,
			    "journal entry %" PRIu64 ": %s", sequence,
			    why.text);
			continue;
		}
		if (c->counters_known && sequence > c->counters.journal)
			check_damage(c, FOUND_JOURNAL,
			    "the journal has an entry %" PRIu64
			    " behind its last, %" PRIu64,
			    sequence, c->counters.journal);
		if (rec.begin >= sequence)
			check_damage(c, FOUND_JOURNAL,
			    "journal entry %" PRIu64
			    " says that it began after entry %" PRIu64,
			    sequence, rec.begin);
		owner = (struct check_owner){ "journal entry for", rec.bucket,
			rec.key };
		if (rec.extent != 0)
			(void)check_take(c, rec.extent, &owner, &extent);
	}
	return close_cursor(cursor, rc, DB_JOURNAL, err);
}

int
check_keys(struct check *c, struct error *err)
{
	struct error why = ERROR_INIT;
	struct key_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	if (open_cursor(c, DB_KEYS, &cursor, err) != 0)
		return -1;
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT))
		if (key_decode(SLICE_OF(v), &rec, &why) != 0)
			check_damage(
			    c, FOUND_RECORD, "an access key: %s", why.text);
		else if (!slice_equal(rec.access_key, SLICE_OF(k)))
			check_damage(c, FOUND_RECORD,
			    "an access key is stored under another one's name");
	return close_cursor(cursor, rc, DB_KEYS, err);
}

/* A chain's parts: each a name of its extent. */
static void
check_chain(struct check *c, uint64_t id, const struct extent_record *rec)
{
	struct check_owner owner = { "a multipart content", SLICE_NULL,
		SLICE_LITERAL("") };
	struct extent_record part;
	struct chain_entry e;
	uint64_t begin = 0;
	size_t i;

	for (i = 0; i < rec->n_entries; i++, begin = e.end) {
		if (chain_get(rec, i, &e) != 0) {
			check_damage(c, FOUND_RECORD,
			    "content %" PRIu64 ": part %zu cannot be read", id,
			    i + 1);
			return;
		}
		if (e.extent == 0) {
			if (e.end != begin)
				check_damage(c, FOUND_NO_EXTENT,
				    "content %" PRIu64
				    ": part %u should have %" PRIu64
				    " bytes, but names no content",
				    id, (unsigned)e.number, e.end - begin);
			continue;
		}
		if (check_find(c, e.extent) < 0) {
			check_damage(c, FOUND_NO_EXTENT,
			    "content %" PRIu64
			    ": part %u is the content %" PRIu64
			    ", which is not in the index",
			    id, (unsigned)e.number, e.extent);
			continue;
		}
		if (!check_take(c, e.extent, &owner, &part))
			continue;
		if (part.kind == EXTENT_CHAIN || part.size != e.end - begin)
			check_damage(c, FOUND_EXTENT,
			    "content %" PRIu64 ": part %u should have %" PRIu64
			    " bytes, but its content %" PRIu64 " has %" PRIu64
			    "%s",
			    id, (unsigned)e.number, e.end - begin, e.extent,
			    part.size,
			    part.kind == EXTENT_CHAIN ? " and is of parts"
						      : "");
	}
}

static int
check_chains(struct check *c, struct error *err)
{
	struct extent_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	if (open_cursor(c, DB_EXTENTS, &cursor, err) != 0)
		return -1;
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT))
		if (k.mv_size == 8 &&
		    extent_decode(SLICE_OF(v), &rec, NULL) == 0 &&
		    rec.kind == EXTENT_CHAIN)
			check_chain(c, be64_get(k.mv_data), &rec);
	return close_cursor(cursor, rc, DB_EXTENTS, err);
}

static int
check_reap(struct check *c, struct error *err)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	uint64_t id;
	long at;
	int rc;

	if (open_cursor(c, DB_REAP, &cursor, err) != 0)
		return -1;
	for (rc = stamp_skip(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_skip(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != 8) {
			check_damage(c, FOUND_KEY,
			    "the queue of contents to be removed has a key of "
			    "%zu "
			    "bytes",
			    k.mv_size);
			continue;
		}
		id = be64_get(k.mv_data);
		if ((at = check_find(c, id)) < 0)
			check_damage(c, FOUND_REAP,
			    "content %" PRIu64
			    " is to be removed, but is not in the index",
			    id);
		else
			c->marks[at] |= MARK_REAPED;
	}
	return close_cursor(cursor, rc, DB_REAP, err);
}

static void
check_count(struct check *c, size_t i, const struct extent_record *rec)
{
	int reaped = (c->marks[i] & MARK_REAPED) != 0;

	if (rec->references != c->named[i])
		check_damage(c, FOUND_REFERENCES,
		    "content %" PRIu64 " should be named %" PRIu32
		    " times, but is named %" PRIu32 " times",
		    c->ids[i], rec->references, c->named[i]);
	else if (rec->references == 0 && !reaped)
		check_damage(c, FOUND_REAP,
		    "content %" PRIu64 " is named by nothing, but is not to be "
		    "removed",
		    c->ids[i]);
	else if (rec->references != 0 && reaped)
		check_damage(c, FOUND_REAP,
		    "content %" PRIu64 " is in use, but is to be removed",
		    c->ids[i]);
}

int
check_references(struct check *c, struct error *err)
{
	struct extent_record rec;
	struct slice value;
	size_t i;

	if (check_chains(c, err) != 0 || check_reap(c, err) != 0)
		return -1;
	for (i = 0; i < c->n_ids; i++)
		if (index_get_u64(c->txn, index_dbi(c->index, DB_EXTENTS),
			c->ids[i], &value, NULL) == 0 &&
		    extent_decode(value, &rec, NULL) == 0)
			check_count(c, i, &rec);
	return 0;
}
