#ifndef STORE_STAMP_H
#define STORE_STAMP_H

#include <lmdb.h>
#include <stdint.h>

/*
 * LMDB has no checksums. So each value of each database lies in the index with
 * a stamp behind it, a be32 CRC32C over
 *
 *   {number of the database u8, 0 u8, length of the key be16, key, value}
 *
 * without the bytes of an inline content, which have a checksum of their own
 * and can be healed by it. The key is in it, so that a record that a flipped
 * bit puts under another name is no record. Everything that reads or writes the
 * index goes through here; values are what they were before they were stamped,
 * and valid as LMDB's are.
 *
 * Answers are LMDB's, and STAMP_BROKEN for a value that is not what was
 * written, which lmdb_error() makes ERR_DAMAGED.
 */

#define STAMP_BYTES 4
#define STAMP_BROKEN (-30700)

int stamp_put(
    MDB_txn *, MDB_dbi, MDB_val *key, const MDB_val *value, unsigned flags);
int stamp_get(MDB_txn *, MDB_dbi, MDB_val *key, MDB_val *value);
/* As mdb_cursor_get(). After STAMP_BROKEN the cursor stands at the record.
 * That there is none, or none before the next one, is looked into, too
 * (store/pages.h); the answer may be PAGES_BROKEN. */
int stamp_step(MDB_cursor *, MDB_val *key, MDB_val *value, MDB_cursor_op);

/* Takes the stamp off a value: 0, or STAMP_BROKEN, and it is off as well. */
int stamp_open(MDB_dbi, const MDB_val *key, MDB_val *value);
/* The same without looking at it, for the checker, which looks once. */
int stamp_skip(MDB_cursor *, MDB_val *key, MDB_val *value, MDB_cursor_op);

#endif
