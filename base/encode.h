#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* Hex, base64, percent-encoding, big-endian integers, numbers in text.
 * Pure functions; any thread. */

/* Lower-case hex with a final NUL: text has room for 2 * len + 1. */
void hex_encode(const void *bytes, size_t len, char *text);
/* Upper or lower case. 0, or -1 unless text is exactly 2 * len hex digits. */
int hex_decode(const char *text, size_t text_len, void *bytes, size_t len);

/* Standard alphabet with padding (RFC 4648 section 4), final NUL: text has room
 * for BASE64_BYTES(len). */
#define BASE64_BYTES(len) (((len) + 2) / 3 * 4 + 1)
void base64_encode(const void *bytes, size_t len, char *text);
/* Strict: padding required, no white space, no other bits set in the last
 * digit. The decoded length, or -1 (also when it exceeds room). */
int base64_decode(const char *text, size_t text_len, void *bytes, size_t room);

/* Percent-encoding of everything but A-Z a-z 0-9 - . _ ~ (and '/' if
 * keep_slash), upper-case hex, as SigV4 asks. text has room for 3 * len + 1.
 * Returns the length. */
size_t uri_encode(const void *bytes, size_t len, int keep_slash, char *text);
/* Decodes %XX (and '+' as blank if plus_is_blank) into bytes (room for len; may
 * be the same memory). The decoded length, or -1 for a bad escape. */
long uri_decode(const char *text, size_t len, int plus_is_blank, char *bytes);

static inline void
be16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
be32_put(uint8_t *p, uint32_t v)
{
	be16_put(p, (uint16_t)(v >> 16));
	be16_put(p + 2, (uint16_t)v);
}

static inline void
be64_put(uint8_t *p, uint64_t v)
{
	be32_put(p, (uint32_t)(v >> 32));
	be32_put(p + 4, (uint32_t)v);
}

static inline uint16_t
be16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
be32_get(const uint8_t *p)
{
	return (uint32_t)be16_get(p) << 16 | be16_get(p + 2);
}

static inline uint64_t
be64_get(const uint8_t *p)
{
	return (uint64_t)be32_get(p) << 32 | be32_get(p + 4);
}

/* A decimal integer of digits only, within [min, max]. 0 and *value, or -1. */
int parse_u64(
    const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *value);
/* A size for people: digits and an optional unit, all of them binary: KiB, Ki,
 * K or k, MiB, Mi or M, and so on to TiB; or B. 0 and *bytes, or -1. */
int parse_size(const char *text, uint64_t *bytes);
/* A duration for people: digits and s, m, h, d or ms. 0 and *ms, or -1. */
int parse_duration(const char *text, uint64_t *ms);
/* "1.5 GiB", "64 KiB"; cut off after one decimal. */
void format_size(uint64_t bytes, char *text, size_t room);

#endif
