#include "store/stamp.h"

#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "store/index.h"
#include "store/pages.h"
#include "store/record.h"

static uint32_t
sum(MDB_dbi dbi, const MDB_val *key, const void *value, size_t len)
{
	struct slice all = { value, len }, content = SLICE_NULL;
	uint8_t head[4] = { (uint8_t)(dbi - INDEX_DBI_FIRST), 0 };
	uint32_t crc;
	size_t before;

	if (dbi == INDEX_DBI_FIRST + DB_EXTENTS)
		content = extent_content(all);
	be16_put(head + 2, (uint16_t)key->mv_size);
	crc = crc32c(0, head, sizeof(head));
	crc = crc32c(crc, key->mv_data, key->mv_size);
	if (content.at == NULL)
		return crc32c(crc, value, len);
	before = (size_t)(content.at - all.at);
	crc = crc32c(crc, value, before);
	return crc32c(
	    crc, content.at + content.len, len - before - content.len);
}

int
stamp_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, const MDB_val *value,
    unsigned flags)
{
	MDB_val room = { value->mv_size + STAMP_BYTES, NULL };
	uint32_t crc = sum(dbi, key, value->mv_data, value->mv_size);
	int rc;

	if ((rc = mdb_put(txn, dbi, key, &room, flags | MDB_RESERVE)) != 0)
		return rc;
	if (value->mv_size > 0)
		memcpy(room.mv_data, value->mv_data, value->mv_size);
	be32_put((uint8_t *)room.mv_data + value->mv_size, crc);
	return 0;
}

int
stamp_open(MDB_dbi dbi, const MDB_val *key, MDB_val *value)
{
	const uint8_t *stamp;

	if (value->mv_size < STAMP_BYTES) {
		value->mv_size = 0;
		return STAMP_BROKEN;
	}
	value->mv_size -= STAMP_BYTES;
	stamp = (const uint8_t *)value->mv_data + value->mv_size;
	return be32_get(stamp) == sum(dbi, key, value->mv_data, value->mv_size)
	    ? 0
	    : STAMP_BROKEN;
}

int
stamp_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	int rc;

	rc = mdb_get(txn, dbi, key, value);
	if (rc == MDB_NOTFOUND && (rc = pages_miss(txn, dbi, key)) == 0)
		return MDB_NOTFOUND;
	return rc == 0 ? stamp_open(dbi, key, value) : rc;
}

int
stamp_step(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	MDB_txn *txn = mdb_cursor_txn(cursor);
	MDB_dbi dbi = mdb_cursor_dbi(cursor);
	MDB_val from = *key;
	int rc;

	rc = mdb_cursor_get(cursor, key, value, op);
	if (op == MDB_SET_RANGE && pages_miss(txn, dbi, &from) != 0)
		return PAGES_BROKEN;
	if (rc == 0 && op != MDB_SET_RANGE && pages_enter(txn, dbi, key) != 0)
		return PAGES_BROKEN;
	return rc == 0 ? stamp_open(dbi, key, value) : rc;
}

int
stamp_skip(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	int rc;

	rc = mdb_cursor_get(cursor, key, value, op);
	if (rc == 0)
		value->mv_size -=
		    value->mv_size < STAMP_BYTES ? value->mv_size : STAMP_BYTES;
	return rc;
}
