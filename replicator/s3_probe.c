#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/probe_row.h"
#include "replicator/s3_private.h"
#include "store/record.h"

/*
 * The Test button: one row for each thing that replication will need. All that
 * it writes is below plugins/holdfast/probe-RANDOM/, a new name each time, and
 * is gone at the end however it ends.
 */

#define VERSIONS_MAX 16

struct written {
	char key[96], version[128];
};

struct probing {
	struct s3_session *s;
	struct probe_writer rows;
	char object[96], whole[96]; /* keys */
	struct remote_upload upload;
	int upload_open;
	/* Versions that a versioned bucket keeps of what was written. */
	struct written written[VERSIONS_MAX];
	size_t n_written;
};

struct contents {
	const char *bytes;
	size_t len;
};

static int
read_contents(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	const struct contents *c = arg;

	(void)fault;
	memcpy(bytes, c->bytes + offset, len);
	return 0;
}

static void
note_version(struct probing *p, const char *key)
{
	struct slice id = http_call_header(&p->s->call, "x-amz-version-id");
	struct written *w = &p->written[p->n_written];

	if (id.len == 0 || id.len >= sizeof(w->version) ||
	    slice_is(id, "null") || p->n_written == VERSIONS_MAX)
		return;
	snprintf(w->key, sizeof(w->key), "%s", key);
	snprintf(w->version, sizeof(w->version), "%.*s", (int)id.len, id.at);
	p->n_written++;
}

static struct remote_object
probe_object(const char *key, const struct contents *c)
{
	struct remote_object o = { .key = slice_text(key), .size = c->len };

	digest_once(DIGEST_MD5, c->bytes, c->len, o.md5);
	o.has_md5 = 1;
	hex_encode(o.md5, MD5_BYTES, o.etag);
	o.version = 1;
	return o;
}

static int
put(struct probing *p, const struct contents *c, struct slice tags,
    struct fault *fault)
{
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct remote_object o = probe_object(p->object, c);
	int rc;

	o.tags = tags;
	rc = s3_put(p->s, &o, &source, 0, fault);
	note_version(p, p->object);
	return rc;
}

/* Reads len bytes at an offset and compares them. */
static int
get(struct probing *p, const char *key, const struct contents *c, size_t offset,
    struct fault *fault)
{
	char room[256];
	size_t len = c->len - offset;

