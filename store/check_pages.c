#include <inttypes.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/check_private.h"
#include "store/lmdb_error.h"
#include "store/pages.h"
#include "store/stamp.h"

/* The checker's first step: LMDB's pages, and the stamp of each record. */

struct look {
	struct check *c;
	uint64_t n;      /* of pages */
	uint8_t *marked; /* a bit for each */
	int bad;
};

static void
see_bad(void *arg, const char *db, uint64_t page, const char *why)
{
	struct look *l = arg;

	l->bad = 1;
	check_damage(l->c, FOUND_INDEX,
	    "page %" PRIu64 " of the index, of the database %s: %s", page, db,
	    why);
}

static void
see_page(void *arg, uint64_t page, uint64_t n)
{
	struct look *l = arg;

	for (; n > 0 && page < l->n; page++, n--) {
		if (l->marked[page / 8] >> page % 8 & 1) {
			l->bad = 1;
			check_damage(l->c, FOUND_INDEX,
			    "page %" PRIu64 " of the index is used twice",
			    page);
		}
		l->marked[page / 8] |= (uint8_t)(1 << page % 8);
	}
}

/* That all pages hold together, and each is either used once or free. */
static int
check_all_pages(struct check *c, struct error *err)
{
	struct look l = { .c = c };
	struct pages_walk walk = { see_bad, see_page, &l };
	const char *why;
	MDB_envinfo info;
	uint64_t page;
	MDB_dbi dbi;
	int rc;

	if ((rc = mdb_env_info(index_env(c->index), &info)) != 0)
		return lmdb_error(err, rc, "looking at the index");
	l.n = (uint64_t)info.me_last_pgno + 1;
	if ((l.marked = calloc(1, (size_t)(l.n / 8 + 1))) == NULL)
		return error_nomem(err);
	if ((why = pages_heads(c->txn)) != NULL)
		see_bad(&l, "heads", 0, why);
	for (dbi = 0; dbi < INDEX_DBI_FIRST + INDEX_DBS; dbi++)
		if (pages_walk(c->txn, dbi, &walk) != 0)
			check_note(c, FOUND_INDEX,
			    "the index's pages cannot be looked at");
	for (page = 2; !l.bad && page < l.n; page++)
		if (!(l.marked[page / 8] >> page % 8 & 1))
			see_bad(&l, "free pages", page,
			    "it is neither used nor free");
	free(l.marked);
	return l.bad ? error_set(err, ERR_DAMAGED,
			   "the index has pages that are damaged")
		     : 0;
}

/* As long as a name may be in a sentence. */
static const char *
key_text(const MDB_val *k, char text[2 * 64 + 1])
{
	hex_encode(k->mv_data, k->mv_size < 64 ? k->mv_size : 64, text);
	return text;
}

/* That each database's keys ascend and are as many as it says: a page of
 * another place or time shows here, and no later step walks in a circle. And
 * that each value is what was written under its key. */
static int
check_order(struct check *c, enum index_db db, struct error *err)
{
	MDB_dbi dbi = index_dbi(c->index, db);
	MDB_val k, v, before = { 0, NULL };
	char text[2 * 64 + 1];
	MDB_cursor *cursor;
	MDB_stat stat;
	size_t n = 0;
	int rc;

	if ((rc = mdb_stat(c->txn, dbi, &stat)) != 0)
		return lmdb_error(err, rc, "reading the index");
	if ((rc = mdb_cursor_open(c->txn, dbi, &cursor)) != 0)
		return lmdb_error(err, rc, "reading the index");
	for (rc = stamp_step(cursor, &k, &v, MDB_FIRST);
	     (rc == 0 || rc == STAMP_BROKEN) && n <= stat.ms_entries;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		if (rc == STAMP_BROKEN)
			check_damage(c, FOUND_RECORD,
			    "the record %s of %s has a wrong checksum",
			    key_text(&k, text), index_db_name(db));
		if (n++ > 0 && mdb_cmp(c->txn, dbi, &before, &k) >= 0)
			break;
		before = k;
	}
	if (rc == 0 || rc == STAMP_BROKEN ||
	    (rc == MDB_NOTFOUND && n != stat.ms_entries)) {
		mdb_cursor_close(cursor);
		return error_set(err, ERR_DAMAGED,
		    "the database %s has pages that are out of place",
		    index_db_name(db));
	}
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 0;
	lmdb_error(err, rc, "reading the index");
	return error_add(err, "the database %s", index_db_name(db));
}

int
check_pages(struct check *c, struct error *err)
{
	int db;

	if (check_all_pages(c, err) != 0)
		return -1;
	for (db = 0; db < INDEX_DBS; db++)
		if (check_order(c, (enum index_db)db, err) != 0)
			return -1;
	return 0;
}
