#include "store/pages.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/index.h"
#include "store/stamp.h"

/*
 * A page of LMDB's, in the machine's byte order:
 *
 *	 0  u64  its own number
 *	 8  u16  not used
 *	10  u16  kind: 1 branch, 2 leaf, 4 overflow
 *	12  u16  end of the offsets, 14 u16 begin of the nodes; or of an
 *	         overflow page u32 the number of pages in a row
 *	16  u16  offset of each node, in the order of the keys
 *
 * and a node, padded to an even length:
 *
 *	 0  u32  length of the value, or the low half of a child's number
 *	 4  u16  1: the value is a number of an overflow page, 2: a database;
 *	         or the rest of the child's number
 *	 6  u16  length of the key, which is not used in a branch's first node
 *	 8       key, value
 *
 * A database: {u32, u16 flags, u16 depth, u64 branch pages, leaf pages,
 *overflow pages, entries, root}, in database 1 under its name; of databases 0
 *and 1 in page 0 or 1, whichever is of the transaction: {head, u32 magic, u32
 *version, u64 address, u64 size of the map, both databases, u64 last page, u64
 * transaction}.
 */

#define HEAD_BYTES 16
#define NODE_BYTES 8
#define KIND_BRANCH 1
#define KIND_LEAF 2
#define KIND_OVERFLOW 4
#define KIND_META 8
#define META_MAGIC 0xbeefc0de
#define META_VERSION 1
#define NODE_BIG 1
#define NODE_DB 2 /* the value is a database, in database 1 */
#define DEPTH_MAX 32
#define FREE_DBI 0 /* transaction -> pages that are free since */
#define MAIN_DBI 1
#define DB_BYTES 48
#define META_DBS_AT (HEAD_BYTES + 24)
#define META_TXN_AT (META_DBS_AT + 2 * DB_BYTES + 8)

struct tree {
	struct pages *pages;
	MDB_dbi dbi;
	uint64_t last_page;
	uint64_t root, branches, leaves, overflows, entries;
	unsigned depth; /* 0: empty */
};

/* Keys of a page lie between these; at NULL: no bound. */
struct bounds {
	MDB_val low, high; /* low <= keys < high */
};

static uint16_t
u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t
u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t
u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* As LMDB orders keys. */
static int
compare(const struct tree *t, const MDB_val *a, const MDB_val *b)
{
	size_t n = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
	uint64_t x, y;
	int rc;

	if (t->dbi == FREE_DBI && n == sizeof(x)) {
		x = u64(a->mv_data);
		y = u64(b->mv_data);
		return x < y ? -1 : x > y;
	}
	if ((rc = memcmp(a->mv_data, b->mv_data, n)) != 0)
		return rc;
	return a->mv_size < b->mv_size ? -1 : a->mv_size > b->mv_size;
}

static size_t
count(const uint8_t *page)
{
	return (size_t)(u16(page + 12) - HEAD_BYTES) / 2;
}

static const uint8_t *
node(const uint8_t *page, size_t i)
{
	return page + u16(page + HEAD_BYTES + 2 * i);
}

static MDB_val
key_of(const uint8_t *page, size_t i)
{
	const uint8_t *p = node(page, i);

	return (MDB_val){ u16(p + 6), (void *)(uintptr_t)(p + NODE_BYTES) };
}

static uint64_t
child(const uint8_t *page, size_t i)
{
	const uint8_t *p = node(page, i);

	return u32(p) | (uint64_t)u16(p + 4) << 32;
}

/* The value of a leaf's node, or NULL and *why. */
static const uint8_t *
value_of(const struct tree *t, const uint8_t *page, size_t i, size_t *len,
    uint64_t *big, const char **why)
{
	const uint8_t *p = node(page, i), *over;
	size_t bytes = t->pages->page_bytes;
	uint64_t n;

	*len = u32(p);
	*big = 0;
	if (!(u16(p + 4) & NODE_BIG))
		return p + NODE_BYTES + u16(p + 6);
	*big = u64(p + NODE_BYTES + u16(p + 6));
	n = (HEAD_BYTES + *len + bytes - 1) / bytes;
	if (*big < 2 || *big > t->last_page || n > t->last_page - *big + 1) {
		*why = "a long value lies behind the end";
		return NULL;
	}
	over = t->pages->map + *big * bytes;
	if (u64(over) != *big || u16(over + 10) != KIND_OVERFLOW ||
	    u32(over + 12) < n || u32(over + 12) > t->last_page - *big + 1) {
		*why = "a long value is not where it should be";
		return NULL;
	}
	return over + HEAD_BYTES;
}

