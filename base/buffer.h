#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* A run of bytes that someone else owns. */
struct slice {
	const char *at;
	size_t len;
};

#define SLICE_NULL ((struct slice){ NULL, 0 })
#define SLICE_LITERAL(s) ((struct slice){ (s), sizeof(s) - 1 })
struct slice slice_text(const char *text); /* of a NUL-terminated string */
int slice_equal(struct slice, struct slice);
int slice_is(struct slice, const char *text);
int slice_is_nocase(struct slice, const char *text); /* ASCII only */
int slice_starts(struct slice, const char *text);
/* memcmp order, shorter first. */
int slice_compare(struct slice, struct slice);
/* A NUL-terminated copy that the caller frees; NULL without memory. */
char *slice_copy(struct slice);

/*
 * A growing run of bytes. Zero-initialised is empty and valid. Once an append
 * fails for lack of memory the buffer is `failed` and takes no more, so that a
 * writer checks once, at its end.
 */
struct buffer {
	char *at;
	size_t len;
	size_t room;
	int failed;
};

#define BUFFER_INIT \
	{ \
		NULL, 0, 0, 0 \
	}

void buffer_free(struct buffer *);
void buffer_clear(struct buffer *); /* empties, keeps the memory */
int buffer_reserve(struct buffer *, size_t more); /* 0, or -1: no memory */
void buffer_add(struct buffer *, const void *bytes, size_t len);
void buffer_add_text(struct buffer *, const char *text);
void buffer_add_slice(struct buffer *, struct slice);
void buffer_add_u8(struct buffer *, uint8_t);
void buffer_add_be16(struct buffer *, uint16_t);
void buffer_add_be32(struct buffer *, uint32_t);
void buffer_add_be64(struct buffer *, uint64_t);
void buffer_printf(struct buffer *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct slice buffer_slice(const struct buffer *);

/*
 * A reader over bytes that are not trusted: every take checks the bound; after
 * the first failure all takes answer zero and `failed` is set, so that a
 * decoder checks once, at its end.
 */
struct reader {
	const uint8_t *at;
	size_t len; /* what is left */
	int failed;
};

struct reader reader_of(const void *bytes, size_t len);
uint8_t reader_u8(struct reader *);
uint16_t reader_be16(struct reader *);
uint32_t reader_be32(struct reader *);
uint64_t reader_be64(struct reader *);
struct slice reader_take(struct reader *, size_t len);
/* A be16 length followed by that many bytes. */
struct slice reader_slice16(struct reader *);
/* A be32 length followed by that many bytes. */
struct slice reader_slice32(struct reader *);

#endif
