#include <inttypes.h>

#include "base/buffer.h"
#include "base/error.h"
#include "store/check_private.h"
#include "store/content.h"
#include "store/extents.h"

/* The checker's step about files: those that are there, and those that should
 * be. */

/* Damage of a file's content, as the reader tells of it. Not being able to read
 * it is as bad. */
static void
tell(struct check *c, enum finding kind, uint64_t id, const struct error *why)
{
	check_damage(c, kind, "file of content %" PRIu64 ": %s", id, why->text);
}

static void
check_data(struct check *c, struct extent_reader *r, uint64_t id)
{
	uint64_t size = extent_reader_size(r), block, blocks, bad = 0;
	struct error why = ERROR_INIT;
	size_t n;
	long got;

	blocks = size / EXTENT_BLOCK_BYTES + (size % EXTENT_BLOCK_BYTES != 0);
	for (block = 0; block < blocks; block += n) {
		n = blocks - block < CHECK_READ_BLOCKS
		    ? (size_t)(blocks - block)
		    : CHECK_READ_BLOCKS;
		got = extent_read_blocks(r, block, n, c->memory, 0, &bad, &why);
		if (got >= 0) {
			c->result.bytes_read += (uint64_t)got;
			continue;
		}
		tell(c, FOUND_DATA, id, &why);
		/* On from the block behind the bad one. */
		n = (size_t)(bad - block) + 1;
	}
}

static void
check_owner(struct check *c, struct extent_reader *r, uint64_t id)
{
	struct buffer bytes = BUFFER_INIT;
	struct error why = ERROR_INIT;
	struct content_owner owner;

	if (extent_owner(r, &bytes, &why) == 0 &&
	    content_owner_decode(buffer_slice(&bytes), &owner, &why) != 0)
		tell(c, FOUND_FILE, id, &why);
	buffer_free(&bytes);
}

static void
check_file(
    struct check *c, uint64_t id, long at, const struct extent_record *rec)
{
	struct error why = ERROR_INIT;
	struct extent_reader *r;

	if ((r = extent_open(c->extents, id, &why)) == NULL) {
		tell(c, FOUND_FILE, id, &why);
		return;
	}
	if (extent_reader_size(r) != rec->size)
		check_damage(c, FOUND_FILE,
		    "file of content %" PRIu64 ": it has %" PRIu64
		    " bytes, expected %" PRIu64,
		    id, extent_reader_size(r), rec->size);
	if (extent_check_trailer(r, &why) != 0)
		tell(c, FOUND_FILE, id, &why);
	else
		check_owner(c, r, id);
	if (rec->kind == EXTENT_FILE && extent_is_shed(r))
		check_damage(c, FOUND_FILE,
		    "file of content %" PRIu64
		    ": its data is not here, and the index does not say where",
		    id);
	else if (c->options.read_data && !extent_is_shed(r) &&
	    !(c->marks[at] & MARK_READ))
		check_data(c, r, id);
	extent_close(r);
}

/* What is to be removed may be as it likes. */
static void
check_record_file(struct check *c, uint64_t id, long at)
{
	struct extent_record rec;

	if (!(c->marks[at] & MARK_REAPED) &&
	    extents_get(c->txn, c->index, id, &rec, NULL) == 0)
		check_file(c, id, at, &rec);
}

static int
see_file(uint64_t id, void *arg)
{
	struct check *c = arg;
	long at;

	c->result.files++;
	if ((at = check_find(c, id)) < 0) {
		if (c->counters_known && id >= c->counters.settled_extent)
			check_note(c, FOUND_CUT_OFF,
			    "file %" PRIu64
			    " is of a write that was cut off; the "
			    "next start removes it",
			    id);
		else
			check_damage(c, FOUND_ORPHAN,
			    "nothing in the index names the file %" PRIu64, id);
		return 0;
	}
	if (!(c->marks[at] & MARK_DECODED))
		return 0;
	if (!(c->marks[at] & MARK_FILE)) {
		/* What is elsewhere alone may have its block table here; or
		 * its data, if fetching it or giving it up was cut off. */
		if (c->marks[at] & MARK_REMOTE) {
			check_record_file(c, id, at);
			return 0;
		}
		check_damage(c, FOUND_ORPHAN,
		    "there is a file of content %" PRIu64
		    ", which is not kept in a file",
		    id);
		return 0;
	}
	c->marks[at] |= MARK_SEEN;
	check_record_file(c, id, at);
	return 0;
}

int
check_files(struct check *c, struct error *err)
{
	size_t i;

	if (extent_files(c->extents, 0, see_file, c, err) != 0)
		return -1;
	for (i = 0; i < c->n_ids; i++)
		if ((c->marks[i] & (MARK_FILE | MARK_SEEN | MARK_REAPED)) ==
		    MARK_FILE)
			check_damage(c, FOUND_NO_FILE,
			    "the file of content %" PRIu64 " is missing",
			    c->ids[i]);
	return 0;
}