/* That the nodes fill their part of the page, each named once. */
static int
nodes_fit(const uint8_t *page, size_t bytes, int branch, unsigned flags)
{
	/* A bit for each even offset. */
	uint64_t starts[65536 / 2 / 64];
	size_t lower = u16(page + 12), upper = u16(page + 14), i, n, at, len;
	const uint8_t *p;

	if (lower < HEAD_BYTES || lower % 2 != 0 || upper < lower ||
	    upper > bytes || upper % 2 != 0 || bytes > 65536)
		return 0;
	memset(starts, 0, bytes / 2 / 8);
	n = count(page);
	for (i = 0; i < n; i++) {
		at = u16(page + HEAD_BYTES + 2 * i);
		if (at < upper || at % 2 != 0 || at > bytes - NODE_BYTES ||
		    starts[at / 128] >> at / 2 % 64 & 1)
			return 0;
		starts[at / 128] |= UINT64_C(1) << at / 2 % 64;
	}
	for (at = upper; at < bytes; at += len, n--) {
		if (n == 0 || at > bytes - NODE_BYTES ||
		    !(starts[at / 128] >> at / 2 % 64 & 1))
			return 0;
		p = page + at;
		len = NODE_BYTES + (size_t)u16(p + 6);
		if (!branch && (u16(p + 4) & ~NODE_BIG) != flags)
			return 0;
		if (!branch)
			len += u16(p + 4) & NODE_BIG ? sizeof(uint64_t)
						     : (size_t)u32(p);
		len += len % 2;
		if (len > bytes - at)
			return 0;
	}
	return n == 0;
}

/* A page of the tree by number, with nothing wrong in it; NULL and *why. */
static const uint8_t *
look(const struct tree *t, uint64_t number, int branch,
    const struct bounds *bounds, const char **why)
{
	size_t bytes = t->pages->page_bytes, i, n;
	const uint8_t *page = t->pages->map + number * bytes;
	MDB_val before = { 0, NULL }, key;

	if (number < 2 || number > t->last_page) {
		*why = "it lies behind the end";
		return NULL;
	}
	if (u64(page) != number ||
	    u16(page + 10) != (branch ? KIND_BRANCH : KIND_LEAF)) {
		*why = "it is another one";
		return NULL;
	}
	if (!nodes_fit(page, bytes, branch, t->dbi == MAIN_DBI ? NODE_DB : 0) ||
	    (n = count(page)) == 0) {
		*why = "it does not hold together";
		return NULL;
	}
	for (i = branch ? 1 : 0; i < n; i++, before = key) {
		key = key_of(page, i);
		if (i > (branch ? 1u : 0u) ? compare(t, &before, &key) >= 0
					   : bounds->low.mv_data != NULL &&
			    compare(t, &bounds->low, &key) > 0) {
			*why = "its keys do not ascend";
			return NULL;
		}
	}
	if (n > (branch ? 1u : 0u) && bounds->high.mv_data != NULL) {
		key = key_of(page, n - 1);
		if (compare(t, &key, &bounds->high) >= 0) {
			*why = "its keys belong elsewhere";
			return NULL;
		}
	}
	return page;
}

/* Where a database is said to be: {u32, flags u16, depth u16, then be64s}. */
static const uint8_t *
find_tree(MDB_txn *txn, MDB_dbi dbi, const struct pages *pages)
{
	const uint8_t *meta;
	const char *name;
	MDB_val k, v;
	int i;

	if (dbi >= INDEX_DBI_FIRST) {
		name = index_db_name(dbi - INDEX_DBI_FIRST);
		k = (MDB_val){ strlen(name), (void *)(uintptr_t)name };
		if (mdb_get(txn, MAIN_DBI, &k, &v) != 0 ||
		    v.mv_size != DB_BYTES)
			return NULL;
		return v.mv_data;
	}
	for (i = 0; i < 2; i++) {
		meta = pages->map + (size_t)i * pages->page_bytes;
		if (u64(meta + META_TXN_AT) == mdb_txn_id(txn))
			return meta + META_DBS_AT + dbi * DB_BYTES;
	}
	return NULL;
}

