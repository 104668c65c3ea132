#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/record_fields.h"

/*
 * The smaller records; record_object.c and record_extent.c have the others. All
 * are at format 1, and end with fields {tag u8, length be32, bytes}.
 *
 * Bucket. Its usage stays where it is in later formats: it is changed in place.
 *
 *	 0  u8    format
 *	 1  u8    number of fields
 *	 2  u8    versioning: 0 off, 1 enabled, 2 suspended
 *	 3  be64  id
 *	11  be64  created, ms since 1970
 *	19  be64  quota in bytes, 0 for none
 *	27  be64  objects; 35 their bytes
 *	43  be64  versions; 51 their bytes
 *	59  be64  uploads; 67 their bytes
 *	75  fields: 1 owner, 2 tags (pairs)
 *
 * Upload
 *
 *	 0  u8    format
 *	 1  u8    number of fields
 *	 2  be64  started, ms since 1970
 *	10  be64  nonce
 *	18  u8    checksum's kind; bit 7: composite
 *	19  fields: 1 attributes (pairs), 2 tags (pairs), 3 initiator
 *
 * Part
 *
 *	 0  u8    format
 *	 1  u8    number of fields
 *	 2  be64  extent, 0 for none
 *	10  be64  size
 *	18  be64  mtime, ms since 1970
 *	26  16    MD5
 *	42  u8    checksum's kind; bit 7: composite
 *	43  fields: 1 checksum's value
 *
 * Key
 *
 *	 0  u8    format
 *	 1  u8    number of fields
 *	 2  u8    rights: 1 read, 2 write, 4 list, 8 delete, 16 administer
 *	 3  be64  created, ms since 1970
 *	11  fields: 1 access key, 2 secret, 3 name, 4 bucket, 5 prefix
 *
 * Journal
 *
 *	 0  u8    format
 *	 1  u8    number of fields
 *	 2  u8    what: enum journal_what
 *	 3  be64  begin
 *	11  be64  time, ms since 1970
 *	19  be64  version
 *	27  be64  extent
 *	35  be64  size
 *	43  fields: 1 bucket, 2 key, 3 object record (of a put, or of tags)
 */

#define BUCKET_FORMAT 1
#define BUCKET_FIXED_BYTES 75
#define BUCKET_USAGE_AT 27
#define UPLOAD_FORMAT 1
#define UPLOAD_FIXED_BYTES 19
#define PART_FORMAT 1
#define PART_FIXED_BYTES 43
#define KEY_FORMAT 1
#define KEY_FIXED_BYTES 11
#define JOURNAL_FORMAT 1
#define JOURNAL_FIXED_BYTES 43

#define ACCESS_KEY_MAX_BYTES 128
#define RIGHTS_KNOWN 31

enum bucket_tag {
	BUCKET_OWNER = 1,
	BUCKET_TAGS
};
enum upload_tag {
	UPLOAD_ATTRIBUTES = 1,
	UPLOAD_TAGS,
	UPLOAD_INITIATOR
};
enum part_tag {
	PART_CHECKSUM = 1
};
enum key_tag {
	KEY_ACCESS = 1,
	KEY_SECRET,
	KEY_NAME,
	KEY_BUCKET,
	KEY_PREFIX
};
enum journal_tag {
	JOURNAL_BUCKET_NAME = 1,
	JOURNAL_KEY,
	JOURNAL_OBJECT
};

size_t
checksum_bytes(enum checksum_kind kind)
{
	switch (kind) {
	case CHECKSUM_NONE:
		return 0;
	case CHECKSUM_CRC32:
	case CHECKSUM_CRC32C:
		return 4;
	case CHECKSUM_CRC64NVME:
		return 8;
	case CHECKSUM_SHA1:
		return 20;
	case CHECKSUM_SHA256:
		return 32;
	}
	return 0;
}

