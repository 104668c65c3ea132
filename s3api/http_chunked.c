#include <string.h>

#include "s3api/http.h"

#define LINE_MAX_BYTES 1024    /* a chunk's size with its extensions */
#define TRAILER_MAX_BYTES 8192 /* all of them */

enum {
	SIZE_FIRST, /* the first digit of a chunk's size */
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST, /* the first byte of a trailer line */
	TRAILER,
	TRAILER_LF,
	LAST_LF,
	DONE
};

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int
is_control(char c)
{
	return ((uint8_t)c < 0x20 && c != '\t') || c == 0x7f;
}

void
http_chunked_init(struct http_chunked *d)
{
	d->state = SIZE_FIRST;
	d->left = 0;
	d->size = 0;
	d->line_bytes = 0;
}

static int
size_digit(struct http_chunked *d, char c)
{
	int digit = hex_digit(c);

	if (digit < 0 || d->size > (uint64_t)INT64_MAX >> 4)
		return -1;
	d->size = d->size << 4 | (uint64_t)digit;
	d->state = SIZE;
	return 0;
}

/* Takes one byte outside of chunk data. 0, or -1 when it may not be there. */
static int
framing_byte(struct http_chunked *d, char c)
{
	switch (d->state) {
	case SIZE_FIRST:
		d->size = 0;
		d->line_bytes = 0;
		return size_digit(d, c);
	case SIZE:
		if (c != '\r' && c != ';')
			return ++d->line_bytes > LINE_MAX_BYTES
			    ? -1
			    : size_digit(d, c);
		d->state = c == '\r' ? SIZE_LF : EXTENSION;
		return 0;
	case EXTENSION:
		if (c == '\r')
			d->state = SIZE_LF;
		else if (is_control(c) || ++d->line_bytes > LINE_MAX_BYTES)
			return -1;
		return 0;
	case SIZE_LF:
		d->left = d->size;
		d->line_bytes = 0;
		d->state = d->size > 0 ? DATA : TRAILER_FIRST;
		return c == '\n' ? 0 : -1;
	case DATA_CR:
		d->state = DATA_LF;
		return c == '\r' ? 0 : -1;
	case DATA_LF:
		d->state = SIZE_FIRST;
		return c == '\n' ? 0 : -1;
	case TRAILER_FIRST:
		if (c == '\r') {
			d->state = LAST_LF;
			return 0;
		}
		if (c == ' ' || c == '\t' || c == ':')
			return -1;
		d->state = TRAILER;
		/* FALLTHROUGH */
	case TRAILER:
		if (c == '\r')
			d->state = TRAILER_LF;
		else if (is_control(c))
			return -1;
		return ++d->line_bytes > TRAILER_MAX_BYTES ? -1 : 0;
	case TRAILER_LF:
		d->state = TRAILER_FIRST;
		return c == '\n' ? 0 : -1;
	case LAST_LF:
		d->state = DONE;
		return c == '\n' ? 0 : -1;
	default:
		return -1;
	}
}

int
http_chunked_decode(struct http_chunked *d, const char *in, size_t in_len,
    size_t *consumed, char *out, size_t out_room, size_t *produced)
{
	size_t at = 0, n;

	*produced = 0;
	while (d->state != DONE && at < in_len) {
		if (d->state != DATA) {
			if (framing_byte(d, in[at]) != 0)
				goto fail;
			at++;
			continue;
		}
		n = in_len - at;
		if (n > d->left)
			n = (size_t)d->left;
		if (n > out_room - *produced)
			n = out_room - *produced;
		if (n == 0)
			break;
		if (out + *produced != in + at)
			memmove(out + *produced, in + at, n);
		at += n;
		*produced += n;
		d->left -= n;
		if (d->left == 0)
			d->state = DATA_CR;
	}
	*consumed = at;
	return d->state == DONE;

fail:
	*consumed = at;
	return -1;
}