/* 0; 1 when nothing can be looked at; PAGES_BROKEN. */
static int
open_tree(MDB_txn *txn, MDB_dbi dbi, struct tree *t)
{
	MDB_env *env = mdb_txn_env(txn);
	MDB_envinfo info;
	const uint8_t *p;

	t->pages = mdb_env_get_userctx(env);
	if (t->pages == NULL || t->pages->map == NULL ||
	    mdb_env_info(env, &info) != 0)
		return 1;
	t->dbi = dbi;
	t->last_page = info.me_last_pgno;
	if ((p = find_tree(txn, dbi, t->pages)) == NULL)
		return PAGES_BROKEN;
	if (dbi >= INDEX_DBI_FIRST && u16(p + 4) != 0)
		return PAGES_BROKEN;
	t->depth = u16(p + 6);
	t->branches = u64(p + 8);
	t->leaves = u64(p + 16);
	t->overflows = u64(p + 24);
	t->entries = u64(p + 32);
	t->root = u64(p + 40);
	if (t->root == UINT64_MAX)
		t->depth = 0;
	else if (t->depth == 0 || t->depth > DEPTH_MAX)
		return PAGES_BROKEN;
	return 0;
}

/* The last node whose key is <= key; of a branch the first one if there is
 * none, of a leaf -1. */
