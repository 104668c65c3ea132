#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"

/* One extent, from copies elsewhere. The thread is in healer.c. */

#define CHUNK_BYTES (16 * (size_t)EXTENT_BLOCK_BYTES)

/* So many readers may wait for it; others are told of the damage at once, so
 * that the threads of all requests never wait for a copy that is slow. */
#define WAITING_MAX 4

struct healing {
	struct store *store;
	const struct remote *remote;
	uint64_t id;
	struct extent_record rec;
	struct slice bucket, key;
	struct object_record object;
	struct extent_record chain; /* of a multipart object */
	struct chain_entry entry;   /* the extent's in it */
	uint64_t begin;             /* where the extent begins in the object */
	struct buffer rec_memory, object_memory, chain_memory, owner;
	struct extent_reader *old; /* with a block table that holds; or NULL */
	void *copy;
	char *chunk;
	uint64_t mended; /* bytes that came from elsewhere */
};

static int
is_stopping(const struct healing *h)
{
	return atomic_load(&h->store->heal.stopping);
}

/* The object's current version, which must hold the extent. */
static int
find_object(struct healing *h, uint64_t root, struct error *err)
{
	if (store_object(h->store, h->bucket, h->key, 0, &h->object,
		&h->object_memory, NULL, NULL, err) != 0)
		return -1;
	if (root != 0 && h->object.extent != root)
		return error_set(err, ERR_NOT_FOUND,
		    "%.*s was overwritten meanwhile", (int)h->key.len,
		    h->key.at);
	return 0;
}

static int
find_place(struct healing *h, struct error *err)
{
	struct chain_entry e;
	uint64_t begin = 0;
	size_t i;

	if (h->object.extent == h->id)
		return 0;
	if (h->object.extent != 0 &&
	    heal_record(h->store, h->object.extent, &h->chain, &h->chain_memory,
		err) != 0)
		return -1;
	for (i = 0; i < h->chain.n_entries; i++, begin = e.end) {
		if (chain_get(&h->chain, i, &e) != 0)
			break;
		if (e.extent == h->id && e.end - begin == h->rec.size) {
			h->begin = begin;
			h->entry = e;
			return 0;
		}
	}
	return error_set(err, ERR_NOT_FOUND,
	    "extent %" PRIu64 " is not in %.*s as it is now", h->id,
	    (int)h->key.len, h->key.at);
}

static int
read_copy(
    struct healing *h, uint64_t at, void *bytes, size_t len, struct error *err)
{
	if (is_stopping(h))
		return error_set(err, ERR_CLOSING, "the server is stopping");
	return h->remote->read(h->copy, at, bytes, len, err);
}

/* ---- with the old block table ---- */

static size_t
block_len(const struct healing *h, uint64_t block)
{
	uint64_t left = h->rec.size - block * EXTENT_BLOCK_BYTES;

	return left < EXTENT_BLOCK_BYTES ? (size_t)left : EXTENT_BLOCK_BYTES;
}

