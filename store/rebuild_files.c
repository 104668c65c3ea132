#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/adopt.h"
#include "store/content.h"
#include "store/objects.h"
#include "store/rebuild_private.h"
#include "store/uploads.h"
#include "store/versions.h"

/*
 * Files that the hot copy does not know: they came later, or there is no copy.
 * In the order of their numbers, which is about that of their commits, each
 * goes where its trailer says.
 */

struct place {
	struct rebuild *r;
	struct numbers ids; /* of files to place */
	struct numbers
	    keys; /* a hash of bucket and key of each that is an object */
	struct numbers many; /* hashes of buckets where a key comes twice */
	struct buffer owner;
	struct error *err;
	int failed;
};

/* FNV-1a of 64 bits. A collision turns a bucket's versioning on without need.
 */
static uint64_t
hash(uint64_t h, struct slice bytes)
{
	size_t i;

	for (i = 0; i < bytes.len; i++)
		h = (h ^ (uint8_t)bytes.at[i]) * 0x100000001b3;
	return h;
}

static uint64_t
hash_bucket(const struct content_owner *o)
{
	return hash(0xcbf29ce484222325, o->bucket);
}

static uint64_t
hash_key(const struct content_owner *o)
{
	return hash(hash(hash_bucket(o), SLICE_LITERAL("/")), o->key);
}

/* Reads a file's trailer. 0 and *reader; 1 and *why when it tells nothing. */
static int
read_owner(struct place *p, uint64_t id, struct content_owner *o,
    struct extent_reader **reader, struct error *why)
{
	struct extent_reader *r;

	if ((r = extent_open(p->r->extents, id, why)) == NULL)
		return 1;
	buffer_clear(&p->owner);
	if (extent_check_trailer(r, why) != 0 ||
	    extent_owner(r, &p->owner, why) != 0 ||
	    content_owner_decode(buffer_slice(&p->owner), o, why) != 0)
		goto fail;
	if (o->bucket.len == 0 || o->bucket.len > BUCKET_NAME_MAX_BYTES ||
	    o->key.len == 0 || o->key.len > KEY_MAX_BYTES ||
	    (o->upload != 0 && (o->part < 1 || o->part > PARTS_MAX))) {
		error_set(
		    why, ERR_DAMAGED, "whose bytes these are makes no sense");
		goto fail;
	}
	*reader = r;
	return 0;

fail:
	extent_close(r);
	return 1;
}

/* ---- which files there are to place ---- */

static int
consider(uint64_t id, void *arg)
{
	struct place *p = arg;
	struct error why = ERROR_INIT;
	struct extent_reader *reader;
	struct content_owner o;
	struct slice value;
	int rc;

	rc = index_get_u64(
	    p->r->txn.txn, txn_dbi(&p->r->txn, DB_EXTENTS), id, &value, p->err);
	if (rc == 0)
		return 0;
	if (rc == 1 && id < p->r->settled)
		rc = rebuild_set_aside(p->r, id,
		    "it was deleted before the index was copied", p->err);
	else if (rc == 1 && read_owner(p, id, &o, &reader, &why) != 0)
		rc = rebuild_set_aside(p->r, id, why.text, p->err);
	else if (rc == 1) {
		extent_close(reader);
		rc = numbers_add(&p->ids, id, p->err);
		if (rc == 0 && o.upload == 0)
			rc = numbers_add(&p->keys, hash_key(&o), p->err);
	}
	p->failed = rc != 0;
	return p->failed;
}

/* Finds the buckets where a key comes more than once: there were versions, or
 * copies, or deletes under way. */
static int
find_many(struct place *p)
{
	struct numbers twice = { NULL, 0, 0 };
	struct error why = ERROR_INIT;
	struct extent_reader *reader;
	struct content_owner o;
	size_t i;
	int rc = 0;

	numbers_sort(&p->keys);
	for (i = 1; i < p->keys.n && rc == 0; i++)
		if (p->keys.at[i] == p->keys.at[i - 1])
			rc = numbers_add(&twice, p->keys.at[i], p->err);
	for (i = 0; i < p->ids.n && rc == 0 && twice.n > 0; i++) {
		if (read_owner(p, p->ids.at[i], &o, &reader, &why) != 0)
			continue;
		extent_close(reader);
		if (o.upload == 0 && numbers_have(&twice, hash_key(&o)))
			rc = numbers_add(&p->many, hash_bucket(&o), p->err);
	}
	numbers_sort(&p->many);
	free(twice.at);
	return rc;
}

