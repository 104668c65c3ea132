#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/names.h"
#include "store/objects.h"
#include "store/stamp.h"
#include "store/txn.h"
#include "store/uploads.h"
#include "store/versions.h"

/* Multipart uploads: begin, part, complete, abort. */

int
uploads_find(MDB_txn *txn, const struct index *index, uint64_t bucket,
    struct slice key, uint64_t upload, struct slice *bytes, struct error *err)
{
	MDB_dbi dbi = index_dbi(index, DB_UPLOADS);
	uint64_t node, none;
	int rc;

	rc = versions_node(txn, dbi, bucket, key, &node, &none, err);
	if (rc == 0)
		rc = versions_entry(txn, dbi, node, upload, bytes, err);
	if (rc == 1)
		return error_set(err, ERR_NO_UPLOAD,
		    "there is no such upload: it was completed or aborted");
	return rc;
}

static int
apply_create(struct store_txn *txn, struct change *change)
{
	struct create_upload *c =
	    change_of(change, struct create_upload, change);
	struct error *err = &change->err;
	struct txn_bucket *b;

	if ((b = txn_bucket(txn, c->bucket, err)) == NULL)
		return -1;
	c->upload = txn->counters.next_version++;
	c->record.started_ms = txn->now_ms;
	buffer_clear(&txn->scratch);
	upload_encode(&txn->scratch, &c->record);
	if (txn->scratch.failed)
		return error_nomem(err);
	if (versions_add(txn, DB_UPLOADS, b->record.id, c->key, c->upload, 0,
		buffer_slice(&txn->scratch), err) != 0)
		return -1;
	b->record.uploads++;
	b->dirty = 1;
	return 0;
}

int
store_create_upload(struct store *store, struct create_upload *c)
{
	return store_submit(store, &c->change, apply_create, NULL, 0);
}

static void
part_key(uint8_t key[10], uint64_t upload, uint16_t number)
{
	be64_put(key, upload);
	be16_put(key + 8, number);
}

static int
apply_part(struct store_txn *txn, struct change *change)
{
	struct put_part *p = change_of(change, struct put_part, change);
	struct error *err = &change->err;
	const struct bucket_record *rec;
	struct part_record old = { 0 };
	struct txn_bucket *b;
	struct slice value, key;
	uint8_t k[10];
	uint64_t used;
	int rc;

	if (p->number < 1 || p->number > PARTS_MAX)
		return error_set(err, ERR_INVALID,
		    "a part's number lies between 1 and %d", PARTS_MAX);
	if ((b = txn_bucket(txn, p->bucket, err)) == NULL ||
	    uploads_find(txn->txn, txn->index, b->record.id, p->key, p->upload,
		&value, err) != 0)
		return -1;

	part_key(k, p->upload, p->number);
	key = (struct slice){ (char *)k, sizeof(k) };
	rc = index_get(
	    txn->txn, txn_dbi(txn, DB_PARTS), k, sizeof(k), &value, err);
	if (rc < 0 || (rc == 0 && part_decode(value, &old, err) != 0))
		return -1;

	p->record.size = content_size(p->content);
	p->record.mtime_ms = txn->now_ms;
	rec = &b->record;
	used = rec->object_bytes + rec->version_bytes + rec->upload_bytes -
	    old.size;
	if (rec->quota_bytes != 0 &&
	    (used > rec->quota_bytes ||
		p->record.size > rec->quota_bytes - used))
		return error_set(err, ERR_QUOTA,
		    "the bucket \"%s\" would hold %" PRIu64
		    " bytes, its quota is %" PRIu64
		    ": delete something or raise the quota",
		    b->name, used + p->record.size, rec->quota_bytes);

	if (txn_extent_content(txn, p->content, &p->record.extent, err) != 0 ||
	    txn_extent_unref(txn, old.extent, err) != 0)
		return -1;
	buffer_clear(&txn->scratch);
	part_encode(&txn->scratch, &p->record);
	if (txn->scratch.failed)
		return error_nomem(err);
	if (txn_put(txn, DB_PARTS, key, buffer_slice(&txn->scratch), 0, err) !=
	    0)
		return -1;
	b->record.upload_bytes += p->record.size - old.size;
	b->dirty = 1;
	return 0;
}

