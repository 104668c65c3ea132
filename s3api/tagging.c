#include "s3api/ids.h"
#include "s3api/runs.h"
#include "s3api/tags.h"

/* Tags of buckets and of objects. */

#define BODY_MAX_BYTES 262144

struct tagging_state {
	struct set_bucket bucket;
	struct set_tags object;
	struct slice pairs; /* in the request's memory */
	enum bucket_versioning versioning;
};

static struct tagging_state *
state_new(struct s3_request *req)
{
	req->state = s3_memory(req, sizeof(struct tagging_state));
	if (req->state == NULL)
		s3_fail_nomem(req);
	return req->state;
}

/* The body's tags into the request's memory. 0, or -1 having failed it. */
static int
read_tags(struct s3_request *req, struct tagging_state *state, size_t max)
{
	struct buffer pairs = BUFFER_INIT;
	struct s3_error s3err = S3_ERROR_INIT;

	if (tags_of_xml(buffer_slice(&req->out), max, &pairs, &s3err) != 0) {
		buffer_free(&pairs);
		s3_fail(req, &s3err);
		return -1;
	}
	state->pairs = s3_keep(req, buffer_slice(&pairs));
	buffer_free(&pairs);
	if (state->pairs.at != NULL)
		return 0;
	s3_fail_nomem(req);
	return -1;
}

/* ---- buckets ---- */

void
run_get_bucket_tagging(struct s3_request *req)
{
	struct bucket_record bucket;

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return;
	if (pairs_count(bucket.tags) == 0) {
		s3_fail_code(req, S3_NO_SUCH_TAG_SET, NULL);
		return;
	}
	tags_to_xml(&req->out, bucket.tags);
	s3_respond_xml(req);
}

static void
bucket_set(struct s3_request *req)
{
	struct tagging_state *state = req->state;

	if (state->bucket.change.failed)
		s3_fail_store(req, &state->bucket.change.err);
	else
		s3_respond_empty(req, 204);
}

static void
set_bucket(struct s3_request *req)
{
	struct tagging_state *state = req->state;
	struct set_bucket *set = &state->bucket;

	set->name = req->bucket;
	set->what = BUCKET_SET_TAGS;
	set->tags = state->pairs;
	s3_prepare(req, &set->change, bucket_set);
	store_set_bucket(req->store, set);
}

static void
bucket_read(struct s3_request *req)
{
	struct tagging_state *state = req->state;
	if (read_tags(req, state, TAGS_MAX_BUCKET) == 0)
		set_bucket(req);
}

void
run_put_bucket_tagging(struct s3_request *req)
{
	if (state_new(req) != NULL)
		s3_read_body(req, BODY_MAX_BYTES, 1, bucket_read);
}

void
run_delete_bucket_tagging(struct s3_request *req)
{
	if (state_new(req) != NULL)
		set_bucket(req);
}

/* ---- objects ---- */

/* Looks the object up as the request names it. 0, or -1 having failed it. */
static int
object_or_fail(struct s3_request *req, struct object_record *object,
    uint64_t *version, enum bucket_versioning *versioning)
{
	struct bucket_record bucket;
	struct s3_error s3err = S3_ERROR_INIT;
	struct error err = ERROR_INIT;

	if (version_parse(
		target_get(&req->target, "versionId"), version, &s3err) != 0) {
		s3_fail(req, &s3err);
		return -1;
	}
	if (s3_bucket_or_fail(req, &bucket) != 0)
		return -1;
	*versioning = bucket.versioning;
	if (store_object(req->store, req->bucket, req->key, *version, object,
		&req->memory, NULL, NULL, &err) != 0) {
		s3_fail_store(req, &err);
		return -1;
	}
	return 0;
}

void
run_get_tagging(struct s3_request *req)
{
	struct object_record object;
	enum bucket_versioning versioning;
	uint64_t version;

	if (object_or_fail(req, &object, &version, &versioning) != 0)
		return;
	s3_version_header(req, versioning, &object);
	tags_to_xml(&req->out, object.tags);
	s3_respond_xml(req);
}

static void
object_set(struct s3_request *req)
{
	struct tagging_state *state = req->state;

	if (state->object.change.failed) {
		s3_fail_store(req, &state->object.change.err);
		return;
	}
	s3_version_header(req, state->versioning, &state->object.record);
	s3_respond_empty(req, req->method == M_DELETE ? 204 : 200);
}

static void
set_object(struct s3_request *req)
{
	struct tagging_state *state = req->state;
	struct set_tags *set = &state->object;
	struct object_record object;

	if (object_or_fail(req, &object, &set->version, &state->versioning) !=
	    0)
		return;
	set->bucket = req->bucket;
	set->key = req->key;
	set->tags = state->pairs;
	s3_prepare(req, &set->change, object_set);
	store_set_tags(req->store, set);
}

static void
object_read(struct s3_request *req)
{
	struct tagging_state *state = req->state;
	if (read_tags(req, state, TAGS_MAX_OBJECT) == 0)
		set_object(req);
}

void
run_put_tagging(struct s3_request *req)
{
	if (state_new(req) != NULL)
		s3_read_body(req, BODY_MAX_BYTES, 1, object_read);
}

void
run_delete_tagging(struct s3_request *req)
{
	if (state_new(req) != NULL)
		set_object(req);
}