/* ---- where they go ---- */

static int
make_bucket(struct place *p, const struct content_owner *o)
{
	struct store_txn *txn = &p->r->txn;
	struct bucket_record rec = { 0 };

	rec.id = txn_new_node(txn);
	rec.created_ms = txn->now_ms;
	rec.versioning = numbers_have(&p->many, hash_bucket(o))
	    ? VERSIONING_ENABLED
	    : VERSIONING_OFF;
	buffer_clear(&txn->scratch);
	bucket_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(p->err);
	if (txn_put(txn, DB_BUCKETS, o->bucket, buffer_slice(&txn->scratch), 0,
		p->err) != 0)
		return -1;
	p->r->result->buckets_made++;
	rebuild_say(p->r, "the bucket \"%.*s\" is made anew%s",
	    (int)o->bucket.len, o->bucket.at,
	    rec.versioning == VERSIONING_OFF
		? ""
		: ", with versioning, since some of its keys have several"
		  " contents of which all are kept");
	return 0;
}

static struct txn_bucket *
bucket_of(struct place *p, const struct content_owner *o)
{
	struct txn_bucket *b;

	b = txn_bucket(&p->r->txn, o->bucket, p->err);
	if (b != NULL || p->err->kind != ERR_NO_BUCKET)
		return b;
	error_clear(p->err);
	if (make_bucket(p, o) != 0)
		return NULL;
	return txn_bucket(&p->r->txn, o->bucket, p->err);
}

static int
put_extent(struct place *p, uint64_t id, uint64_t size)
{
	struct extent_record rec = {
		.kind = EXTENT_FILE, .references = 1, .size = size
	};
	struct store_txn *txn = &p->r->txn;
	uint8_t be[8];

	buffer_clear(&txn->scratch);
	extent_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(p->err);
	be64_put(be, id);
	return txn_put(txn, DB_EXTENTS,
	    (struct slice){ (char *)be, sizeof(be) },
	    buffer_slice(&txn->scratch), 0, p->err);
}

/* The content whose place another one took: it may be a copy's, too, of which
 * the hot copy knows nothing, so its file is not left to the reaper. */
static int
keep_displaced(struct place *p, uint64_t id)
{
	struct extent_record rec;
	struct slice value;

	if (index_get_u64(p->r->txn.txn, txn_dbi(&p->r->txn, DB_EXTENTS), id,
		&value, p->err) != 0)
		return 0;
	if (extent_decode(value, &rec, p->err) != 0)
		return -1;
	if (rec.kind != EXTENT_FILE || rec.references > 0)
		return 0;
	return rebuild_set_aside(
	    p->r, id, "a newer content has its place", p->err);
}

static int
place_object(struct place *p, uint64_t id, const struct content_owner *o,
    struct extent_reader *reader)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec, current = { 0 };
	struct change change = { 0 };
	struct txn_bucket *b;
	uint64_t quota;
	int rc;

	if (object_decode(o->record, &rec, p->err) != 0) {
		error_clear(p->err);
		return rebuild_set_aside(
		    p->r, id, "its record cannot be read", p->err);
	}
	rec.size = extent_reader_size(reader);
	rec.extent = id;
	/* One of parts, in one file: it came back from a destination that way.
	 */
	if (put_extent(p, id, rec.size) != 0 ||
	    (rec.parts > 0 &&
		adopt_chain(&p->r->txn, rec.parts, rec.size, id, &rec.extent,
		    p->err) != 0) ||
	    (b = bucket_of(p, o)) == NULL)
		return -1;
	rc = objects_current(
	    &p->r->txn, b->record.id, o->key, &current, &memory, p->err);
	buffer_free(&memory);
	if (rc < 0)
		return -1;
	/* It was admitted once. */
	quota = b->record.quota_bytes;
	b->record.quota_bytes = 0;
	rc = objects_place(&p->r->txn, &change, b, o->key, &rec, p->err);
	b->record.quota_bytes = quota;
	if (rc != 0)
		return -1;
	p->r->result->added++;
	return current.extent == 0 ? 0 : keep_displaced(p, current.extent);
}

/* ---- parts ---- */