int
store_put_part(struct store *store, struct put_part *p)
{
	return store_submit(store, &p->change, apply_part, p->content, 0);
}

/* Walks the parts of an upload within the write transaction; each is shown and
 * then removed. */
static int
take_parts(struct store_txn *txn, uint64_t upload,
    int (*take)(
	void *arg, uint16_t number, const struct part_record *, struct error *),
    void *arg, struct error *err)
{
	struct part_record part;
	MDB_cursor *cursor;
	uint8_t key[10];
	MDB_val k = { sizeof(key), key }, v;
	uint16_t number;
	int rc;

	part_key(key, upload, 0);
	rc = mdb_cursor_open(txn->txn, txn_dbi(txn, DB_PARTS), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading parts");
	txn->wrote = 1;
	for (rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE);
	     rc == 0 || rc == STAMP_BROKEN;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != 10 || be64_get(k.mv_data) != upload) {
			rc = 0;
			break;
		}
		number = be16_get((const uint8_t *)k.mv_data + 8);
		if (rc == STAMP_BROKEN) {
			log_line(LOG_ERROR, "store.damage",
			    "the record of part %u of an upload is damaged, and"
			    " goes with it; its space stays taken",
			    number);
			if ((rc = mdb_cursor_del(cursor, 0)) != 0)
				break;
			continue;
		}
		if (part_decode((struct slice){ v.mv_data, v.mv_size }, &part,
			err) != 0)
			goto fail;
		if ((rc = mdb_cursor_del(cursor, 0)) != 0)
			break;
		if (take(arg, number, &part, err) != 0)
			goto fail;
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading parts");
	return 0;

fail:
	mdb_cursor_close(cursor);
	return -1;
}

/* ---- complete ---- */

struct completing {
	struct store_txn *txn;
	const struct complete_upload *upload;
	size_t next; /* of upload->parts */
	uint64_t freed;
};

/* The MD5 of the parts' MD5s, their checksum, and the chain; reads only. */
struct assembly {
	struct buffer chain;
	uint64_t size;
	uint8_t md5[16];
	struct checksum checksum;
};

static uint64_t
sum_get(const struct checksum *c)
{
	return c->kind == CHECKSUM_CRC64NVME ? be64_get(c->value)
					     : be32_get(c->value);
}

/* Joins a full-object checksum with the next part's. */
static void
sum_join(struct checksum *all, const struct checksum *part, uint64_t part_len)
{
	uint64_t a = sum_get(all), b = sum_get(part);

	switch (all->kind) {
	case CHECKSUM_CRC32:
		be32_put(all->value,
		    crc32_iso_combine((uint32_t)a, (uint32_t)b, part_len));
		break;
	case CHECKSUM_CRC32C:
		be32_put(all->value,
		    crc32c_combine((uint32_t)a, (uint32_t)b, part_len));
		break;
	case CHECKSUM_CRC64NVME:
		be64_put(all->value, crc64_nvme_combine(a, b, part_len));
		break;
	default:
		break;
	}
}

/* A checksum of checksums: the algorithm over the parts' values. */
static void
sum_composite(struct checksum *all, const struct buffer *values)
{
	switch (all->kind) {
	case CHECKSUM_CRC32:
		be32_put(all->value, crc32_iso(0, values->at, values->len));
		break;
	case CHECKSUM_CRC32C:
		be32_put(all->value, crc32c(0, values->at, values->len));
		break;
	case CHECKSUM_CRC64NVME:
		be64_put(all->value, crc64_nvme(0, values->at, values->len));
		break;
	case CHECKSUM_SHA1:
		digest_once(DIGEST_SHA1, values->at, values->len, all->value);
		break;
	case CHECKSUM_SHA256:
		digest_once(DIGEST_SHA256, values->at, values->len, all->value);
		break;
	default:
		break;
	}
}

static int
check_part(const struct complete_upload *c, size_t i,
    const struct part_record *part, const struct upload_record *upload,
    struct error *err)
{
	const struct complete_part *want = &c->parts[i];

