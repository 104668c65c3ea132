#include "store/pages.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/pages_private.h"
#include "store/stamp.h"

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

const uint8_t *
pages_value(const struct tree *t, const uint8_t *page, size_t i, size_t *len,
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

const uint8_t *
pages_look(const struct tree *t, uint64_t number, int branch,
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

int
pages_open(MDB_txn *txn, MDB_dbi dbi, struct tree *t)
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
		if ((page = pages_look(
			 t, number, branch, &w->bounds[level], &why)) == NULL)
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

	value.mv_data = (void *)(uintptr_t)pages_value(
	    t, page, i, &value.mv_size, &big, &why);
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

	if ((rc = pages_open(txn, dbi, &t)) != 0)
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
	if ((rc = pages_open(txn, dbi, &t)) != 0)
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
