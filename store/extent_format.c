#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/extent_private.h"

/*
 * An extent file. Integers are big-endian; nothing is padded.
 *
 *   at                length
 *   0                 size       the data
 *   size              4 * n      block table: the CRC32C of each block of 64
 * KiB; n = size / 64 KiB, rounded up; the last block ends with the data size +
 * 4 * n      owner_len  whose bytes these are (store/content.h) file's end - 48
 * 48         footer:
 *
 *        0   8   "HFEXTENT"
 *        8   1   format, 1
 *        9   1   1 when the data is not here (the bytes from 0 to size are a
 *                hole), else 0
 *       10   2   zero
 *       12   4   owner_len, at most 1 MiB
 *       16   8   size
 *       24   8   id of the extent, so that a file under a wrong name is noticed
 *       32   4   CRC32C of the block table
 *       36   4   CRC32C of the owner
 *       40   4   zero
 *       44   4   CRC32C of the footer's first 44 bytes
 *
 * Three sums instead of one: a reader of one block in a file of 5 GiB takes the
 * footer and the table's part that it needs, not all of the table. A wrong
 * table entry shows as a damaged block.
 */

static const uint8_t magic[8] = { 'H', 'F', 'E', 'X', 'T', 'E', 'N', 'T' };

uint64_t
extent_blocks(uint64_t size)
{
	return size / EXTENT_BLOCK_BYTES + (size % EXTENT_BLOCK_BYTES != 0);
}

void
extent_footer_encode(
    const struct extent_footer *f, uint8_t bytes[EXTENT_FOOTER_BYTES])
{
	memset(bytes, 0, EXTENT_FOOTER_BYTES);
	memcpy(bytes, magic, sizeof(magic));
	bytes[8] = EXTENT_FORMAT;
	bytes[9] = f->shed != 0;
	be32_put(bytes + 12, f->owner_len);
	be64_put(bytes + 16, f->size);
	be64_put(bytes + 24, f->id);
	be32_put(bytes + 32, f->table_crc);
	be32_put(bytes + 36, f->owner_crc);
	be32_put(bytes + 44, crc32c(0, bytes, 44));
}

int
extent_footer_decode(const uint8_t bytes[EXTENT_FOOTER_BYTES],
    uint64_t file_len, uint64_t id, struct extent_footer *f, struct error *err)
{
	if (memcmp(bytes, magic, sizeof(magic)) != 0)
		return error_set(err, ERR_DAMAGED,
		    "the file does not end as an extent ends");
	if (be32_get(bytes + 44) != crc32c(0, bytes, 44))
		return error_set(
		    err, ERR_DAMAGED, "the footer fails its checksum");
	if (bytes[8] > EXTENT_FORMAT)
		return error_set(err, ERR_FORMAT,
		    "written in format %u by a newer holdfast; this one knows "
		    "up to %u",
		    (unsigned)bytes[8], (unsigned)EXTENT_FORMAT);

	f->shed = bytes[9] == 1;
	f->owner_len = be32_get(bytes + 12);
	f->size = be64_get(bytes + 16);
	f->id = be64_get(bytes + 24);
	f->table_crc = be32_get(bytes + 32);
	f->owner_crc = be32_get(bytes + 36);

	if (bytes[8] != EXTENT_FORMAT || bytes[9] > 1 ||
	    f->owner_len > EXTENT_OWNER_MAX)
		return error_set(
		    err, ERR_DAMAGED, "the footer's fields make no sense");
	/* size <= file_len keeps the sum from wrapping. */
	if (f->size > file_len ||
	    f->size + 4 * extent_blocks(f->size) + f->owner_len +
		    EXTENT_FOOTER_BYTES !=
		file_len)
		return error_set(err, ERR_DAMAGED,
		    "the file has %" PRIu64
		    " bytes, which does not fit %" PRIu64 " bytes of data",
		    file_len, f->size);
	if (f->id != id)
		return error_set(err, ERR_DAMAGED,
		    "the file is that of extent %" PRIu64, f->id);
	return 0;
}
