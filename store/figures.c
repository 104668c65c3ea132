#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/hotcopy.h"
#include "store/internal.h"
#include "store/scrub.h"

/* What metrics and the command line show of the store. */

static int
add_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct store_figures *f = arg;

	(void)name;
	f->buckets++;
	f->objects += rec->objects;
	f->object_bytes += rec->object_bytes;
	f->versions += rec->versions;
	f->version_bytes += rec->version_bytes;
	f->uploads += rec->uploads;
	f->upload_bytes += rec->upload_bytes;
	return 0;
}

/* Pages that LMDB has freed: its database 0 holds lists of them. */
static uint64_t
free_pages(MDB_txn *txn)
{
	uint64_t pages = 0;
	size_t n;
	MDB_cursor *cursor;
	MDB_val k, v;

	if (mdb_cursor_open(txn, 0, &cursor) != 0)
		return 0;
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		if (v.mv_size >= sizeof(n)) {
			memcpy(&n, v.mv_data, sizeof(n));
			pages += n;
		}
	mdb_cursor_close(cursor);
	return pages;
}

static uint64_t
entries(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_stat stat;

	return mdb_stat(txn, dbi, &stat) == 0 ? stat.ms_entries : 0;
}

void
store_figures(struct store *store, struct store_figures *f)
{
	struct committer_figures c;
	struct scrub_figures scrub;
	struct tier_marks marks;
	enum space_band band;
	MDB_envinfo info;
	MDB_stat stat;
	MDB_txn *txn;

	*f = (struct store_figures){ 0 };
	store_buckets(store, SLICE_NULL, add_bucket, f, NULL);
	committer_figures(store->committer, &c);
	f->commits = c.commits;
	f->commit_changes = c.changes;
	f->commit_us = c.busy_us;
	f->damaged_blocks = atomic_load(&store->damaged_blocks);
	f->damaged_contents = atomic_load(&store->damaged_contents);
	f->healed_contents = atomic_load(&store->healed_contents);
	f->filled_contents = atomic_load(&store->filled_contents);
	f->filled_bytes = atomic_load(&store->filled_bytes);
	f->read_through_bytes = atomic_load(&store->read_through_bytes);
	tier_marks(store, &marks);
	f->tier_high_bytes = marks.high;
	f->tier_low_bytes = marks.low;
	f->away_contents = atomic_load(&store->tier.away_contents);
	f->away_bytes = atomic_load(&store->tier.away_bytes);
	f->dropped_contents = atomic_load(&store->tier.dropped_contents);
	f->dropped_bytes = atomic_load(&store->tier.dropped_bytes);
	f->damaged_elsewhere = atomic_load(&store->damaged_elsewhere);
	scrubber_figures(store->scrubber, &scrub);
	f->scrub_bytes = scrub.bytes;
	f->scrub_rounds = scrub.rounds;
	f->scrub_last_ms = scrub.last_ms;
	f->copy_last_ms = hot_copy_last_ms(store->hot_copier);
	f->journal_last = store_visible(store);
	space_figures(store->space, &f->disk_bytes, &f->disk_free_bytes,
	    &f->reserve_bytes, &band);
	f->band = (int)band;
	if ((txn = index_read(store->index, NULL)) == NULL)
		return;
	if (mdb_env_info(mdb_txn_env(txn), &info) != 0 ||
	    mdb_env_stat(mdb_txn_env(txn), &stat) != 0) {
		index_read_end(store->index, txn);
		return;
	}
	f->index_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
	f->index_free_bytes = free_pages(txn) * stat.ms_psize;
	f->reap_waiting = entries(txn, index_dbi(store->index, DB_REAP));
	f->journal_entries = entries(txn, index_dbi(store->index, DB_JOURNAL));
	index_read_end(store->index, txn);
}
