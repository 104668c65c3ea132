#include "store/content.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/error.h"
#include "base/log.h"
#include "store/content_private.h"
#include "store/extents.h"
#include "store/internal.h"
#include "store/prove.h"

/* Contents on their way out: which extent a byte is in, and how that is kept.
 * The way in is content_write.c. */

static void
piece_close(struct piece *p)
{
	extent_close(p->file);
	buffer_free(&p->bytes);
	far_close(p->far);
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

	*found = 0;
	if (id == 0) {
		*found = 1;
		return 0;
	}
	if (extents_need(txn, store->index, id, &rec, err) != 0)
		return -1;
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
		p->place_offset = rec->place_offset;
		p->has_sum = rec->has_sum;
		p->crc32c = rec->crc32c;
		p->has_md5 = rec->md5.len == sizeof(p->md5);
		if (p->has_md5)
			memcpy(p->md5, rec->md5.at, sizeof(p->md5));
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
	c->unproven = rec->has_sum;
	c->expected = rec->crc32c;
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
	if ((rc = extents_find(txn, store->index, extent, &rec, err)) == 0) {
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
take_piece(
    struct content *c, uint64_t extent, uint64_t begin, struct error *err)
{
	struct extent_record rec;
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(c->store->index, err)) == NULL)
		return -1;
	if ((rc = extents_find(txn, c->store->index, extent, &rec, err)) == 0)
		rc = piece_take(c->store, &c->piece, extent, &rec, err);
	index_read_end(c->store->index, txn);
	c->piece.begin = begin;
	return rc;
}

static int
switch_piece(
    struct content *c, uint64_t extent, uint64_t begin, struct error *err)
{
	if (c->piece.extent == extent && c->piece.begin == begin)
		return 0;
	return take_piece(c, extent, begin, err);
}

int
content_refresh(struct content *c, struct error *err)
{
	return take_piece(c, c->piece.extent, c->piece.begin, err);
}

/* ---- what is damaged here ---- */

struct slice
content_bucket(const struct content *c)
{
	return (struct slice){ c->name.at, c->bucket_len };
}

struct slice
content_key(const struct content *c)
{
	if (c->name.len == 0)
		return SLICE_NULL;
	return (struct slice){ c->name.at + c->bucket_len,
		c->name.len - c->bucket_len };
}

int
content_can_heal(const struct content *c, const struct error *err)
{
	return err->kind == ERR_DAMAGED && c->name.len > 0 && !c->name.failed &&
	    has_remote(c->store);
}

int
content_heal(struct content *c, struct error *err)
{
	struct error why = ERROR_INIT;
	uint64_t extent = c->piece.extent;

	if (heal_extent(c->store, extent, content_bucket(c), content_key(c),
		&why) != 0) {
		log_fields(LOG_WARN, "store.heal", why.text,
		    (const struct log_field[]){ LOG_N("extent", extent) }, 1);
		return -1;
	}
	error_clear(err);
	return content_refresh(c, err);
}

/* ---- bytes that live in the index ---- */

static long
read_inline(struct content *c, uint64_t offset, uint64_t end, int nowait,
    const char **at, struct error *err)
{
	struct piece *p = &c->piece;

	if (p->bad) {
		error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 " fails its checksum", p->extent);
		if (!content_can_heal(c, err))
			return -1;
		if (nowait) {
			error_clear(err);
			return CONTENT_WOULD_BLOCK;
		}
		return content_heal(c, err) == 0 ? PIECE_CHANGED : -1;
	}
	if (end > p->bytes.len)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 " is too short", p->extent);
	*at = p->bytes.at + offset;
	return (long)(end - offset);
}

/* ---- all ---- */

/* What is healed, fetched or given up meanwhile changes more than once only
 * when much happens at once. */
#define CHANGES_MAX 4

static long
read_at(struct content *c, uint64_t offset, uint64_t end, void *memory,
    size_t room, int nowait, const char **at, struct error *err)
{
	const struct part *part;
	uint64_t begin = 0;
	unsigned changes;
	long got = 0;

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
	for (changes = 0; changes < CHANGES_MAX; changes++) {
		switch (c->piece.kind) {
		case EXTENT_REMOTE:
			got = content_read_remote(
			    c, offset, end, nowait, at, err);
			break;
		case EXTENT_FILE:
			got = content_read_file(
			    c, offset, end, memory, room, nowait, at, err);
			break;
		default:
			got = read_inline(c, offset, end, nowait, at, err);
		}
		if (got != PIECE_CHANGED)
			return got;
	}
	return error_set(err, ERR_BUSY,
	    "extent %" PRIu64 " is being moved: come again", c->piece.extent);
}

/* ---- what is not proven yet ---- */

/* Whether it may be read from there on: 0, CONTENT_WOULD_BLOCK, or -1 and *err.
 */
static int
begin_unproven(struct content *c, uint64_t offset, uint64_t end, int nowait,
    struct error *err)
{
	if (offset == 0 && end == c->size) {
		c->summing = 1;
		c->sum = 0;
		c->summed = 0;
		return 0;
	}
	if (c->summing && offset == c->summed && end == c->size)
		return 0;
	if (nowait)
		return CONTENT_WOULD_BLOCK;
	if (prove_chain(
		c->store, c->root, content_bucket(c), content_key(c), err) != 0)
		return -1;
	c->unproven = 0;
	/* What was taken for it before has no table. */
	piece_close(&c->piece);
	return 0;
}

static long
take_sum(struct content *c, const char *at, long got, struct error *err)
{
	c->sum = crc32c(c->sum, at, (size_t)got);
	c->summed += (uint64_t)got;
	if (c->summed < c->size || c->sum == c->expected)
		return got;
	error_set(err, ERR_DAMAGED,
	    "the copy outside has the CRC32C %08x, expected %08x", c->sum,
	    c->expected);
	tier_tell_damage(c->store, c->root, 0, err);
	return -1;
}

long
content_read(struct content *c, uint64_t offset, uint64_t end, void *memory,
    size_t room, int nowait, const char **at, struct error *err)
{
	long got;
	int rc;

	if (end > c->size)
		end = c->size;
	if (offset >= end)
		return 0;
	if (c->unproven &&
	    (rc = begin_unproven(c, offset, end, nowait, err)) != 0)
		return rc;
	got = read_at(c, offset, end, memory, room, nowait, at, err);
	return c->unproven && got > 0 ? take_sum(c, *at, got, err) : got;
}

int
content_is_away(const struct content *c)
{
	return c->unproven || c->piece.kind == EXTENT_REMOTE;
}
