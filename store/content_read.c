#include "store/content.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/error.h"
#include "base/log.h"
#include "store/adopt.h"
#include "store/internal.h"

#define READ_WHOLE_BYTES (8 * 1024 * 1024)
#define READ_THROUGH_BYTES ((size_t)2 * 1024 * 1024)

/* Contents on their way out; the way in is content_write.c. */

/* One extent that holds bytes itself. */
struct piece {
	uint64_t extent;
	uint64_t begin; /* where it begins in the whole */
	uint64_t size;
	uint8_t kind;
	uint8_t bad;         /* EXTENT_INLINE: its bytes fail their check */
	struct buffer bytes; /* EXTENT_INLINE, verified */
	struct extent_reader *file; /* EXTENT_FILE, opened when first read */
	/* EXTENT_REMOTE: its place is in bytes. */
	const struct remote *remote;
	void *copy;
	char *chunk; /* what was read last */
	uint64_t chunk_begin;
	size_t chunk_len;
};

struct content {
	struct store *store;
	uint64_t root;
	uint64_t size;
	struct piece piece; /* the one that was read last */
	struct buffer name; /* bucket and key; empty: not known */
	size_t bucket_len;
	/* A chain's: where each part begins, which extent it is. */
	size_t n_parts;
	struct part {
		uint64_t extent, begin, end;
	} * parts;
};

static void
piece_close(struct piece *p)
{
	extent_close(p->file);
	buffer_free(&p->bytes);
	if (p->copy != NULL)
		p->remote->close(p->copy);
	free(p->chunk);
	*p = (struct piece){ 0 };
}

/* The index's map reads no further than it is asked to, so that a value of
 * several pages would wait for the disk page by page. */
static void
read_ahead(struct slice bytes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)bytes.at & ~(page - 1);
	uintptr_t end = (uintptr_t)bytes.at + bytes.len;

	if (end - first > 2 * page)
		madvise((void *)first, end - first, MADV_WILLNEED);
}

static int
check_inline(struct store *store, uint64_t id, const struct extent_record *rec,
    struct error *err)
{
	uint32_t crc;

	read_ahead(rec->bytes);
	crc = crc32c(0, rec->bytes.at, rec->bytes.len);
	if (crc == rec->crc32c && rec->bytes.len == rec->size)
		return 0;
	error_set(err, ERR_DAMAGED,
	    "extent %" PRIu64 " has checksum %08x, expected %08x", id, crc,
	    rec->crc32c);
	store_damaged(store, id, 0, err);
	return -1;
}

/* Whether a copy elsewhere may help. */
static int
has_remote(struct store *store)
{
	if (remote_hold(store) == NULL)
		return 0;
	remote_release(store);
	return 1;
}

int
content_inline(struct store *store, MDB_txn *txn, uint64_t id,
    struct buffer *bytes, int *found, struct error *err)
{
	struct extent_record rec;
	struct slice value;

	*found = 0;
	if (id == 0) {
		*found = 1;
		return 0;
	}
	switch (index_get_u64(
	    txn, index_dbi(store->index, DB_EXTENTS), id, &value, err)) {
	case 0:
		break;
	case 1:
		return error_set(
		    err, ERR_DAMAGED, "extent %" PRIu64 " has no record", id);
	default:
		return -1;
	}
	if (extent_decode(value, &rec, err) != 0)
		return error_add(err, "extent %" PRIu64, id);
	if (rec.kind != EXTENT_INLINE)
		return 0;
	if (check_inline(store, id, &rec, err) != 0) {
		/* Whoever opens the content gets it healed. */
		if (!has_remote(store))
			return -1;
		error_clear(err);
		return 0;
	}
	buffer_add_slice(bytes, rec.bytes);
	if (bytes->failed)
		return error_nomem(err);
	*found = 1;
	return 0;
}

/* Looks an extent up whose root is pinned. */
static int
look_up(struct store *store, MDB_txn *txn, uint64_t id,
    struct extent_record *rec, struct error *err)
{
	struct slice value;

	switch (index_get_u64(
	    txn, index_dbi(store->index, DB_EXTENTS), id, &value, err)) {
	case 0:
		break;
	case 1:
		return error_set(
		    err, ERR_NOT_FOUND, "extent %" PRIu64 " is gone", id);
	default:
		return -1;
	}
	if (extent_decode(value, rec, err) != 0)
		return error_add(err, "extent %" PRIu64, id);
	if (rec->references == 0)
		return error_set(
		    err, ERR_NOT_FOUND, "extent %" PRIu64 " is gone", id);
	return 0;
}

