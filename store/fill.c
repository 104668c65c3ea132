#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "store/adopt.h"
#include "store/away.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/prove.h"
#include "store/tier.h"
#include "store/txn.h"

/* Contents that are elsewhere alone, fetched. The extent keeps its number: its
 * file is made under it first, then its record says so. A file that a crash
 * leaves without that is made again. */

#define CHUNK_BYTES ((size_t)1024 * 1024)

enum how {
	FILL_READ,   /* and kept, up to the mark of tiering */
	FILL_NEEDED, /* above it too */
	FILL_TABLE
};

struct filling {
	struct store *store;
	uint64_t id;
	struct extent_record rec;
	struct buffer memory;
	struct extent_reader *table; /* of a file whose data is not here */
	struct extent_writer *file;  /* NULL: small enough for the index */
	int table_only, needed;
	struct buffer bytes;
	struct digest *md5;
	uint8_t sum[MD5_BYTES];
	int unproven; /* nothing here tells whether the bytes are right */
	uint32_t crc32c;
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
	int rc;

	rc = extents_get(txn->txn, txn->index, f->id, &rec, &change->err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	/* Let go of meanwhile: the reaper, who waits for us, takes the file. */
	if (rec.kind != EXTENT_REMOTE || rec.references == 0)
		return 0;
	rec.kind = f->bytes.len > 0 ? EXTENT_INLINE : EXTENT_FILE;
	rec.bytes = f->bytes;
	rec.crc32c =
	    f->bytes.len > 0 ? crc32c(0, f->bytes.at, f->bytes.len) : 0;
	return extents_put(txn, f->id, &rec, &change->err);
}

/* Bytes from elsewhere, whose blocks are verified where a table is here. */
static int
take(struct filling *f, uint64_t at, const char *bytes, size_t len,
    struct error *err)
{
	size_t done, n;

	for (done = 0; f->table != NULL && done < len; done += n) {
		n = len - done < EXTENT_BLOCK_BYTES ? len - done
						    : EXTENT_BLOCK_BYTES;
		if (extent_verify_block(f->table,
			(at + done) / EXTENT_BLOCK_BYTES, bytes + done, n,
			err) != 0)
			return error_add(err, "the copy outside");
	}
	if (f->table == NULL) {
		digest_update(f->md5, bytes, len);
		f->crc32c = crc32c(f->crc32c, bytes, len);
	}
	if (f->file != NULL)
		return extent_append(f->file, bytes, len, err);
	buffer_add(&f->bytes, bytes, len);
	return f->bytes.failed ? error_nomem(err) : 0;
}

static int
fetch(struct filling *f, struct error *err)
{
	struct away away = { .store = f->store,
		.extent = f->id,
		.size = f->rec.size,
		.place = f->rec.place,
		.place_offset = f->rec.place_offset };
	char *chunk = malloc(CHUNK_BYTES);
	uint64_t at;
	size_t len;
	int rc = 0;

	if (chunk == NULL)
		return error_nomem(err);
	for (at = 0; at < f->rec.size && rc == 0; at += len) {
		len = f->rec.size - at < CHUNK_BYTES
		    ? (size_t)(f->rec.size - at)
		    : CHUNK_BYTES;
		rc = atomic_load(&f->store->heal.stopping)
		    ? error_set(err, ERR_CLOSING, "the server is stopping")
		    : away_read(&away, at, chunk, len, err);
		if (rc == 0)
			rc = take(f, at, chunk, len, err);
	}
	away_close(&away);
	free(chunk);
	return rc;
}

static int
verify(struct filling *f, struct error *err)
{
	if (f->table != NULL)
		return 0;
	digest_final(f->md5, f->sum);
	if (f->rec.has_sum && f->crc32c != f->rec.crc32c)
		return error_set(err, ERR_DAMAGED,
		    "the copy outside has the CRC32C %08x, expected %08x",
		    f->crc32c, f->rec.crc32c);
	f->unproven = f->rec.md5.len == 0 && !f->rec.has_sum;
	if (f->rec.md5.len == 0 ||
	    memcmp(f->sum, f->rec.md5.at, MD5_BYTES) == 0)
		return 0;
	return error_set(err, ERR_DAMAGED,
	    "the copy outside does not have the MD5 that its object has");
}

/* Which part of the object it is; 0: it is all of it. */
static uint16_t
part_of(struct filling *f, const struct object_record *object)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record chain;
	struct chain_entry e;
	uint16_t number = 0;
	size_t i;

