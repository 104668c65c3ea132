#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "store/extents.h"
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
	int rc;

	rc = extents_get(txn->txn, txn->index, m->extent, &rec, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	m->fresh = 0;
	/* Given up meanwhile: there is nothing here that could be damaged. */
	if ((rec.flags & EXTENT_DAMAGED) || rec.kind == EXTENT_REMOTE)
		return 0;
	rec.flags |= EXTENT_DAMAGED;
	rc = extents_put(txn, m->extent, &rec, &change->err);
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
	int rc;

	rc = extents_get(txn->txn, txn->index, m->extent, &rec, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rec.flags &= (uint8_t)~EXTENT_DAMAGED;
	if (rec.kind == EXTENT_INLINE && m->bytes.len == rec.size)
		rec.bytes = m->bytes;
	return extents_put(txn, m->extent, &rec, &change->err);
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