void
bucket_encode(struct buffer *out, const struct bucket_record *rec)
{
	struct record_fields fields;
	uint8_t *p;

	memset(&fields, 0, sizeof(fields));
	fields.at[BUCKET_OWNER] = rec->owner;
	fields.at[BUCKET_TAGS] = rec->tags;
	p = record_begin(out, BUCKET_FORMAT, BUCKET_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	p[2] = rec->versioning;
	be64_put(p + 3, rec->id);
	be64_put(p + 11, (uint64_t)rec->created_ms);
	be64_put(p + 19, rec->quota_bytes);
	bucket_set_usage(p, rec);
}

void
bucket_set_usage(void *encoded, const struct bucket_record *rec)
{
	uint8_t *p;

	p = (uint8_t *)encoded + BUCKET_USAGE_AT;
	be64_put(p, rec->objects);
	be64_put(p + 8, rec->object_bytes);
	be64_put(p + 16, rec->versions);
	be64_put(p + 24, rec->version_bytes);
	be64_put(p + 32, rec->uploads);
	be64_put(p + 40, rec->upload_bytes);
}

int
bucket_decode(struct slice bytes, struct bucket_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;

	p = record_open(
	    "bucket", bytes, BUCKET_FORMAT, BUCKET_FIXED_BYTES, &fields, err);
	if (p == NULL)
		return -1;

	rec->versioning = p[2];
	rec->id = be64_get(p + 3);
	rec->created_ms = (int64_t)be64_get(p + 11);
	rec->quota_bytes = be64_get(p + 19);
	p += BUCKET_USAGE_AT;
	rec->objects = be64_get(p);
	rec->object_bytes = be64_get(p + 8);
	rec->versions = be64_get(p + 16);
	rec->version_bytes = be64_get(p + 24);
	rec->uploads = be64_get(p + 32);
	rec->upload_bytes = be64_get(p + 40);
	rec->owner = fields.at[BUCKET_OWNER];
	rec->tags = fields.at[BUCKET_TAGS];

	if (rec->versioning > VERSIONING_SUSPENDED)
		return record_damaged(err, "bucket", "its versioning is wrong");
	if (!record_time_ok(rec->created_ms))
		return record_damaged(err, "bucket", "its time is wrong");
	return 0;
}

void
upload_encode(struct buffer *out, const struct upload_record *rec)
{
	struct record_fields fields;
	struct checksum sum;
	uint8_t *p;

	memset(&fields, 0, sizeof(fields));
	fields.at[UPLOAD_ATTRIBUTES] = rec->attributes;
	fields.at[UPLOAD_TAGS] = rec->tags;
	fields.at[UPLOAD_INITIATOR] = rec->initiator;
	p = record_begin(out, UPLOAD_FORMAT, UPLOAD_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	sum.kind = rec->checksum_kind;
	sum.composite = rec->checksum_composite;
	be64_put(p + 2, (uint64_t)rec->started_ms);
	be64_put(p + 10, rec->nonce);
	p[18] = record_checksum_byte(&sum);
}

int
upload_decode(struct slice bytes, struct upload_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;

	p = record_open(
	    "upload", bytes, UPLOAD_FORMAT, UPLOAD_FIXED_BYTES, &fields, err);
	if (p == NULL)
		return -1;

	rec->started_ms = (int64_t)be64_get(p + 2);
	rec->nonce = be64_get(p + 10);
	rec->checksum_kind = p[18] & 0x7f;
	rec->checksum_composite = p[18] >> 7;
	rec->attributes = fields.at[UPLOAD_ATTRIBUTES];
	rec->tags = fields.at[UPLOAD_TAGS];
	rec->initiator = fields.at[UPLOAD_INITIATOR];

	if (!record_time_ok(rec->started_ms))
		return record_damaged(err, "upload", "its time is wrong");
	if (rec->checksum_kind > CHECKSUM_SHA256)
		return record_damaged(err, "upload", "its checksum is unknown");
	return 0;
}

void
part_encode(struct buffer *out, const struct part_record *rec)
{
	struct record_fields fields;
	uint8_t *p;

	memset(&fields, 0, sizeof(fields));
	fields.at[PART_CHECKSUM] = record_checksum_value(&rec->checksum);
	p = record_begin(out, PART_FORMAT, PART_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	be64_put(p + 2, rec->extent);
	be64_put(p + 10, rec->size);
	be64_put(p + 18, (uint64_t)rec->mtime_ms);
	memcpy(p + 26, rec->md5, sizeof(rec->md5));
	p[42] = record_checksum_byte(&rec->checksum);
}

int
part_decode(struct slice bytes, struct part_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;

	p = record_open(
	    "part", bytes, PART_FORMAT, PART_FIXED_BYTES, &fields, err);
	if (p == NULL)
		return -1;

	rec->extent = be64_get(p + 2);
	rec->size = be64_get(p + 10);
	rec->mtime_ms = (int64_t)be64_get(p + 18);
	memcpy(rec->md5, p + 26, sizeof(rec->md5));

	if (rec->size > PART_MAX_BYTES)
		return record_damaged(err, "part", "its size is wrong");
	if (!record_time_ok(rec->mtime_ms))
		return record_damaged(err, "part", "its time is wrong");
	if (record_checksum_get(
		p[42], fields.at[PART_CHECKSUM], &rec->checksum) != 0)
		return record_damaged(err, "part", "its checksum is wrong");
	return 0;
}

void
key_encode(struct buffer *out, const struct key_record *rec)
{
	struct record_fields fields;
	uint8_t *p;

	memset(&fields, 0, sizeof(fields));
	fields.at[KEY_ACCESS] = rec->access_key;
	fields.at[KEY_SECRET] = rec->secret;
	fields.at[KEY_NAME] = rec->name;
	fields.at[KEY_BUCKET] = rec->bucket;
	fields.at[KEY_PREFIX] = rec->prefix;
	p = record_begin(out, KEY_FORMAT, KEY_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	p[2] = rec->rights;
	be64_put(p + 3, (uint64_t)rec->created_ms);
}

int
key_decode(struct slice bytes, struct key_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;

	p = record_open(
	    "key", bytes, KEY_FORMAT, KEY_FIXED_BYTES, &fields, err);
	if (p == NULL)
		return -1;

	rec->rights = p[2];
	rec->created_ms = (int64_t)be64_get(p + 3);
	rec->access_key = fields.at[KEY_ACCESS];
	rec->secret = fields.at[KEY_SECRET];
	rec->name = fields.at[KEY_NAME];
	rec->bucket = fields.at[KEY_BUCKET];
	rec->prefix = fields.at[KEY_PREFIX];

	if (rec->rights > RIGHTS_KNOWN)
		return record_damaged(err, "key", "a right is unknown");
	if (!record_time_ok(rec->created_ms))
		return record_damaged(err, "key", "its time is wrong");
	if (rec->access_key.len == 0 ||
	    rec->access_key.len > ACCESS_KEY_MAX_BYTES ||
	    rec->bucket.len > BUCKET_NAME_MAX_BYTES ||
	    rec->prefix.len > KEY_MAX_BYTES)
		return record_damaged(err, "key", "a name's length is wrong");
	return 0;
}

void
journal_encode(struct buffer *out, const struct journal_record *rec)
{
	struct record_fields fields;
	uint8_t *p;

	memset(&fields, 0, sizeof(fields));
	fields.at[JOURNAL_BUCKET_NAME] = rec->bucket;
	fields.at[JOURNAL_KEY] = rec->key;
	fields.at[JOURNAL_OBJECT] = rec->object;
	p = record_begin(out, JOURNAL_FORMAT, JOURNAL_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	p[2] = rec->what;
	be64_put(p + 3, rec->begin);
	be64_put(p + 11, (uint64_t)rec->time_ms);
	be64_put(p + 19, rec->version);
	be64_put(p + 27, rec->extent);
	be64_put(p + 35, rec->size);
}

int
journal_decode(
    struct slice bytes, struct journal_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;

	p = record_open("journal", bytes, JOURNAL_FORMAT, JOURNAL_FIXED_BYTES,
	    &fields, err);
	if (p == NULL)
		return -1;

	rec->what = p[2];
	rec->begin = be64_get(p + 3);
	rec->time_ms = (int64_t)be64_get(p + 11);
	rec->version = be64_get(p + 19);
	rec->extent = be64_get(p + 27);
	rec->size = be64_get(p + 35);
	rec->bucket = fields.at[JOURNAL_BUCKET_NAME];
	rec->key = fields.at[JOURNAL_KEY];
	rec->object = fields.at[JOURNAL_OBJECT];

	if (rec->what < JOURNAL_PUT || rec->what > JOURNAL_DELETE_BUCKET)
		return record_damaged(err, "journal", "its kind is unknown");
	if (!record_time_ok(rec->time_ms))
		return record_damaged(err, "journal", "its time is wrong");
	if (rec->size > OBJECT_MAX_BYTES)
		return record_damaged(err, "journal", "its size is wrong");
	if (rec->bucket.len > BUCKET_NAME_MAX_BYTES ||
	    rec->key.len > KEY_MAX_BYTES)
		return record_damaged(
		    err, "journal", "a name's length is wrong");
	return 0;
}