	if (object->parts > 0 &&
	    heal_record(f->store, object->extent, &chain, &memory, NULL) == 0 &&
	    !(chain.flags & EXTENT_ADOPTED))
		for (i = 0; i < chain.n_entries && number == 0; i++)
			if (chain_get(&chain, i, &e) == 0 && e.extent == f->id)
				number = e.number;
	buffer_free(&memory);
	return number;
}

/* Of the object that is read, or of its part, as it was when written here. */
static void
name_object(struct filling *f, struct content_owner *owner,
    struct buffer *record, struct buffer *memory)
{
	struct object_record rec = { 0 };
	struct part_record part = { .size = f->rec.size };

	if (store_object(f->store, owner->bucket, owner->key, 0, &rec, memory,
		NULL, NULL, NULL) != 0)
		rec = (struct object_record){ .size = f->rec.size };
	if ((owner->part = part_of(f, &rec)) == 0)
		object_encode(record, &rec);
	else {
		owner->upload = rec.version;
		part.mtime_ms = rec.mtime_ms;
		memcpy(part.md5, f->sum, sizeof(part.md5));
		part_encode(record, &part);
	}
	owner->record = buffer_slice(record);
}

/* Whose bytes these are: as the old file says, else the object that is read. */
static int
make_owner(struct filling *f, struct slice bucket, struct slice key,
    struct buffer *encoded, struct error *err)
{
	struct content_owner owner = { .bucket = bucket, .key = key };
	struct buffer record = BUFFER_INIT, memory = BUFFER_INIT;
	int rc = 0;

	if (f->table != NULL &&
	    (extent_owner(f->table, &memory, err) != 0 ||
		content_owner_decode(buffer_slice(&memory), &owner, err) != 0))
		rc = -1;
	else if (f->table == NULL)
		name_object(f, &owner, &record, &memory);
	owner.place = f->table_only ? f->rec.place : SLICE_NULL;
	owner.place_offset = f->rec.place_offset;
	if (rc == 0)
		content_owner_encode(encoded, &owner);
	if (rc == 0 && (encoded->failed || record.failed))
		rc = error_nomem(err);
	buffer_free(&record);
	buffer_free(&memory);
	return rc;
}

/* The block table, where the data was once. */
static void
open_table(struct filling *f)
{
	f->table = extent_open(f->store->extents, f->id, NULL);
	if (f->table != NULL && extent_is_shed(f->table) &&
	    extent_reader_size(f->table) == f->rec.size &&
	    extent_check_trailer(f->table, NULL) == 0)
		return;
	extent_close(f->table);
	f->table = NULL;
}

/* The table alone, if the bytes have not come meanwhile: it would take the name
 * of their file. */
static int
settle_table(struct filling *f, struct slice owner, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	int rc;

	pthread_rwlock_wrlock(&f->store->tier.moving);
	rc = heal_record(f->store, f->id, &rec, &memory, err);
	if (rc == 0 && rec.kind == EXTENT_REMOTE)
		rc = extent_replace(f->file, f->id, owner, err);
	pthread_rwlock_unlock(&f->store->tier.moving);
	buffer_free(&memory);
	return rc;
}

/* Bytes that nothing here has proven take no place of such that something has:
 * others may have come, or a table to prove them by. */
static int
check_unproven(struct filling *f, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	int rc;

	rc = heal_record(f->store, f->id, &rec, &memory, err);
	buffer_free(&memory);
	open_table(f);
	if (rc == 0 && (rec.kind != EXTENT_REMOTE || f->table != NULL))
		rc = error_set(err, ERR_BUSY,
		    "the same bytes were fetched at the same time: come again");
	return rc;
}

/* Once it is here: its file, and what the index says. Nobody gives the extent
 * up between the two. */
static int
settle(struct filling *f, struct slice owner, struct error *err)
{
	struct filled filled = { .id = f->id, .size = f->rec.size };
	int rc = 0;

	if (f->table_only)
		return settle_table(f, owner, err);
	filled.bytes = f->file == NULL ? buffer_slice(&f->bytes) : SLICE_NULL;
	if (f->unproven)
		pthread_rwlock_wrlock(&f->store->tier.moving);
	else
		pthread_rwlock_rdlock(&f->store->tier.moving);
	if (f->unproven)
		rc = check_unproven(f, err);
	if (rc == 0 && f->file != NULL)
		rc = extent_replace(f->file, f->id, owner, err);
	if (rc == 0 &&
	    store_submit(f->store, &filled.change, apply_filled, NULL, 0) !=
		0) {
		*err = filled.change.err;
		rc = -1;
	}
	pthread_rwlock_unlock(&f->store->tier.moving);
	return rc;
}

