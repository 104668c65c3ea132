#include "store/content.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/error.h"
#include "store/internal.h"

/* Contents on their way out; the way in is content_write.c. */

/* One extent that holds bytes itself. */
struct piece {
	uint64_t extent;
	uint8_t kind;
	struct buffer bytes;        /* EXTENT_INLINE, verified */
	struct extent_reader *file; /* EXTENT_FILE, opened when first read */
};

struct content {
	struct store *store;
	uint64_t root;
	uint64_t size;
	struct piece piece; /* the one that was read last */
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
	if (check_inline(store, id, &rec, err) != 0)
		return -1;
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
	if (rec->kind == EXTENT_INLINE) {
		if (check_inline(store, id, rec, err) != 0)
			return -1;
		buffer_add_slice(&p->bytes, rec->bytes);
		if (p->bytes.failed)
			return error_nomem(err);
	}
	p->extent = id;
	p->kind = rec->kind;
	return 0;
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
	free(c->parts);
	free(c);
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
switch_piece(struct content *c, uint64_t extent, struct error *err)
{
	struct extent_record rec;
	MDB_txn *txn;
	int rc;

	if (c->piece.extent == extent)
		return 0;
	if ((txn = index_read(c->store->index, err)) == NULL)
		return -1;
	if ((rc = look_up(c->store, txn, extent, &rec, err)) == 0)
		rc = piece_take(c->store, &c->piece, extent, &rec, err);
	index_read_end(c->store->index, txn);
	return rc;
}

static long
read_file(struct store *store, struct piece *p, uint64_t offset, uint64_t end,
    void *memory, size_t room, int nowait, const char **at, struct error *err)
{
	uint64_t first = offset / EXTENT_BLOCK_BYTES, bad = 0;
	uint64_t last = (end - 1) / EXTENT_BLOCK_BYTES;
	size_t skip = (size_t)(offset % EXTENT_BLOCK_BYTES), n;
	uint64_t good;
	long got;

	if (p->file == NULL &&
	    (p->file = extent_open(store->extents, p->extent, err)) == NULL) {
		if (err->kind == ERR_NOT_FOUND)
			err->kind = ERR_DAMAGED;
		if (err->kind == ERR_DAMAGED)
			store_damaged(store, p->extent, 0, err);
		return -1;
	}
	n = room / EXTENT_BLOCK_BYTES;
	if (last - first + 1 < n)
		n = (size_t)(last - first + 1);
	got = extent_read_blocks(p->file, first, n, memory, nowait, &bad, err);
	if (got == -1 && err->kind == ERR_DAMAGED)
		store_damaged(store, p->extent, bad, err);
	if (got < 0)
		return got;
	if ((size_t)got <= skip) {
		error_set(err, ERR_DAMAGED, "extent %" PRIu64 " is too short",
		    p->extent);
		store_damaged(store, p->extent, first, err);
		return -1;
	}
	*at = (const char *)memory + skip;
	good = (uint64_t)got - skip;
	return (long)(good < end - offset ? good : end - offset);
}

long
content_read(struct content *c, uint64_t offset, uint64_t end, void *memory,
    size_t room, int nowait, const char **at, struct error *err)
{
	const struct part *part;
	uint64_t begin = 0;

	if (end > c->size)
		end = c->size;
	if (offset >= end)
		return 0;
	if (c->n_parts > 0) {
		part = find_part(c, offset);
		begin = part->begin;
		if (end > part->end)
			end = part->end;
		if (switch_piece(c, part->extent, err) != 0)
			return -1;
	}
	offset -= begin;
	end -= begin;
	if (c->piece.kind == EXTENT_FILE)
		return read_file(c->store, &c->piece, offset, end, memory, room,
		    nowait, at, err);
	if (end > c->piece.bytes.len)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 " is too short", c->piece.extent);
	*at = c->piece.bytes.at + offset;
	return (long)(end - offset);
}
