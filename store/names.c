#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/stamp.h"

#define NODE_BYTES 8
#define CONTINUATION_BYTES (NODE_BYTES + NAMES_STEP_BYTES + 1)
#define CONTINUATION_MARK 1

/* Room for any key of a tree. */
struct tree_key {
	uint8_t bytes[CONTINUATION_BYTES];
};

/* The key of what is below node: an entry, or for a name that goes on behind
 * its first NAMES_STEP_BYTES, the continuation. */
static MDB_val
key_make(struct tree_key *key, uint64_t node, struct slice name)
{
	size_t len;

	be64_put(key->bytes, node);
	len = name.len < NAMES_STEP_BYTES ? name.len : NAMES_STEP_BYTES;
	if (len > 0)
		memcpy(key->bytes + NODE_BYTES, name.at, len);
	len += NODE_BYTES;
	if (name.len > NAMES_STEP_BYTES)
		key->bytes[len++] = CONTINUATION_MARK;
	return (MDB_val){ len, key->bytes };
}

static struct slice
name_rest(struct slice name)
{
	return (struct slice){ name.at + NAMES_STEP_BYTES,
		name.len - NAMES_STEP_BYTES };
}

static int
name_check(struct slice name, struct error *err)
{
	if (name.len == 0 || name.len > KEY_MAX_BYTES)
		return error_set(err, ERR_INVALID,
		    "a name has 1 to %d bytes, not %zu", KEY_MAX_BYTES,
		    name.len);
	return 0;
}

static int
child_of(const MDB_val *value, uint64_t *child, struct error *err)
{
	if (value->mv_size != NODE_BYTES)
		return error_set(err, ERR_DAMAGED,
		    "the index is damaged: a long name's continuation has %zu "
		    "bytes",
		    value->mv_size);
	*child = be64_get(value->mv_data);
	return 0;
}

int
names_get(MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct slice name,
    struct slice *value, struct error *err)
{
	struct tree_key memory;
	MDB_val key, found;
	int rc;

	if (name_check(name, err) != 0)
		return -1;
	for (;;) {
		key = key_make(&memory, root, name);
		rc = stamp_get(txn, dbi, &key, &found);
		if (rc == MDB_NOTFOUND)
			return 1;
		if (rc != 0)
			return lmdb_error(err, rc, "reading the index");
		if (name.len <= NAMES_STEP_BYTES)
			break;
		if (child_of(&found, &root, err) != 0)
			return -1;
		name = name_rest(name);
	}
	*value = (struct slice){ found.mv_data, found.mv_size };
	return 0;
}

/* The child that name continues in, made if it is not there yet. */
static int
child_make(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, uint64_t *node,
    uint64_t (*new_node)(void *), void *arg, struct error *err)
{
	MDB_val value;
	uint8_t number[NODE_BYTES];
	int rc;

	rc = stamp_get(txn, dbi, key, &value);
	if (rc == 0)
		return child_of(&value, node, err);
	if (rc == MDB_NOTFOUND) {
		*node = new_node(arg);
		be64_put(number, *node);
		value = (MDB_val){ sizeof(number), number };
		rc = stamp_put(txn, dbi, key, &value, MDB_NOOVERWRITE);
	}
	return rc == 0 ? 0 : lmdb_error(err, rc, "writing the index");
}

int
names_put(MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct slice name,
    struct slice value, uint64_t (*new_node)(void *), void *arg,
    struct error *err)
{
	struct tree_key memory;
	MDB_val key, data;
	int rc;

	if (name_check(name, err) != 0)
		return -1;
	while (name.len > NAMES_STEP_BYTES) {
		key = key_make(&memory, root, name);
		if (child_make(txn, dbi, &key, &root, new_node, arg, err) != 0)
			return -1;
		name = name_rest(name);
	}
	key = key_make(&memory, root, name);
	/* LMDB takes a pointer to what it only reads. */
	memcpy(&data.mv_data, &value.at, sizeof(data.mv_data));
	data.mv_size = value.len;
	if ((rc = stamp_put(txn, dbi, &key, &data, 0)) != 0)
		return lmdb_error(err, rc, "writing the index");
	return 0;
}

