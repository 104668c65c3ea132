#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "s3api/checksums.h"
#include "s3api/conditions.h"
#include "s3api/download.h"
#include "s3api/ids.h"
#include "s3api/metadata.h"
#include "s3api/range.h"
#include "s3api/runs.h"
#include "s3api/s3own.h"

/* GetObject and HeadObject: the same answer, with or without its body. */

#define PARTS_PAGE 64

struct answer {
	enum bucket_versioning versioning;
	struct object_record object;
	int in_index; /* its bytes are in req->out */
	uint64_t first, end;
	int partial;
	unsigned part; /* 0: none named */
	unsigned parts;
	struct checksum part_checksum;
};

/* How the bucket keeps versions matters only where the record does not tell. */
static int
versioning_of(struct s3_request *req, struct answer *answer, struct error *err)
{
	struct bucket_record bucket;

	answer->versioning = VERSIONING_ENABLED;
	if (!answer->object.null_version)
		return 0;
	if (store_bucket(
		req->store, req->bucket, &bucket, &req->scratch, err) != 0)
		return -1;
	answer->versioning = bucket.versioning;
	return 0;
}

static void
not_there(struct s3_request *req, struct answer *answer, struct error *err)
{
	struct object_record *object = &answer->object;
	char text[CLOCK_TEXT_BYTES];

	if ((err->kind == ERR_NOT_FOUND && object->delete_marker) ||
	    err->kind == ERR_DELETE_MARKER) {
		http_out_header_text(
		    &req->headers, "x-amz-delete-marker", "true");
		s3_version_header(req, VERSIONING_ENABLED, object);
	}
	if (err->kind == ERR_DELETE_MARKER) {
		http_out_header_text(&req->headers, "Allow", "DELETE");
		clock_http_date(object->mtime_ms, text);
		http_out_header_text(&req->headers, "Last-Modified", text);
	}
	s3_fail_store(req, err);
}

/* The bytes of the part that the request names. 0, or -1 and *s3err. */
static int
choose_part(
    struct s3_request *req, struct answer *answer, struct s3_error *s3err)
{
	struct slice text = target_get(&req->target, "partNumber");
	struct object_part parts[PARTS_PAGE];
	struct error err = ERROR_INIT;
	uint64_t number, offset = 0;
	size_t first = 0;
	long n, i;

	if (parse_u64(text.at, text.len, 1, PARTS_MAX, &number) != 0)
		return s3_error_set(s3err, S3_INVALID_ARGUMENT,
		    "Part number must be an integer between 1 and 10000, "
		    "inclusive");
	answer->part = (unsigned)number;
	if (answer->object.parts == 0) {
		if (number != 1)
			return s3_error_set(s3err, S3_INVALID_PART_NUMBER,
			    "The requested partnumber is not satisfiable");
		answer->partial = answer->object.size > 0;
		answer->part_checksum = answer->object.checksum;
		return 0;
	}
	for (;;) {
		n = store_object_parts(req->store, &answer->object, first,
		    parts, PARTS_PAGE, &err);
		if (n < 0)
			return s3_error_from(s3err, &err);
		if (n == 0)
			return s3_error_set(s3err, S3_INVALID_PART_NUMBER,
			    "The requested partnumber is not satisfiable");
		/* Fewer than its ETag says: their sizes are not known. */
		if (first == 0)
			answer->parts =
			    n < PARTS_PAGE ? (unsigned)n : answer->object.parts;
		for (i = 0; i < n; i++) {
			if (parts[i].number == number) {
				answer->first = offset;
				answer->end = offset + parts[i].size;
				answer->partial = parts[i].size > 0;
				answer->part_checksum = parts[i].checksum;
				return 0;
			}
			offset += parts[i].size;
		}
		first += (size_t)n;
	}
}

/* Whether If-Range lets the range count: the representation is still the one
 * that the client has a piece of. */
static int
range_counts(struct s3_request *req, const struct object_record *object)
{
	struct slice text = http_header_get(req->head, "if-range");
	char etag[ETAG_BYTES];
	int64_t wall_ms;

	if (text.len == 0)
		return 1;
	if (clock_parse_http_date(text.at, text.len, &wall_ms) == 0)
		return object->mtime_ms / 1000 == wall_ms / 1000;
	object_etag(object, etag);
	return etag_list_has(text, etag);
}

static int
choose_bytes(
    struct s3_request *req, struct answer *answer, struct s3_error *s3err)
{
	struct slice range = http_header_get(req->head, "range");
	char text[48];

