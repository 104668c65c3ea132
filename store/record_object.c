#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/record_fields.h"

/*
 * Object record, format 1:
 *
 *	 0  u8    format, 1
 *	 1  u8    number of fields
 *	 2  u8    flags: 1 null version, 2 delete marker, 4 legal hold
 *	 3  be64  version
 *	11  be64  mtime, ms since 1970
 *	19  be64  size
 *	27  be64  extent, 0 for none
 *	35  16    MD5
 *	51  be16  parts, 0 if it was not a multipart upload
 *	53  u8    checksum's kind; bit 7: composite
 *	54  fields {tag u8, length be32, bytes}:
 *	    1 checksum's value, as long as its kind says
 *	    2 attributes, 3 tags: pairs
 *	    4 retention, 5 encryption, 6 replication: kept as they are
 *
 * Pairs: {be16 length, name, be16 length, value}, one behind another.
 */

#define OBJECT_FORMAT 1
#define OBJECT_FIXED_BYTES 54

#define FLAG_NULL_VERSION 1
#define FLAG_DELETE_MARKER 2
#define FLAG_LEGAL_HOLD 4
#define FLAGS_KNOWN 7

enum object_tag {
	OBJECT_CHECKSUM = 1,
	OBJECT_ATTRIBUTES,
	OBJECT_TAGS,
	OBJECT_RETENTION,
	OBJECT_ENCRYPTION,
	OBJECT_REPLICATION
};

void
object_encode(struct buffer *out, const struct object_record *rec)
{
	struct record_fields fields;
	uint8_t *p;

	memset(&fields, 0, sizeof(fields));
	fields.at[OBJECT_CHECKSUM] = record_checksum_value(&rec->checksum);
	fields.at[OBJECT_ATTRIBUTES] = rec->attributes;
	fields.at[OBJECT_TAGS] = rec->tags;
	fields.at[OBJECT_RETENTION] = rec->retention;
	fields.at[OBJECT_ENCRYPTION] = rec->encryption;
	fields.at[OBJECT_REPLICATION] = rec->replication;
	p = record_begin(out, OBJECT_FORMAT, OBJECT_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	p[2] = (uint8_t)((rec->null_version ? FLAG_NULL_VERSION : 0) |
	    (rec->delete_marker ? FLAG_DELETE_MARKER : 0) |
	    (rec->legal_hold ? FLAG_LEGAL_HOLD : 0));
	be64_put(p + 3, rec->version);
	be64_put(p + 11, (uint64_t)rec->mtime_ms);
	be64_put(p + 19, rec->size);
	be64_put(p + 27, rec->extent);
	memcpy(p + 35, rec->md5, sizeof(rec->md5));
	be16_put(p + 51, rec->parts);
	p[53] = record_checksum_byte(&rec->checksum);
}

int
object_decode(struct slice bytes, struct object_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;

	p = record_open(
	    "object", bytes, OBJECT_FORMAT, OBJECT_FIXED_BYTES, &fields, err);
	if (p == NULL)
		return -1;

	rec->null_version = (p[2] & FLAG_NULL_VERSION) != 0;
	rec->delete_marker = (p[2] & FLAG_DELETE_MARKER) != 0;
	rec->legal_hold = (p[2] & FLAG_LEGAL_HOLD) != 0;
	rec->version = be64_get(p + 3);
	rec->mtime_ms = (int64_t)be64_get(p + 11);
	rec->size = be64_get(p + 19);
	rec->extent = be64_get(p + 27);
	memcpy(rec->md5, p + 35, sizeof(rec->md5));
	rec->parts = be16_get(p + 51);
	rec->attributes = fields.at[OBJECT_ATTRIBUTES];
	rec->tags = fields.at[OBJECT_TAGS];
	rec->retention = fields.at[OBJECT_RETENTION];
	rec->encryption = fields.at[OBJECT_ENCRYPTION];
	rec->replication = fields.at[OBJECT_REPLICATION];

	if ((p[2] & ~FLAGS_KNOWN) != 0)
		return record_damaged(err, "object", "a flag is unknown");
	if (!record_time_ok(rec->mtime_ms))
		return record_damaged(err, "object", "its time is wrong");
	if (rec->size > OBJECT_MAX_BYTES)
		return record_damaged(err, "object", "its size is wrong");
	if (rec->parts > PARTS_MAX)
		return record_damaged(err, "object", "it has too many parts");
	if (record_checksum_get(
		p[53], fields.at[OBJECT_CHECKSUM], &rec->checksum) != 0)
		return record_damaged(err, "object", "its checksum is wrong");
	return 0;
}

void
object_etag(const struct object_record *rec, char text[ETAG_BYTES])
{
	size_t len;

	len = 2 * sizeof(rec->md5);
	hex_encode(rec->md5, sizeof(rec->md5), text);
	if (rec->parts > 0)
		snprintf(text + len, ETAG_BYTES - len, "-%u", rec->parts);
}

void
pairs_add(struct buffer *pairs, struct slice name, struct slice value)
{
	if (name.len > UINT16_MAX || value.len > UINT16_MAX) {
		pairs->failed = 1;
		return;
	}
	if (buffer_reserve(pairs, 4 + name.len + value.len) != 0)
		return;
	buffer_add_be16(pairs, (uint16_t)name.len);
	buffer_add_slice(pairs, name);
	buffer_add_be16(pairs, (uint16_t)value.len);
	buffer_add_slice(pairs, value);
}

int
pairs_next(struct slice *rest, struct slice *name, struct slice *value)
{
	struct reader r;

	if (rest->len == 0)
		return 0;
	r = reader_of(rest->at, rest->len);
	*name = reader_slice16(&r);
	*value = reader_slice16(&r);
	if (r.failed)
		return -1;
	*rest = (struct slice){ (const char *)r.at, r.len };
	return 1;
}

struct slice
pairs_get(struct slice pairs, const char *name)
{
	struct slice found, value;

	while (pairs_next(&pairs, &found, &value) == 1) {
		if (slice_is(found, name))
			return value;
	}
	return SLICE_NULL;
}

size_t
pairs_count(struct slice pairs)
{
	struct slice name, value;
	size_t n;

	for (n = 0; pairs_next(&pairs, &name, &value) == 1; n++)
		;
	return n;
}
