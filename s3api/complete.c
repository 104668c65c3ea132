#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "s3api/checksums.h"
#include "s3api/conditions.h"
#include "s3api/ids.h"
#include "s3api/multipart.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* CompleteMultipartUpload. */

#define BODY_MAX_BYTES (8 * 1024 * 1024)

struct complete_state {
	struct complete_upload complete;
	struct multipart multipart;
	struct conditions conditions;
	struct complete_part *parts;
	size_t n, room;
	int has_number, has_etag;
};

/* ---- the body ---- */

static int
grow(struct complete_state *state, struct s3_error *s3err)
{
	struct complete_part *larger;
	size_t room = 2 * state->room + 64;

	if (state->n < state->room)
		return 0;
	if (state->n == PARTS_MAX)
		return s3_error_set(s3err, S3_INVALID_PART_ORDER,
		    "An object has at most %d parts.", PARTS_MAX);
	if ((larger = realloc(state->parts, room * sizeof(*larger))) == NULL)
		return s3_error_set(s3err, S3_SLOW_DOWN, NULL);
	memset(larger + state->room, 0, (room - state->room) * sizeof(*larger));
	state->parts = larger;
	state->room = room;
	return 0;
}

static int
read_etag(struct complete_part *part, struct slice text, struct s3_error *s3err)
{
	if (text.len >= 2 && text.at[0] == '"' &&
	    text.at[text.len - 1] == '"') {
		text.at++;
		text.len -= 2;
	}
	if (hex_decode(text.at, text.len, part->md5, sizeof(part->md5)) != 0)
		return s3_error_set(s3err, S3_INVALID_PART, NULL);
	return 0;
}

static int
leaf(void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	static const char start[] = "CompleteMultipartUpload/Part/";
	struct complete_state *state = context;
	struct complete_part *part;
	enum checksum_kind kind;
	uint64_t number;

	if (strncmp(path, start, sizeof(start) - 1) != 0)
		return 0;
	path += sizeof(start) - 1;
	if (grow(state, s3err) != 0)
		return -1;
	part = &state->parts[state->n];
	if (strcmp(path, "PartNumber") == 0) {
		if (parse_u64(text.at, text.len, 1, PARTS_MAX, &number) != 0)
			return s3_error_set(s3err, S3_INVALID_ARGUMENT,
			    "Part number must be an integer between 1 and "
			    "10000, inclusive");
		part->number = (uint16_t)number;
		state->has_number = 1;
		return 0;
	}
	if (strcmp(path, "ETag") == 0) {
		state->has_etag = 1;
		return read_etag(part, text, s3err);
	}
	kind = checksum_by_element(slice_text(path));
	if (kind != CHECKSUM_NONE &&
	    checksum_read(kind, text, &part->checksum) != 0)
		return s3_error_set(s3err, S3_INVALID_PART,
		    "The value of %s is not a checksum.", path);
	return 0;
}

static int
part_end(void *context, const char *path, struct s3_error *s3err)
{
	struct complete_state *state = context;

	if (strcmp(path, "CompleteMultipartUpload/Part") != 0)
		return 0;
	if (!state->has_number || !state->has_etag)
		return s3_error_set(s3err, S3_MALFORMED_XML,
		    "A Part has a PartNumber and an ETag.");
	state->has_number = state->has_etag = 0;
	state->n++;
	return 0;
}

/* ---- the answer ---- */

static void
location(struct s3_request *req, struct buffer *out)
{
	char encoded[3 * KEY_MAX_BYTES + 1];

	buffer_add_text(&req->scratch,
	    http_request_is_tls(req->http) ? "https://" : "http://");
	buffer_add_slice(&req->scratch, req->head->host);
	buffer_add_u8(&req->scratch, '/');
	buffer_add_slice(&req->scratch, req->bucket);
	buffer_add_u8(&req->scratch, '/');
	uri_encode(req->key.at, req->key.len, 1, encoded);
	buffer_add_text(&req->scratch, encoded);
	xml_text(out, "Location", buffer_slice(&req->scratch));
}

