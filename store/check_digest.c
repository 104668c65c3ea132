#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "store/check_private.h"

/*
 * That an object's bytes are those of its ETag: blocks may all be sound, and
 * yet be another object's. What cannot be read is told of elsewhere.
 */

/* The MD5 of an extent that holds bytes itself. 0, or -1. */
static int
sum_extent(struct check *c, uint64_t id, uint8_t md5[MD5_BYTES])
{
	struct extent_record rec;
	struct extent_reader *r;
	uint64_t size, offset, bad;
	struct slice value;
	size_t n;
	long got = 0, at;

	if (id == 0) {
		digest_once(DIGEST_MD5, "", 0, md5);
		return 0;
	}
	if ((at = check_find(c, id)) < 0 ||
	    index_get_u64(c->txn, index_dbi(c->index, DB_EXTENTS), id, &value,
		NULL) != 0 ||
	    extent_decode(value, &rec, NULL) != 0)
		return -1;
	if (rec.kind == EXTENT_INLINE) {
		digest_once(DIGEST_MD5, rec.bytes.at, rec.bytes.len, md5);
		return 0;
	}
	if (rec.kind != EXTENT_FILE || c->extents == NULL ||
	    (r = extent_open(c->extents, id, NULL)) == NULL)
		return -1;
	digest_reset(c->md5);
	size = extent_reader_size(r);
	for (offset = 0; offset < size && got >= 0; offset += (uint64_t)got) {
		n = (size_t)((size - offset + EXTENT_BLOCK_BYTES - 1) /
		    EXTENT_BLOCK_BYTES);
		if (size - offset > CHECK_READ_BLOCKS * EXTENT_BLOCK_BYTES)
			n = CHECK_READ_BLOCKS;
		got = extent_read_blocks(r, offset / EXTENT_BLOCK_BYTES, n,
		    c->memory, 0, &bad, NULL);
		if (got > 0)
			digest_update(c->md5, c->memory, (size_t)got);
	}
	extent_close(r);
	if (got < 0)
		return -1;
	digest_final(c->md5, md5);
	/* The step about files need not read it again. */
	if (!(c->marks[at] & MARK_READ))
		c->result.bytes_read += size;
	c->marks[at] |= MARK_READ;
	return 0;
}

/* The MD5 of the parts' MD5s. 0, or -1. */
static int
sum_chain(struct check *c, uint64_t id, uint8_t md5[MD5_BYTES])
{
	struct buffer md5s = BUFFER_INIT;
	struct extent_record rec;
	struct chain_entry e;
	struct slice value;
	size_t i;
	int rc = -1;

	if (index_get_u64(c->txn, index_dbi(c->index, DB_EXTENTS), id, &value,
		NULL) != 0 ||
	    extent_decode(value, &rec, NULL) != 0 || rec.kind != EXTENT_CHAIN ||
	    (rec.flags & EXTENT_ADOPTED))
		return -1;
	for (i = 0; i < rec.n_entries; i++) {
		if (chain_get(&rec, i, &e) != 0 ||
		    sum_extent(c, e.extent, md5) != 0)
			goto out;
		buffer_add(&md5s, md5, MD5_BYTES);
	}
	if (!md5s.failed) {
		digest_once(DIGEST_MD5, md5s.at, md5s.len, md5);
		rc = 0;
	}
out:
	buffer_free(&md5s);
	return rc;
}

void
check_digest(struct check *c, uint64_t extent, unsigned parts,
    const uint8_t expected[MD5_BYTES], const struct check_owner *owner)
{
	char name[CHECK_NAME_BYTES];
	uint8_t md5[MD5_BYTES];

	if (!c->options.read_data)
		return;
	if ((parts == 0 ? sum_extent(c, extent, md5)
			: sum_chain(c, extent, md5)) != 0)
		return;
	if (memcmp(md5, expected, MD5_BYTES) != 0)
		check_damage(c, FOUND_DATA,
		    "%s: its bytes are not those of its ETag",
		    check_name(owner, name));
}
