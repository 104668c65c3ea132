#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/probe_steps.h"
#include "replicator/s3_private.h"
#include "store/record.h"

/* What is S3's own about the Test button. */

static struct http_call *
call(void *session)
{
	return &((struct s3_session *)session)->call;
}

static int
knock(void *session)
{
	struct s3_session *s = session;

	s3_knock(s);
	return s->shared->https;
}

static int
credentials(void *session, struct fault *fault)
{
	struct s3_session *s = session;
	struct aws_keys keys = { .expires_ms = 0 };

	if (aws_credentials_get(
		s->shared->credentials, s->http, &keys, fault) != 0)
		return -1;
	aws_keys_clear(&keys);
	return 0;
}

static int
is_of_authentication(const struct fault *f)
{
	static const char *const codes[] = { "InvalidAccessKeyId",
		"InactiveAccessKey", "SignatureDoesNotMatch",
		"RequestTimeTooSkewed", "ExpiredToken", "TokenRefreshRequired",
		"InvalidToken", "AuthorizationHeaderMalformed", "NotSignedUp",
		"AccountProblem" };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(f->code, codes[i]) == 0)
			return 1;
	return f->status == 401;
}

static int
is_list_denied(const struct fault *f)
{
	return strcmp(f->code, "AccessDenied") == 0 ||
	    (f->status == 403 && f->code[0] == '\0');
}

static void
identity(void *session, char *text, size_t room)
{
	struct s3_session *s = session;
	struct aws_keys keys = { .expires_ms = 0 };
	struct fault ignored = FAULT_INIT;
	char arn[256];

	s3_identity(s, arn, sizeof(arn));
	if (aws_credentials_get(
		s->shared->credentials, s->http, &keys, &ignored) != 0)
		keys.source[0] = '\0';
	snprintf(text, room, "By %s, as %s.", keys.source,
	    arn[0] != '\0'                  ? arn
		: keys.principal[0] != '\0' ? keys.principal
					    : keys.access_key_id);
	aws_keys_clear(&keys);
}

static void
bucket_row(void *session, struct probe_writer *rows)
{
	struct s3_shared *shared = ((struct s3_session *)session)->shared;
	char region[64];

	pthread_mutex_lock(&shared->lock);
	memcpy(region, shared->region, sizeof(region));
	pthread_mutex_unlock(&shared->lock);
	if (strcmp(region, shared->first_region) == 0)
		probe_ok(rows, "bucket", "%s, in region %s.", shared->bucket,
		    region);
	else
		probe_warn(rows, "bucket",
		    "The bucket is in %s, not in %s: that was corrected for "
		    "now; set the region to %s.",
		    region, shared->first_region, region);
}

static const char *
put_text(void *session)
{
	struct s3_session *s = session;

	return atomic_load(&s->shared->can->md5_etags) == S3_YES
	    ? "The store's checksum was compared."
	    : "The store gives no MD5 as ETag: sizes are compared.";
}

/* AWS keeps tags, and asks a permission for them. */
static int
puts_tags(void *session)
{
	return !((struct s3_session *)session)->shared->aws;
}

/* Does If-None-Match hold back a put onto what is there? */
static void
learn(void *session, const struct remote_object *o,
    const struct remote_source *source)
{
	struct s3_request req = {
		.op = S3_PUT, .method = "PUT", .key = o->key
	};
	struct s3_session *s = session;
	struct fault fault = FAULT_INIT;
	struct payload payload;

	if (atomic_load(&s->shared->can->conditions) != S3_UNKNOWN ||
	    payload_open_sha256(&payload, source, 0, o->size, &fault) != 0)
		return;
	s3_header(&req, "if-none-match", "*");
	s3_payload_attach(s, &payload, &req);
	if (s3_payload_send(s, &payload, &req, &fault) == 0)
		atomic_store(&s->shared->can->conditions, S3_NO);
	else if (fault.status == 412)
		atomic_store(&s->shared->can->conditions, S3_YES);
	else if (fault.status == 400 || fault.status == 501)
		atomic_store(&s->shared->can->conditions, S3_NO);
	payload_close(&payload);
}

static int
version(void *session, char *name, size_t room)
{
	struct s3_session *s = session;
	struct slice id = http_call_header(&s->call, "x-amz-version-id");

	if (s->call.status / 100 != 2 || id.len == 0 || id.len >= room ||
	    slice_is(id, "null"))
		return 0;
	snprintf(name, room, "%.*s", (int)id.len, id.at);
	return 1;
}

static int
remove_version(
    void *session, struct slice key, const char *name, struct fault *fault)
{
	struct s3_request req = {
		.op = S3_DELETE_VERSION, .method = "DELETE", .key = key
	};
	char encoded[400], query[420];

	if (strlen(name) >= sizeof(encoded) / 3)
		return -1;
	uri_encode(name, strlen(name), 0, encoded);
	snprintf(query, sizeof(query), "versionId=%s", encoded);
	req.query = query;
	return s3_send(session, &req, fault);
}

/* Where that may be looked at; a store that cannot list them has none. */
static void
sweep_uploads(void *session, int64_t before_ms)
{
	struct fault ignored = FAULT_INIT;

	(void)s3_uploads_end(
	    session, SLICE_LITERAL(PROBE_PREFIX), 0, before_ms, &ignored);
}

int
s3_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	static const struct probe_protocol protocol = {
		.table = &destination_s3,
		.call = call,
		.knock = knock,
		.credentials = credentials,
		.is_of_authentication = is_of_authentication,
		.is_list_denied = is_list_denied,
		.list_permission = "s3:ListBucket",
		.identity = identity,
		.bucket = bucket_row,
		.put = put_text,
		.multipart =
		    "An upload in parts was finished, and one given up.",
		.rules = s3_probe_rules,
		.puts_tags = puts_tags,
		.learn = learn,
		.version = version,
		.remove_version = remove_version,
		.sweep = sweep_uploads,
	};

	struct s3_shared *shared = ((struct s3_session *)session)->shared;

	/* A store may have learnt, too. */
	if (!shared->aws)
		s3_abilities_forget(shared->can);
	return probe_steps(&protocol, session, shared, visit, arg, fault);
}