static int
piece_take(struct store *store, struct piece *p, uint64_t id,
    const struct extent_record *rec, struct error *err)
{
	piece_close(p);
	p->extent = id;
	p->size = rec->size;
	p->kind = rec->kind;
	if (rec->kind == EXTENT_REMOTE) {
		buffer_add_slice(&p->bytes, rec->place);
		return p->bytes.failed ? error_nomem(err) : 0;
	}
	if (rec->kind != EXTENT_INLINE)
		return 0;
	if (check_inline(store, id, rec, err) != 0) {
		p->bad = 1;
		return 0;
	}
	buffer_add_slice(&p->bytes, rec->bytes);
	return p->bytes.failed ? error_nomem(err) : 0;
}

static int
take_chain(
    struct content *c, const struct extent_record *rec, struct error *err)
{
	struct chain_entry e;
	uint64_t begin = 0;
	size_t i;

	c->parts = calloc(rec->n_entries, sizeof(*c->parts));
	if (c->parts == NULL)
		return error_nomem(err);
	for (i = 0; i < rec->n_entries; i++) {
		if (chain_get(rec, i, &e) != 0 || e.end < begin)
			return error_set(err, ERR_DAMAGED,
			    "entry %zu of chain %" PRIu64 " cannot be read", i,
			    c->root);
		c->parts[i] = (struct part){ e.extent, begin, e.end };
		begin = e.end;
	}
	c->n_parts = rec->n_entries;
	if (begin != c->size)
		return error_set(err, ERR_DAMAGED,
		    "chain %" PRIu64 " has %" PRIu64
		    " bytes, expected %" PRIu64,
		    c->root, begin, c->size);
	return 0;
}

struct content *
content_open(struct store *store, uint64_t extent, struct error *err)
{
	struct extent_record rec;
	struct content *c;
	MDB_txn *txn;
	int rc;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	c->store = store;
	if (extent == 0)
		return c;
	/* Pinned before it is looked up: what the look-up finds stays. */
	if (ids_pin(&store->ids, extent) != 0) {
		error_nomem(err);
		free(c);
		return NULL;
	}
	c->root = extent;
	if ((txn = index_read(store->index, err)) == NULL)
		goto fail;
	if ((rc = look_up(store, txn, extent, &rec, err)) == 0) {
		c->size = rec.size;
		rc = rec.kind == EXTENT_CHAIN
		    ? take_chain(c, &rec, err)
		    : piece_take(store, &c->piece, extent, &rec, err);
	}
	index_read_end(store->index, txn);
	if (rc != 0)
		goto fail;
	return c;

fail:
	content_close(c);
	return NULL;
}

void
content_close(struct content *c)
{
	if (c == NULL)
		return;
	piece_close(&c->piece);
	if (c->root != 0)
		ids_unpin(&c->store->ids, c->root);
	buffer_free(&c->name);
	free(c->parts);
	free(c);
}

int
content_name(struct content *c, struct slice bucket, struct slice key)
{
	buffer_clear(&c->name);
	buffer_add_slice(&c->name, bucket);
	buffer_add_slice(&c->name, key);
	c->bucket_len = bucket.len;
	return c->name.failed ? -1 : 0;
}