int
names_empty(MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct error *err)
{
	struct tree_key memory;
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc;

	if ((rc = mdb_cursor_open(txn, dbi, &cursor)) != 0)
		return lmdb_error(err, rc, "reading the index");
	key = key_make(&memory, root, SLICE_NULL);
	rc = stamp_step(cursor, &key, &value, MDB_SET_RANGE);
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 1;
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	return key.mv_size < NODE_BYTES || be64_get(key.mv_data) != root;
}

int
names_delete(MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct slice name,
    struct error *err)
{
	struct tree_key memory[NAMES_LEVELS];
	uint64_t node[NAMES_LEVELS];
	MDB_val key[NAMES_LEVELS], value;
	int depth, empty, rc;

	if (name_check(name, err) != 0)
		return -1;
	node[0] = root;
	for (depth = 0;; depth++) {
		key[depth] = key_make(&memory[depth], node[depth], name);
		if (name.len <= NAMES_STEP_BYTES)
			break;
		rc = stamp_get(txn, dbi, &key[depth], &value);
		if (rc == MDB_NOTFOUND)
			return 1;
		if (rc != 0)
			return lmdb_error(err, rc, "reading the index");
		if (child_of(&value, &node[depth + 1], err) != 0)
			return -1;
		name = name_rest(name);
	}

	rc = mdb_del(txn, dbi, &key[depth], NULL);
	if (rc == MDB_NOTFOUND)
		return 1;
	for (; rc == 0 && depth > 0; depth--) {
		empty = names_empty(txn, dbi, node[depth], err);
		if (empty < 0)
			return -1;
		if (!empty)
			break;
		rc = mdb_del(txn, dbi, &key[depth - 1], NULL);
	}
	return rc == 0 ? 0 : lmdb_error(err, rc, "writing the index");
}

/*
 * The walk. While it is in level d, the cursor of each level above stands at
 * the continuation that leads down, and name holds the d * NAMES_STEP_BYTES
 * bytes that are on the way.
 */

/* Where a cursor stands: LMDB's answer, and what is there. */
struct landing {
	int rc;
	MDB_val key, value;
};

void
names_open(struct names_walk *walk, MDB_txn *txn, MDB_dbi dbi, uint64_t root)
{
	int depth;

	walk->txn = txn;
	walk->dbi = dbi;
	walk->depth = -1;
	walk->skip_stamps = 0;
	walk->name_len = 0;
	walk->value = SLICE_NULL;
	for (depth = 0; depth < NAMES_LEVELS; depth++)
		walk->level[depth].cursor = NULL;
	walk->level[0].node = root;
}

void
names_close(struct names_walk *walk)
{
	int depth;

	for (depth = 0; depth < NAMES_LEVELS; depth++) {
		if (walk->level[depth].cursor != NULL)
			mdb_cursor_close(walk->level[depth].cursor);
		walk->level[depth].cursor = NULL;
	}
	walk->depth = -1;
}

static int
fail(struct names_walk *walk, struct error *err)
{
	walk->depth = -1;
	return error_set(err, ERR_DAMAGED,
	    "the index is damaged: a long name's continuation is wrong");
}

static int
step(const struct names_walk *walk, struct landing *landing, MDB_cursor_op op)
{
	return (walk->skip_stamps ? stamp_skip : stamp_step)(
	    walk->level[walk->depth].cursor, &landing->key, &landing->value,
	    op);
}

/* Puts the cursor of the walk's level at the first key >= {node, name}. */
static void
level_seek(struct names_walk *walk, struct slice name, struct landing *landing)
{
	struct tree_key memory;
	MDB_cursor **cursor;

	cursor = &walk->level[walk->depth].cursor;
	if (*cursor == NULL) {
		landing->rc = mdb_cursor_open(walk->txn, walk->dbi, cursor);
		if (landing->rc != 0)
			return;
	}
	landing->key = key_make(&memory, walk->level[walk->depth].node, name);
	landing->rc = step(walk, landing, MDB_SET_RANGE);
}

static void
level_next(struct names_walk *walk, struct landing *landing)
{
	landing->rc = step(walk, landing, MDB_NEXT);
}

/* Whether the landing is a key of the walk's node. */
static int
landed(const struct names_walk *walk, const struct landing *landing)
{
	return landing->rc == 0 && landing->key.mv_size >= NODE_BYTES &&
	    be64_get(landing->key.mv_data) == walk->level[walk->depth].node;
}

