#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/adopt.h"
#include "store/internal.h"
#include "store/txn.h"

/* Contents that are elsewhere alone, fetched. The extent keeps its number: its
 * file is made under it first, then its record says so. A file that a crash
 * leaves without that is made again. */

#define CHUNK_BYTES ((size_t)1024 * 1024)

struct filling {
	struct store *store;
	uint64_t id;
	struct extent_record rec;
	struct buffer memory;
	struct extent_writer *file; /* NULL: small enough for the index */
	struct buffer bytes;
	struct digest *md5;
};

struct filled {
	struct change change;
	uint64_t id;
	uint64_t size;
	struct slice bytes; /* empty: a file */
};

static int
apply_filled(struct store_txn *txn, struct change *change)
{
	struct filled *f = change_of(change, struct filled, change);
	struct extent_record rec;
	struct slice value;
	uint8_t be[8];
	int rc;

	rc = index_get_u64(
	    txn->txn, txn_dbi(txn, DB_EXTENTS), f->id, &value, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (extent_decode(value, &rec, &change->err) != 0)
		return -1;
	/* Let go of meanwhile: the reaper, who waits for us, takes the file. */
	if (rec.kind != EXTENT_REMOTE || rec.references == 0)
		return 0;
	rec.kind = f->bytes.len > 0 ? EXTENT_INLINE : EXTENT_FILE;
	rec.bytes = f->bytes;
	rec.crc32c =
	    f->bytes.len > 0 ? crc32c(0, f->bytes.at, f->bytes.len) : 0;
	buffer_clear(&txn->scratch);
	extent_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(&change->err);
	be64_put(be, f->id);
	return txn_put(txn, DB_EXTENTS,
	    (struct slice){ (char *)be, sizeof(be) },
	    buffer_slice(&txn->scratch), 0, &change->err);
}

static int
take(struct filling *f, const char *bytes, size_t len, struct error *err)
{
	digest_update(f->md5, bytes, len);
	if (f->file != NULL)
		return extent_append(f->file, bytes, len, err);
	buffer_add(&f->bytes, bytes, len);
	return f->bytes.failed ? error_nomem(err) : 0;
}

static int
fetch(struct filling *f, const struct remote *remote, struct error *err)
{
	char *chunk = malloc(CHUNK_BYTES);
	void *copy = NULL;
	uint64_t at;
	size_t len;
	int rc = -1;

	if (chunk == NULL) {
		error_nomem(err);
		goto out;
	}
	copy =
	    remote->open_place(remote->context, f->rec.place, f->rec.size, err);
	if (copy == NULL)
		goto out;
	for (at = 0, rc = 0; at < f->rec.size && rc == 0; at += len) {
		len = f->rec.size - at < CHUNK_BYTES
		    ? (size_t)(f->rec.size - at)
		    : CHUNK_BYTES;
		rc = atomic_load(&f->store->heal.stopping)
		    ? error_set(err, ERR_CLOSING, "the server is stopping")
		    : remote->read(copy, at, chunk, len, err);
		if (rc == 0)
			rc = take(f, chunk, len, err);
	}
out:
	if (copy != NULL)
		remote->close(copy);
	free(chunk);
	return rc;
}

static int
verify(struct filling *f, struct error *err)
{
	uint8_t md5[MD5_BYTES];

	digest_final(f->md5, md5);
	if (f->rec.md5.len == 0 || memcmp(md5, f->rec.md5.at, MD5_BYTES) == 0)
		return 0;
	return error_set(err, ERR_DAMAGED,
	    "the copy outside does not have the MD5 that its object has");
}

/* Names the file after the object, for a rebuild. */
static int
seal(
    struct filling *f, struct slice bucket, struct slice key, struct error *err)
{
	struct content_owner owner = { .bucket = bucket, .key = key };
	struct buffer record = BUFFER_INIT, encoded = BUFFER_INIT,
		      memory = BUFFER_INIT;
	struct object_record rec = { 0 };
	int rc;

	if (store_object(
		f->store, bucket, key, 0, &rec, &memory, NULL, NULL, NULL) != 0)
		rec = (struct object_record){ .size = f->rec.size };
	object_encode(&record, &rec);
	owner.record = buffer_slice(&record);
	content_owner_encode(&encoded, &owner);
	rc = encoded.failed || record.failed
	    ? error_nomem(err)
	    : extent_replace(f->file, f->id, buffer_slice(&encoded), err);
	buffer_free(&record);
	buffer_free(&encoded);
	buffer_free(&memory);
	return rc;
}

static int
fill(struct filling *f, const struct remote *remote, struct slice bucket,
    struct slice key, struct error *err)
{
	struct filled filled = { .id = f->id, .size = f->rec.size };

	if ((f->md5 = digest_new(DIGEST_MD5)) == NULL)
		return error_nomem(err);
	if (space_admit(f->store->space, f->rec.size, err) != 0)
		return -1;
	if (f->rec.size > f->store->inline_max_bytes &&
	    (f->file = extent_begin(f->store->extents, f->rec.size, err)) ==
		NULL)
		return -1;
	if (fetch(f, remote, err) != 0 || verify(f, err) != 0 ||
	    (f->file != NULL && seal(f, bucket, key, err) != 0))
		return -1;
	filled.bytes = f->file == NULL ? buffer_slice(&f->bytes) : SLICE_NULL;
	if (store_submit(f->store, &filled.change, apply_filled, NULL, 0) !=
	    0) {
		*err = filled.change.err;
		return -1;
	}
	atomic_fetch_add(&f->store->filled_contents, 1);
	atomic_fetch_add(&f->store->filled_bytes, f->rec.size);
	return 0;
}

int
fill_extent(struct store *store, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err)
{
	struct filling f = { .store = store, .id = extent };
	const struct remote *remote;
	int rc = -1;

	if (ids_pin(&store->ids, extent) != 0)
		return error_nomem(err);
	if (heal_record(store, extent, &f.rec, &f.memory, err) != 0)
		goto out;
	if (f.rec.kind != EXTENT_REMOTE) {
		rc = 0;
		goto out;
	}
	if ((remote = remote_hold(store)) == NULL) {
		error_set(err, ERR_IO,
		    "its bytes are at a destination, and none is there");
		goto out;
	}
	rc = fill(&f, remote, bucket, key, err);
	remote_release(store);
out:
	ids_unpin(&store->ids, extent);
	extent_free(f.file);
	digest_free(f.md5);
	buffer_free(&f.bytes);
	buffer_free(&f.memory);
	return rc;
}

int
store_fill(struct store *store, struct slice bucket, struct slice key,
    struct error *err)
{
	struct buffer memory = BUFFER_INIT, record = BUFFER_INIT;
	struct object_record object;
	struct extent_record rec;
	struct chain_entry e;
	uint64_t extent;
	int rc = -1;

	if (store_object(
		store, bucket, key, 0, &object, &memory, NULL, NULL, err) != 0)
		goto out;
	rc = 0;
	if ((extent = object.extent) == 0)
		goto out;
	rc = heal_record(store, extent, &rec, &record, err);
	if (rc == 0 && rec.kind == EXTENT_CHAIN &&
	    (rec.flags & EXTENT_ADOPTED) && chain_get(&rec, 0, &e) == 0 &&
	    (extent = e.extent) != 0)
		rc = heal_record(store, extent, &rec, &record, err);
	if (rc == 0 && rec.kind == EXTENT_REMOTE)
		rc = fill_extent(store, extent, bucket, key, err) == 0 ? 1 : -1;
out:
	buffer_free(&memory);
	buffer_free(&record);
	return rc;
}

/* ---- what is not known here yet ---- */

void
store_set_incomplete(struct store *store, int incomplete)
{
	atomic_store(&store->incomplete, incomplete);
}

int
store_is_incomplete(struct store *store)
{
	return atomic_load(&store->incomplete);
}

int
store_want(struct store *store, struct slice bucket, struct slice key,
    struct error *err)
{
	const struct remote *remote;
	int rc;

	if (!store_is_incomplete(store))
		return 0;
	if ((remote = remote_hold(store)) == NULL)
		return error_set(err, ERR_BUSY, "the server is stopping");
	rc = remote->want(remote->context, bucket, key, err);
	remote_release(store);
	return rc;
}

int
store_knows(struct store *store, struct slice bucket, struct slice prefix)
{
	const struct remote *remote;
	int knows;

	if (!store_is_incomplete(store))
		return 1;
	if ((remote = remote_hold(store)) == NULL)
		return 0;
	knows = remote->knows(remote->context, bucket, prefix);
	remote_release(store);
	return knows;
}
