#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_json.h"

/*
 * How many bytes of a well-formed UTF-8 character start here (RFC 3629:
 * shortest form, no surrogates, at most U+10FFFF), and its code point; 0 if
 * there is none.
 */
static size_t
utf8_take(const unsigned char *p, size_t len, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;
	uint32_t c;

	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc0 || p[0] > 0xf7 || n > len)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

static int
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/*
 * A JSON string (RFC 8259). Control characters, those of U+0080 to U+009F with
 * them, are escaped, so that a key cannot drive a terminal. A byte that is not
 * part of well-formed UTF-8 becomes U+FFFD, which says that it was no text;
 * \u00XX would claim a character that was not there.
 */
static void
put_string(struct buffer *b, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint32_t code;
	size_t i, n;

	buffer_add_u8(b, '"');
	for (i = 0; i < len; i += n) {
		for (n = 0; i + n < len && is_plain(p[i + n]); n++)
			;
		if (n > 0) {
			buffer_add(b, p + i, n);
			continue;
		}
		if ((n = utf8_take(p + i, len - i, &code)) == 0) {
			buffer_add_text(b, "\\ufffd");
			n = 1;
		} else if (code == '"' || code == '\\') {
			buffer_add_u8(b, '\\');
			buffer_add_u8(b, (uint8_t)code);
		} else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
			buffer_printf(b, "\\u%04x", (unsigned)code);
		} else {
			buffer_add(b, p + i, n);
		}
	}
	buffer_add_u8(b, '"');
}

void
log_json_text(struct buffer *b, const char *text)
{
	put_string(b, text, strlen(text));
}

static void
put_number(struct buffer *b, int64_t number)
{
	char digits[24], *p;
	uint64_t rest;

	p = digits + sizeof(digits);
	rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	do {
		*--p = (char)('0' + rest % 10);
	} while ((rest /= 10) > 0);
	if (number < 0)
		*--p = '-';
	buffer_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

void
log_json_value(struct buffer *b, const struct log_field *f)
{
	if (f->type == LOG_NUMBER)
		put_number(b, f->number);
	else if (f->type == LOG_BYTES_TEXT)
		put_string(b, f->text, f->len);
	else if (f->text == NULL)
		buffer_add_text(b, "null");
	else
		log_json_text(b, f->text);
}

void
log_json_fields(
    struct buffer *b, const struct log_field *fields, size_t n_fields)
{
	size_t i;

	for (i = 0; i < n_fields; i++) {
		buffer_add_u8(b, ',');
		log_json_text(b, fields[i].name);
		buffer_add_u8(b, ':');
		log_json_value(b, &fields[i]);
	}
}

void
log_json_start(struct buffer *b)
{
	char time[CLOCK_TEXT_BYTES];

	clock_iso8601(clock_wall_ms(), time);
	buffer_add_text(b, "{\"time\":\"");
	buffer_add_text(b, time);
	buffer_add_u8(b, '"');
}
