#include "s3api/checksums.h"
#include "s3api/copy_source.h"
#include "s3api/ids.h"
#include "s3api/metadata.h"
#include "s3api/payload.h"
#include "s3api/runs.h"
#include "s3api/tags.h"
#include "s3api/xml.h"
#include "store/adopt.h"

/*
 * CopyObject: the copy shares the source's bytes in the store. They are read
 * only when the client asks for a checksum that the source does not have.
 */

#define TURN_BYTES (32 * 1024 * 1024)

struct copy_state {
	struct put_object put;
	struct copy_source source;
	struct conditions conditions;
	struct buffer attributes, tags;
	/* Of a checksum that is computed. */
	int computing;
	struct source_reader reader;
	struct payload payload;
	struct s3_error s3err;
	int failed;
};

static void
free_buffers(struct copy_state *state)
{
	source_reader_free(&state->reader);
	payload_free(&state->payload);
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

/* ---- computing a checksum ---- */

static void submit(struct s3_request *);
static void submit_here(struct s3_request *);

static void
digest_turn(struct s3_request *req)
{
	struct copy_state *state = req->state;
	uint64_t stop = state->reader.at + TURN_BYTES;
	size_t fed;
	char *bytes;
	long n = 1;

	while (!state->failed && n > 0 && state->reader.at < stop) {
		n = source_read(
		    req, &state->source, &state->reader, &bytes, &state->s3err);
		state->failed = n < 0 ||
		    (n > 0 &&
			payload_feed(&state->payload, bytes, (size_t)n, &fed,
			    &state->s3err) != 0);
	}
	if (!state->failed && state->reader.at == state->reader.end)
		state->failed =
		    payload_finish(&state->payload, &state->s3err) != 0;
}

static void
digest_turned(struct s3_request *req)
{
	struct copy_state *state = req->state;

	if (state->failed) {
		free_buffers(state);
		s3_fail(req, &state->s3err);
	} else if (state->reader.at < state->reader.end) {
		s3_work(req, digest_turn, digest_turned);
	} else {
		state->put.replace_checksum = 1;
		state->put.record.checksum = state->payload.checksum;
		submit_here(req);
	}
}

/* Whether the checksum that is asked for must be computed. */
static int
wants_checksum(
    struct s3_request *req, struct copy_state *state, struct s3_error *s3err)
{
	struct slice name =
	    http_header_get(req->head, "x-amz-checksum-algorithm");
	const struct checksum *has = &state->source.object.checksum;
	enum checksum_kind kind;

	if (name.len == 0)
		return 0;
	if ((kind = checksum_by_name(name)) == CHECKSUM_NONE)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Checksum algorithm provided is unsupported. Please try "
		    "again with any of the valid types: [CRC32, CRC32C, "
		    "CRC64NVME, SHA1, SHA256]");
	if (has->kind == kind && !has->composite)
		return 0;
	state->reader.end = state->source.object.size;
	payload_plain(&state->payload, state->reader.end, kind);
	return 1;
}

/* ---- a source that is at the destination alone ---- */

/* A copy shares its source's bytes, which must be here for that. */
static void
fetch_source(struct s3_request *req)
{
	struct copy_state *state = req->state;
	struct error err = ERROR_INIT;

	if (store_fill(
		req->store, state->source.bucket, state->source.key, &err) < 0)
		state->failed = s3_error_from(&state->s3err, &err) != 0;
}

static void
source_fetched(struct s3_request *req)
{
	struct copy_state *state = req->state;

	if (state->failed) {
		free_buffers(state);
		s3_fail(req, &state->s3err);
	} else
		submit(req);
}

static void
submit_here(struct s3_request *req)
{
	struct copy_state *state = req->state;

	if (store_is_away(req->store, state->source.object.extent))
		s3_work_far(req, fetch_source, source_fetched);
	else
		submit(req);
}

/* ---- the change ---- */

static int
check_source(const struct object_record *current, void *arg, struct error *err)
{
	struct copy_state *state = arg;

	if (state->computing &&
	    current->version != state->source.object.version)
		return error_set(err, ERR_CONFLICT,
		    "The source was replaced meanwhile: send the request "
		    "again.");
	return conditions_check_source(current, &state->source.conditions, err);
}

static void
submit(struct s3_request *req)
{
	struct copy_state *state = req->state;
	struct put_object *put = &state->put;

	put->bucket = req->bucket;
	put->key = req->key;
	put->record.attributes = buffer_slice(&state->attributes);
	put->record.tags = buffer_slice(&state->tags);
	put->source_bucket = state->source.bucket;
	put->source_key = state->source.key;
	put->source_version = state->source.version;
	put->source_check = check_source;
	put->source_check_arg = state;
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

void
run_copy_object(struct s3_request *req)
{
	struct copy_state *state;
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
	if (s3_bucket_or_fail(req, &bucket) != 0)
		return;
	if (copy_source_or_fail(req, &state->source, &state->reader) != 0)
		return;
	if (prepare(req, state, &s3err) != 0 ||
	    (state->computing = wants_checksum(req, state, &s3err)) < 0) {
		free_buffers(state);
		s3_fail(req, &s3err);
		return;
	}
	if (state->computing)
		s3_work(req, digest_turn, digest_turned);
	else
		submit_here(req);
}
