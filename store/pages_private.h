#ifndef STORE_PAGES_PRIVATE_H
#define STORE_PAGES_PRIVATE_H

#include <string.h>

#include "store/index.h"
#include "store/pages.h"

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
 * A database is {u32, u16 flags, u16 depth, u64 branch pages, u64 leaf pages,
 * u64 overflow pages, u64 entries, u64 root}: in database 1 under its name;
 * databases 0 and 1 themselves in page 0 or 1, whichever is the transaction's:
 * {head, u32 magic, u32 version, u64 address, u64 size of the map, both of
 * them, u64 last page, u64 transaction}.
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

static inline uint16_t
u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t
u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline size_t
count(const uint8_t *page)
{
	return (size_t)(u16(page + 12) - HEAD_BYTES) / 2;
}

static inline const uint8_t *
node(const uint8_t *page, size_t i)
{
	return page + u16(page + HEAD_BYTES + 2 * i);
}

static inline MDB_val
key_of(const uint8_t *page, size_t i)
{
	const uint8_t *p = node(page, i);

	return (MDB_val){ u16(p + 6), (void *)(uintptr_t)(p + NODE_BYTES) };
}

static inline uint64_t
child(const uint8_t *page, size_t i)
{
	const uint8_t *p = node(page, i);

	return u32(p) | (uint64_t)u16(p + 4) << 32;
}

/* 0; 1 when nothing can be looked at; PAGES_BROKEN. */
int pages_open(MDB_txn *, MDB_dbi, struct tree *);
/* A page of the tree by number, with nothing wrong in it; NULL and *why. */
const uint8_t *pages_look(const struct tree *, uint64_t number, int branch,
    const struct bounds *, const char **why);
/* The value of a leaf's node, and the number of its overflow page or 0; NULL
 * and *why. */
const uint8_t *pages_value(const struct tree *, const uint8_t *page, size_t i,
    size_t *len, uint64_t *big, const char **why);

#endif