static int
make_upload(struct place *p, struct txn_bucket *b,
    const struct content_owner *o, const struct part_record *part)
{
	struct upload_record rec = { 0 };
	struct store_txn *txn = &p->r->txn;
	struct check_owner owner = { "multipart upload of", o->bucket, o->key };
	char text[CHECK_NAME_BYTES];

	rec.started_ms = clock_wall_ms();
	rec.checksum_kind = part->checksum.kind;
	rec.checksum_composite = part->checksum.kind != CHECKSUM_NONE &&
	    part->checksum.kind != CHECKSUM_CRC64NVME;
	bytes_random(&rec.nonce, sizeof(rec.nonce));
	buffer_clear(&txn->scratch);
	upload_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(p->err);
	if (versions_add(txn, DB_UPLOADS, b->record.id, o->key, o->upload, 0,
		buffer_slice(&txn->scratch), p->err) != 0)
		return -1;
	b->record.uploads++;
	b->dirty = 1;
	if (txn->counters.next_version <= o->upload)
		txn->counters.next_version = o->upload + 1;
	rebuild_say(p->r,
	    "the %s is there as an unfinished one, whether it was completed or"
	    " not: complete it if its parts are all there (it is aborted as a"
	    " stale one, counted from now)",
	    check_name(&owner, text));
	return 0;
}

static int
place_part(struct place *p, uint64_t id, const struct content_owner *o,
    struct extent_reader *reader)
{
	struct store_txn *txn = &p->r->txn;
	struct part_record rec, old = { 0 };
	struct txn_bucket *b;
	struct slice value;
	uint8_t key[10];
	int rc;

	if (part_decode(o->record, &rec, p->err) != 0) {
		error_clear(p->err);
		return rebuild_set_aside(
		    p->r, id, "its record cannot be read", p->err);
	}
	rec.extent = id;
	rec.size = extent_reader_size(reader);
	rec.mtime_ms = txn->now_ms;
	if (put_extent(p, id, rec.size) != 0 || (b = bucket_of(p, o)) == NULL)
		return -1;
	if (uploads_find(txn->txn, txn->index, b->record.id, o->key, o->upload,
		&value, p->err) != 0) {
		if (p->err->kind != ERR_NO_UPLOAD)
			return -1;
		error_clear(p->err);
		if (make_upload(p, b, o, &rec) != 0)
			return -1;
	}

	be64_put(key, o->upload);
	be16_put(key + 8, o->part);
	rc = index_get(
	    txn->txn, txn_dbi(txn, DB_PARTS), key, sizeof(key), &value, p->err);
	if (rc < 0 || (rc == 0 && part_decode(value, &old, p->err) != 0) ||
	    txn_extent_unref(txn, old.extent, p->err) != 0)
		return -1;
	buffer_clear(&txn->scratch);
	part_encode(&txn->scratch, &rec);
	if (txn->scratch.failed)
		return error_nomem(p->err);
	if (txn_put(txn, DB_PARTS, (struct slice){ (char *)key, sizeof(key) },
		buffer_slice(&txn->scratch), 0, p->err) != 0)
		return -1;
	b->record.upload_bytes += rec.size - old.size;
	b->dirty = 1;
	p->r->result->added_parts++;
	return 0;
}

static int
place_file(struct place *p, uint64_t id)
{
	struct error why = ERROR_INIT;
	struct extent_reader *reader;
	struct content_owner o;
	struct stat st;
	int rc;

	if (read_owner(p, id, &o, &reader, &why) != 0)
		return rebuild_set_aside(p->r, id, why.text, p->err);
	/* Written last just before its commit. */
	if (fstat(extent_reader_fd(reader), &st) == 0)
		p->r->txn.now_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
		    st.st_mtim.tv_nsec / 1000000;
	rc = o.upload == 0 ? place_object(p, id, &o, reader)
			   : place_part(p, id, &o, reader);
	extent_close(reader);
	return rc == 0 ? rebuild_step(p->r, p->err) : -1;
}

int
rebuild_add_files(struct rebuild *r, struct error *err)
{
	struct place *p;
	size_t i;
	int rc = -1;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return error_nomem(err);
	p->r = r;
	p->err = err;
	if (extent_files(r->extents, 0, consider, p, err) != 0 || p->failed)
		goto out;
	numbers_sort(&p->ids);
	if (find_many(p) != 0)
		goto out;
	for (i = 0; i < p->ids.n; i++)
		if (place_file(p, p->ids.at[i]) != 0)
			goto out;
	rc = 0;
out:
	buffer_free(&p->owner);
	free(p->ids.at);
	free(p->keys.at);
	free(p->many.at);
	free(p);
	return rc;
}
