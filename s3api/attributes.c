#include <string.h>

#include "base/clock.h"
#include "s3api/checksums.h"
#include "s3api/ids.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* GetObjectAttributes. */

#define PARTS_PAGE_MAX 1000

enum attribute {
	A_ETAG = 1,
	A_CHECKSUM = 2,
	A_PARTS = 4,
	A_CLASS = 8,
	A_SIZE = 16
};

static const struct {
	const char *name;
	enum attribute attribute;
} attribute_names[] = { { "ETag", A_ETAG }, { "Checksum", A_CHECKSUM },
	{ "ObjectParts", A_PARTS }, { "StorageClass", A_CLASS },
	{ "ObjectSize", A_SIZE } };

/* One value of x-amz-object-attributes. 0, or -1 when it names another. */
static int
read_names(struct slice text, unsigned *wanted)
{
	struct slice name;
	const char *comma;
	size_t i;

	while (text.len > 0) {
		comma = memchr(text.at, ',', text.len);
		name.at = text.at;
		name.len = comma == NULL ? text.len : (size_t)(comma - text.at);
		text.at += name.len + (comma != NULL);
		text.len -= name.len + (comma != NULL);
		while (name.len > 0 && name.at[0] == ' ') {
			name.at++;
			name.len--;
		}
		while (name.len > 0 && name.at[name.len - 1] == ' ')
			name.len--;
		for (i = 0; i < 5; i++)
			if (slice_is(name, attribute_names[i].name))
				break;
		if (i == 5)
			return -1;
		*wanted |= attribute_names[i].attribute;
	}
	return 0;
}

static int
read_wanted(struct s3_request *req, unsigned *wanted)
{
	const struct http_head *head = req->head;
	size_t i;

	*wanted = 0;
	for (i = 0; i < head->n_headers; i++)
		if (slice_is(
			head->headers[i].name, "x-amz-object-attributes") &&
		    read_names(head->headers[i].value, wanted) != 0) {
			*wanted = 0;
			break;
		}
	if (*wanted != 0)
		return 0;
	s3_fail_code(req, S3_INVALID_ARGUMENT,
	    "x-amz-object-attributes names one or more of ETag, Checksum, "
	    "ObjectParts, StorageClass and ObjectSize.");
	return -1;
}

/* A number from a header; a larger one becomes max. */
static uint64_t
header_number(
    struct s3_request *req, const char *name, uint64_t fallback, uint64_t max)
{
	struct slice text = http_header_get(req->head, name);
	uint64_t value = 0;
	size_t i;

	if (text.len == 0)
		return fallback;
	for (i = 0; i < text.len && text.at[i] >= '0' && text.at[i] <= '9' &&
	     value <= max;
	     i++)
		value = 10 * value + (uint64_t)(text.at[i] - '0');
	return value > max ? max : value;
}

static void
part_to_xml(struct buffer *out, const struct object_part *part)
{
	xml_open(out, "Part");
	xml_u64(out, "PartNumber", part->number);
	xml_u64(out, "Size", part->size);
	checksum_to_xml(out, &part->checksum, 0, 0);
	xml_close(out, "Part");
}

/* Parts one by one are told where they have checksums, as AWS does. */
static int
parts_to_xml(struct s3_request *req, const struct object_record *object,
    struct error *err)
{
	struct buffer *out = &req->out;
	struct object_part parts[64];
	uint64_t max, after, written = 0, last = 0;
	size_t first = 0;
	long n, i;
	int truncated = 0;

	max = header_number(
	    req, "x-amz-max-parts", PARTS_PAGE_MAX, PARTS_PAGE_MAX);
	after = header_number(req, "x-amz-part-number-marker", 0, PARTS_MAX);
	xml_open(out, "ObjectParts");
	xml_u64(out, "PartsCount", object->parts);
	if (object->checksum.kind == CHECKSUM_NONE)
		goto end;
	do {
		n = store_object_parts(req->store, object, first, parts,
		    sizeof(parts) / sizeof(parts[0]), err);
		if (n < 0)
			return -1;
		for (i = 0; i < n && !truncated; i++) {
			if (parts[i].number <= after)
				continue;
			if (written == max) {
				truncated = 1;
				break;
			}
			part_to_xml(out, &parts[i]);
			last = parts[i].number;
			written++;
		}
		first += (size_t)n;
	} while (n > 0 && !truncated);
	xml_u64(out, "PartNumberMarker", after);
	xml_u64(out, "NextPartNumberMarker", last);
	xml_u64(out, "MaxParts", max);
	xml_bool(out, "IsTruncated", truncated);
end:
	xml_close(out, "ObjectParts");
	return 0;
}

static int
attributes_to_xml(struct s3_request *req, unsigned wanted,
    const struct object_record *object, struct error *err)
{
	struct buffer *out = &req->out;
	char etag[ETAG_BYTES];

	xml_begin(out, "GetObjectAttributesResponse");
	if (wanted & A_ETAG) {
		object_etag(object, etag);
		xml_string(out, "ETag", etag);
	}
	if ((wanted & A_CHECKSUM) && object->checksum.kind != CHECKSUM_NONE) {
		xml_open(out, "Checksum");
		checksum_to_xml(out, &object->checksum, object->parts, 1);
		xml_close(out, "Checksum");
	}
	if ((wanted & A_PARTS) && object->parts > 0 &&
	    parts_to_xml(req, object, err) != 0)
		return -1;
	if (wanted & A_CLASS)
		xml_string(out, "StorageClass", "STANDARD");
	if (wanted & A_SIZE)
		xml_u64(out, "ObjectSize", object->size);
	xml_close(out, "GetObjectAttributesResponse");
	return 0;
}

void
run_get_attributes(struct s3_request *req)
{
	struct bucket_record bucket;
	struct object_record object;
	enum bucket_versioning versioning;
	struct s3_error s3err = S3_ERROR_INIT;
	struct error err = ERROR_INIT;
	char date[CLOCK_TEXT_BYTES];
	uint64_t version;
	unsigned wanted;

	if (read_wanted(req, &wanted) != 0)
		return;
	if (version_parse(
		target_get(&req->target, "versionId"), &version, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (s3_bucket_or_fail(req, &bucket) != 0)
		return;
	versioning = bucket.versioning;
	memset(&object, 0, sizeof(object));
	if (store_object(req->store, req->bucket, req->key, version, &object,
		&req->memory, NULL, NULL, &err) != 0) {
		if (object.delete_marker)
			http_out_header_text(
			    &req->headers, "x-amz-delete-marker", "true");
		s3_fail_store(req, &err);
		return;
	}
	if (attributes_to_xml(req, wanted, &object, &err) != 0) {
		s3_fail_store(req, &err);
		return;
	}
	clock_http_date(object.mtime_ms, date);
	http_out_header_text(&req->headers, "Last-Modified", date);
	s3_version_header(req, versioning, &object);
	s3_respond_xml(req);
}