static long
search(
    const struct tree *t, const uint8_t *page, const MDB_val *key, int branch)
{
	size_t low = branch ? 1 : 0, high = count(page), middle;
	MDB_val k;

	while (low < high) {
		middle = (low + high) / 2;
		k = key_of(page, middle);
		if (compare(t, &k, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return (long)low - 1;
}

/* A way down: for each level its page and the node that leads on. */
struct way {
	struct bounds bounds[DEPTH_MAX + 1];
	const uint8_t *page[DEPTH_MAX];
	long at[DEPTH_MAX];
};

/* Looks at the pages from a level on, whose number and bounds are known, down
 * to the leaf where key is due. NULL for the first, or with last the last. */
static int
descend(const struct tree *t, struct way *w, unsigned level, uint64_t number,
    const MDB_val *key, int last)
{
	const uint8_t *page;
	const char *why;
	struct bounds *b;
	int branch;

	for (;; level++) {
		branch = level + 1 < t->depth;
		if ((page = look(t, number, branch, &w->bounds[level], &why)) ==
		    NULL)
			return PAGES_BROKEN;
		w->page[level] = page;
		w->at[level] = key != NULL ? search(t, page, key, branch)
		    : last                 ? (long)count(page) - 1
					   : 0;
		if (!branch)
			return 0;
		b = &w->bounds[level + 1];
		*b = w->bounds[level];
		if (w->at[level] > 0)
			b->low = key_of(page, (size_t)w->at[level]);
		if ((size_t)w->at[level] + 1 < count(page))
			b->high = key_of(page, (size_t)w->at[level] + 1);
		number = child(page, (size_t)w->at[level]);
	}
}

/* That the record is what was written. */
static int
look_record(const struct tree *t, const uint8_t *page, size_t i)
{
	MDB_val key = key_of(page, i), value;
	const char *why;
	uint64_t big;

	value.mv_data =
	    (void *)(uintptr_t)value_of(t, page, i, &value.mv_size, &big, &why);
	if (value.mv_data == NULL || stamp_open(t->dbi, &key, &value) != 0)
		return PAGES_BROKEN;
	return 0;
}

/* The record that is next to the leaf's begin or end, and its page. */
static int
look_beside(const struct tree *t, const struct way *way, int right)
{
	struct way w;
	unsigned level = t->depth - 1;
	long at = 0;
	int rc;

	while (level-- > 0) {
		at = way->at[level] + (right ? 1 : -1);
		if (at >= 0 && (size_t)at < count(way->page[level]))
			break;
	}
	if (level == UINT32_MAX)
		return 0;
	w.bounds[level + 1] = way->bounds[level];
	if (at > 0)
		w.bounds[level + 1].low = key_of(way->page[level], (size_t)at);
	if ((size_t)at + 1 < count(way->page[level]))
		w.bounds[level + 1].high =
		    key_of(way->page[level], (size_t)at + 1);
	rc = descend(t, &w, level + 1, child(way->page[level], (size_t)at),
	    NULL, !right);
	if (rc != 0)
		return rc;
	return look_record(t, w.page[t->depth - 1], (size_t)w.at[t->depth - 1]);
}

int
pages_miss(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key)
{
	struct way w;
	struct tree t;
	const uint8_t *leaf;
	long at;
	int rc;

	if ((rc = open_tree(txn, dbi, &t)) != 0)
		return rc == 1 ? 0 : rc;
	if (t.depth == 0)
		return t.entries == 0 ? 0 : PAGES_BROKEN;
	memset(&w.bounds[0], 0, sizeof(w.bounds[0]));
	if ((rc = descend(&t, &w, 0, t.root, key, 0)) != 0)
		return rc;

	/* A key that a flipped bit made another one, and that is still in its
	 * place, lies beside the place of what it was. */
	leaf = w.page[t.depth - 1];
	at = w.at[t.depth - 1];
	rc = at >= 0 ? look_record(&t, leaf, (size_t)at)
		     : look_beside(&t, &w, 0);
	if (rc != 0)
		return rc;
	return (size_t)(at + 1) < count(leaf)
	    ? look_record(&t, leaf, (size_t)(at + 1))
	    : look_beside(&t, &w, 1);
}

int
pages_enter(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key)
{
	struct pages *pages = mdb_env_get_userctx(mdb_txn_env(txn));
	const uint8_t *at = key->mv_data, *page;
	MDB_envinfo info;
	struct way w;
	struct tree t;
	int rc;

	if (pages == NULL || pages->map == NULL || at < pages->map)
		return 0;
	page = at - (size_t)(at - pages->map) % pages->page_bytes;
	if (at != node(page, 0) + NODE_BYTES)
		return 0;
	/* What this transaction has changed lies elsewhere. */
	if (mdb_env_info(mdb_txn_env(txn), &info) != 0 ||
	    (size_t)(at - pages->map) / pages->page_bytes > info.me_last_pgno)
		return 0;
	if ((rc = open_tree(txn, dbi, &t)) != 0)
		return rc == 1 ? 0 : rc;
	memset(&w.bounds[0], 0, sizeof(w.bounds[0]));
	if (t.depth == 0)
		return PAGES_BROKEN;
	if ((rc = descend(&t, &w, 0, t.root, key, 0)) != 0)
		return rc;
	return w.page[t.depth - 1] == page ? 0 : PAGES_BROKEN;
}

/* ---- what cannot be gone on from ---- */

#define CRASHED \
	"{\"level\":\"error\",\"event\":\"store.crash\",\"message\":" \
	"\"reading the" \
	" index crashed, as a damaged one can make it do: run `holdfast" \
	" check`, and `holdfast rebuild` if it finds damage\"}\n"

static void
say(void)
{
	static const char text[] = CRASHED;
	ssize_t n;

	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)n;
}

static void
asserted(MDB_env *env, const char *why)
{
	(void)env;
	(void)why;
	say();
	abort();
}

/* The handler is gone by then: the instruction comes again, and ends this. */
static void
crashed(int signal_number)
{
	(void)signal_number;
	say();
}

void
pages_guard(MDB_env *env)
{
	struct sigaction action = { .sa_handler = crashed };

	mdb_env_set_assert(env, asserted);
	/* A sanitizer has something to say of its own. */
#ifndef __SANITIZE_ADDRESS__
	action.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
#else
	(void)action;
#endif
}

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
		value = value_of(t, page, i, &len, &big, &why);
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

	if ((page = look(t, number, branch, bounds, &why)) == NULL) {
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
	if ((rc = open_tree(txn, dbi, &w.tree)) == 1)
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