/* Which part holds offset (parts of no bytes hold none). */
static const struct part *
find_part(const struct content *c, uint64_t offset)
{
	size_t low = 0, high = c->n_parts, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (c->parts[mid].end <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return &c->parts[low];
}

static int
switch_piece(
    struct content *c, uint64_t extent, uint64_t begin, struct error *err)
{
	struct extent_record rec;
	MDB_txn *txn;
	int rc;

	if (c->piece.extent == extent && c->piece.begin == begin)
		return 0;
	if ((txn = index_read(c->store->index, err)) == NULL)
		return -1;
	if ((rc = look_up(c->store, txn, extent, &rec, err)) == 0)
		rc = piece_take(c->store, &c->piece, extent, &rec, err);
	index_read_end(c->store->index, txn);
	c->piece.begin = begin;
	return rc;
}

/* ---- what is damaged here ---- */

static int
can_heal(const struct content *c, const struct error *err)
{
	return err->kind == ERR_DAMAGED && c->name.len > 0 && !c->name.failed &&
	    has_remote(c->store);
}

static struct slice
name_bucket(const struct content *c)
{
	return (struct slice){ c->name.at, c->bucket_len };
}

static struct slice
name_key(const struct content *c)
{
	return (struct slice){ c->name.at + c->bucket_len,
		c->name.len - c->bucket_len };
}

/* Makes the piece's local copy anew and takes it up again. 0, or -1 and *err,
 * which then is as it was. */
static int
heal_piece(struct content *c, struct error *err)
{
	struct error why = ERROR_INIT;
	uint64_t extent = c->piece.extent, begin = c->piece.begin;

	if (heal_extent(c->store, extent, name_bucket(c), name_key(c), &why) !=
	    0) {
		log_fields(LOG_WARN, "store.heal", why.text,
		    (const struct log_field[]){ LOG_N("extent", extent) }, 1);
		return -1;
	}
	piece_close(&c->piece);
	error_clear(err);
	return switch_piece(c, extent, begin, err);
}

/* One block from a copy elsewhere, where the local block table can tell whether
 * it is right. Bytes read, or -1 and *err as it was. */
static long
read_elsewhere(struct content *c, uint64_t block, void *memory)
{
	uint64_t at = block * EXTENT_BLOCK_BYTES;
	struct error why = ERROR_INIT;
	size_t len = EXTENT_BLOCK_BYTES;

	if (len > c->piece.size - at)
		len = (size_t)(c->piece.size - at);
	if (heal_read(c->store, c->root, name_bucket(c), name_key(c),
		c->piece.begin + at, memory, len, c->piece.file, block,
		&why) == 0)
		return (long)len;
	log_fields(LOG_WARN, "store.heal", why.text,
	    (const struct log_field[]){ LOG_N("extent", c->piece.extent) }, 1);
	return -1;
}

/* ---- files ---- */

/* The file, opened if need be: 0, CONTENT_WOULD_BLOCK, or -1 and *err. */
static int
open_file(struct content *c, int nowait, struct error *err)
{
	struct piece *p = &c->piece;

	if (p->file != NULL ||
	    (p->file = extent_open(c->store->extents, p->extent, err)) != NULL)
		return 0;
	if (err->kind == ERR_NOT_FOUND)
		err->kind = ERR_DAMAGED;
	if (err->kind != ERR_DAMAGED)
		return -1;
	if (nowait && can_heal(c, err)) {
		error_clear(err);
		return CONTENT_WOULD_BLOCK;
	}
	store_damaged(c->store, p->extent, 0, err);
	if (!can_heal(c, err) || heal_piece(c, err) != 0)
		return -1;
	p->file = extent_open(c->store->extents, p->extent, err);
	return p->file == NULL ? -1 : 0;
}

/* Blocks [first, first + n), or fewer when one of them is damaged. */
static long
read_blocks(struct content *c, uint64_t first, size_t n, void *memory,
    int nowait, struct error *err)
{
	struct piece *p = &c->piece;
	uint64_t bad = first;
	long got;

	got = extent_read_blocks(p->file, first, n, memory, nowait, &bad, err);
	if (got != -1 || err->kind != ERR_DAMAGED)
		return got;
	if (nowait && can_heal(c, err)) {
		error_clear(err);
		return CONTENT_WOULD_BLOCK;
	}
	/* What is sound before it is had first; it comes again. */
	if (bad > first && can_heal(c, err)) {
		error_clear(err);
		return extent_read_blocks(p->file, first, (size_t)(bad - first),
		    memory, 0, &bad, err);
	}
	store_damaged(c->store, p->extent, bad, err);
	if (!can_heal(c, err) || (got = read_elsewhere(c, bad, memory)) < 0)
		return -1;
	error_clear(err);
	return got;
}

static long
read_file(struct content *c, uint64_t offset, uint64_t end, void *memory,
    size_t room, int nowait, const char **at, struct error *err)
{
	uint64_t first = offset / EXTENT_BLOCK_BYTES;
	uint64_t last = (end - 1) / EXTENT_BLOCK_BYTES;
	size_t skip = (size_t)(offset % EXTENT_BLOCK_BYTES), n;
	uint64_t good;
	long got;
	int rc;

	if ((rc = open_file(c, nowait, err)) != 0)
		return rc;
	n = room / EXTENT_BLOCK_BYTES;
	if (last - first + 1 < n)
		n = (size_t)(last - first + 1);
	got = read_blocks(c, first, n, memory, nowait, err);
	if (got < 0)
		return got;
	if ((size_t)got <= skip) {
		error_set(err, ERR_DAMAGED, "extent %" PRIu64 " is too short",
		    c->piece.extent);
		store_damaged(c->store, c->piece.extent, first, err);
		return -1;
	}
	*at = (const char *)memory + skip;
	good = (uint64_t)got - skip;
	return (long)(good < end - offset ? good : end - offset);
}

/* Bytes that live in the index: 0, CONTENT_WOULD_BLOCK, or -1 and *err. */
static int
have_inline(struct content *c, uint64_t end, int nowait, struct error *err)
{
	struct piece *p = &c->piece;

	if (p->bad) {
		error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 " fails its checksum", p->extent);
		if (!can_heal(c, err))
			return -1;
		if (nowait) {
			error_clear(err);
			return CONTENT_WOULD_BLOCK;
		}
		if (heal_piece(c, err) != 0)
			return -1;
	}
	if (p->bad || end > p->bytes.len)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 " is too short", p->extent);
	return 0;
}

