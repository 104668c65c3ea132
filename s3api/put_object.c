#include <string.h>

#include "s3api/checksums.h"
#include "s3api/conditions.h"
#include "s3api/ids.h"
#include "s3api/metadata.h"
#include "s3api/runs.h"
#include "s3api/tags.h"
#include "s3api/upload.h"

/* PutObject. */

struct put_state {
	struct upload up; /* first, as upload.h asks */
	struct put_object put;
	struct conditions conditions;
	struct buffer attributes, tags;
};

static void
free_buffers(struct put_state *state)
{
	buffer_free(&state->attributes);
	buffer_free(&state->tags);
}

static void
stored(struct s3_request *req)
{
	struct put_state *state = req->state;
	struct put_object *put = &state->put;
	char etag[ETAG_QUOTED_BYTES];

	free_buffers(state);
	if (put->change.failed) {
		s3_fail_store(req, &put->change.err);
		return;
	}
	etag_quoted(&put->record, etag);
	http_out_header_text(&req->headers, "ETag", etag);
	s3_version_header(req, put->versioning, &put->record);
	checksum_to_headers(&req->headers, &put->record.checksum, 0);
	s3_respond_empty(req, 200);
}

/* What is known of the object once its bytes are. */
static void
fill_record(struct put_state *state)
{
	struct object_record *record = &state->put.record;

	record->size = state->up.payload.total;
	memcpy(record->md5, state->up.payload.md5, sizeof(record->md5));
	record->checksum = state->up.payload.checksum;
	record->attributes = buffer_slice(&state->attributes);
	record->tags = buffer_slice(&state->tags);
}

static void
describe(struct upload *up, struct buffer *record)
{
	struct put_state *state = up->req->state;

	fill_record(state);
	object_encode(record, &state->put.record);
}

static void
ready(struct s3_request *req)
{
	struct put_state *state = req->state;
	struct put_object *put = &state->put;

	fill_record(state);
	put->bucket = req->bucket;
	put->key = req->key;
	put->content = state->up.content;
	if (state->conditions.match.len > 0 ||
	    state->conditions.none_match.len > 0) {
		put->check = conditions_check_write;
		put->check_arg = &state->conditions;
	}
	s3_prepare(req, &put->change, stored);
	store_put_object(req->store, put);
}

static void
dropped(struct s3_request *req)
{
	free_buffers(req->state);
}

/* A write that cannot succeed is refused before its body. 0, or -1 having
 * failed the request. */
static int
precheck(struct s3_request *req, struct put_state *state)
{
	struct object_record object;
	struct error err = ERROR_INIT;
	int found;

	if (s3_writable_or_fail(req) != 0)
		return -1;
	if (state->conditions.match.len == 0 &&
	    state->conditions.none_match.len == 0)
		return 0;
	found = store_object(req->store, req->bucket, req->key, 0, &object,
		    &req->memory, NULL, NULL, &err) == 0;
	if (!found && err.kind != ERR_NOT_FOUND)
		goto fail;
	error_clear(&err);
	if (conditions_check_write(
		found ? &object : NULL, &state->conditions, &err) == 0)
		return 0;
fail:
	s3_fail_store(req, &err);
	return -1;
}

void
run_put_object(struct s3_request *req)
{
	struct put_state *state;
	struct s3_error s3err = S3_ERROR_INIT;

	if (metadata_refuse(req->head, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	conditions_of_request(req->head, &state->conditions);
	if (precheck(req, state) != 0)
		return;
	if (metadata_of_request(req->head, &state->attributes, &s3err) != 0 ||
	    tags_of_header(http_header_get(req->head, "x-amz-tagging"),
		&state->tags, &s3err) != 0) {
		free_buffers(state);
		s3_fail(req, &s3err);
		return;
	}
	state->up.req = req;
	state->up.describe = describe;
	state->up.ready = ready;
	state->up.dropped = dropped;
	upload_start(&state->up);
}