	if (memcmp(want->md5, part->md5, sizeof(part->md5)) != 0)
		return error_set(err, ERR_NO_PART,
		    "part %u was sent with another ETag", want->number);
	if (want->checksum.kind != CHECKSUM_NONE &&
	    (want->checksum.kind != part->checksum.kind ||
		memcmp(want->checksum.value, part->checksum.value,
		    checksum_bytes(part->checksum.kind)) != 0))
		return error_set(err, ERR_NO_PART,
		    "part %u was sent with another checksum", want->number);
	if (upload->checksum_kind != CHECKSUM_NONE &&
	    part->checksum.kind != upload->checksum_kind)
		return error_set(err, ERR_NO_PART,
		    "part %u has no checksum of the upload's algorithm",
		    want->number);
	if (i + 1 < c->n_parts && part->size < PART_MIN_BYTES)
		return error_set(err, ERR_PART_SMALL,
		    "part %u has %" PRIu64 " bytes; each but the last needs"
		    " 5 MiB",
		    want->number, part->size);
	return 0;
}

static int
assemble(struct store_txn *txn, const struct complete_upload *c,
    const struct upload_record *upload, struct assembly *a, struct error *err)
{
	struct buffer md5s = BUFFER_INIT, sums = BUFFER_INIT;
	struct chain_entry entry = { 0 };
	struct part_record part;
	struct slice value;
	uint8_t k[10];
	size_t i, n;
	int rc;

	a->checksum.kind = upload->checksum_kind;
	a->checksum.composite = upload->checksum_composite;
	n = checksum_bytes(a->checksum.kind);
	for (i = 0; i < c->n_parts; i++) {
		if (i > 0 && c->parts[i].number <= c->parts[i - 1].number) {
			error_set(err, ERR_PART_ORDER,
			    "part %u follows part %u", c->parts[i].number,
			    c->parts[i - 1].number);
			goto fail;
		}
		part_key(k, c->upload, c->parts[i].number);
		rc = index_get(txn->txn, txn_dbi(txn, DB_PARTS), k, sizeof(k),
		    &value, err);
		if (rc == 1)
			error_set(err, ERR_NO_PART,
			    "part %u was not sent, or was sent to another"
			    " upload",
			    c->parts[i].number);
		if (rc != 0 || part_decode(value, &part, err) != 0 ||
		    check_part(c, i, &part, upload, err) != 0)
			goto fail;
		if (part.size > OBJECT_MAX_BYTES - a->size) {
			error_set(
			    err, ERR_TOO_LARGE, "an object has at most 5 TiB");
			goto fail;
		}
		a->size += part.size;
		entry.extent = part.extent;
		entry.end = a->size;
		entry.number = c->parts[i].number;
		memcpy(entry.checksum, part.checksum.value,
		    sizeof(entry.checksum));
		chain_add(&a->chain, a->checksum.kind, &entry);
		buffer_add(&md5s, part.md5, sizeof(part.md5));
		if (n == 0)
			continue;
		if (a->checksum.composite)
			buffer_add(&sums, part.checksum.value, n);
		else if (i == 0)
			memcpy(a->checksum.value, part.checksum.value, n);
		else
			sum_join(&a->checksum, &part.checksum, part.size);
	}
	if (md5s.failed || sums.failed || a->chain.failed) {
		error_nomem(err);
		goto fail;
	}
	digest_once(DIGEST_MD5, md5s.at, md5s.len, a->md5);
	if (n > 0 && a->checksum.composite)
		sum_composite(&a->checksum, &sums);
	if (c->size != UINT64_MAX && c->size != a->size) {
		error_set(err, ERR_INVALID,
		    "the parts have %" PRIu64
		    " bytes, the request says %" PRIu64,
		    a->size, c->size);
		goto fail;
	}
	if (c->checksum.kind != CHECKSUM_NONE &&
	    (c->checksum.kind != a->checksum.kind ||
		memcmp(c->checksum.value, a->checksum.value, n) != 0)) {
		error_set(err, ERR_DIGEST,
		    "the parts do not come to the checksum that was named");
		goto fail;
	}
	buffer_free(&md5s);
	buffer_free(&sums);
	return 0;

fail:
	buffer_free(&md5s);
	buffer_free(&sums);
	return -1;
}

