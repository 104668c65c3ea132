#include <sys/mman.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/extent_private.h"

/*
 * An extent file of any bytes. The first byte's lowest bit asks for the
 * footer's checksum to be made right, so that what lies behind that check is
 * reached; the rest is the file. Whatever it is, nothing is read that fails its
 * sum.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
read_all(struct extent_reader *r)
{
	struct buffer owner = BUFFER_INIT;
	struct error err = ERROR_INIT;
	uint64_t bad, block, blocks;
	char *memory;

	if ((memory = malloc(2 * EXTENT_BLOCK_BYTES)) == NULL)
		abort();
	blocks = extent_blocks(extent_reader_size(r));
	for (block = 0; block < blocks; block++)
		if (extent_read_blocks(r, block, blocks - block > 1 ? 2 : 1,
			memory, 0, &bad, &err) < 0 &&
		    (bad < block || bad > block + 1))
			abort();
	(void)extent_owner(r, &owner, &err);
	(void)extent_check_trailer(r, &err);
	buffer_free(&owner);
	free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct error err = ERROR_INIT;
	struct extent_reader *r;
	uint8_t footer[EXTENT_FOOTER_BYTES];
	uint64_t id = 1;
	int fd;

	if (len < 1)
		return 0;
	if ((fd = memfd_create("extent", MFD_CLOEXEC)) == -1)
		abort();
	if (pwrite(fd, data + 1, len - 1, 0) != (ssize_t)(len - 1))
		abort();
	if ((data[0] & 1) != 0 && len - 1 >= EXTENT_FOOTER_BYTES) {
		memcpy(
		    footer, data + len - EXTENT_FOOTER_BYTES, sizeof(footer));
		be32_put(footer + 44, crc32c(0, footer, 44));
		if (pwrite(fd, footer, sizeof(footer),
			(off_t)(len - 1 - sizeof(footer))) != sizeof(footer))
			abort();
		id = be64_get(footer + 24);
	}
	if ((r = extent_reader_of(fd, id, 0, NULL, &err)) != NULL) {
		read_all(r);
		extent_close(r);
	}
	return 0;
}
