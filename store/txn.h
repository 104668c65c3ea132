#ifndef STORE_TXN_H
#define STORE_TXN_H

#include <lmdb.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/index.h"
#include "store/record.h"
#include "store/store.h"

struct error;

/*
 * The write transaction that the committer opens for a batch of changes, with
 * what the changes share: counters, buckets and their usage, references of
 * extents, the journal. On the committer's thread only.
 *
 * Each function returns 0, or -1 and *err; txn->wrote tells that the LMDB
 * transaction is no longer what it was before the current change began.
 */

#define TXN_BUCKETS 8

struct txn_bucket {
	char name[BUCKET_NAME_MAX_BYTES + 1];
	size_t name_len; /* 0: not used */
	int dirty;
	struct bucket_record record;
	struct buffer memory; /* what record's slices point into */
};

struct store_txn {
	struct store *store;
	struct index *index;
	MDB_txn *txn;
	int wrote;
	int64_t now_ms;
	struct index_counters counters;
	struct txn_bucket buckets[TXN_BUCKETS];
	size_t next_bucket;    /* the next place to give away */
	struct buffer scratch; /* for encoding one record */
	struct buffer object;  /* for the object in a journal entry */
	int keys_changed, reaped, journalled, settings_changed;
};

MDB_dbi txn_dbi(const struct store_txn *, enum index_db);

/* A bucket by name, kept until the end of the transaction; ERR_NO_BUCKET. Usage
 * is changed in its record, which is then marked dirty. */
struct txn_bucket *txn_bucket(
    struct store_txn *, struct slice name, struct error *err);
/* Writes the dirty ones; before the commit. */
int txn_flush(struct store_txn *, struct error *err);
/* Forgets one that was removed. */
void txn_forget_bucket(struct store_txn *, struct slice name);

/* Puts and deletes, noting wrote. txn_del: 1 when there was none. */
int txn_put(struct store_txn *, enum index_db, struct slice key,
    struct slice value, unsigned flags, struct error *err);
int txn_del(
    struct store_txn *, enum index_db, struct slice key, struct error *err);
int txn_name_put(struct store_txn *, enum index_db, uint64_t root,
    struct slice name, struct slice value, struct error *err);
int txn_name_del(struct store_txn *, enum index_db, uint64_t root,
    struct slice name, struct error *err);
uint64_t txn_new_node(struct store_txn *);

/* Records a new extent with one reference; its id in *id. A sealed content of
 * no bytes gets id 0. */
int txn_extent_content(struct store_txn *, struct content_writer *,
    uint64_t *id, struct error *err);
int txn_extent_chain(struct store_txn *, struct slice entries,
    uint32_t n_entries, enum checksum_kind, uint64_t size, uint64_t *id,
    struct error *err);
/* One reference more; one less, at none removing it or handing it to the
 * reaper. id 0 is allowed. */
int txn_extent_ref(struct store_txn *, uint64_t id, struct error *err);
int txn_extent_unref(struct store_txn *, uint64_t id, struct error *err);

/* Appends a journal entry, pinning the extent, if a destination wants it. */
int txn_journal(struct store_txn *, const struct change *, enum journal_what,
    struct slice bucket, struct slice key, const struct object_record *,
    struct error *err);

#endif