	if (len > sizeof(room))
		len = sizeof(room);
	if (s3_get(p->s, slice_text(key), offset, len, room, fault) != 0)
		return -1;
	if (memcmp(room, c->bytes + offset, len) != 0)
		return fault_set(fault, FAULT_PERSON,
		    "The store gave other bytes than were written: it cannot "
		    "be a destination.");
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
any(const struct remote_entry *e, void *arg)
{
	(void)e;
	*(int *)arg = 1;
	return 1;
}

static void
authenticated_row(struct probing *p)
{
	struct s3_shared *shared = p->s->shared;
	struct aws_keys keys = { .expires_ms = 0 };
	struct fault ignored = FAULT_INIT;
	long offset_s = (long)(atomic_load(&shared->clock_offset_ms) / 1000);
	char arn[256];

	s3_identity(p->s, arn, sizeof(arn));
	if (aws_credentials_get(
		shared->credentials, p->s->http, &keys, &ignored) != 0)
		keys.source[0] = '\0';
	probe_ok(&p->rows, "authenticate",
	    "By %s, as %s. The store's clock is %+ld s from this machine's.",
	    keys.source,
	    arn[0] != '\0'                  ? arn
		: keys.principal[0] != '\0' ? keys.principal
					    : keys.access_key_id,
	    offset_s);
	aws_keys_clear(&keys);
}

static void
bucket_row(struct probing *p)
{
	struct s3_shared *shared = p->s->shared;
	char region[64];

	pthread_mutex_lock(&shared->lock);
	memcpy(region, shared->region, sizeof(region));
	pthread_mutex_unlock(&shared->lock);
	if (strcmp(region, shared->first_region) == 0)
		probe_ok(&p->rows, "bucket", "%s, in region %s.",
		    shared->bucket, region);
	else
		probe_warn(&p->rows, "bucket",
		    "The bucket is in %s, not in %s: that was corrected for "
		    "now; set the region to %s.",
		    region, shared->first_region, region);
}

/* The first signed request tells of authentication, bucket and listing. 0 when
 * the rest makes sense. */
static int
probe_access(struct probing *p, struct fault *fault)
{
	struct aws_keys keys = { .expires_ms = 0 };
	int found = 0, rc;

	probe_start(&p->rows);
	if (aws_credentials_get(
		p->s->shared->credentials, p->s->http, &keys, fault) != 0) {
		probe_fail(&p->rows, "authenticate", fault);
		return -1;
	}
	aws_keys_clear(&keys);
	rc = s3_list(p->s, SLICE_NULL, SLICE_NULL, any, &found, fault);
	if (rc != 0 && is_of_authentication(fault)) {
		probe_fail(&p->rows, "authenticate", fault);
		return -1;
	}
	if (rc == 0 || fault->status != 0)
		authenticated_row(p);
	probe_start(&p->rows);
	if (rc == 0) {
		bucket_row(p);
		probe_ok(&p->rows, "list", "%s",
		    found ? "The path holds objects." : "The path is empty.");
		return 0;
	}
	if (strcmp(fault->code, "AccessDenied") == 0 ||
	    (fault->status == 403 && fault->code[0] == '\0')) {
		probe_skip(&p->rows, "bucket",
		    "Whether it is there cannot be seen without "
		    "s3:ListBucket.");
		probe_fail(&p->rows, "list", fault);
		return 0;
	}
	probe_fail(
	    &p->rows, fault->kind == FAULT_PERSON ? "bucket" : "list", fault);
	return -1;
}

static int
probe_put(struct probing *p, const struct contents *c, struct fault *fault)
{
	struct buffer tags = BUFFER_INIT;
	int rc;

	probe_start(&p->rows);
	/* Learns whether tags are kept. AWS does, and asks a permission. */
	if (!p->s->shared->aws)
		pairs_add(
		    &tags, SLICE_LITERAL("holdfast"), SLICE_LITERAL("probe"));
	rc = put(p, c, buffer_slice(&tags), fault);
	buffer_free(&tags);
	if (rc != 0) {
		probe_fail(&p->rows, "put", fault);
		return -1;
	}
	probe_ok(&p->rows, "put", "%s",
	    atomic_load(&p->s->shared->md5_etags) == S3_YES
		? "The store's checksum was compared."
		: "The store gives no MD5 as ETag: sizes are compared.");
	return 0;
}

static void
probe_get(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (get(p, p->object, c, 7, &fault) != 0)
		probe_fail(&p->rows, "get range", &fault);
	else
		probe_ok(&p->rows, "get range", "The bytes are those.");
}

/* Does If-None-Match hold back a put onto what is there? */
static void
learn_conditions(struct probing *p, const struct contents *c)
{
	struct s3_request req = {
		.op = S3_PUT, .method = "PUT", .key = slice_text(p->object)
	};
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct fault fault = FAULT_INIT;
	struct payload payload;

	if (atomic_load(&p->s->shared->conditions) != S3_UNKNOWN ||
	    payload_open_sha256(&payload, &source, 0, c->len, &fault) != 0)
		return;
	s3_header(&req, "if-none-match", "*");
	s3_payload_attach(p->s, &payload, &req);
	if (s3_payload_send(p->s, &payload, &req, &fault) == 0) {
		note_version(p, p->object);
		atomic_store(&p->s->shared->conditions, S3_NO);
	} else if (fault.status == 412)
		atomic_store(&p->s->shared->conditions, S3_YES);
	else if (fault.status == 400 || fault.status == 501)
		atomic_store(&p->s->shared->conditions, S3_NO);
	payload_close(&payload);
}

static void
probe_overwrite(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (put(p, c, SLICE_NULL, &fault) != 0 ||
	    get(p, p->object, c, 0, &fault) != 0) {
		probe_fail(&p->rows, "overwrite", &fault);
		return;
	}
	learn_conditions(p, c);
	probe_ok(&p->rows, "overwrite", "%s",
	    atomic_load(&p->s->shared->conditions) == S3_YES
		? "What is new is read at once. Conditional writes work."
		: "What is new is read at once. Conditional writes do not "
		  "work, so another store on the same path is noticed late.");
}

static int
send_in_parts(struct probing *p, const struct contents *c, struct fault *fault)
{
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct remote_object o = probe_object(p->whole, c);
	struct remote_part part;

	memset(&p->upload, 0, sizeof(p->upload));
	if (s3_upload_begin(p->s, &o, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 1;
	if (s3_part(p->s, &o, &p->upload, 1, 0, c->len, &source, &part,
		fault) != 0 ||
	    s3_finish(p->s, &o, &p->upload, &part, 1, fault) != 0)
		return -1;
	note_version(p, p->whole);
	p->upload_open = 0;
	return get(p, p->whole, c, 0, fault);
}

static int
begin_and_abort(
    struct probing *p, const struct contents *c, struct fault *fault)
{
	struct remote_object o = probe_object(p->whole, c);

	memset(&p->upload, 0, sizeof(p->upload));
	if (s3_upload_begin(p->s, &o, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 1;
	if (s3_abort(p->s, o.key, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 0;
	return 0;
}

static void
probe_multipart(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (send_in_parts(p, c, &fault) != 0 ||
	    begin_and_abort(p, c, &fault) != 0)
		probe_fail(&p->rows, "multipart", &fault);
	else
		probe_ok(&p->rows, "multipart",
		    "An upload in parts was finished, and one given up.");
}

static int
remove_one(struct probing *p, const char *key, struct fault *fault)
{
	struct s3_request req = {
		.op = S3_DELETE, .method = "DELETE", .key = slice_text(key)
	};

	if (s3_send(p->s, &req, fault) != 0 && fault->kind != FAULT_MISSING)
		return -1;
	note_version(p, key); /* a delete marker's */
	return 0;
}

/* In a versioned bucket, where permitted. */
static void
remove_versions(struct probing *p)
{
	struct fault ignored = FAULT_INIT;
	char encoded[3 * sizeof(p->written[0].version)], query[400];
	struct written *w;
	size_t i;

	for (i = 0; i < p->n_written; i++) {
		struct s3_request req = { .op = S3_DELETE_VERSION,
			.method = "DELETE" };

		w = &p->written[i];
		uri_encode(w->version, strlen(w->version), 0, encoded);
		snprintf(query, sizeof(query), "versionId=%s", encoded);
		req.key = slice_text(w->key);
		req.query = query;
		if (s3_send(p->s, &req, &ignored) != 0 && ignored.status == 403)
			return;
	}
}

/* Whatever came before. */
static int
clean_up(struct probing *p, struct fault *fault)
{
	struct fault ignored = FAULT_INIT;
	int rc;

	if (p->upload_open)
		s3_abort(p->s, slice_text(p->whole), &p->upload, &ignored);
	rc = remove_one(p, p->object, fault);
	if (remove_one(p, p->whole, rc == 0 ? fault : &ignored) != 0)
		rc = -1;
	remove_versions(p);
	return rc;
}

static void
probe_delete(struct probing *p)
{
	struct fault fault = FAULT_INIT;
	struct remote_stat st;

	probe_start(&p->rows);
	if (clean_up(p, &fault) != 0) {
		probe_fail(&p->rows, "delete", &fault);
		return;
	}
	if (s3_stat(p->s, slice_text(p->object), &st, &fault) == 0) {
		buffer_free(&st.memory);
		fault_set(&fault, FAULT_PERSON,
		    "The object is still there after it was deleted.");
		probe_fail(&p->rows, "delete", &fault);
	} else
		probe_ok(&p->rows, "delete", "Nothing is left behind.");
}

int
s3_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	static const struct contents first = { "holdfast probe: first\n", 22 };
	static const struct contents second = { "holdfast probe: second\n",
		23 };
	struct s3_session *s = session;
	struct probing p = { .s = s, .rows = { .visit = visit, .arg = arg } };
	uint8_t random[8];
	char name[2 * sizeof(random) + 1];

	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), name);
	snprintf(
	    p.object, sizeof(p.object), S3_OWN_PREFIX "probe-%s/object", name);
	snprintf(
	    p.whole, sizeof(p.whole), S3_OWN_PREFIX "probe-%s/parts", name);

	probe_start(&p.rows);
	s3_knock(s);
	if (probe_network(&p.rows, &s->call, s->shared->https) != 0 ||
	    probe_access(&p, fault) != 0)
		goto done;
	if (probe_put(&p, &first, fault) != 0) {
		/* It may be there all the same, if its answer was lost. */
		if (fault->fate_unknown || fault->status == 0 ||
		    fault->kind != FAULT_PERSON)
			clean_up(&p, fault);
		goto done;
	}
	probe_get(&p, &first);
	probe_overwrite(&p, &second);
	probe_multipart(&p, &first);
	probe_delete(&p);
	s3_probe_rules(s, visit, arg);

done:
	*fault = p.rows.first_fault;
	return p.rows.failed ? -1 : 0;
}
