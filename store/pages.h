#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <lmdb.h>
#include <stdint.h>

/*
 * LMDB trusts its pages. A stamp (store/stamp.h) tells that a record is what
 * was written; that a key is *not* there is only as true as the pages on the
 * way to it. So these are looked at, in LMDB's own format (data version 1):
 * that a page has its own number and kind; that its nodes lie one at another
 * from its upper bound to its end, each named once, as LMDB packs them; that
 * keys ascend, between those that its parent says. What is not in such a page
 * is not in the tree, unless a flipped bit leads to an old copy of the very
 * page that is due, left where it was not yet written over.
 *
 * Where a page is not so the answer is PAGES_BROKEN, which lmdb_error() makes
 * ERR_DAMAGED. Any thread, within a transaction: always of the newest state
 * that was committed when it began.
 */

#define PAGES_BROKEN (-30701)

/* Of one environment, whose user context it is. */
struct pages {
	const uint8_t *map; /* NULL: nothing is looked at */
	size_t page_bytes;
};

/* For a key that is not there (or of which the next one was found): 0, or
 * PAGES_BROKEN. */
int pages_miss(MDB_txn *, MDB_dbi, const MDB_val *key);
/* For a cursor that came to a record, found in memory of LMDB's: looks at its
 * page if it is the page's first. 0, or PAGES_BROKEN. */
int pages_enter(MDB_txn *, MDB_dbi, const MDB_val *key);

/* Walks all pages, for the checker. bad is told of each page that is not as it
 * should be; mark of each page in use, with how many there are in a row.
 * 0, or -1 when there is no map to look at. */
struct pages_walk {
	void (*bad)(void *arg, const char *db, uint64_t page, const char *why);
	void (*mark)(void *arg, uint64_t page, uint64_t n);
	void *arg;
};
int pages_walk(MDB_txn *, MDB_dbi, const struct pages_walk *);
/* Lets LMDB's assertions and the crashes that a damaged page can cause end the
 * process with a sentence. */
void pages_guard(MDB_env *);
/* What is wrong with the two pages at the begin of which the newer one counts,
 * or NULL. */
const char *pages_heads(MDB_txn *);

#endif
