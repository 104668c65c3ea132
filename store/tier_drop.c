#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/names.h"
#include "store/objects.h"
#include "store/remote.h"
#include "store/tier.h"
#include "store/txn.h"

/* One object's content given up here, once its copy elsewhere was found whole.
 * So many parts are done under one lock and in one transaction. */
#define BATCH 32

struct part {
	uint64_t extent, begin, size;
	int has_md5;
	uint8_t md5[MD5_BYTES];
};

struct dropping {
	struct change change;
	struct store *store;
	struct slice bucket, key;
	struct object_record object;
	struct slice place;
	struct part parts[BATCH];
	size_t n;
	struct buffer object_memory, root_memory, place_memory;
};

/* ---- the index ---- */

static int
changed(struct error *err)
{
	return error_set(
	    err, ERR_CONFLICT, "it is shared, waits to go out, or has changed");
}

/* Nothing but the object itself may need these bytes, or the destination may
 * lose them before they are needed. */
static int
check_object(struct store_txn *txn, struct dropping *d, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record now;
	struct extent_record root;
	struct txn_bucket *b;
	int rc;

	if ((b = txn_bucket(txn, d->bucket, err)) == NULL)
		return -1;
	rc = objects_current(txn, b->record.id, d->key, &now, &memory, err);
	buffer_free(&memory);
	if (rc < 0)
		return -1;
	if (rc == 1 || now.version != d->object.version ||
	    now.extent != d->object.extent ||
	    b->record.versioning != VERSIONING_OFF)
		return changed(err);
	if (extents_find(txn->txn, txn->index, now.extent, &root, err) != 0)
		return -1;
	return root.references == 1 ? 0 : changed(err);
}

static int
apply_drop(struct store_txn *txn, struct change *change)
{
	struct dropping *d = change_of(change, struct dropping, change);
	struct error *err = &change->err;
	struct extent_record rec;
	size_t i;

	if (check_object(txn, d, err) != 0)
		return -1;
	/* All before the first is changed. */
	for (i = 0; i < d->n; i++) {
		if (extents_find(txn->txn, txn->index, d->parts[i].extent, &rec,
			err) != 0)
			return -1;
		if (rec.kind != EXTENT_FILE || rec.references != 1 ||
		    rec.size != d->parts[i].size ||
		    (rec.flags & EXTENT_DAMAGED))
			return changed(err);
	}
	for (i = 0; i < d->n; i++) {
		rec = (struct extent_record){ .kind = EXTENT_REMOTE,
			.references = 1,
			.size = d->parts[i].size,
			.place = d->place,
			.place_offset = d->parts[i].begin };
		if (d->parts[i].has_md5)
			rec.md5 = (struct slice){ (char *)d->parts[i].md5,
				sizeof(d->parts[i].md5) };
		if (extents_put(txn, d->parts[i].extent, &rec, err) != 0)
			return -1;
	}
	return 0;
}

struct taking {
	struct change change;
	uint64_t extent;
};

static int
apply_take_back(struct store_txn *txn, struct change *change)
{
	struct taking *t = change_of(change, struct taking, change);
	struct extent_record rec;
	int rc;

	rc = extents_get(txn->txn, txn->index, t->extent, &rec, &change->err);
	if (rc != 0 || rec.kind != EXTENT_REMOTE || rec.references == 0)
		return rc < 0 ? -1 : 0;
	rec.kind = EXTENT_FILE;
	return extents_put(txn, t->extent, &rec, &change->err);
}

int
tier_take_back(struct store *store, uint64_t extent, struct error *err)
{
	struct taking t = { .extent = extent };

	if (store_submit(store, &t.change, apply_take_back, NULL, 1) == 0)
		return 0;
	*err = t.change.err;
	return -1;
}

/* ---- the files ---- */

/* The MD5 of the part's bytes, as its file says. */
static void
learn_md5(struct part *p, const struct content_owner *owner)
{
	static const uint8_t none[MD5_BYTES];
	struct object_record object;
	struct part_record part;

	if (owner->upload != 0) {
		if (part_decode(owner->record, &part, NULL) != 0 ||
		    part.size != p->size)
			return;
		memcpy(p->md5, part.md5, sizeof(p->md5));
	} else {
		if (object_decode(owner->record, &object, NULL) != 0 ||
		    object.size != p->size || object.parts != 0)
			return;
		memcpy(p->md5, object.md5, sizeof(p->md5));
	}
	p->has_md5 = memcmp(p->md5, none, sizeof(none)) != 0;
}

/* The file's owner, which points into memory. 0, or -1 and *err. */
static int
read_owner(struct store *store, struct part *p, struct content_owner *owner,
    struct buffer *memory, struct error *err)
{
	struct extent_reader *r;
	int rc = -1;

	if ((r = extent_open(store->extents, p->extent, err)) == NULL)
		return -1;
	buffer_clear(memory);
	if (extent_is_shed(r) || extent_reader_size(r) != p->size)
		error_set(err, ERR_DAMAGED, "its file is not whole");
	else if (extent_check_trailer(r, err) == 0 &&
	    extent_owner(r, memory, err) == 0)
		rc = content_owner_decode(buffer_slice(memory), owner, err);
	extent_close(r);
	return rc;
}