static void
completed(struct s3_request *req)
{
	struct complete_state *state = req->state;
	struct complete_upload *complete = &state->complete;
	struct object_record *record = &complete->record;
	struct buffer *out = &req->out;
	char etag[ETAG_QUOTED_BYTES];

	free(state->parts);
	if (complete->change.failed) {
		buffer_free(&complete->memory);
		s3_fail_store(req, &complete->change.err);
		return;
	}
	s3_version_header(req, complete->versioning, record);
	etag_quoted(record, etag);
	buffer_clear(out);
	xml_begin(out, "CompleteMultipartUploadResult");
	location(req, out);
	xml_text(out, "Bucket", req->bucket);
	xml_text(out, "Key", req->key);
	xml_string(out, "ETag", etag);
	checksum_to_xml(out, &record->checksum, record->parts, 1);
	xml_close(out, "CompleteMultipartUploadResult");
	buffer_free(&complete->memory);
	s3_respond_xml(req);
}

/* What the request says the whole must come to. 0, or -1 and *s3err. */
static int
read_expected(struct s3_request *req, struct complete_state *state,
    struct s3_error *s3err)
{
	struct complete_upload *complete = &state->complete;
	const struct upload_record *upload = &state->multipart.record;
	enum checksum_kind kind;
	struct slice text, type;

	complete->size = SIZE_UNKNOWN;
	text = http_header_get(req->head, "x-amz-mp-object-size");
	if (text.len > 0 &&
	    parse_u64(
		text.at, text.len, 0, OBJECT_MAX_BYTES, &complete->size) != 0)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Value for x-amz-mp-object-size header is invalid.");
	type = http_header_get(req->head, "x-amz-checksum-type");
	if (type.len > 0 && upload->checksum_kind != CHECKSUM_NONE &&
	    slice_is_nocase(type, "COMPOSITE") != upload->checksum_composite)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The upload was created using the %s checksum mode. The "
		    "complete request must use the same checksum mode.",
		    upload->checksum_composite ? "COMPOSITE" : "FULL_OBJECT");
	for (kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++) {
		text = http_header_get(req->head, checksum_header(kind));
		if (text.len == 0)
			continue;
		if (complete->checksum.kind != CHECKSUM_NONE)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "Expecting a single x-amz-checksum- header.");
		if (checksum_read(kind, text, &complete->checksum) != 0)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "Value for %s header is invalid.",
			    checksum_header(kind));
		complete->checksum.composite = upload->checksum_composite;
	}
	return 0;
}

static void
have_body(struct s3_request *req)
{
	struct complete_state *state = req->state;
	struct complete_upload *complete = &state->complete;
	struct xml_handler handler = { leaf, part_end, state };
	struct s3_error s3err = S3_ERROR_INIT;

	if (xml_parse(req->out.at, req->out.len, &handler, &s3err) != 0)
		goto fail;
	if (state->n == 0) {
		s3_error_set(
		    &s3err, S3_MALFORMED_XML, "The body names no part.");
		goto fail;
	}
	if (read_expected(req, state, &s3err) != 0)
		goto fail;
	state->conditions.match = http_header_get(req->head, "if-match");
	state->conditions.none_match =
	    http_header_get(req->head, "if-none-match");
	if (conditions_any(&state->conditions)) {
		complete->check = conditions_check_write;
		complete->check_arg = &state->conditions;
	}
	complete->bucket = req->bucket;
	complete->key = req->key;
	complete->upload = state->multipart.upload;
	complete->parts = state->parts;
	complete->n_parts = state->n;
	s3_prepare(req, &complete->change, completed);
	store_complete_upload(req->store, complete);
	return;

fail:
	free(state->parts);
	s3_fail(req, &s3err);
}

void
run_complete_upload(struct s3_request *req)
{
	struct complete_state *state;

	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	if (multipart_or_fail(req, &state->multipart) == 0)
		s3_read_body(req, BODY_MAX_BYTES, 0, have_body);
}
