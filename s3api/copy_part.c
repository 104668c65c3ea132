#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "s3api/checksums.h"
#include "s3api/copy_source.h"
#include "s3api/multipart.h"
#include "s3api/payload.h"
#include "s3api/range.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/*
 * UploadPartCopy: a worker reads the source's bytes, verified, and writes them
 * as a part. Long ones give the worker back now and then, so that others get
 * on.
 */

#define BUFFER_BYTES (4 * CONTENT_BLOCK_BYTES)
#define TURN_BYTES (32 * 1024 * 1024)

struct copy_state {
	struct put_part put;
	struct multipart multipart;
	struct copy_source source;
	struct buffer inline_bytes;
	int in_index;
	uint64_t at, end;
	struct payload payload; /* for its digests */
	struct content *from;
	struct content_writer *to;
	char *memory;
	struct s3_error s3err;
	int failed;
};

static void
free_state(struct copy_state *state)
{
	content_close(state->from);
	payload_free(&state->payload);
	buffer_free(&state->inline_bytes);
	free(state->memory);
}

static void
stored(struct s3_request *req)
{
	struct copy_state *state = req->state;
	struct part_record *record = &state->put.record;
	struct buffer *out = &req->out;
	char etag[2 * MD5_BYTES + 3];

	free_state(state);
	if (state->put.change.failed) {
		s3_fail_store(req, &state->put.change.err);
		return;
	}
	copy_source_header(req, &state->source);
	etag[0] = '"';
	hex_encode(record->md5, MD5_BYTES, etag + 1);
	etag[2 * MD5_BYTES + 1] = '"';
	etag[2 * MD5_BYTES + 2] = '\0';
	xml_begin(out, "CopyPartResult");
	xml_time(out, "LastModified", record->mtime_ms);
	xml_string(out, "ETag", etag);
	checksum_to_xml(out, &record->checksum, 0, 0);
	xml_close(out, "CopyPartResult");
	s3_respond_xml(req);
}

/* ---- on a worker ---- */

static int
write_bytes(struct copy_state *state, char *bytes, size_t len)
{
	struct error err = ERROR_INIT;
	size_t n;

	if (payload_feed(&state->payload, bytes, len, &n, &state->s3err) != 0)
		return -1;
	if (content_write(state->to, bytes, n, &err) != 0)
		return s3_error_from(&state->s3err, &err);
	state->at += len;
	return 0;
}

static int
open_both(struct s3_request *req, struct copy_state *state)
{
	struct error err = ERROR_INIT;

	state->to = content_begin(req->store, state->end - state->at, &err);
	if (state->to == NULL)
		return s3_error_from(&state->s3err, &err);
	if (state->in_index || state->at == state->end)
		return 0;
	if ((state->memory = aligned_alloc(4096, BUFFER_BYTES)) == NULL)
		return s3_error_set(&state->s3err, S3_SLOW_DOWN, NULL);
	state->from =
	    content_open(req->store, state->source.object.extent, &err);
	if (state->from == NULL && err.kind == ERR_NOT_FOUND)
		return s3_error_set(&state->s3err, S3_SLOW_DOWN,
		    "The source was replaced meanwhile: send the request "
		    "again.");
	if (state->from == NULL)
		return s3_error_from(&state->s3err, &err);
	return 0;
}

static int
copy_some(struct copy_state *state)
{
	struct error err = ERROR_INIT;
	uint64_t stop = state->end;
	const char *at;
	long n;

	if (state->in_index && state->at < state->end)
		return write_bytes(state, state->inline_bytes.at + state->at,
		    (size_t)(state->end - state->at));
	if (stop - state->at > TURN_BYTES)
		stop = state->at + TURN_BYTES;
	while (state->at < stop) {
		n = content_read(state->from, state->at, state->end,
		    state->memory, BUFFER_BYTES, 0, &at, &err);
		if (n <= 0)
			return s3_error_from(&state->s3err, &err);
		if (write_bytes(state, state->memory + (at - state->memory),
			(size_t)n) != 0)
			return -1;
	}
	return 0;
}

static int
finish(struct s3_request *req, struct copy_state *state)
{
	struct part_record *record = &state->put.record;
	struct content_owner owner;
	struct buffer encoded = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int failed;

	if (payload_finish(&state->payload, &state->s3err) != 0)
		return -1;
	record->size = state->payload.total;
	memcpy(record->md5, state->payload.md5, sizeof(record->md5));
	record->checksum = state->payload.checksum;
	memset(&owner, 0, sizeof(owner));
	owner.bucket = req->bucket;
	owner.key = req->key;
	owner.upload = state->multipart.upload;
	owner.part = state->put.number;
	part_encode(&encoded, record);
	owner.record = buffer_slice(&encoded);
	failed = encoded.failed ? error_nomem(&err)
				: content_seal(state->to, &owner, &err);
	buffer_free(&encoded);
	return failed ? s3_error_from(&state->s3err, &err) : 0;
}

static void
copy_turn(struct s3_request *req)
{
	struct copy_state *state = req->state;

	if ((state->to == NULL && open_both(req, state) != 0) ||
	    copy_some(state) != 0 ||
	    (state->at == state->end && finish(req, state) != 0)) {
		content_drop(state->to);
		state->failed = 1;
	}
}

/* ---- on the loop ---- */

static void
turned(struct s3_request *req)
{
	struct copy_state *state = req->state;
	struct put_part *put = &state->put;

	if (state->failed) {
		free_state(state);
		s3_fail(req, &state->s3err);
		return;
	}
	if (state->at < state->end) {
		s3_work(req, copy_turn, turned);
		return;
	}
	put->bucket = req->bucket;
	put->key = req->key;
	put->upload = state->multipart.upload;
	put->content = state->to;
	s3_prepare(req, &put->change, stored);
	store_put_part(req->store, put);
}

static int
choose_range(struct s3_request *req, struct copy_state *state)
{
	struct slice range =
	    http_header_get(req->head, "x-amz-copy-source-range");
	uint64_t size = state->source.object.size;

	state->at = 0;
	state->end = size;
	if (range.len > 0 &&
	    range_parse_copy(range, size, &state->at, &state->end) != 0) {
		s3_fail_code(req, S3_INVALID_ARGUMENT,
		    "Range specified is not valid for source object of size: "
		    "%llu",
		    (unsigned long long)size);
		return -1;
	}
	if (state->end - state->at > PART_MAX_BYTES) {
		s3_fail_code(req, S3_INVALID_REQUEST,
		    "The specified copy source is larger than the maximum "
		    "allowable size for a copy source: %llu",
		    (unsigned long long)PART_MAX_BYTES);
		return -1;
	}
	return 0;
}

void
run_upload_part_copy(struct s3_request *req)
{
	struct copy_state *state;

	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	if (part_number_or_fail(req, &state->put.number) != 0 ||
	    multipart_or_fail(req, &state->multipart) != 0)
		return;
	if (copy_source_or_fail(req, &state->source, &state->inline_bytes,
		&state->in_index) != 0 ||
	    choose_range(req, state) != 0) {
		buffer_free(&state->inline_bytes);
		return;
	}
	payload_plain(&state->payload, state->end - state->at,
	    (enum checksum_kind)state->multipart.record.checksum_kind);
	s3_work(req, copy_turn, turned);
}
