#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/error.h"
#include "store/adopt.h"
#include "store/away.h"
#include "store/content_private.h"
#include "store/internal.h"
#include "store/tier.h"

/*
 * Contents that are elsewhere alone. What is read is verified before it is
 * served:
 *
 * - Where the block table is here (of what was here once), block by block.
 * - Small ones are fetched whole and verified first, and kept if there is room.
 * - Of larger ones without a table, whose MD5 or CRC32C is known, a reader of
 *   everything gets the bytes as they come, and the last of them only when it
 *   is right. For a reader of less they are fetched first, or, where the disk
 * has no room, read once for the table.
 * - Where nothing is known of the bytes they are taken as they are.
 */

#define READ_WHOLE_BYTES (8 * 1024 * 1024)
#define READ_THROUGH_BYTES ((size_t)2 * 1024 * 1024)

struct far {
	struct away away;
	struct extent_reader *table;
	/* What is known of all bytes, taken of [0, summed). */
	int sums;
	struct digest *md5;
	uint32_t crc32c;
	uint64_t summed;
	char *chunk; /* what was read last, verified */
	uint64_t chunk_begin;
	size_t chunk_len, room;
};

void
far_close(struct far *f)
{
	if (f == NULL)
		return;
	away_close(&f->away);
	extent_close(f->table);
	digest_free(f->md5);
	free(f->chunk);
	free(f);
}

/* The file in its place, if there is one. 0, or PIECE_CHANGED when it has the
 * data after all: it was fetched, and cut off before the index said so. */
static int
open_table(struct content *c)
{
	struct extent_reader *r;

	r = extent_open(c->store->extents, c->piece.extent, NULL);
	if (r == NULL)
		return 0;
	if (extent_reader_size(r) != c->piece.size ||
	    extent_check_trailer(r, NULL) != 0) {
		extent_close(r);
		return 0;
	}
	if (!extent_is_shed(r)) {
		c->piece.kind = EXTENT_FILE;
		c->piece.file = r;
		return PIECE_CHANGED;
	}
	c->piece.far->table = r;
	return 0;
}

static int
is_lack_of_room(const struct error *err)
{
	return err->kind == ERR_DISK_FULL || err->kind == ERR_READ_ONLY;
}

/* Fetches all of it, or its table. PIECE_CHANGED; 0 when there is no room; -1
 * and *err. */
static int
fetch(struct content *c, int table, struct error *err)
{
	uint64_t extent = c->piece.extent;
	int rc;

	rc = fill_extent(
	    c->store, extent, content_bucket(c), content_key(c), err);
	if (rc != 0 && is_lack_of_room(err)) {
		error_clear(err);
		if (!table)
			return 0;
		rc = fill_table(
		    c->store, extent, content_bucket(c), content_key(c), err);
	}
	if (rc != 0 || content_refresh(c, err) != 0)
		return -1;
	return PIECE_CHANGED;
}

static int
prepare(struct content *c, uint64_t offset, uint64_t end, struct error *err)
{
	struct piece *p = &c->piece;
	struct far *f;
	int rc;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return error_nomem(err);
	p->far = f;
	f->away = (struct away){ .store = c->store,
		.extent = p->extent,
		.size = p->size,
		.place = buffer_slice(&p->bytes),
		.place_offset = p->place_offset };
	if ((rc = open_table(c)) != 0)
		return rc;
	if (c->unproven) {
		/* Not kept before its sum is seen. */
	} else if (p->size <= READ_WHOLE_BYTES) {
		if ((rc = fetch(c, 0, err)) != 0)
			return rc;
	} else if (f->table != NULL) {
		tier_want(c->store, content_bucket(c), content_key(c), 0);
	} else if (p->has_md5 || p->has_sum) {
		if (offset != 0 || end != p->size)
			return fetch(c, 1, err);
		f->sums = 1;
	}
	if ((f->md5 = digest_new(DIGEST_MD5)) == NULL)
		return error_nomem(err);
	f->room =
	    p->size <= READ_WHOLE_BYTES ? (size_t)p->size : READ_THROUGH_BYTES;
	if ((f->chunk = malloc(f->room)) == NULL)
		return error_nomem(err);
	return 0;
}