/* ---- what is elsewhere alone ---- */

/* Small ones are fetched whole, verified and kept before the first byte is
 * served; others are read through, and are fetched by whoever fills the store.
 * What is known to be wrong is not read through either. */
static int
keep_small(struct content *c, struct error *err)
{
	uint64_t extent = c->piece.extent, begin = c->piece.begin;

	if (c->piece.size > READ_WHOLE_BYTES)
		return 0;
	if (fill_extent(c->store, extent, name_bucket(c), name_key(c), err) !=
	    0)
		return err->kind == ERR_DAMAGED ? -1 : 0;
	piece_close(&c->piece);
	return switch_piece(c, extent, begin, err) == 0 ? 1 : -1;
}

static int
read_chunk(struct content *c, uint64_t offset, struct error *err)
{
	struct piece *p = &c->piece;
	size_t len = READ_THROUGH_BYTES;
	int rc = -1;

	if (p->size - offset < len)
		len = (size_t)(p->size - offset);
	if (p->chunk == NULL && (p->chunk = malloc(READ_THROUGH_BYTES)) == NULL)
		return error_nomem(err);
	p->chunk_len = 0;
	if ((p->remote = remote_hold(c->store)) == NULL)
		return error_set(err, ERR_IO,
		    "its bytes are at a destination, and none is there");
	if (p->copy == NULL)
		p->copy = p->remote->open_place(
		    p->remote->context, buffer_slice(&p->bytes), p->size, err);
	if (p->copy != NULL)
		rc = p->remote->read(p->copy, offset, p->chunk, len, err);
	remote_release(c->store);
	if (rc != 0)
		return -1;
	p->chunk_begin = offset;
	p->chunk_len = len;
	atomic_fetch_add(&c->store->read_through_bytes, len);
	return 0;
}

static long
read_remote(struct content *c, uint64_t offset, uint64_t end, int nowait,
    const char **at, struct error *err)
{
	struct piece *p = &c->piece;
	uint64_t left;

	if (offset < p->chunk_begin ||
	    offset >= p->chunk_begin + p->chunk_len) {
		if (nowait)
			return CONTENT_WOULD_BLOCK;
		if (read_chunk(c, offset, err) != 0)
			return -1;
	}
	*at = p->chunk + (offset - p->chunk_begin);
	left = p->chunk_begin + p->chunk_len - offset;
	return (long)(left < end - offset ? left : end - offset);
}

long
content_read(struct content *c, uint64_t offset, uint64_t end, void *memory,
    size_t room, int nowait, const char **at, struct error *err)
{
	const struct part *part;
	uint64_t begin = 0;
	int rc;

	if (end > c->size)
		end = c->size;
	if (offset >= end)
		return 0;
	if (c->n_parts > 0) {
		part = find_part(c, offset);
		begin = part->begin;
		if (end > part->end)
			end = part->end;
		if (switch_piece(c, part->extent, begin, err) != 0)
			return -1;
	}
	offset -= begin;
	end -= begin;
	if (c->piece.kind == EXTENT_REMOTE && c->piece.chunk_len == 0) {
		if (nowait)
			return CONTENT_WOULD_BLOCK;
		if ((rc = keep_small(c, err)) < 0)
			return -1;
		if (rc == 0)
			error_clear(err);
	}
	if (c->piece.kind == EXTENT_REMOTE)
		return read_remote(c, offset, end, nowait, at, err);
	if (c->piece.kind == EXTENT_FILE)
		return read_file(c, offset, end, memory, room, nowait, at, err);
	if ((rc = have_inline(c, end, nowait, err)) != 0)
		return rc;
	*at = c->piece.bytes.at + offset;
	return (long)(end - offset);
}