/* A part that complete names gives its reference to the chain; another is let
 * go. */
static int
settle_part(void *arg, uint16_t number, const struct part_record *part,
    struct error *err)
{
	struct completing *c = arg;

	c->freed += part->size;
	if (c->next < c->upload->n_parts &&
	    c->upload->parts[c->next].number == number) {
		c->next++;
		return 0;
	}
	return txn_extent_unref(c->txn, part->extent, err);
}

static int
apply_complete(struct store_txn *txn, struct change *change)
{
	struct complete_upload *c =
	    change_of(change, struct complete_upload, change);
	struct completing completing = { txn, c, 0, 0 };
	struct assembly a = { 0 };
	struct error *err = &change->err;
	struct object_record rec = { 0 };
	struct upload_record upload;
	struct txn_bucket *b;
	struct slice value;

	if (c->n_parts == 0 || c->n_parts > PARTS_MAX)
		return error_set(
		    err, ERR_INVALID, "an object has 1 to %d parts", PARTS_MAX);
	if ((b = txn_bucket(txn, c->bucket, err)) == NULL ||
	    uploads_find(txn->txn, txn->index, b->record.id, c->key, c->upload,
		&value, err) != 0)
		return -1;
	c->versioning = b->record.versioning;
	buffer_clear(&c->memory);
	buffer_add_slice(&c->memory, value);
	if (c->memory.failed)
		return error_nomem(err);
	if (upload_decode(buffer_slice(&c->memory), &upload, err) != 0 ||
	    objects_check(
		txn, b->record.id, c->key, c->check, c->check_arg, err) != 0 ||
	    assemble(txn, c, &upload, &a, err) != 0)
		goto fail;

	if (txn_extent_chain(txn, buffer_slice(&a.chain), (uint32_t)c->n_parts,
		a.checksum.kind, a.size, &rec.extent, err) != 0 ||
	    take_parts(txn, c->upload, settle_part, &completing, err) != 0 ||
	    versions_remove(
		txn, DB_UPLOADS, b->record.id, c->key, c->upload, 0, err) != 0)
		goto fail;
	b->record.uploads--;
	b->record.upload_bytes -= completing.freed;
	b->dirty = 1;

	rec.size = a.size;
	rec.parts = (uint16_t)c->n_parts;
	memcpy(rec.md5, a.md5, sizeof(rec.md5));
	rec.checksum = a.checksum;
	rec.attributes = upload.attributes;
	rec.tags = upload.tags;
	if (objects_place(txn, change, b, c->key, &rec, err) != 0)
		goto fail;
	c->record = rec;
	buffer_free(&a.chain);
	return 0;

fail:
	buffer_free(&a.chain);
	return -1;
}

int
store_complete_upload(struct store *store, struct complete_upload *c)
{
	return store_submit(store, &c->change, apply_complete, NULL, 1);
}

/* ---- abort ---- */

struct aborting {
	struct store_txn *txn;
	uint64_t freed;
};

static int
drop_part(void *arg, uint16_t number, const struct part_record *part,
    struct error *err)
{
	struct aborting *a = arg;

	(void)number;
	a->freed += part->size;
	return txn_extent_unref(a->txn, part->extent, err);
}

static int
apply_abort(struct store_txn *txn, struct change *change)
{
	struct abort_upload *a = change_of(change, struct abort_upload, change);
	struct aborting aborting = { txn, 0 };
	struct error *err = &change->err;
	struct txn_bucket *b;
	struct slice value;

	if ((b = txn_bucket(txn, a->bucket, err)) == NULL ||
	    uploads_find(txn->txn, txn->index, b->record.id, a->key, a->upload,
		&value, err) != 0)
		return -1;
	if (take_parts(txn, a->upload, drop_part, &aborting, err) != 0 ||
	    versions_remove(
		txn, DB_UPLOADS, b->record.id, a->key, a->upload, 0, err) != 0)
		return -1;
	b->record.uploads--;
	b->record.upload_bytes -= aborting.freed;
	b->dirty = 1;
	return 0;
}

int
store_abort_upload(struct store *store, struct abort_upload *a)
{
	return store_submit(store, &a->change, apply_abort, NULL, 1);
}