/* All bytes were summed. */
static int
check_sums(struct content *c, struct error *err)
{
	struct piece *p = &c->piece;
	uint8_t md5[MD5_BYTES];

	digest_final(p->far->md5, md5);
	if (p->has_md5 && memcmp(md5, p->md5, MD5_BYTES) != 0)
		return error_set(err, ERR_DAMAGED,
		    "the copy outside does not have the MD5 that its object "
		    "has");
	if (p->has_sum && p->far->crc32c != p->crc32c)
		return error_set(err, ERR_DAMAGED,
		    "the copy outside has the CRC32C %08x, expected %08x",
		    p->far->crc32c, p->crc32c);
	return 0;
}

/* Whether bytes [at, at + len) are right, as far as that can be told. */
static int
verify(struct content *c, uint64_t at, size_t len, struct error *err)
{
	struct piece *p = &c->piece;
	struct far *f = p->far;
	size_t done, n;

	if (f->table != NULL) {
		for (done = 0; done < len; done += n) {
			n = len - done < EXTENT_BLOCK_BYTES
			    ? len - done
			    : EXTENT_BLOCK_BYTES;
			if (extent_verify_block(f->table,
				(at + done) / EXTENT_BLOCK_BYTES,
				f->chunk + done, n, err) != 0)
				return error_add(err, "the copy outside");
		}
		return 0;
	}
	if (at == 0) {
		digest_reset(f->md5);
		f->crc32c = 0;
	}
	digest_update(f->md5, f->chunk, len);
	f->crc32c = crc32c(f->crc32c, f->chunk, len);
	f->summed = at + len;
	return f->summed == p->size ? check_sums(c, err) : 0;
}

/* Where to begin so that what comes can be verified: 0, or PIECE_CHANGED. */
static int
begin_at(struct content *c, uint64_t offset, uint64_t *at, struct error *err)
{
	struct far *f = c->piece.far;

	*at = offset;
	if (f->table != NULL)
		*at -= offset % EXTENT_BLOCK_BYTES;
	else if (f->room == c->piece.size)
		*at = 0;
	else if (f->sums && offset != f->summed && offset != 0) {
		/* Not in their order: the table is needed. */
		if (content_refresh(c, err) != 0)
			return -1;
		return PIECE_CHANGED;
	}
	return 0;
}

static int
read_chunk(struct content *c, uint64_t offset, struct error *err)
{
	struct piece *p = &c->piece;
	struct far *f = p->far;
	size_t len = f->room;
	uint64_t at;
	int rc;

	if ((rc = begin_at(c, offset, &at, err)) != 0)
		return rc;
	if (p->size - at < len)
		len = (size_t)(p->size - at);
	f->chunk_len = 0;
	if (away_read(&f->away, at, f->chunk, len, err) != 0)
		return -1;
	if (verify(c, at, len, err) != 0) {
		tier_tell_damage(c->store, p->extent, at, err);
		return -1;
	}
	f->chunk_begin = at;
	f->chunk_len = len;
	atomic_fetch_add(&c->store->read_through_bytes, len);
	return 0;
}

long
content_read_remote(struct content *c, uint64_t offset, uint64_t end,
    int nowait, const char **at, struct error *err)
{
	struct far *f = c->piece.far;
	uint64_t left;
	int rc;

	if (f == NULL || offset < f->chunk_begin ||
	    offset >= f->chunk_begin + f->chunk_len) {
		if (nowait)
			return CONTENT_WOULD_BLOCK;
		if (f == NULL || f->chunk == NULL) {
			far_close(f);
			c->piece.far = NULL;
			if ((rc = prepare(c, offset, end, err)) != 0)
				return rc;
		}
		if ((rc = read_chunk(c, offset, err)) != 0)
			return rc;
		f = c->piece.far;
	}
	*at = f->chunk + (offset - f->chunk_begin);
	left = f->chunk_begin + f->chunk_len - offset;
	return (long)(left < end - offset ? left : end - offset);
}