static int
begin(struct filling *f, struct error *err)
{
	if ((f->md5 = digest_new(DIGEST_MD5)) == NULL)
		return error_nomem(err);
	if (!f->table_only &&
	    (f->needed ? space_admit(f->store->space, f->rec.size, err)
		       : tier_admit(f->store, f->rec.size, err)) != 0)
		return -1;
	if (!f->table_only && f->rec.size <= f->store->inline_max_bytes)
		return 0;
	f->file = extent_begin(f->store->extents, f->rec.size, err);
	if (f->file == NULL)
		return -1;
	if (f->table_only)
		extent_sum_only(f->file);
	return 0;
}

static int
fill(
    struct filling *f, struct slice bucket, struct slice key, struct error *err)
{
	struct buffer owner = BUFFER_INIT;
	int rc = -1;

	if (begin(f, err) == 0 && fetch(f, err) == 0 && verify(f, err) == 0 &&
	    (f->file == NULL || make_owner(f, bucket, key, &owner, err) == 0))
		rc = settle(f, buffer_slice(&owner), err);
	buffer_free(&owner);
	if (rc != 0) {
		if (err->kind == ERR_DAMAGED)
			tier_tell_damage(f->store, f->id, 0, err);
		return -1;
	}
	if (f->table_only)
		return 0;
	atomic_fetch_add(&f->store->filled_contents, 1);
	atomic_fetch_add(&f->store->filled_bytes, f->rec.size);
	tier_moved(f->store);
	return 0;
}

static int
fill_one(struct store *store, uint64_t extent, struct slice bucket,
    struct slice key, enum how how, int *unproven, struct error *err)
{
	struct filling f = { .store = store,
		.id = extent,
		.table_only = how == FILL_TABLE,
		.needed = how == FILL_NEEDED };
	int rc = -1;

	if (ids_pin(&store->ids, extent) != 0)
		return error_nomem(err);
	if (heal_record(store, extent, &f.rec, &f.memory, err) != 0)
		goto out;
	rc = 0;
	if (f.rec.kind != EXTENT_REMOTE)
		goto out;
	open_table(&f);
	if (!f.table_only || f.table == NULL)
		rc = fill(&f, bucket, key, err);
out:
	*unproven |= f.unproven;
	ids_unpin(&store->ids, extent);
	extent_free(f.file);
	extent_close(f.table);
	digest_free(f.md5);
	buffer_free(&f.bytes);
	buffer_free(&f.memory);
	return rc;
}

int
fill_extent(struct store *store, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err)
{
	int unproven = 0;

	return fill_one(store, extent, bucket, key, FILL_READ, &unproven, err);
}

int
fill_table(struct store *store, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err)
{
	int unproven = 0;

	return fill_one(store, extent, bucket, key, FILL_TABLE, &unproven, err);
}

/* ---- objects ---- */

struct filled_object {
	struct store *store;
	struct slice bucket, key;
	enum how how;
	struct object_record object;
	struct extent_record root;
};

/* Bytes [begin, end) into a digest, from here. */
static int
sum_part(struct content *content, uint64_t begin, uint64_t end, char *room,
    struct digest *sum, struct error *err)
{
	const char *at;
	long n;

	for (; begin < end; begin += (uint64_t)n) {
		n = content_read(
		    content, begin, end, room, CHUNK_BYTES, 0, &at, err);
		if (n <= 0)
			return -1;
		digest_update(sum, at, (size_t)n);
	}
	return 0;
}

/* Whether the parts that have come are those of the object's ETag, where
 * nothing told it of each. */
