#include "s3api/checksums.h"
#include "s3api/copy_source.h"
#include "s3api/ids.h"
#include "s3api/metadata.h"
#include "s3api/runs.h"
#include "s3api/tags.h"
#include "s3api/xml.h"

/* CopyObject: the copy shares the source's bytes in the store. */

struct copy_state {
	struct put_object put;
	struct copy_source source;
	struct conditions conditions;
	struct buffer attributes, tags;
};

static void
free_buffers(struct copy_state *state)
{
	buffer_free(&state->attributes);
	buffer_free(&state->tags);
}

static void
copied(struct s3_request *req)
{
	struct copy_state *state = req->state;
	struct put_object *put = &state->put;
	struct buffer *out = &req->out;
	char etag[ETAG_QUOTED_BYTES];

	free_buffers(state);
	if (put->change.failed) {
		s3_fail_store(req, &put->change.err);
		return;
	}
	s3_version_header(req, put->versioning, &put->record);
	copy_source_header(req, &state->source);
	etag_quoted(&put->record, etag);
	xml_begin(out, "CopyObjectResult");
	xml_time(out, "LastModified", put->record.mtime_ms);
	xml_string(out, "ETag", etag);
	checksum_to_xml(out, &put->record.checksum, put->record.parts, 1);
	xml_close(out, "CopyObjectResult");
	s3_respond_xml(req);
}

/* COPY (or nothing) or REPLACE. 0 and *replace, or -1 and *s3err. */
static int
directive(struct s3_request *req, const char *header, int *replace,
    struct s3_error *s3err)
{
	struct slice text = http_header_get(req->head, header);

	*replace = slice_is_nocase(text, "REPLACE");
	if (text.len == 0 || *replace || slice_is_nocase(text, "COPY"))
		return 0;
	return s3_error_set(
	    s3err, S3_INVALID_ARGUMENT, "%s is COPY or REPLACE.", header);
}

static int
prepare(
    struct s3_request *req, struct copy_state *state, struct s3_error *s3err)
{
	struct put_object *put = &state->put;

	if (directive(req, "x-amz-metadata-directive", &put->replace_attributes,
		s3err) != 0 ||
	    directive(
		req, "x-amz-tagging-directive", &put->replace_tags, s3err) != 0)
		return -1;
	if (put->replace_attributes &&
	    metadata_of_request(req->head, &state->attributes, s3err) != 0)
		return -1;
	if (put->replace_tags &&
	    tags_of_header(http_header_get(req->head, "x-amz-tagging"),
		&state->tags, s3err) != 0)
		return -1;
	if (state->source.object.size > PART_MAX_BYTES)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The specified copy source is larger than the maximum "
		    "allowable size for a copy source: %llu",
		    (unsigned long long)PART_MAX_BYTES);
	if (!put->replace_attributes && state->source.version == 0 &&
	    slice_equal(state->source.bucket, req->bucket) &&
	    slice_equal(state->source.key, req->key))
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "This copy request is illegal because it is trying to copy "
		    "an object to itself without changing the object's "
		    "metadata, storage class, website redirect location or "
		    "encryption attributes.");
	return 0;
}

void
run_copy_object(struct s3_request *req)
{
	struct copy_state *state;
	struct put_object *put;
	struct bucket_record bucket;
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
	put = &state->put;
	if (s3_bucket_or_fail(req, &bucket) != 0 ||
	    copy_source_or_fail(req, &state->source, NULL, NULL) != 0)
		return;
	if (prepare(req, state, &s3err) != 0) {
		free_buffers(state);
		s3_fail(req, &s3err);
		return;
	}
	put->bucket = req->bucket;
	put->key = req->key;
	put->record.attributes = buffer_slice(&state->attributes);
	put->record.tags = buffer_slice(&state->tags);
	put->source_bucket = state->source.bucket;
	put->source_key = state->source.key;
	put->source_version = state->source.version;
	if (conditions_any(&state->source.conditions)) {
		put->source_check = conditions_check_source;
		put->source_check_arg = &state->source.conditions;
	}
	/* The destination's conditions; a date is the source's business. */
	state->conditions.match = http_header_get(req->head, "if-match");
	state->conditions.none_match =
	    http_header_get(req->head, "if-none-match");
	if (conditions_any(&state->conditions)) {
		put->check = conditions_check_write;
		put->check_arg = &state->conditions;
	}
	s3_prepare(req, &put->change, copied);
	store_put_object(req->store, put);
}
