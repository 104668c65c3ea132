#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;
struct store;
struct content_writer;
struct content;

/*
 * Contents: the bytes of an object or a part, on their way in and out.
 *
 * A writer takes bytes once, in order. Up to the inline limit they stay in
 * memory and go into the index with the change that names them; beyond, they
 * stream into a file without a name (store/extent.h). A writer belongs to one
 * thread at a time. writing and sealing may block on the disk unless the size
 * was declared to be within the inline limit.
 */

/* Below what name the content is kept in its trailer, for a rebuild. The slices
 * are used only during content_seal(). */
struct content_owner {
	struct slice bucket, key;
	uint64_t upload; /* a part's; else 0 */
	uint16_t part;
	struct slice record; /* the object's or part's encoded record */
	/* Of a file whose data is not here: where it is (EXTENT_REMOTE). */
	struct slice place;
	uint64_t place_offset;
};

/* The owner as it stands in a trailer: {format u8 = 1, upload be64, part be16,
 * bucket be16 length and bytes, key likewise, record be32 length and bytes};
 * with a place the format is 2 and {place be16 length and bytes, its offset
 * be64} come behind. The decoded slices point into the bytes. */
void content_owner_encode(struct buffer *, const struct content_owner *);
int content_owner_decode(
    struct slice, struct content_owner *, struct error *err);

#define SIZE_UNKNOWN UINT64_MAX

/* size: what is expected, or SIZE_UNKNOWN. NULL and *err: ERR_DISK_FULL when
 * the band (store/space.h) does not take that much, ERR_NOMEM, ERR_IO. */
struct content_writer *content_begin(
    struct store *, uint64_t size, struct error *err);
/* 0, or -1 and *err, after which the writer can only be dropped. */
int content_write(
    struct content_writer *, const void *bytes, size_t len, struct error *err);
uint64_t content_size(const struct content_writer *);
/* Whether writing and sealing may block: the content is, or may become, a file.
 */
int content_blocks(const struct content_writer *);
/* Makes a file durable and gives it its name; nothing to do for inline bytes.
 */
int content_seal(
    struct content_writer *, const struct content_owner *, struct error *err);
/* Forgets the bytes and the file. NULL is allowed. */
void content_drop(struct content_writer *);
/* Forgets it where the index may name the file or not: that stays, and the next
 * start removes it if nothing names it. NULL is allowed. */
void content_abandon(struct content_writer *);

/*
 * A content that is read. It pins its extents: they stay although the object is
 * overwritten or deleted. One thread at a time.
 */

/* NULL and *err; ERR_NOT_FOUND when the extent went away since it was looked up
 * (look the object up again). */
struct content *content_open(
    struct store *, uint64_t extent, struct error *err);
void content_close(struct content *); /* NULL is allowed */
/* Says of which object's current version this is, so that what is damaged or
 * missing here is read from a copy elsewhere, if there is one, and healed. 0,
 * or -1 without memory. */
int content_name(struct content *, struct slice bucket, struct slice key);

/* Whether the bytes that were read last come from elsewhere: a reader who then
 * waits, waits for the network (store_far_workers()). */
int content_is_away(const struct content *);

/* The CRC32C of all bytes, from the sums of their blocks, without reading them.
 * 0; 1 when it is not known here. Waits for the disk. */
int content_sum(struct store *, uint64_t extent, uint32_t *crc32c);

#define CONTENT_BLOCK_BYTES (64 * 1024)
#define CONTENT_WOULD_BLOCK (-2)

/*
 * Reads verified bytes from offset towards end. Whole blocks go into memory
 * (room bytes, at least CONTENT_BLOCK_BYTES); *at is set to the byte at offset.
 * Returns how many bytes from there are good, at least 1 and at most end -
 * offset; 0 only when offset >= end. -1 and *err: ERR_DAMAGED (logged, counted
 * and remembered by the store), ERR_IO. With nowait, CONTENT_WOULD_BLOCK when
 * the bytes are not in the page cache, or must come from elsewhere: repeat it
 * on a worker without nowait.
 */
long content_read(struct content *, uint64_t offset, uint64_t end, void *memory,
    size_t room, int nowait, const char **at, struct error *err);

#endif
