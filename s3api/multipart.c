#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "s3api/checksums.h"
#include "s3api/ids.h"
#include "s3api/metadata.h"
#include "s3api/multipart.h"
#include "s3api/runs.h"
#include "s3api/tags.h"
#include "s3api/upload.h"
#include "s3api/xml.h"

/* Multipart uploads: begin, one part, abort. */

int
multipart_or_fail(struct s3_request *req, struct multipart *multipart)
{
	struct bucket_record bucket;
	struct error err = ERROR_INIT;
	uint64_t nonce;

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return -1;
	if (upload_parse(target_get(&req->target, "uploadId"),
		&multipart->upload, &nonce) != 0)
		goto none;
	if (store_upload(req->store, req->bucket, req->key, multipart->upload,
		&multipart->record, &req->memory, &err) != 0) {
		s3_fail_store(req, &err);
		return -1;
	}
	if (multipart->record.nonce != nonce)
		goto none;
	return 0;

none:
	s3_fail_code(req, S3_NO_SUCH_UPLOAD, NULL);
	return -1;
}

int
part_number_or_fail(struct s3_request *req, uint16_t *number)
{
	struct slice text = target_get(&req->target, "partNumber");
	uint64_t value;

	if (parse_u64(text.at, text.len, 1, PARTS_MAX, &value) != 0) {
		s3_fail_code(req, S3_INVALID_ARGUMENT,
		    "Part number must be an integer between 1 and 10000, "
		    "inclusive");
		return -1;
	}
	*number = (uint16_t)value;
	return 0;
}

/* ---- CreateMultipartUpload ---- */

struct create_state {
	struct create_upload create;
	struct buffer attributes, tags;
};

static void
create_free(struct create_state *state)
{
	buffer_free(&state->attributes);
	buffer_free(&state->tags);
}

static void
created(struct s3_request *req)
{
	struct create_state *state = req->state;
	const struct upload_record *record = &state->create.record;
	struct buffer *out = &req->out;
	char id[UPLOAD_TEXT_BYTES];

	create_free(state);
	if (state->create.change.failed) {
		s3_fail_store(req, &state->create.change.err);
		return;
	}
	if (record->checksum_kind != CHECKSUM_NONE) {
		http_out_header_text(&req->headers, "x-amz-checksum-algorithm",
		    checksum_name((enum checksum_kind)record->checksum_kind));
		http_out_header_text(&req->headers, "x-amz-checksum-type",
		    record->checksum_composite ? "COMPOSITE" : "FULL_OBJECT");
	}
	upload_text(state->create.upload, record->nonce, id);
	xml_begin(out, "InitiateMultipartUploadResult");
	xml_text(out, "Bucket", req->bucket);
	xml_text(out, "Key", req->key);
	xml_string(out, "UploadId", id);
	xml_close(out, "InitiateMultipartUploadResult");
	s3_respond_xml(req);
}

static int
choose_checksum(struct s3_request *req, struct upload_record *record,
    struct s3_error *s3err)
{
	struct slice name, type;
	enum checksum_kind kind;
	int composite;

	name = http_header_get(req->head, "x-amz-checksum-algorithm");
	type = http_header_get(req->head, "x-amz-checksum-type");
	if (name.len == 0) {
		if (type.len == 0)
			return 0;
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The x-amz-checksum-type header can only be used with the "
		    "x-amz-checksum-algorithm header.");
	}
	kind = checksum_by_name(name);
	if (kind == CHECKSUM_NONE)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Checksum algorithm provided is unsupported. Please try "
		    "again with any of the valid types: [CRC32, CRC32C, "
		    "CRC64NVME, SHA1, SHA256]");
	if (type.len == 0)
		composite = checksum_may_be_composite(kind);
	else
		composite = slice_is_nocase(type, "COMPOSITE");
	if ((type.len > 0 && !composite &&
		!slice_is_nocase(type, "FULL_OBJECT")) ||
	    !(composite ? checksum_may_be_composite(kind)
			: checksum_may_be_full(kind)))
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The %.*s checksum type cannot be used with the %s "
		    "checksum algorithm.",
		    (int)(type.len > 32 ? 32 : type.len), type.at,
		    checksum_name(kind));
	record->checksum_kind = (uint8_t)kind;
	record->checksum_composite = (uint8_t)composite;
	return 0;
}

