#include <inttypes.h>
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

#define TURN_BYTES (32 * 1024 * 1024)

struct copy_state {
	struct put_part put;
	struct multipart multipart;
	struct copy_source source;
	struct source_reader reader;
	struct payload payload; /* for its digests */
	struct content_writer *to;
	struct s3_error s3err;
	int failed;
};

static void
free_state(struct copy_state *state)
{
	source_reader_free(&state->reader);
	payload_free(&state->payload);
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
begin(struct s3_request *req, struct copy_state *state)
{
	struct error err = ERROR_INIT;

	state->to = content_begin(
	    req->store, state->reader.end - state->reader.at, &err);
	return state->to != NULL ? 0 : s3_error_from(&state->s3err, &err);
}

static int
copy_some(struct s3_request *req, struct copy_state *state)
{
	struct error err = ERROR_INIT;
	uint64_t stop = state->reader.at + TURN_BYTES;
	size_t fed;
	char *bytes;
	long n = 1;

	while (state->reader.at < stop && n > 0) {
		n = source_read(
		    req, &state->source, &state->reader, &bytes, &state->s3err);
		if (n < 0 ||
		    (n > 0 &&
			payload_feed(&state->payload, bytes, (size_t)n, &fed,
			    &state->s3err) != 0))
			return -1;
		if (n > 0 &&
		    content_write(state->to, bytes, (size_t)n, &err) != 0)
			return s3_error_from(&state->s3err, &err);
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

	if ((state->to == NULL && begin(req, state) != 0) ||
	    copy_some(req, state) != 0 ||
	    (state->reader.at == state->reader.end &&
		finish(req, state) != 0)) {
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
	if (state->reader.at < state->reader.end) {
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
choose_range(
    struct s3_request *req, struct copy_state *state, struct s3_error *s3err)
{
	struct slice range =
	    http_header_get(req->head, "x-amz-copy-source-range");
	struct source_reader *reader = &state->reader;
	uint64_t size = state->source.object.size;

	reader->at = 0;
	reader->end = size;
	if (range.len > 0 &&
	    range_parse_copy(range, size, &reader->at, &reader->end) != 0)
		return s3_error_set(s3err, S3_INVALID_ARGUMENT,
		    "Range specified is not valid for source object of size: "
		    "%" PRIu64,
		    size);
	if (reader->end - reader->at > PART_MAX_BYTES)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The specified copy source is larger than the maximum "
		    "allowable size for a copy source: %llu",
		    PART_MAX_BYTES);
	return 0;
}

void
run_upload_part_copy(struct s3_request *req)
{
	struct copy_state *state;
	struct s3_error s3err = S3_ERROR_INIT;

	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	if (part_number_or_fail(req, &state->put.number) != 0 ||
	    multipart_or_fail(req, &state->multipart) != 0)
		return;
	if (copy_source_or_fail(req, &state->source, &state->reader) != 0)
		return;
	if (choose_range(req, state, &s3err) != 0) {
		source_reader_free(&state->reader);
		s3_fail(req, &s3err);
		return;
	}
	payload_plain(&state->payload, state->reader.end - state->reader.at,
	    (enum checksum_kind)state->multipart.record.checksum_kind);
	s3_work(req, copy_turn, turned);
}