	answer->first = 0;
	answer->end = answer->object.size;
	if (target_has(&req->target, "partNumber")) {
		if (range.len > 0)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "Cannot specify both Range header and partNumber "
			    "query parameter");
		return choose_part(req, answer, s3err);
	}
	if (range.len == 0 || !range_counts(req, &answer->object))
		return 0;
	switch (range_parse(
	    range, answer->object.size, &answer->first, &answer->end)) {
	case RANGE_WHOLE:
		return 0;
	case RANGE_PART:
		answer->partial = 1;
		return 0;
	case RANGE_UNSATISFIABLE:
		break;
	}
	snprintf(text, sizeof(text), "bytes */%" PRIu64, answer->object.size);
	http_out_header_text(&req->headers, "Content-Range", text);
	return s3_error_set(
	    s3err, S3_INVALID_RANGE, "The requested range is not satisfiable");
}

static void
identity_headers(struct s3_request *req, const struct answer *answer)
{
	char etag[ETAG_QUOTED_BYTES], date[CLOCK_TEXT_BYTES];

	clock_http_date(answer->object.mtime_ms, date);
	http_out_header_text(&req->headers, "Last-Modified", date);
	etag_quoted(&answer->object, etag);
	http_out_header_text(&req->headers, "ETag", etag);
	s3_version_header(req, answer->versioning, &answer->object);
}

static void
object_headers(struct s3_request *req, const struct answer *answer)
{
	const struct object_record *object = &answer->object;
	struct buffer *headers = &req->headers;
	const char *status = NULL;
	size_t tags = pairs_count(object->tags);
	char text[80];

	identity_headers(req, answer);
	http_out_header_text(headers, "Accept-Ranges", "bytes");
	metadata_to_headers(headers, object->attributes, &req->target);
	if (tags > 0)
		http_out_header_u64(headers, "x-amz-tagging-count", tags);
	if (req->s3->replication_status != NULL)
		status = req->s3->replication_status(
		    req->s3->replication, req->bucket, req->key, object);
	if (status != NULL)
		http_out_header_text(
		    headers, "x-amz-replication-status", status);
	if (answer->partial) {
		snprintf(text, sizeof(text),
		    "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, answer->first,
		    answer->end - 1, object->size);
		http_out_header_text(headers, "Content-Range", text);
	}
	if (answer->part > 0 && object->parts > 0)
		http_out_header_u64(
		    headers, "x-amz-mp-parts-count", answer->parts);
	if (!slice_is_nocase(
		http_header_get(req->head, "x-amz-checksum-mode"), "enabled"))
		return;
	if (answer->part > 0 && object->parts > 0)
		checksum_to_headers(headers, &answer->part_checksum, 0);
	else if (!answer->partial || answer->part > 0)
		checksum_to_headers(headers, &object->checksum, object->parts);
}

static void
send_answer(struct s3_request *req, struct answer *answer)
{
	int status = answer->partial ? 206 : 200;
	uint64_t size = answer->end - answer->first;

	object_headers(req, answer);
	if (req->method == M_HEAD) {
		s3_respond_head(req, status, size);
	} else if (answer->in_index || size == 0) {
		s3_respond_bytes(req, status,
		    size == 0 ? NULL : req->out.at + answer->first,
		    (size_t)size);
	} else {
		download_start(req, status, answer->object.extent,
		    answer->first, answer->end, run_get_object);
	}
}

void
run_get_object(struct s3_request *req)
{
	struct answer answer = { .versioning = VERSIONING_OFF };
	struct conditions conditions;
	struct s3_error s3err = S3_ERROR_INIT;
	struct error err = ERROR_INIT;
	enum s3_code code;
	uint64_t version;

	if (http_header_get(
		req->head, "x-amz-server-side-encryption-customer-algorithm")
		.at != NULL) {
		s3_fail_code(req, S3_INVALID_REQUEST,
		    "The encryption parameters are not applicable to this "
		    "object.");
		return;
	}
	/* This may be the second time, for an extent that went away. */
	buffer_clear(&req->headers);
	if (version_parse(
		target_get(&req->target, "versionId"), &version, &s3err) != 0)
		goto fail;
	buffer_clear(&req->out);
	answer.object.delete_marker = 0;
	if (store_object(req->store, req->bucket, req->key, version,
		&answer.object, &req->memory,
		req->method == M_GET ? &req->out : NULL, &answer.in_index,
		&err) != 0) {
		not_there(req, &answer, &err);
		return;
	}
	if (versioning_of(req, &answer, &err) != 0) {
		s3_fail_store(req, &err);
		return;
	}
	conditions_of_request(req->head, &conditions);
	code = conditions_read(&conditions, &answer.object);
	if (code != S3_OK) {
		if (code == S3_NOT_MODIFIED)
			identity_headers(req, &answer);
		s3_error_set(&s3err, code, NULL);
		goto fail;
	}
	if (choose_bytes(req, &answer, &s3err) != 0)
		goto fail;
	send_answer(req, &answer);
	return;

fail:
	s3_fail(req, &s3err);
}
