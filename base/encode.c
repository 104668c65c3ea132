#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A unit's letters and what one of it is worth. */
struct unit {
	const char *name;
	uint64_t worth;
};

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static const struct unit size_units[] = { { "", 1 }, { "B", 1 }, { "KiB", KIB },
	{ "Ki", KIB }, { "K", KIB }, { "k", KIB }, { "MiB", MIB },
	{ "Mi", MIB }, { "M", MIB }, { "GiB", GIB }, { "Gi", GIB },
	{ "G", GIB }, { "TiB", TIB }, { "Ti", TIB }, { "T", TIB },
	{ NULL, 0 } };

static const struct unit duration_units[] = { { "ms", 1 }, { "s", 1000 },
	{ "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
	{ NULL, 0 } };

void
hex_encode(const void *bytes, size_t len, char *text)
{
	const uint8_t *p = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		*text++ = hex_lower[p[i] >> 4];
		*text++ = hex_lower[p[i] & 15];
	}
	*text = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_decode(const char *text, size_t text_len, void *bytes, size_t len)
{
	uint8_t *p = bytes;
	int high, low;
	size_t i;

	if (text_len % 2 != 0 || text_len / 2 != len)
		return -1;
	for (i = 0; i < len; i++) {
		high = hex_value(text[2 * i]);
		low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

void
base64_encode(const void *bytes, size_t len, char *text)
{
	const uint8_t *p = bytes;
	uint32_t v;

	for (; len >= 3; len -= 3, p += 3) {
		v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*text++ = base64_digits[v >> 18];
		*text++ = base64_digits[v >> 12 & 63];
		*text++ = base64_digits[v >> 6 & 63];
		*text++ = base64_digits[v & 63];
	}
	if (len > 0) {
		v = (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0);
		*text++ = base64_digits[v >> 18];
		*text++ = base64_digits[v >> 12 & 63];
		*text++ = len > 1 ? base64_digits[v >> 6 & 63] : '=';
		*text++ = '=';
	}
	*text = '\0';
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

int
base64_decode(const char *text, size_t text_len, void *bytes, size_t room)
{
	size_t padding, len, i, out, n;
	uint8_t *p = bytes;
	uint32_t v;
	int digit;

	if (text_len % 4 != 0)
		return -1;
	padding = 0;
	while (padding < 2 && padding < text_len &&
	    text[text_len - 1 - padding] == '=')
		padding++;
	len = text_len / 4 * 3 - padding;
	if (len > room || len > INT_MAX)
		return -1;

	v = 0;
	out = 0;
	for (i = 0; i < text_len - padding; i++) {
		if ((digit = base64_value(text[i])) < 0)
			return -1;
		v = v << 6 | (uint32_t)digit;
		if (i % 4 == 3) {
			for (n = 0; n < 3; n++)
				p[out++] = (uint8_t)(v >> (16 - 8 * n));
			v = 0;
		}
	}
	if (padding == 1) {
		if ((v & 3) != 0)
			return -1;
		p[out++] = (uint8_t)(v >> 10);
		p[out++] = (uint8_t)(v >> 2);
	} else if (padding == 2) {
		if ((v & 15) != 0)
			return -1;
		p[out++] = (uint8_t)(v >> 4);
	}
	return (int)out;
}

static int
is_unreserved(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

size_t
uri_encode(const void *bytes, size_t len, int keep_slash, char *text)
{
	const uint8_t *p = bytes;
	char *start = text;
	size_t i;

	for (i = 0; i < len; i++) {
		if (is_unreserved(p[i]) || (keep_slash && p[i] == '/')) {
			*text++ = (char)p[i];
			continue;
		}
		*text++ = '%';
		*text++ = hex_upper[p[i] >> 4];
		*text++ = hex_upper[p[i] & 15];
	}
	*text = '\0';
	return (size_t)(text - start);
}

long
uri_decode(const char *text, size_t len, int plus_is_blank, char *bytes)
{
	char *start = bytes;
	int high, low;
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '+' && plus_is_blank) {
			*bytes++ = ' ';
			continue;
		}
		if (text[i] != '%') {
			*bytes++ = text[i];
			continue;
		}
		if (len - i < 3)
			return -1;
		high = hex_value(text[i + 1]);
		low = hex_value(text[i + 2]);
		if (high < 0 || low < 0)
			return -1;
		*bytes++ = (char)(high << 4 | low);
		i += 2;
	}
	return bytes - start;
}

int
parse_u64(
    const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v;
	size_t i;

	if (len == 0)
		return -1;
	v = 0;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return -1;
	}
	if (v < min || v > max)
		return -1;
	*value = v;
	return 0;
}

/* Digits, then the name of one of the units. */
static int
parse_quantity(const char *text, const struct unit *units, uint64_t *value)
{
	const struct unit *u;
	size_t digits;
	uint64_t v;

	digits = strspn(text, "0123456789");
	if (parse_u64(text, digits, 0, UINT64_MAX, &v) != 0)
		return -1;
	for (u = units; u->name != NULL; u++) {
		if (strcmp(text + digits, u->name) == 0)
			break;
	}
	if (u->name == NULL || __builtin_mul_overflow(v, u->worth, &v))
		return -1;
	*value = v;
	return 0;
}

int
parse_size(const char *text, uint64_t *bytes)
{
	return parse_quantity(text, size_units, bytes);
}

int
parse_duration(const char *text, uint64_t *ms)
{
	return parse_quantity(text, duration_units, ms);
}

void
format_size(uint64_t bytes, char *text, size_t room)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB",
		"PiB", "EiB" };
	uint64_t unit, tenths;
	size_t i;

	unit = 1;
	for (i = 0; i + 1 < sizeof(names) / sizeof(names[0]); i++) {
		if (bytes / unit < 1024)
			break;
		unit *= 1024;
	}
	tenths = bytes % unit * 10 / unit;
	if (tenths == 0)
		snprintf(text, room, "%" PRIu64 " %s", bytes / unit, names[i]);
	else
		snprintf(text, room, "%" PRIu64 ".%" PRIu64 " %s", bytes / unit,
		    tenths, names[i]);
}
