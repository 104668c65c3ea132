#include "store/extents.h"

#include <inttypes.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/index.h"
#include "store/txn.h"

int
extents_get(MDB_txn *txn, const struct index *index, uint64_t id,
    struct extent_record *rec, struct error *err)
{
	struct slice value;
	int rc;

	rc = index_get_u64(txn, index_dbi(index, DB_EXTENTS), id, &value, err);
	if (rc != 0)
		return rc;
	if (extent_decode(value, rec, err) != 0)
		return error_add(err, "extent %" PRIu64, id);
	return 0;
}

int
extents_need(MDB_txn *txn, const struct index *index, uint64_t id,
    struct extent_record *rec, struct error *err)
{
	int rc;

	if ((rc = extents_get(txn, index, id, rec, err)) != 1)
		return rc;
	return error_set(
	    err, ERR_DAMAGED, "extent %" PRIu64 " has no record", id);
}

int
extents_find(MDB_txn *txn, const struct index *index, uint64_t id,
    struct extent_record *rec, struct error *err)
{
	int rc;

	rc = extents_get(txn, index, id, rec, err);
	if (rc < 0 || (rc == 0 && rec->references > 0))
		return rc;
	return error_set(err, ERR_NOT_FOUND, "extent %" PRIu64 " is gone", id);
}

int
extents_away(
    MDB_txn *txn, const struct index *index, uint64_t id, struct error *err)
{
	struct extent_record rec, part;
	struct chain_entry e;
	size_t i;

	if (id == 0)
		return 0;
	if (extents_need(txn, index, id, &rec, err) != 0)
		return -1;
	if (rec.kind != EXTENT_CHAIN)
		return rec.kind == EXTENT_REMOTE;
	for (i = 0; i < rec.n_entries; i++) {
		if (chain_get(&rec, i, &e) != 0 || e.extent == 0)
			continue;
		if (extents_need(txn, index, e.extent, &part, err) != 0)
			return -1;
		if (part.kind == EXTENT_REMOTE)
			return 1;
	}
	return 0;
}

int
extents_put(struct store_txn *txn, uint64_t id, const struct extent_record *rec,
    struct error *err)
{
	uint8_t key[8];

	buffer_clear(&txn->scratch);
	extent_encode(&txn->scratch, rec);
	if (txn->scratch.failed)
		return error_nomem(err);
	be64_put(key, id);
	return txn_put(txn, DB_EXTENTS,
	    (struct slice){ (char *)key, sizeof(key) },
	    buffer_slice(&txn->scratch), 0, err);
}