static int
shed(struct dropping *d, struct part *p, struct error *err)
{
	struct buffer memory = BUFFER_INIT, encoded = BUFFER_INIT;
	struct content_owner owner;
	int rc;

	rc = read_owner(d->store, p, &owner, &memory, err);
	if (rc == 0) {
		owner.place = d->place;
		owner.place_offset = p->begin;
		content_owner_encode(&encoded, &owner);
		rc = encoded.failed ? error_nomem(err)
				    : extent_shed(d->store->extents, p->extent,
					  buffer_slice(&encoded), err);
	}
	buffer_free(&memory);
	buffer_free(&encoded);
	return rc;
}

/* What could not be given up: the index says again that it is here. A file that
 * lost its data before the failure stays given up. */
static void
take_back(struct store *store, uint64_t extent)
{
	struct extent_reader *r = extent_open(store->extents, extent, NULL);

	if (r == NULL || !extent_is_shed(r))
		(void)tier_take_back(store, extent, NULL);
	extent_close(r);
}

/* The index first: from then on nobody shares these bytes. */
static int64_t
drop_batch(struct dropping *d, struct error *err)
{
	struct store *store = d->store;
	int64_t bytes = 0;
	size_t i, pinned;

	if (d->n == 0)
		return 0;
	d->change = (struct change){ 0 };
	/* So that the reaper does not take a file that is being replaced. */
	for (pinned = 0; pinned < d->n; pinned++)
		if (ids_pin(&store->ids, d->parts[pinned].extent) != 0) {
			bytes = error_nomem(err);
			goto out;
		}
	pthread_rwlock_wrlock(&store->tier.moving);
	if (store_submit(store, &d->change, apply_drop, NULL, 1) != 0) {
		*err = d->change.err;
		bytes = -1;
	}
	for (i = 0; bytes >= 0 && i < d->n; i++) {
		if (shed(d, &d->parts[i], err) == 0) {
			bytes += (int64_t)d->parts[i].size;
			atomic_fetch_add(&store->tier.dropped_contents, 1);
			continue;
		}
		for (; i < d->n; i++)
			take_back(store, d->parts[i].extent);
		bytes = -1;
	}
	pthread_rwlock_unlock(&store->tier.moving);
out:
	while (pinned > 0)
		ids_unpin(&store->ids, d->parts[--pinned].extent);
	d->n = 0;
	if (bytes > 0)
		atomic_fetch_add(&store->tier.dropped_bytes, (uint64_t)bytes);
	return bytes;
}

/* ---- an object ---- */

/* Takes a part into the batch, if it may go. 0, or -1 and *err. */
static int
add_part(struct dropping *d, uint64_t extent, uint64_t begin, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct part *p = &d->parts[d->n];
	struct content_owner owner;
	struct extent_record rec;
	int rc;

	rc = heal_record(d->store, extent, &rec, &memory, err);
	if (rc == 0 && rec.kind == EXTENT_FILE && rec.size >= TIER_MIN_BYTES) {
		*p = (struct part){
			.extent = extent, .begin = begin, .size = rec.size
		};
		if ((rc = read_owner(d->store, p, &owner, &memory, err)) == 0) {
			learn_md5(p, &owner);
			d->n++;
		}
	}
	buffer_free(&memory);
	return rc;
}

static int64_t
drop_chain(
    struct dropping *d, const struct extent_record *root, struct error *err)
{
	struct chain_entry e;
	uint64_t begin = 0;
	int64_t got, bytes = 0;
	size_t i;

	for (i = 0; i < root->n_entries; i++, begin = e.end) {
		if (chain_get(root, i, &e) != 0)
			return error_set(err, ERR_DAMAGED,
			    "the content's chain cannot be read");
		if (e.extent != 0 && add_part(d, e.extent, begin, err) != 0)
			return -1;
		if (d->n < BATCH && i + 1 < root->n_entries)
			continue;
		if ((got = drop_batch(d, err)) < 0)
			return bytes > 0 ? bytes : -1;
		bytes += got;
	}
	return bytes;
}

static int
verify_elsewhere(struct dropping *d, struct error *err)
{
	const struct remote *remote;
	int rc;

	if ((remote = remote_hold(d->store)) == NULL)
		return error_set(err, ERR_AWAY, "there is no destination");
	rc = remote->verify(remote->context, d->bucket, d->key, &d->object,
	    &d->place_memory, err);
	remote_release(d->store);
	d->place = buffer_slice(&d->place_memory);
	return rc;
}

int64_t
tier_drop(struct store *store, struct slice bucket, struct slice key,
    struct error *err)
{
	struct dropping *d;
	struct extent_record root;
	int64_t bytes = -1;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return error_nomem(err);
	d->store = store;
	d->bucket = bucket;
	d->key = key;
	if (store_object(store, bucket, key, 0, &d->object, &d->object_memory,
		NULL, NULL, err) != 0 ||
	    heal_record(store, d->object.extent, &root, &d->root_memory, err) !=
		0 ||
	    verify_elsewhere(d, err) != 0)
		goto out;
	if (root.kind == EXTENT_CHAIN)
		bytes = drop_chain(d, &root, err);
	else if (add_part(d, d->object.extent, 0, err) == 0)
		bytes = drop_batch(d, err);
out:
	buffer_free(&d->object_memory);
	buffer_free(&d->root_memory);
	buffer_free(&d->place_memory);
	free(d);
	return bytes;
}