static int
verify_parts(const struct filled_object *o, struct error *err)
{
	struct digest *whole = digest_new(DIGEST_MD5);
	struct digest *sum = digest_new(DIGEST_MD5);
	char *room = malloc(CHUNK_BYTES);
	struct content *content = NULL;
	struct chain_entry e = { 0 };
	uint8_t md5[MD5_BYTES];
	uint64_t begin = 0;
	size_t i;
	int rc = -1;

	if (whole == NULL || sum == NULL || room == NULL) {
		error_nomem(err);
		goto out;
	}
	if ((content = content_open(o->store, o->object.extent, err)) == NULL)
		goto out;
	for (i = 0; i < o->root.n_entries; i++, begin = e.end) {
		digest_reset(sum);
		if (chain_get(&o->root, i, &e) != 0 ||
		    sum_part(content, begin, e.end, room, sum, err) != 0)
			goto out;
		digest_final(sum, md5);
		digest_update(whole, md5, sizeof(md5));
	}
	digest_final(whole, md5);
	rc = 0;
	if (memcmp(md5, o->object.md5, sizeof(md5)) != 0) {
		rc = error_set(err, ERR_DAMAGED,
		    "the copy outside does not have the bytes of its object's "
		    "ETag");
		tier_tell_damage(o->store, o->object.extent, 0, err);
	}
out:
	content_close(content);
	digest_free(whole);
	digest_free(sum);
	free(room);
	return rc;
}

/* Parts that came and are not what their object is made of are elsewhere again,
 * where they may be right one day. */
static void
send_back(const struct filled_object *o, struct slice place)
{
	struct extent_record was = { .kind = EXTENT_REMOTE, .place = place };
	struct error err = ERROR_INIT;
	struct chain_entry e = { .end = 0 };
	size_t i;

	for (i = 0; place.len > 0 && i < o->root.n_entries; i++) {
		was.place_offset = e.end;
		if (chain_get(&o->root, i, &e) != 0)
			return;
		was.size = e.end - was.place_offset;
		if (e.extent != 0 &&
		    prove_send_back(o->store, e.extent, &was, &err) != 0)
			log_line(LOG_ERROR, "store.fetch", "%s", err.text);
	}
}

/* What of a content is away, fetched one by one: 1, 0 when there was nothing to
 * do, -1 and *err. */
static int
fill_chain(const struct filled_object *o, struct error *err)
{
	struct buffer record = BUFFER_INIT, place = BUFFER_INIT;
	struct extent_record rec;
	struct chain_entry e;
	int rc = 0, any = 0, unproven = 0;
	size_t i;

	for (i = 0; i < o->root.n_entries && rc == 0; i++) {
		if (chain_get(&o->root, i, &e) != 0 || e.extent == 0)
			continue;
		rc = heal_record(o->store, e.extent, &rec, &record, err);
		if (rc == 0 && rec.kind == EXTENT_REMOTE) {
			buffer_clear(&place);
			buffer_add_slice(&place, rec.place);
			rc = fill_one(o->store, e.extent, o->bucket, o->key,
			    o->how, &unproven, err);
			any = 1;
		}
	}
	if (rc == 0 && o->root.has_sum)
		rc =
		    prove_here(o->store, o->object.extent, o->root.crc32c, err);
	else if (rc == 0 && unproven && !(o->root.flags & EXTENT_ADOPTED))
		rc = verify_parts(o, err);
	if (rc != 0 && o->root.has_sum && err->kind == ERR_DAMAGED)
		send_back(o, buffer_slice(&place));
	buffer_free(&record);
	buffer_free(&place);
	return rc != 0 ? -1 : any;
}

int
fill_object(struct store *store, struct slice bucket, struct slice key,
    int needed, struct error *err)
{
	struct filled_object o = { store, bucket, key,
		needed ? FILL_NEEDED : FILL_READ, { 0 }, { 0 } };
	struct buffer memory = BUFFER_INIT, record = BUFFER_INIT;
	int rc = -1, unproven = 0;

	if (store_object(store, bucket, key, 0, &o.object, &memory, NULL, NULL,
		err) != 0)
		goto out;
	rc = 0;
	if (o.object.extent == 0)
		goto out;
	rc = heal_record(store, o.object.extent, &o.root, &record, err);
	if (rc == 0 && o.root.kind == EXTENT_CHAIN)
		rc = fill_chain(&o, err);
	else if (rc == 0 && o.root.kind == EXTENT_REMOTE)
		rc = fill_one(store, o.object.extent, bucket, key, o.how,
			 &unproven, err) == 0
		    ? 1
		    : -1;
out:
	buffer_free(&memory);
	buffer_free(&record);
	return rc;
}

int
store_fill(struct store *store, struct slice bucket, struct slice key,
    struct error *err)
{
	return fill_object(store, bucket, key, 1, err);
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
