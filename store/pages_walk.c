#include "store/pages_private.h"

/* The checker's look at all pages. */

/* ---- the heads ---- */

const char *
pages_heads(MDB_txn *txn)
{
	struct pages *pages = mdb_env_get_userctx(mdb_txn_env(txn));
	uint64_t number[2], last[2];
	const uint8_t *p, *dbs;
	int i, newer;

	if (pages == NULL || pages->map == NULL)
		return NULL;
	for (i = 0; i < 2; i++) {
		p = pages->map + (size_t)i * pages->page_bytes;
		dbs = p + META_DBS_AT;
		if (u64(p) != (uint64_t)i || u16(p + 10) != KIND_META)
			return "a head is another page";
		if (u32(p + HEAD_BYTES) != META_MAGIC ||
		    u32(p + HEAD_BYTES + 4) != META_VERSION)
			return "a head is not LMDB's";
		if (u32(dbs) != pages->page_bytes ||
		    (u16(dbs + 4) & 0xff) != MDB_INTEGERKEY ||
		    u16(dbs + DB_BYTES + 4) != 0)
			return "a head describes its databases wrongly";
		number[i] = u64(p + META_TXN_AT);
		last[i] = u64(p + META_TXN_AT - 8);
	}
	newer = number[1] > number[0];
	if (number[newer] - number[!newer] != 1 && number[newer] != 0)
		return "the heads are not of two transactions in a row";
	if (last[newer] < last[!newer])
		return "the newer head says that there are fewer pages";
	return NULL;
}

/* ---- all pages ---- */

struct walking {
	struct tree tree;
	const struct pages_walk *walk;
	const char *name;
	uint64_t branches, leaves, overflows, entries;
};

static void
bad(struct walking *w, uint64_t page, const char *why)
{
	w->walk->bad(w->walk->arg, w->name, page, why);
}

/* The pages that a record of database 0 says are free. */
static void
walk_free(struct walking *w, uint64_t number, const uint8_t *value, size_t len)
{
	uint64_t n = len < 8 ? 0 : u64(value), page;
	size_t i;

	if (len < 8 || len % 8 != 0 || n > len / 8 - 1) {
		bad(w, number, "a list of free pages is cut off");
		return;
	}
	for (i = 1; i <= n; i++) {
		page = u64(value + 8 * i);
		if (page < 2 || page > w->tree.last_page)
			bad(w, number, "a free page lies behind the end");
		else
			w->walk->mark(w->walk->arg, page, 1);
	}
}

static void
walk_leaf(struct walking *w, uint64_t number, const uint8_t *page)
{
	const struct tree *t = &w->tree;
	const uint8_t *value;
	const char *why;
	uint64_t big;
	size_t i, len, n;

	w->leaves++;
	for (i = 0; i < count(page); i++) {
		w->entries++;
		value = pages_value(t, page, i, &len, &big, &why);
		if (value == NULL) {
			bad(w, number, why);
			continue;
		}
		if (big != 0) {
			n = u32(value - HEAD_BYTES + 12);
			w->overflows += n;
			w->walk->mark(w->walk->arg, big, n);
		}
		if (t->dbi == FREE_DBI)
			walk_free(w, number, value, len);
	}
}

static void
walk_page(struct walking *w, uint64_t number, unsigned level,
    const struct bounds *bounds)
{
	const struct tree *t = &w->tree;
	int branch = level + 1 < t->depth;
	const uint8_t *page;
	struct bounds b;
	const char *why;
	size_t i, n;

	if ((page = pages_look(t, number, branch, bounds, &why)) == NULL) {
		bad(w, number, why);
		return;
	}
	w->walk->mark(w->walk->arg, number, 1);
	if (!branch) {
		walk_leaf(w, number, page);
		return;
	}
	w->branches++;
	n = count(page);
	for (i = 0; i < n; i++) {
		b = *bounds;
		if (i > 0)
			b.low = key_of(page, i);
		if (i + 1 < n)
			b.high = key_of(page, i + 1);
		walk_page(w, child(page, i), level + 1, &b);
	}
}

int
pages_walk(MDB_txn *txn, MDB_dbi dbi, const struct pages_walk *walk)
{
	struct walking w = { .walk = walk };
	struct bounds all = { { 0, NULL }, { 0, NULL } };
	int rc;

	w.name = dbi == FREE_DBI ? "free pages"
	    : dbi == MAIN_DBI    ? "databases"
				 : index_db_name(dbi - INDEX_DBI_FIRST);
	if ((rc = pages_open(txn, dbi, &w.tree)) == 1)
		return -1;
	if (rc != 0) {
		bad(&w, 0, "there is no way into it");
		return 0;
	}
	if (w.tree.depth > 0)
		walk_page(&w, w.tree.root, 0, &all);
	if (w.branches != w.tree.branches || w.leaves != w.tree.leaves ||
	    w.overflows != w.tree.overflows || w.entries != w.tree.entries)
		bad(&w, w.tree.root,
		    "it is not of as many pages and records as"
		    " it says");
	return 0;
}
