#include <inttypes.h>

#include "base/error.h"
#include "base/log.h"
#include "store/content_private.h"
#include "store/internal.h"

/* Contents that have a file here. */

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
	if (heal_read(c->store, c->root, content_bucket(c), content_key(c),
		c->piece.begin + at, memory, len, c->piece.file, block,
		&why) == 0)
		return (long)len;
	log_fields(LOG_WARN, "store.heal", why.text,
	    (const struct log_field[]){ LOG_N("extent", c->piece.extent) }, 1);
	return -1;
}

/* The file that was opened may have given up its data meanwhile. */
static int
check_shed(struct content *c, struct error *err)
{
	if (!extent_is_shed(c->piece.file))
		return 0;
	if (content_refresh(c, err) != 0)
		return -1;
	if (c->piece.kind != EXTENT_FILE)
		return PIECE_CHANGED;
	error_set(err, ERR_DAMAGED,
	    "extent %" PRIu64 ": its data is not here, and the index does not "
	    "say where",
	    c->piece.extent);
	store_damaged(c->store, c->piece.extent, 0, err);
	return -1;
}

/* The file, opened if need be: 0, CONTENT_WOULD_BLOCK, PIECE_CHANGED, or -1 and
 * *err. */
static int
open_file(struct content *c, int nowait, struct error *err)
{
	struct piece *p = &c->piece;
	int rc;

	if (p->file != NULL)
		return 0;
	p->file = extent_open(c->store->extents, p->extent, err);
	if (p->file != NULL) {
		if ((rc = check_shed(c, err)) == 0 && c->name.len > 0)
			extent_touch(p->file);
		return rc;
	}
	if (err->kind == ERR_NOT_FOUND)
		err->kind = ERR_DAMAGED;
	if (err->kind != ERR_DAMAGED)
		return -1;
	if (nowait && content_can_heal(c, err)) {
		error_clear(err);
		return CONTENT_WOULD_BLOCK;
	}
	store_damaged(c->store, p->extent, 0, err);
	if (!content_can_heal(c, err) || content_heal(c, err) != 0)
		return -1;
	return PIECE_CHANGED;
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
	if (nowait && content_can_heal(c, err)) {
		error_clear(err);
		return CONTENT_WOULD_BLOCK;
	}
	/* What is sound before it is had first; it comes again. */
	if (bad > first && content_can_heal(c, err)) {
		error_clear(err);
		return extent_read_blocks(p->file, first, (size_t)(bad - first),
		    memory, 0, &bad, err);
	}
	store_damaged(c->store, p->extent, bad, err);
	if (!content_can_heal(c, err) ||
	    (got = read_elsewhere(c, bad, memory)) < 0)
		return -1;
	error_clear(err);
	return got;
}

long
content_read_file(struct content *c, uint64_t offset, uint64_t end,
    void *memory, size_t room, int nowait, const char **at, struct error *err)
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
