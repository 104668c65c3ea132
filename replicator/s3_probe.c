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

/* Uploads that a listing of them names. */
struct uploads {
	const char *path; /* of the destination */
	int64_t before_ms;
	char key[256], id[REMOTE_STATE_BYTES];
	int64_t begun_ms;
	struct buffer found; /* key and id, NUL-terminated, in turn */
};

static int
take_upload(const struct xml_element *e, void *arg)
{
	static const char at[] = "ListMultipartUploadsResult/Upload";
	struct uploads *u = arg;
	size_t path_len = strlen(u->path);
	const char *leaf = e->path + sizeof(at) - 1;

	if (strncmp(e->path, at, sizeof(at) - 1) != 0)
		return 0;
	if (strcmp(leaf, "/Key") == 0)
		refusal_take(u->key, sizeof(u->key), e->text);
	else if (strcmp(leaf, "/UploadId") == 0)
		refusal_take(u->id, sizeof(u->id), e->text);
	else if (strcmp(leaf, "/Initiated") == 0 &&
	    clock_parse_iso8601(e->text.at, e->text.len, &u->begun_ms) != 0)
		u->begun_ms = INT64_MAX;
	if (leaf[0] != '\0')
		return 0;
	if (strncmp(u->key, u->path, path_len) == 0 &&
	    strncmp(u->key + path_len, PROBE_PREFIX, strlen(PROBE_PREFIX)) ==
		0 &&
	    u->id[0] != '\0' && u->begun_ms < u->before_ms) {
		buffer_add(&u->found, u->key + path_len,
		    strlen(u->key + path_len) + 1);
		buffer_add(&u->found, u->id, strlen(u->id) + 1);
	}
	u->key[0] = u->id[0] = '\0';
	u->begun_ms = INT64_MAX;
	return 0;
}

/* Where that may be looked at; a store that cannot list them has none. */
static void
sweep_uploads(void *session, int64_t before_ms)
{
	struct s3_session *s = session;
	struct s3_request req = { .op = S3_LIST_UPLOADS, .method = "GET" };
	struct uploads u = { .path = s->shared->path,
		.before_ms = before_ms,
		.begun_ms = INT64_MAX };
	struct remote_upload upload = { .part_bytes = 0 };
	struct fault ignored = FAULT_INIT;
	char encoded[3 * 640], query[3 * 640 + 32];
	char prefix[640];
	const char *at, *id;

	snprintf(prefix, sizeof(prefix), "%s" PROBE_PREFIX, s->shared->path);
	uri_encode(prefix, strlen(prefix), 0, encoded);
	snprintf(query, sizeof(query), "prefix=%s&uploads=", encoded);
	req.query = query;
	if (s3_send(s, &req, &ignored) == 0 &&
	    xml_read(buffer_slice(&s->call.answer), take_upload, &u) == 0 &&
	    !u.found.failed && u.found.len > 0)
		for (at = u.found.at; at < u.found.at + u.found.len;
		     at = id + strlen(id) + 1) {
			id = at + strlen(at) + 1;
			snprintf(upload.state, sizeof(upload.state), "%s", id);
			s3_abort(s, slice_text(at), &upload, &ignored);
		}
	buffer_free(&u.found);
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