void
run_create_upload(struct s3_request *req)
{
	struct create_state *state;
	struct create_upload *create;
	struct s3_error s3err = S3_ERROR_INIT;

	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	create = &state->create;
	if (metadata_refuse(req->head, &s3err) != 0 ||
	    choose_checksum(req, &create->record, &s3err) != 0 ||
	    metadata_of_request(req->head, &state->attributes, &s3err) != 0 ||
	    tags_of_header(http_header_get(req->head, "x-amz-tagging"),
		&state->tags, &s3err) != 0) {
		create_free(state);
		s3_fail(req, &s3err);
		return;
	}
	create->bucket = req->bucket;
	create->key = req->key;
	create->record.attributes = buffer_slice(&state->attributes);
	create->record.tags = buffer_slice(&state->tags);
	create->record.initiator = req->who->access_key;
	create->record.started_ms = clock_wall_ms();
	bytes_random(&create->record.nonce, sizeof(create->record.nonce));
	s3_prepare(req, &create->change, created);
	store_create_upload(req->store, create);
}

/* ---- UploadPart ---- */

struct part_state {
	struct upload up; /* first, as upload.h asks */
	struct put_part put;
	struct multipart multipart;
};

static void
part_stored(struct s3_request *req)
{
	struct part_state *state = req->state;
	char etag[2 * MD5_BYTES + 3];

	if (state->put.change.failed) {
		s3_fail_store(req, &state->put.change.err);
		return;
	}
	etag[0] = '"';
	hex_encode(state->put.record.md5, MD5_BYTES, etag + 1);
	etag[2 * MD5_BYTES + 1] = '"';
	etag[2 * MD5_BYTES + 2] = '\0';
	http_out_header_text(&req->headers, "ETag", etag);
	checksum_to_headers(&req->headers, &state->put.record.checksum, 0);
	s3_respond_empty(req, 200);
}

static void
part_fill(struct part_state *state)
{
	struct part_record *record = &state->put.record;

	record->size = state->up.payload.total;
	memcpy(record->md5, state->up.payload.md5, sizeof(record->md5));
	record->checksum = state->up.payload.checksum;
}

static void
part_describe(struct upload *up, struct buffer *record)
{
	struct part_state *state = up->req->state;

	part_fill(state);
	part_encode(record, &state->put.record);
}

static void
part_ready(struct s3_request *req)
{
	struct part_state *state = req->state;
	struct put_part *put = &state->put;

	part_fill(state);
	put->bucket = req->bucket;
	put->key = req->key;
	put->upload = state->multipart.upload;
	put->content = state->up.content;
	s3_prepare(req, &put->change, part_stored);
	store_put_part(req->store, put);
}

void
run_upload_part(struct s3_request *req)
{
	struct part_state *state;
	struct s3_error s3err = S3_ERROR_INIT;

	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	if (metadata_refuse(req->head, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (part_number_or_fail(req, &state->put.number) != 0 ||
	    s3_writable_or_fail(req) != 0 ||
	    multipart_or_fail(req, &state->multipart) != 0)
		return;
	state->up.req = req;
	state->up.checksum_kind =
	    (enum checksum_kind)state->multipart.record.checksum_kind;
	state->up.owner_upload = state->multipart.upload;
	state->up.owner_part = state->put.number;
	state->up.describe = part_describe;
	state->up.ready = part_ready;
	upload_start(&state->up);
}

/* ---- AbortMultipartUpload ---- */

static void
aborted(struct s3_request *req)
{
	struct abort_upload *abort = req->state;

	if (abort->change.failed)
		s3_fail_store(req, &abort->change.err);
	else
		s3_respond_empty(req, 204);
}

void
run_abort_upload(struct s3_request *req)
{
	struct abort_upload *abort;
	struct multipart multipart;

	if ((abort = s3_memory(req, sizeof(*abort))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = abort;
	if (multipart_or_fail(req, &multipart) != 0)
		return;
	abort->bucket = req->bucket;
	abort->key = req->key;
	abort->upload = multipart.upload;
	s3_prepare(req, &abort->change, aborted);
	store_abort_upload(req->store, abort);
}
