#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/content.h"
#include "store/extents.h"
#include "store/internal.h"

/* The CRC32C of a whole content, from the sums that are kept of its blocks. */

#define STEP_BLOCKS 1024

static int
sum_table(struct extent_reader *r, uint32_t *crc)
{
	uint64_t size = extent_reader_size(r), at = 0, block, n;
	uint8_t table[STEP_BLOCKS * 4];
	uint64_t blocks = (size + EXTENT_BLOCK_BYTES - 1) / EXTENT_BLOCK_BYTES;
	uint64_t len;
	size_t i;

	for (block = 0; block < blocks; block += n) {
		n = blocks - block < STEP_BLOCKS ? blocks - block : STEP_BLOCKS;
		if (extent_table(r, block, (size_t)n, table, NULL) != 0)
			return 1;
		for (i = 0; i < n; i++, at += len) {
			len = size - at < EXTENT_BLOCK_BYTES
			    ? size - at
			    : EXTENT_BLOCK_BYTES;
			*crc =
			    crc32c_combine(*crc, be32_get(table + i * 4), len);
		}
	}
	return 0;
}

static int
sum_extent(struct store *store, uint64_t id, uint32_t *crc)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	struct extent_reader *r;
	int rc = 1;

	if (heal_record(store, id, &rec, &memory, NULL) == 0 &&
	    rec.kind == EXTENT_INLINE) {
		*crc = crc32c_combine(*crc, rec.crc32c, rec.size);
		rc = 0;
	} else if ((r = extent_open(store->extents, id, NULL)) != NULL) {
		if (extent_check_trailer(r, NULL) == 0)
			rc = sum_table(r, crc);
		extent_close(r);
	}
	buffer_free(&memory);
	return rc;
}

int
content_sum(struct store *store, uint64_t extent, uint32_t *crc)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	struct chain_entry e;
	size_t i;
	int rc = 0;

	*crc = 0;
	if (heal_record(store, extent, &rec, &memory, NULL) != 0)
		rc = 1;
	else if (rec.kind != EXTENT_CHAIN)
		rc = sum_extent(store, extent, crc);
	else
		for (i = 0; i < rec.n_entries && rc == 0; i++)
			if (chain_get(&rec, i, &e) != 0)
				rc = 1;
			else if (e.extent != 0)
				rc = sum_extent(store, e.extent, crc);
	buffer_free(&memory);
	return rc;
}