/* What is sound here stays; the rest comes from the copy. */
static int
mend_blocks(struct healing *h, struct extent_writer *w, struct error *err)
{
	struct error why = ERROR_INIT;
	uint64_t block, bad, at;
	size_t len;

	for (block = 0; block * EXTENT_BLOCK_BYTES < h->rec.size; block++) {
		at = block * EXTENT_BLOCK_BYTES;
		len = block_len(h, block);
		if (extent_read_blocks(
			h->old, block, 1, h->chunk, 0, &bad, &why) < 0) {
			if (read_copy(h, h->begin + at, h->chunk, len, err) !=
				0 ||
			    extent_verify_block(
				h->old, block, h->chunk, len, err) != 0)
				return -1;
			h->mended += len;
		} else if (is_stopping(h))
			return error_set(
			    err, ERR_CLOSING, "the server is stopping");
		if (extent_append(w, h->chunk, len, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- without it ---- */

/* The MD5 of another part, from here or, if it is damaged too, from the copy.
 */
static int
sum_part(struct healing *h, uint64_t begin, const struct chain_entry *e,
    struct digest *sum, struct error *err)
{
	uint64_t size = e->end - begin, at;
	struct error why = ERROR_INIT;
	struct content *content;
	const char *bytes;
	long n = 0;
	size_t len;

	content =
	    e->extent == 0 ? NULL : content_open(h->store, e->extent, &why);
	for (at = 0; content != NULL && at < size; at += (uint64_t)n) {
		n = content_read(
		    content, at, size, h->chunk, CHUNK_BYTES, 0, &bytes, &why);
		if (n <= 0)
			break;
		digest_update(sum, bytes, (size_t)n);
	}
	content_close(content);
	for (; at < size; at += len) {
		len =
		    size - at < CHUNK_BYTES ? (size_t)(size - at) : CHUNK_BYTES;
		if (read_copy(h, begin + at, h->chunk, len, err) != 0)
			return -1;
		digest_update(sum, h->chunk, len);
	}
	return 0;
}

/* Whether the object that has this MD5 in the extent's place has its ETag. */
static int
check_etag(struct healing *h, const uint8_t md5[MD5_BYTES], struct error *err)
{
	struct digest *whole = NULL, *sum = NULL;
	uint8_t part[MD5_BYTES], all[MD5_BYTES];
	struct chain_entry e;
	uint64_t begin = 0;
	size_t i;
	int failed = -1;

	if (h->chain.flags & EXTENT_ADOPTED)
		return error_set(err, ERR_DAMAGED,
		    "the sizes of its parts are not known here, so nothing "
		    "tells whether the copy outside is right");
	memcpy(all, md5, sizeof(all));
	if (h->object.parts == 0)
		goto compare;
	if ((whole = digest_new(DIGEST_MD5)) == NULL ||
	    (sum = digest_new(DIGEST_MD5)) == NULL) {
		error_nomem(err);
		goto out;
	}
	for (i = 0; i < h->chain.n_entries; i++, begin = e.end) {
		if (chain_get(&h->chain, i, &e) != 0) {
			error_set(err, ERR_DAMAGED, "the chain is damaged");
			goto out;
		}
		memcpy(part, md5, sizeof(part));
		if (e.extent != h->id) {
			digest_reset(sum);
			if (sum_part(h, begin, &e, sum, err) != 0)
				goto out;
			digest_final(sum, part);
		}
		digest_update(whole, part, sizeof(part));
	}
	digest_final(whole, all);
compare:
	failed = memcmp(all, h->object.md5, sizeof(all)) != 0
	    ? error_set(err, ERR_DAMAGED,
		  "the copy outside is not the object whose ETag is here")
	    : 0;
out:
	digest_free(whole);
	digest_free(sum);
	return failed;
}

static int
take_whole(struct healing *h, struct extent_writer *w, uint8_t md5[MD5_BYTES],
    struct error *err)
{
	struct digest *sum;
	uint64_t at;
	size_t len;
	int rc = 0;

	if ((sum = digest_new(DIGEST_MD5)) == NULL)
		return error_nomem(err);
	for (at = 0; at < h->rec.size && rc == 0; at += len) {
		len = h->rec.size - at < CHUNK_BYTES
		    ? (size_t)(h->rec.size - at)
		    : CHUNK_BYTES;
		rc = read_copy(h, h->begin + at, h->chunk, len, err);
		if (rc == 0)
			rc = extent_append(w, h->chunk, len, err);
		if (rc == 0)
			digest_update(sum, h->chunk, len);
	}
	h->mended += h->rec.size;
	digest_final(sum, md5);
	digest_free(sum);
	return rc == 0 ? check_etag(h, md5, err) : -1;
}

/* ---- whose bytes these are ---- */

/* The upload of the object's other parts, so that a rebuild finds them
 * together. */
static uint64_t
find_upload(struct healing *h)
{
	struct buffer bytes = BUFFER_INIT;
	struct content_owner owner;
	struct extent_reader *r;
	struct chain_entry e;
	uint64_t upload = 0;
	size_t i;

	for (i = 0; i < h->chain.n_entries && upload == 0; i++) {
		if (chain_get(&h->chain, i, &e) != 0 || e.extent == h->id ||
		    e.extent == 0 ||
		    (r = extent_open(h->store->extents, e.extent, NULL)) ==
			NULL)
			continue;
		buffer_clear(&bytes);
		if (extent_owner(r, &bytes, NULL) == 0 &&
		    content_owner_decode(buffer_slice(&bytes), &owner, NULL) ==
			0)
			upload = owner.upload;
		extent_close(r);
	}
	buffer_free(&bytes);
	return upload != 0 ? upload : h->object.version;
}

static int
make_owner(struct healing *h, const uint8_t md5[MD5_BYTES], struct error *err)
{
	struct content_owner owner = { .bucket = h->bucket, .key = h->key };
	struct buffer record = BUFFER_INIT;
	struct part_record part = { 0 };

	if (h->object.parts == 0)
		object_encode(&record, &h->object);
	else {
		owner.upload = find_upload(h);
		owner.part = h->entry.number;
		part.size = h->rec.size;
		part.mtime_ms = h->object.mtime_ms;
		memcpy(part.md5, md5, sizeof(part.md5));
		part.checksum.kind = h->chain.checksum_kind;
		memcpy(part.checksum.value, h->entry.checksum,
		    checksum_bytes(h->chain.checksum_kind));
		part_encode(&record, &part);
	}
	owner.record = buffer_slice(&record);
	content_owner_encode(&h->owner, &owner);
	buffer_free(&record);
	return record.failed || h->owner.failed ? error_nomem(err) : 0;
}

/* ---- an attempt with one copy ---- */

static int
heal_file(struct healing *h, struct error *err)
{
	uint8_t md5[MD5_BYTES] = { 0 };
	struct extent_writer *w;
	int rc;

	if (space_admit(h->store->space, h->rec.size, err) != 0 ||
	    (w = extent_begin(h->store->extents, h->rec.size, err)) == NULL)
		return -1;
	h->mended = 0;
	buffer_clear(&h->owner);
	rc = h->old != NULL ? mend_blocks(h, w, err)
			    : take_whole(h, w, md5, err);
	if (rc == 0 && h->mended > 0) {
		rc = h->old != NULL ? extent_owner(h->old, &h->owner, err)
				    : make_owner(h, md5, err);
		if (rc == 0)
			rc = extent_replace(
			    w, h->id, buffer_slice(&h->owner), err);
	}
	extent_free(w);
	return rc == 0 ? store_healed(h->store, h->id, SLICE_NULL, err) : -1;
}

static int
heal_inline(struct healing *h, struct error *err)
{
	size_t len = (size_t)h->rec.size;

	if (crc32c(0, h->rec.bytes.at, h->rec.bytes.len) == h->rec.crc32c)
		return store_healed(h->store, h->id, SLICE_NULL, err);
	if (len > CHUNK_BYTES)
		return error_set(err, ERR_TOO_LARGE, "it is too large");
	if (read_copy(h, h->begin, h->chunk, len, err) != 0)
		return -1;
	if (crc32c(0, h->chunk, len) != h->rec.crc32c)
		return error_set(err, ERR_DAMAGED,
		    "the copy outside does not have the checksum that is here");
	h->mended = len;
	return store_healed(
	    h->store, h->id, (struct slice){ h->chunk, len }, err);
}

/* The old file, if its trailer holds. */
static void
open_old(struct healing *h)
{
	struct error why = ERROR_INIT;

	h->old = extent_open(h->store->extents, h->id, &why);
	if (h->old != NULL && extent_reader_size(h->old) == h->rec.size &&
	    extent_check_trailer(h->old, &why) == 0)
		return;
	extent_close(h->old);
	h->old = NULL;
}

static int
heal(struct healing *h, struct error *err)
{
	struct error none = ERROR_INIT;
	unsigned next = 0, tried = 0;
	int rc = -1;

	if (heal_record(h->store, h->id, &h->rec, &h->rec_memory, err) != 0 ||
	    find_object(h, 0, err) != 0 || find_place(h, err) != 0)
		return -1;
	if (h->rec.references == 0 || h->rec.kind == EXTENT_CHAIN ||
	    h->rec.kind == EXTENT_REMOTE)
		return error_set(err, ERR_NOT_FOUND,
		    "extent %" PRIu64 " is no longer in use", h->id);
	if ((h->chunk = malloc(CHUNK_BYTES)) == NULL)
		return error_nomem(err);
	if (h->rec.kind == EXTENT_FILE)
		open_old(h);
	while (rc != 0 &&
	    (h->copy = h->remote->open(h->remote->context, h->bucket, h->key,
		 &h->object, &next, tried == 0 ? err : &none)) != NULL) {
		rc = h->rec.kind == EXTENT_FILE ? heal_file(h, err)
						: heal_inline(h, err);
		h->remote->close(h->copy);
		tried++;
	}
	return rc;
}

static void
tell(const struct healing *h)
{
	const struct log_field fields[] = {
		LOG_N("extent", h->id),
		LOG_B("bucket", h->bucket.at, h->bucket.len),
		LOG_B("key", h->key.at, h->key.len),
		LOG_N("bytes", h->mended),
	};

	log_fields(LOG_INFO, "store.heal",
	    "a damaged content was made anew from its copy outside", fields, 4);
}

int
heal_extent(struct store *store, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err)
{
	struct healing h = {
		.store = store, .id = extent, .bucket = bucket, .key = key
	};
	int rc = -1;

	if (atomic_fetch_add(&store->heal.waiting, 1) >= WAITING_MAX) {
		error_set(err, ERR_BUSY, "other contents are being healed");
		goto out;
	}
	pthread_mutex_lock(&store->heal.one);
	if ((h.remote = remote_hold(store)) == NULL)
		error_set(err, ERR_NOT_FOUND, "there is no copy elsewhere");
	else if (ids_pin(&store->ids, extent) != 0)
		error_nomem(err);
	else {
		rc = heal(&h, err);
		ids_unpin(&store->ids, extent);
	}
	if (h.remote != NULL)
		remote_release(store);
	pthread_mutex_unlock(&store->heal.one);
	if (rc == 0 && h.mended > 0) {
		atomic_fetch_add(&store->healed_contents, 1);
		tell(&h);
	}
out:
	atomic_fetch_sub(&store->heal.waiting, 1);
	extent_close(h.old);
	buffer_free(&h.rec_memory);
	buffer_free(&h.object_memory);
	buffer_free(&h.chain_memory);
	buffer_free(&h.owner);
	free(h.chunk);
	return rc;
}

int
heal_read(struct store *store, uint64_t root, struct slice bucket,
    struct slice key, uint64_t at, void *bytes, size_t len,
    struct extent_reader *table, uint64_t block, struct error *err)
{
	struct healing h = { .store = store, .bucket = bucket, .key = key };
	unsigned next = 0;
	int rc = -1;

	if ((h.remote = remote_hold(store)) == NULL)
		return error_set(
		    err, ERR_NOT_FOUND, "there is no copy elsewhere");
	if (find_object(&h, root, err) == 0)
		while (rc != 0 &&
		    (h.copy = h.remote->open(h.remote->context, bucket, key,
			 &h.object, &next, err)) != NULL) {
			if (read_copy(&h, at, bytes, len, err) == 0)
				rc = extent_verify_block(
				    table, block, bytes, len, err);
			h.remote->close(h.copy);
		}
	remote_release(store);
	buffer_free(&h.object_memory);
	if (rc == 0)
		atomic_fetch_add(&store->read_through_bytes, len);
	return rc;
}
