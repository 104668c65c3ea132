#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/encode.h"

#define BUFFER_FIRST_BYTES 64

struct slice
slice_text(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

int
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

int
slice_is(struct slice s, const char *text)
{
	return slice_equal(s, slice_text(text));
}

static unsigned char
ascii_lower(char c)
{
	unsigned char u;

	u = (unsigned char)c;
	return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

int
slice_is_nocase(struct slice s, const char *text)
{
	size_t i;

	if (s.len != strlen(text))
		return 0;
	for (i = 0; i < s.len; i++) {
		if (ascii_lower(s.at[i]) != ascii_lower(text[i]))
			return 0;
	}
	return 1;
}

int
slice_starts(struct slice s, const char *text)
{
	size_t len;

	len = strlen(text);
	return s.len >= len && (len == 0 || memcmp(s.at, text, len) == 0);
}

int
slice_compare(struct slice a, struct slice b)
{
	size_t len;
	int order;

	len = a.len < b.len ? a.len : b.len;
	order = len == 0 ? 0 : memcmp(a.at, b.at, len);
	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

char *
slice_copy(struct slice s)
{
	char *copy;

	if (s.len == SIZE_MAX || (copy = malloc(s.len + 1)) == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(copy, s.at, s.len);
	copy[s.len] = '\0';
	return copy;
}

void
buffer_free(struct buffer *b)
{
	free(b->at);
	*b = (struct buffer)BUFFER_INIT;
}

void
buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->failed = 0;
}

int
buffer_reserve(struct buffer *b, size_t more)
{
	size_t room;
	char *at;

	if (b->failed)
		return -1;
	if (more <= b->room - b->len)
		return 0;
	if (more > SIZE_MAX / 2 - b->len)
		goto fail;
	room = b->room == 0 ? BUFFER_FIRST_BYTES : b->room;
	while (room < b->len + more)
		room *= 2;
	if ((at = realloc(b->at, room)) == NULL)
		goto fail;
	b->at = at;
	b->room = room;
	return 0;

fail:
	b->failed = 1;
	return -1;
}

void
buffer_add(struct buffer *b, const void *bytes, size_t len)
{
	if (len == 0 || buffer_reserve(b, len) != 0)
		return;
	memcpy(b->at + b->len, bytes, len);
	b->len += len;
}

void
buffer_add_text(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void
buffer_add_slice(struct buffer *b, struct slice s)
{
	buffer_add(b, s.at, s.len);
}

void
buffer_add_u8(struct buffer *b, uint8_t v)
{
	buffer_add(b, &v, 1);
}

void
buffer_add_be16(struct buffer *b, uint16_t v)
{
	uint8_t bytes[2];

	be16_put(bytes, v);
	buffer_add(b, bytes, sizeof(bytes));
}

void
buffer_add_be32(struct buffer *b, uint32_t v)
{
	uint8_t bytes[4];

	be32_put(bytes, v);
	buffer_add(b, bytes, sizeof(bytes));
}

void
buffer_add_be64(struct buffer *b, uint64_t v)
{
	uint8_t bytes[8];

	be64_put(bytes, v);
	buffer_add(b, bytes, sizeof(bytes));
}

void
buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0) {
		b->failed = 1;
		return;
	}
	if (buffer_reserve(b, (size_t)len + 1) != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(b->at + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

struct slice
buffer_slice(const struct buffer *b)
{
	return (struct slice){ b->at, b->len };
}

struct reader
reader_of(const void *bytes, size_t len)
{
	return (struct reader){ bytes, len, 0 };
}

/* The next len bytes, or NULL when they are not there. */
static const uint8_t *
take(struct reader *r, size_t len)
{
	const uint8_t *at;

	if (r->failed || len > r->len) {
		r->failed = 1;
		return NULL;
	}
	at = r->at;
	if (len > 0)
		r->at += len;
	r->len -= len;
	return at;
}

uint8_t
reader_u8(struct reader *r)
{
	const uint8_t *p;

	return (p = take(r, 1)) == NULL ? 0 : *p;
}

uint16_t
reader_be16(struct reader *r)
{
	const uint8_t *p;

	return (p = take(r, 2)) == NULL ? 0 : be16_get(p);
}

uint32_t
reader_be32(struct reader *r)
{
	const uint8_t *p;

	return (p = take(r, 4)) == NULL ? 0 : be32_get(p);
}

uint64_t
reader_be64(struct reader *r)
{
	const uint8_t *p;

	return (p = take(r, 8)) == NULL ? 0 : be64_get(p);
}

struct slice
reader_take(struct reader *r, size_t len)
{
	const uint8_t *p;

	p = take(r, len);
	return r->failed ? SLICE_NULL : (struct slice){ (const char *)p, len };
}

struct slice
reader_slice16(struct reader *r)
{
	return reader_take(r, reader_be16(r));
}

struct slice
reader_slice32(struct reader *r)
{
	return reader_take(r, reader_be32(r));
}
