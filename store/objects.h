#ifndef STORE_OBJECTS_H
#define STORE_OBJECTS_H

#include "store/store.h"
#include "store/txn.h"

/* What puts, copies, completes and deletes share. On the committer's thread. */

/* Makes rec (its extent's reference being ours) the key's newest version: what
 * was current is kept or let go as the bucket's versioning says. Sets version,
 * null_version and mtime of rec; counts usage and quota (ERR_QUOTA); journals.
 */
int objects_place(struct store_txn *, const struct change *,
    struct txn_bucket *, struct slice key, struct object_record *rec,
    struct error *err);

/* The key's current object: 0, 1 when there is none, -1. The record is copied
 * into *memory, so that it outlives later writes. */
int objects_current(struct store_txn *, uint64_t bucket, struct slice key,
    struct object_record *rec, struct buffer *memory, struct error *err);
/* The same for who replaces or deletes it: one whose record is damaged is taken
 * out, which is 2. */
int objects_take(struct store_txn *, struct txn_bucket *, struct slice key,
    struct object_record *, struct buffer *memory, struct error *err);
/* Any version: 0 for the current one (1 when there is none), VERSION_NULL, or a
 * number. *is_current tells where it stands. */
int objects_find(MDB_txn *, const struct index *, uint64_t bucket,
    struct slice key, uint64_t version, struct slice *bytes, int *is_current,
    struct error *err);

/* Removes the version that item names, which is no error when it is not there;
 * an older one takes its place where there is one. */
int objects_delete_version(struct store_txn *, const struct change *,
    struct txn_bucket *, struct delete_item *item, struct error *err);

/* Writes the key's current object; keeps a record among its versions; takes one
 * out of them, with its content; counts a current object in (1) or out (-1). */
int objects_put(struct store_txn *, struct txn_bucket *, struct slice key,
    const struct object_record *, struct error *err);
int objects_keep(struct store_txn *, struct txn_bucket *, struct slice key,
    const struct object_record *, struct error *err);
/* Before bytes are shared, or kept as an old version: they must be here, since
 * destinations keep only what is current, under its key. 0, or -1 and ERR_AWAY,
 * and they are being fetched. */
int objects_keep_here(struct store_txn *, struct slice bucket, struct slice key,
    uint64_t extent, struct error *err);
int objects_drop(struct store_txn *, struct txn_bucket *, struct slice key,
    const struct object_record *, struct error *err);
void objects_count(struct txn_bucket *, const struct object_record *, int sign);
/* What becomes of the current object (NULL: none) when another version comes.
 */
int objects_displace(struct store_txn *, struct txn_bucket *, struct slice key,
    const struct object_record *current, struct error *err);

/* Runs a check, if there is one, against the current object. */
int objects_check(struct store_txn *, uint64_t bucket, struct slice key,
    object_check *check, void *arg, struct error *err);

#endif
