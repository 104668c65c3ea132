#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/record_fields.h"

#define FIELD_HEAD_BYTES 5
#define CHECKSUM_COMPOSITE 0x80
#define TIME_MAX_MS 253402300799999 /* 9999-12-31T23:59:59.999Z */

uint8_t *
record_begin(struct buffer *out, uint8_t format, size_t fixed_len,
    const struct record_fields *fields)
{
	uint8_t *first, *p;
	size_t len, total;
	uint8_t n, tag;

	n = 0;
	total = fixed_len;
	for (tag = 1; tag < RECORD_TAGS_MAX; tag++) {
		if ((len = fields->at[tag].len) == 0)
			continue;
		if (len > UINT32_MAX) {
			out->failed = 1;
			return NULL;
		}
		total += FIELD_HEAD_BYTES + len;
		n++;
	}
	if (buffer_reserve(out, total) != 0)
		return NULL;

	first = (uint8_t *)out->at + out->len;
	out->len += total;
	first[0] = format;
	first[1] = n;
	p = first + fixed_len;
	for (tag = 1; tag < RECORD_TAGS_MAX; tag++) {
		if ((len = fields->at[tag].len) == 0)
			continue;
		p[0] = tag;
		be32_put(p + 1, (uint32_t)len);
		memcpy(p + FIELD_HEAD_BYTES, fields->at[tag].at, len);
		p += FIELD_HEAD_BYTES + len;
	}
	return first;
}

const uint8_t *
record_open(const char *what, struct slice bytes, uint8_t format,
    size_t fixed_len, struct record_fields *fields, struct error *err)
{
	const uint8_t *first, *p;
	size_t left, len;
	uint8_t n, tag;

	first = (const uint8_t *)bytes.at;
	if (bytes.len == 0) {
		record_damaged(err, what, "it is empty");
		return NULL;
	}
	if (first[0] > format) {
		error_set(err, ERR_FORMAT,
		    "the index was written by a newer holdfast (%s format %u, "
		    "this program knows %u): upgrade holdfast",
		    what, first[0], format);
		return NULL;
	}
	if (first[0] == 0) {
		record_damaged(err, what, "it has no format");
		return NULL;
	}
	if (bytes.len < fixed_len) {
		record_damaged(err, what, "it is too short");
		return NULL;
	}

	memset(fields, 0, sizeof(*fields));
	p = first + fixed_len;
	left = bytes.len - fixed_len;
	for (n = first[1]; n > 0; n--) {
		if (left < FIELD_HEAD_BYTES ||
		    (len = be32_get(p + 1)) > left - FIELD_HEAD_BYTES) {
			record_damaged(err, what, "a field is cut off");
			return NULL;
		}
		tag = p[0];
		if (tag < RECORD_TAGS_MAX) {
			if (tag == 0 || fields->at[tag].at != NULL) {
				record_damaged(err, what, "a field is twice");
				return NULL;
			}
			fields->at[tag].at = (const char *)p + FIELD_HEAD_BYTES;
			fields->at[tag].len = len;
		}
		p += FIELD_HEAD_BYTES + len;
		left -= FIELD_HEAD_BYTES + len;
	}
	if (left > 0) {
		record_damaged(err, what, "it is longer than its fields");
		return NULL;
	}
	return first;
}

int
record_damaged(struct error *err, const char *what, const char *why)
{
	return error_set(
	    err, ERR_DAMAGED, "the %s record is damaged: %s", what, why);
}

int
record_time_ok(int64_t ms)
{
	return ms >= 0 && ms <= TIME_MAX_MS;
}

uint8_t
record_checksum_byte(const struct checksum *sum)
{
	return (uint8_t)(sum->kind | (sum->composite ? CHECKSUM_COMPOSITE : 0));
}

struct slice
record_checksum_value(const struct checksum *sum)
{
	return (struct slice){ (const char *)sum->value,
		checksum_bytes(sum->kind) };
}

int
record_checksum_get(uint8_t byte, struct slice value, struct checksum *sum)
{
	memset(sum, 0, sizeof(*sum));
	sum->kind = byte & (CHECKSUM_COMPOSITE - 1);
	sum->composite = (byte & CHECKSUM_COMPOSITE) != 0;
	if (sum->kind > CHECKSUM_SHA256 ||
	    value.len != checksum_bytes(sum->kind))
		return -1;
	if (value.len > 0)
		memcpy(sum->value, value.at, value.len);
	return 0;
}
