#include <string.h>

#include "s3api/metadata.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* Buckets themselves: making, removing, their location and versioning. */

#define BODY_MAX_BYTES 65536

struct bucket_state {
	union {
		struct put_bucket put;
		struct delete_bucket remove;
		struct set_bucket set;
	} change;
	char location[64];
	char status[16];
	int mfa_delete;
};

/* A state with its body buffer set up; NULL having failed the request. */
static struct bucket_state *
state_new(struct s3_request *req)
{
	req->state = s3_memory(req, sizeof(struct bucket_state));
	if (req->state == NULL)
		s3_fail_nomem(req);
	return req->state;
}

static void
keep_text(char *to, size_t room, struct slice text)
{
	if (text.len >= room)
		text.len = room - 1;
	memcpy(to, text.at, text.len);
	to[text.len] = '\0';
}

/* ---- CreateBucket ---- */

static int
location_leaf(
    void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct bucket_state *state = context;

	(void)s3err;
	if (strcmp(path, "CreateBucketConfiguration/LocationConstraint") == 0)
		keep_text(state->location, sizeof(state->location), text);
	return 0;
}

static void
created(struct s3_request *req)
{
	struct bucket_state *state = req->state;

	if (state->change.put.change.failed) {
		s3_fail_store(req, &state->change.put.change.err);
		return;
	}
	buffer_clear(&req->out);
	buffer_add_u8(&req->out, '/');
	buffer_add_slice(&req->out, req->bucket);
	http_out_header(&req->headers, "Location", buffer_slice(&req->out));
	s3_respond_empty(req, 200);
}

static void
create(struct s3_request *req)
{
	struct bucket_state *state = req->state;
	struct put_bucket *put = &state->change.put;
	struct xml_handler handler = { location_leaf, NULL, state };
	struct s3_error s3err = S3_ERROR_INIT;
	size_t i;

	for (i = 0; i < req->out.len; i++)
		if (strchr(" \t\r\n", req->out.at[i]) == NULL)
			break;
	if (i < req->out.len &&
	    xml_parse(req->out.at, req->out.len, &handler, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (state->location[0] != '\0' && s3_region(req->s3) != NULL &&
	    strcmp(state->location, s3_region(req->s3)) != 0) {
		s3_fail_code(req, S3_ILLEGAL_LOCATION_CONSTRAINT,
		    "The location constraint \"%s\" is not this server's "
		    "region, which is \"%s\".",
		    state->location, s3_region(req->s3));
		return;
	}
	put->name = req->bucket;
	put->owner = req->who->access_key;
	s3_prepare(req, &put->change, created);
	store_create_bucket(req->store, put);
}

void
run_create_bucket(struct s3_request *req)
{
	struct s3_error s3err = S3_ERROR_INIT;
	struct slice lock;

	if (!bucket_name_valid(req->bucket)) {
		s3_fail_code(req, S3_INVALID_BUCKET_NAME, NULL);
		return;
	}
	if (metadata_refuse_acl(req->head, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	lock = http_header_get(req->head, "x-amz-bucket-object-lock-enabled");
	if (slice_is_nocase(lock, "true")) {
		s3_fail_code(req, S3_NOT_IMPLEMENTED,
		    "Object lock is not implemented by this server: make the "
		    "bucket without it.");
		return;
	}
	if (state_new(req) != NULL)
		s3_read_body(req, BODY_MAX_BYTES, 1, create);
}

/* ---- DeleteBucket, HeadBucket, GetBucketLocation ---- */

static void
removed(struct s3_request *req)
{
	struct bucket_state *state = req->state;

	if (state->change.remove.change.failed)
		s3_fail_store(req, &state->change.remove.change.err);
	else
		s3_respond_empty(req, 204);
}

void
run_delete_bucket(struct s3_request *req)
{
	struct bucket_state *state;

	if ((state = state_new(req)) == NULL)
		return;
	state->change.remove.name = req->bucket;
	s3_prepare(req, &state->change.remove.change, removed);
	store_delete_bucket(req->store, &state->change.remove);
}

void
run_head_bucket(struct s3_request *req)
{
	struct bucket_record bucket;
	const char *region = s3_region(req->s3);

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return;
	http_out_header_text(&req->headers, "x-amz-bucket-region",
	    region == NULL ? "us-east-1" : region);
	s3_respond_empty(req, 200);
}

void
run_get_location(struct s3_request *req)
{
	struct bucket_record bucket;
	const char *region = s3_region(req->s3);

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return;
	xml_begin(&req->out, "LocationConstraint");
	if (region != NULL && strcmp(region, "us-east-1") != 0)
		buffer_add_text(&req->out, region);
	xml_close(&req->out, "LocationConstraint");
	s3_respond_xml(req);
}

/* ---- versioning ---- */

void
run_get_versioning(struct s3_request *req)
{
	struct bucket_record bucket;

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return;
	xml_begin(&req->out, "VersioningConfiguration");
	if (bucket.versioning != VERSIONING_OFF)
		xml_string(&req->out, "Status",
		    bucket.versioning == VERSIONING_ENABLED ? "Enabled"
							    : "Suspended");
	xml_close(&req->out, "VersioningConfiguration");
	s3_respond_xml(req);
}

static int
versioning_leaf(
    void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct bucket_state *state = context;

	(void)s3err;
	if (strcmp(path, "VersioningConfiguration/Status") == 0)
		keep_text(state->status, sizeof(state->status), text);
	if (strcmp(path, "VersioningConfiguration/MfaDelete") == 0)
		state->mfa_delete = slice_is(text, "Enabled");
	return 0;
}

static void
versioning_set(struct s3_request *req)
{
	struct bucket_state *state = req->state;

	if (state->change.set.change.failed)
		s3_fail_store(req, &state->change.set.change.err);
	else
		s3_respond_empty(req, 200);
}

static void
versioning_read(struct s3_request *req)
{
	struct bucket_state *state = req->state;
	struct set_bucket *set = &state->change.set;
	struct xml_handler handler = { versioning_leaf, NULL, state };
	struct s3_error s3err = S3_ERROR_INIT;

	if (xml_parse(req->out.at, req->out.len, &handler, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (state->mfa_delete) {
		s3_fail_code(req, S3_NOT_IMPLEMENTED,
		    "MFA delete is not implemented by this server.");
		return;
	}
	if (strcmp(state->status, "Enabled") == 0) {
		set->versioning = VERSIONING_ENABLED;
	} else if (strcmp(state->status, "Suspended") == 0) {
		set->versioning = VERSIONING_SUSPENDED;
	} else {
		s3_fail_code(req, S3_MALFORMED_XML,
		    "Status is neither Enabled nor Suspended.");
		return;
	}
	set->name = req->bucket;
	set->what = BUCKET_SET_VERSIONING;
	s3_prepare(req, &set->change, versioning_set);
	store_set_bucket(req->store, set);
}

void
run_put_versioning(struct s3_request *req)
{
	if (state_new(req) != NULL)
		s3_read_body(req, BODY_MAX_BYTES, 1, versioning_read);
}
