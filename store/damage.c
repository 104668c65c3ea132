#include <stdlib.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/txn.h"

/* Damage that was found: logged, counted, and remembered in the extent's record
 * until it is healed. */

struct mark {
	struct change change;
	struct store *store;
	uint64_t extent;
	int fresh;
};

static int
apply_mark(struct store_txn *txn, struct change *change)
{
	struct mark *m = change_of(change, struct mark, change);
	struct extent_record rec;
	struct buffer memory = BUFFER_INIT;
	struct slice value;
	uint8_t be[8];
	int rc;

	rc = index_get_u64(txn->txn, txn_dbi(txn, DB_EXTENTS), m->extent,
	    &value, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (extent_decode(value, &rec, &change->err) != 0)
		return -1;
	m->fresh = 0;
	if (rec.flags & EXTENT_DAMAGED)
		return 0;
	rec.flags |= EXTENT_DAMAGED;
	extent_encode(&memory, &rec);
	be64_put(be, m->extent);
	if (memory.failed)
		rc = error_nomem(&change->err);
	else
		rc = txn_put(txn, DB_EXTENTS,
		    (struct slice){ (char *)be, sizeof(be) },
		    buffer_slice(&memory), 0, &change->err);
	buffer_free(&memory);
	m->fresh = rc == 0;
	return rc;
}

static void
marked(struct change *change)
{
	struct mark *m = change_of(change, struct mark, change);

	if (!change->failed && m->fresh) {
		atomic_fetch_add(&m->store->damaged_contents, 1);
		healer_nudge(m->store);
	}
	free(m);
}

void
store_damaged(struct store *store, uint64_t extent, uint64_t block,
    const struct error *why)
{
	struct log_field fields[] = { LOG_N("extent", extent),
		LOG_N("block", block) };
	struct mark *m;

	atomic_fetch_add(&store->damaged_blocks, 1);
	log_fields(LOG_ERROR, "store.damage", why->text, fields, 2);
	/* Without memory the scrubber finds it again. */
	if ((m = calloc(1, sizeof(*m))) == NULL)
		return;
	m->store = store;
	m->extent = extent;
	m->change.done = marked;
	store_submit(store, &m->change, apply_mark, NULL, 1);
}

/* ---- and its end ---- */

struct mend {
	struct change change;
	uint64_t extent;
	struct slice bytes;
};

static int
apply_healed(struct store_txn *txn, struct change *change)
{
	struct mend *m = change_of(change, struct mend, change);
	struct extent_record rec;
	struct buffer memory = BUFFER_INIT;
	struct slice value;
	uint8_t be[8];
	int rc;

	rc = index_get_u64(txn->txn, txn_dbi(txn, DB_EXTENTS), m->extent,
	    &value, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (extent_decode(value, &rec, &change->err) != 0)
		return -1;
	rec.flags &= (uint8_t)~EXTENT_DAMAGED;
	if (rec.kind == EXTENT_INLINE && m->bytes.len == rec.size)
		rec.bytes = m->bytes;
	extent_encode(&memory, &rec);
	be64_put(be, m->extent);
	rc = memory.failed
	    ? error_nomem(&change->err)
	    : txn_put(txn, DB_EXTENTS, (struct slice){ (char *)be, sizeof(be) },
		  buffer_slice(&memory), 0, &change->err);
	buffer_free(&memory);
	return rc;
}

int
store_healed(
    struct store *store, uint64_t extent, struct slice bytes, struct error *err)
{
	struct mend m = { .extent = extent, .bytes = bytes };

	if (store_submit(store, &m.change, apply_healed, NULL, 1) == 0)
		return 0;
	*err = m.change.err;
	return -1;
}
