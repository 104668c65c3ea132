#include "store/prove.h"

#include <inttypes.h>

#include "base/error.h"
#include "store/adopt.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/txn.h"

/* ---- the index ---- */

struct proven {
	struct change change;
	uint64_t root;
};

static int
apply_proven(struct store_txn *txn, struct change *change)
{
	struct proven *p = change_of(change, struct proven, change);
	struct extent_record rec;
	int rc;

	rc = extents_get(txn->txn, txn->index, p->root, &rec, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rec.has_sum = 0;
	return extents_put(txn, p->root, &rec, &change->err);
}

struct sent_back {
	struct change change;
	uint64_t extent;
	const struct extent_record *was;
};

static int
apply_sent_back(struct store_txn *txn, struct change *change)
{
	struct sent_back *s = change_of(change, struct sent_back, change);
	struct extent_record rec, was = *s->was;
	int rc;

	rc = extents_get(txn->txn, txn->index, s->extent, &rec, &change->err);
	if (rc != 0 || rec.references == 0)
		return rc < 0 ? -1 : 0;
	was.references = rec.references;
	return extents_put(txn, s->extent, &was, &change->err);
}

/* The index first, as when contents are given up. */
int
prove_send_back(struct store *store, uint64_t extent,
    const struct extent_record *was, struct error *err)
{
	struct sent_back s = { .extent = extent, .was = was };
	int rc = 0;

	if (ids_pin(&store->ids, extent) != 0)
		return error_nomem(err);
	pthread_rwlock_wrlock(&store->tier.moving);
	if (store_submit(store, &s.change, apply_sent_back, NULL, 1) != 0) {
		*err = s.change.err;
		rc = -1;
	} else
		rc = extent_unlink(store->extents, extent, err);
	pthread_rwlock_unlock(&store->tier.moving);
	ids_unpin(&store->ids, extent);
	return rc;
}

/* ---- the sum ---- */

int
prove_here(
    struct store *store, uint64_t root, uint32_t crc32c, struct error *err)
{
	struct proven p = { .root = root };
	uint32_t crc;

	if (content_sum(store, root, &crc) != 0)
		return error_set(err, ERR_BUSY,
		    "not all of its parts are known yet: come again");
	if (crc != crc32c) {
		error_set(err, ERR_DAMAGED,
		    "the copy outside has the CRC32C %08x, expected %08x", crc,
		    crc32c);
		tier_tell_damage(store, root, 0, err);
		return -1;
	}
	if (store_submit(store, &p.change, apply_proven, NULL, 1) == 0)
		return 0;
	*err = p.change.err;
	return -1;
}

/* ---- from elsewhere ---- */

static int
is_away(struct store *store, uint64_t extent)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	int away;

	away = heal_record(store, extent, &rec, &memory, NULL) == 0 &&
	    rec.kind == EXTENT_REMOTE;
	buffer_free(&memory);
	return away;
}

/* Tables of wrong bytes prove nothing. */
static void
forget_tables(struct store *store, const struct extent_record *chain)
{
	struct error err = ERROR_INIT;
	struct chain_entry e;
	size_t i;

	pthread_rwlock_wrlock(&store->tier.moving);
	for (i = 0; i < chain->n_entries; i++)
		if (chain_get(chain, i, &e) == 0 && e.extent != 0 &&
		    is_away(store, e.extent))
			(void)extent_unlink(store->extents, e.extent, &err);
	pthread_rwlock_unlock(&store->tier.moving);
}

int
prove_chain(struct store *store, uint64_t root, struct slice bucket,
    struct slice key, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record chain;
	struct chain_entry e;
	size_t i;
	int rc;

	rc = heal_record(store, root, &chain, &memory, err);
	if (rc != 0 || chain.kind != EXTENT_CHAIN || !chain.has_sum)
		goto out;
	for (i = 0; i < chain.n_entries && rc == 0; i++)
		if (chain_get(&chain, i, &e) == 0 && e.extent != 0)
			rc = fill_table(store, e.extent, bucket, key, err);
	if (rc == 0)
		rc = prove_here(store, root, chain.crc32c, err);
	if (rc != 0 && err->kind == ERR_DAMAGED)
		forget_tables(store, &chain);
out:
	buffer_free(&memory);
	return rc;
}
