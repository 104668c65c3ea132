#ifndef STORE_CONTENT_PRIVATE_H
#define STORE_CONTENT_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "store/content.h"

struct extent_reader;
struct remote;

/* What content_read.c shares with content_file.c and content_remote.c. */

/* One extent that holds bytes itself. */
struct piece {
	uint64_t extent;
	uint64_t begin; /* where it begins in the whole */
	uint64_t size;
	uint8_t kind;
	uint8_t bad;         /* EXTENT_INLINE: its bytes fail their check */
	struct buffer bytes; /* EXTENT_INLINE, verified; EXTENT_REMOTE: place */
	struct extent_reader *file; /* EXTENT_FILE, opened when first read */
	struct far *far;            /* EXTENT_REMOTE, made when first read */
	uint64_t place_offset;
	int has_md5, has_sum;
	uint32_t crc32c; /* of all bytes, with has_sum */
	uint8_t md5[MD5_BYTES];
};

struct content {
	struct store *store;
	uint64_t root;
	uint64_t size;
	struct piece piece; /* the one that was read last */
	struct buffer name; /* bucket and key; empty: not known */
	size_t bucket_len;
	/* A chain's whose parts are not proven (store/prove.h): the sum of
	 * bytes [0, summed), while they are read in order to their end. */
	int unproven, summing;
	uint32_t expected, sum;
	uint64_t summed;
	/* A chain's: where each part begins, which extent it is. */
	size_t n_parts;
	struct part {
		uint64_t extent, begin, end;
	} * parts;
};

struct slice content_bucket(const struct content *);
struct slice content_key(const struct content *);

/* The piece as the index has it now: 0, or -1 and *err. */
int content_refresh(struct content *, struct error *err);

/* The piece is kept in another way now: it is to be read again. */
#define PIECE_CHANGED (-3)

/* As content_read(), with offsets in the piece; also PIECE_CHANGED. */
long content_read_file(struct content *, uint64_t offset, uint64_t end,
    void *memory, size_t room, int nowait, const char **at, struct error *err);
long content_read_remote(struct content *, uint64_t offset, uint64_t end,
    int nowait, const char **at, struct error *err);

/* Whether what *err says of the piece can be healed. */
int content_can_heal(const struct content *, const struct error *err);
/* Makes its local copy anew and takes it up again. 0, or -1 and *err, which
 * then is as it was. */
int content_heal(struct content *, struct error *err);

void far_close(struct far *); /* NULL is allowed */

#endif