/* Enters the child whose continuation the walk landed at. */
static int
descend(struct names_walk *walk, const struct landing *landing)
{
	size_t offset;

	if (walk->depth + 1 == NAMES_LEVELS ||
	    landing->value.mv_size != NODE_BYTES)
		return -1;
	offset = (size_t)walk->depth * NAMES_STEP_BYTES;
	memcpy(walk->name + offset,
	    (const uint8_t *)landing->key.mv_data + NODE_BYTES,
	    NAMES_STEP_BYTES);
	walk->depth++;
	walk->level[walk->depth].node = be64_get(landing->value.mv_data);
	return 0;
}

/* From where a cursor landed to the entry that is next in order: down into
 * children, and up again at the end of one. */
static int
settle(struct names_walk *walk, struct landing *landing, struct error *err)
{
	size_t len, offset;

	for (;;) {
		if (landing->rc != 0 && landing->rc != MDB_NOTFOUND) {
			walk->depth = -1;
			return lmdb_error(
			    err, landing->rc, "reading the index");
		}
		if (!landed(walk, landing)) {
			if (walk->depth-- == 0)
				return 1;
			level_next(walk, landing);
		} else if (landing->key.mv_size == CONTINUATION_BYTES) {
			if (descend(walk, landing) != 0)
				return fail(walk, err);
			level_seek(walk, SLICE_NULL, landing);
		} else
			break;
	}

	len = landing->key.mv_size - NODE_BYTES;
	offset = (size_t)walk->depth * NAMES_STEP_BYTES;
	if (len == 0 || len > NAMES_STEP_BYTES || len > KEY_MAX_BYTES - offset)
		return fail(walk, err);
	memcpy(walk->name + offset,
	    (const uint8_t *)landing->key.mv_data + NODE_BYTES, len);
	walk->name_len = offset + len;
	walk->value =
	    (struct slice){ landing->value.mv_data, landing->value.mv_size };
	return 0;
}

/* As names_seek() for a name of at most KEY_MAX_BYTES. */
static int
seek(struct names_walk *walk, struct slice name, struct error *err)
{
	struct landing landing;

	walk->depth = 0;
	level_seek(walk, name, &landing);
	while (name.len > NAMES_STEP_BYTES && landed(walk, &landing) &&
	    landing.key.mv_size == CONTINUATION_BYTES &&
	    memcmp((const uint8_t *)landing.key.mv_data + NODE_BYTES, name.at,
		NAMES_STEP_BYTES) == 0) {
		name = name_rest(name);
		if (descend(walk, &landing) != 0)
			return fail(walk, err);
		level_seek(walk, name, &landing);
	}
	return settle(walk, &landing, err);
}

int
names_seek(struct names_walk *walk, struct slice name, struct error *err)
{
	uint8_t most[KEY_MAX_BYTES];
	int rc;

	if (name.len <= KEY_MAX_BYTES)
		return seek(walk, name, err);

	/* No name is that long: the first greater than its beginning. */
	memcpy(most, name.at, KEY_MAX_BYTES);
	rc = seek(
	    walk, (struct slice){ (const char *)most, KEY_MAX_BYTES }, err);
	if (rc == 0 && walk->name_len == KEY_MAX_BYTES &&
	    memcmp(walk->name, most, KEY_MAX_BYTES) == 0)
		return names_next(walk, err);
	return rc;
}

int
names_next(struct names_walk *walk, struct error *err)
{
	struct landing landing;

	if (walk->depth < 0)
		return 1;
	level_next(walk, &landing);
	return settle(walk, &landing, err);
}

int
names_skip(struct names_walk *walk, struct slice prefix, struct error *err)
{
	uint8_t after[KEY_MAX_BYTES];
	size_t len;

	if (prefix.len > KEY_MAX_BYTES)
		return names_seek(walk, prefix, err);

	/* The least that is greater: without its last bytes ff, one more. */
	len = prefix.len;
	while (len > 0 && (uint8_t)prefix.at[len - 1] == 0xff)
		len--;
	if (len == 0) {
		walk->depth = -1;
		return 1;
	}
	memcpy(after, prefix.at, len);
	after[len - 1]++;
	return names_seek(
	    walk, (struct slice){ (const char *)after, len }, err);
}
