#include "store/versions.h"

#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/stamp.h"

int
versions_node(MDB_txn *txn, MDB_dbi dbi, uint64_t bucket, struct slice key,
    uint64_t *node, uint64_t *null_version, struct error *err)
{
	struct slice value;
	int rc;

	if ((rc = names_get(txn, dbi, bucket, key, &value, err)) != 0)
		return rc;
	if (value.len != 16)
		return error_set(
		    err, ERR_DAMAGED, "the versions of a key cannot be read");
	*node = be64_get((const uint8_t *)value.at);
	*null_version = be64_get((const uint8_t *)value.at + 8);
	return 0;
}

static void
entry_key(uint8_t key[16], uint64_t node, uint64_t number)
{
	be64_put(key, node);
	be64_put(key + 8, number);
}

int
versions_entry(MDB_txn *txn, MDB_dbi dbi, uint64_t node, uint64_t number,
    struct slice *value, struct error *err)
{
	uint8_t key[16];

	entry_key(key, node, number);
	return index_get(txn, dbi, key, sizeof(key), value, err);
}

int
versions_seek(MDB_txn *txn, MDB_dbi dbi, uint64_t node, uint64_t from,
    uint64_t *number, struct slice *value, struct error *err)
{
	uint8_t key[16];
	MDB_val k = { sizeof(key), key }, v;
	MDB_cursor *cursor;
	int rc;

	entry_key(key, node, from);
	if ((rc = mdb_cursor_open(txn, dbi, &cursor)) != 0)
		return lmdb_error(err, rc, "reading versions");
	rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE);
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 1;
	if (rc != 0)
		return lmdb_error(err, rc, "reading versions");
	if (k.mv_size != 16 || be64_get(k.mv_data) != node)
		return 1;
	*number = be64_get((const uint8_t *)k.mv_data + 8);
	*value = (struct slice){ v.mv_data, v.mv_size };
	return 0;
}

static int
put_node(struct store_txn *txn, enum index_db db, uint64_t bucket,
    struct slice key, uint64_t node, uint64_t null_version, struct error *err)
{
	uint8_t value[16];

	entry_key(value, node, null_version);
	return txn_name_put(txn, db, bucket, key,
	    (struct slice){ (char *)value, sizeof(value) }, err);
}

int
versions_add(struct store_txn *txn, enum index_db db, uint64_t bucket,
    struct slice key, uint64_t number, int is_null, struct slice value,
    struct error *err)
{
	uint64_t node = 0, null_version = 0;
	uint8_t k[16];
	int rc;

	rc = versions_node(
	    txn->txn, txn_dbi(txn, db), bucket, key, &node, &null_version, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		node = txn_new_node(txn);
	if ((rc == 1 || is_null) &&
	    put_node(txn, db, bucket, key, node,
		is_null ? ~number : null_version, err) != 0)
		return -1;
	entry_key(k, node, number);
	return txn_put(
	    txn, db, (struct slice){ (char *)k, sizeof(k) }, value, 0, err);
}

int
versions_remove(struct store_txn *txn, enum index_db db, uint64_t bucket,
    struct slice key, uint64_t number, int is_null, struct error *err)
{
	uint64_t node, null_version, first;
	struct slice value;
	uint8_t k[16];
	int rc;

	rc = versions_node(
	    txn->txn, txn_dbi(txn, db), bucket, key, &node, &null_version, err);
	if (rc != 0)
		return rc;
	entry_key(k, node, number);
	rc = txn_del(txn, db, (struct slice){ (char *)k, sizeof(k) }, err);
	if (rc != 0)
		return rc;
	rc = versions_seek(
	    txn->txn, txn_dbi(txn, db), node, 0, &first, &value, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return txn_name_del(txn, db, bucket, key, err);
	if (is_null)
		return put_node(txn, db, bucket, key, node, 0, err);
	return 0;
}
