#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/s3_private.h"
#include "replicator/side_object.h"
#include "store/record.h"

/* With the store's answer to a put that carried something it may not know: 1
 * when the put is worth another try without it. */
static int
learn_refused(
    struct s3_session *s, const struct fault *f, int tagged, int conditioned)
{
	struct s3_shared *shared = s->shared;
	struct slice body = buffer_slice(&s->call.answer);
	int unknown = f->status == 501 || f->status == 400;
	int denied = f->status == 403 && strcmp(f->code, "AccessDenied") == 0;

	if (f->status == 0 || body.at == NULL)
		return 0;
	if (tagged && (unknown || denied) &&
	    (memmem(body.at, body.len, "agging", 6) != NULL || denied)) {
		atomic_store(&shared->can->tags, S3_NO);
		return 1;
	}
	if (!unknown)
		return 0;
	if (conditioned &&
	    atomic_load(&shared->can->conditions) == S3_UNKNOWN &&
	    (f->status == 501 ||
		memmem(body.at, body.len, "None-Match", 10) != NULL)) {
		atomic_store(&shared->can->conditions, S3_NO);
		return 1;
	}
	if (atomic_load(&shared->can->content_md5) == S3_UNKNOWN &&
	    f->status == 501) {
		atomic_store(&shared->can->content_md5, S3_NO);
		return 1;
	}
	return 0;
}

/* Reads back what was put. 1 when the bytes are those, 0 when not, -1. */
static int
read_back(struct s3_session *s, struct slice key, const struct payload *p,
    struct fault *fault)
{
	struct digest *md5;
	uint8_t sum[MD5_BYTES];
	uint64_t at;
	size_t len;
	char *room;
	int rc = -1;

	md5 = digest_new(DIGEST_MD5);
	room = malloc(PAYLOAD_MEMORY_BYTES);
	if (md5 == NULL || room == NULL) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	for (at = 0; at < p->len; at += len) {
		len = p->len - at < PAYLOAD_MEMORY_BYTES ? (size_t)(p->len - at)
							 : PAYLOAD_MEMORY_BYTES;
		if (s3_get(s, key, at, len, room, fault) != 0)
			goto done;
		digest_update(md5, room, len);
	}
	digest_final(md5, sum);
	rc = memcmp(sum, p->md5, sizeof(sum)) == 0;

done:
	digest_free(md5);
	free(room);
	return rc;
}

/* The object's size there, by a HEAD. */
static int
compare_size(
    struct s3_session *s, struct slice key, uint64_t size, struct fault *fault)
{
	struct s3_request req = { .op = S3_HEAD, .method = "HEAD", .key = key };
	uint64_t there;
	struct slice text;

	if (s3_send(s, &req, fault) != 0)
		return fault_add(fault, "after the upload");
	text = http_call_header(&s->call, "content-length");
	if (parse_u64(text.at, text.len, 0, UINT64_MAX, &there) != 0 ||
	    there != size)
		return fault_set(fault, FAULT_RETRY,
		    "The store holds another number of bytes than were sent: "
		    "%.*s.",
		    (int)(text.len < 20 ? text.len : 20),
		    text.at != NULL ? text.at : "none");
	return 0;
}

/* Does the store hold what was sent? Its ETag says so where that is an MD5;
 * whether it is, the first answers tell. */
static int
verify(struct s3_session *s, struct slice key, const struct payload *p,
    struct fault *fault)
{
	struct s3_shared *shared = s->shared;
	struct slice etag = s3_answer_etag(s);
	uint8_t md5[MD5_BYTES];
	int same;

	if (s3_etag_md5(etag, md5) && memcmp(md5, p->md5, MD5_BYTES) == 0) {
		if (!s3_answer_opaque(s))
			atomic_store(&shared->can->md5_etags, S3_YES);
		return 0;
	}
	if (s3_answer_opaque(s) ||
	    atomic_load(&shared->can->md5_etags) == S3_NO)
		return compare_size(s, key, p->len, fault);

	if ((same = read_back(s, key, p, fault)) < 0)
		return fault_add(fault, "reading back what was sent");
	/* They were changed on their way: as long as they stand there, nothing
	 * that came later may. */
	if (!same)
		return fault_set(fault, FAULT_RETRY,
		    "The store holds other bytes than were sent: they are sent "
		    "again.");
	atomic_store(&shared->can->md5_etags, S3_NO);
	return 0;
}

/* One put as things are known now. *tagged: with tags of the store's own. */
static int
put_once(struct s3_session *s, const struct remote_object *o, struct payload *p,
    int if_absent, int *tagged, struct fault *fault)
{
	struct s3_request req = {
		.op = S3_PUT, .method = "PUT", .key = o->key
	};
	struct buffer side = BUFFER_INIT;
	int rc = 0;

	*tagged =
	    o->tags.len > 0 && atomic_load(&s->shared->can->tags) != S3_NO;
	s3_object_headers(s->shared, o, *tagged, &req.headers, &side);
	if (if_absent)
		s3_header(&req, "if-none-match", "*");
	if (side.len > 0)
		rc = s3_side_put(s, o, &side, fault);
	if (rc == 0) {
		s3_payload_attach(s, p, &req);
		rc = s3_payload_send(s, p, &req, fault);
	} else
		buffer_free(&req.headers);
	buffer_free(&side);
	return rc;
}

/* A store that takes x-amz-tagging without a word may have dropped it. */
static int
tags_kept(struct s3_session *s, struct slice key, struct fault *fault)
{
	struct s3_request req = { .op = S3_HEAD, .method = "HEAD", .key = key };

	if (s3_send(s, &req, fault) != 0)
		return -1;
	return http_call_header(&s->call, "x-amz-tagging-count").len > 0;
}

static int
is_absent(struct s3_session *s, struct slice key, struct fault *fault)
{
	struct remote_stat st;

	if (s3_stat(s, key, &st, fault) == 0) {
		buffer_free(&st.memory);
		return fault_set(
		    fault, FAULT_EXISTS, "There is an object of that key.");
	}
	return fault->kind == FAULT_MISSING ? 0 : -1;
}

int
s3_put(void *session, const struct remote_object *o,
    const struct remote_source *source, int if_absent, struct fault *fault)
{
	struct s3_session *s = session;
	struct payload p;
	int tagged, condition, kept, rc = -1;

	if (payload_open_sha256(&p, source, 0, o->size, fault) != 0)
		return -1;
	if (o->has_md5 && memcmp(o->md5, p.md5, MD5_BYTES) != 0) {
		fault_set(fault, FAULT_OBJECT,
		    "The bytes to send are not those that were stored.");
		goto done;
	}
	/* Where a condition may be ignored, a look before is the best there is.
	 */
	if (if_absent && atomic_load(&s->shared->can->conditions) != S3_YES &&
	    is_absent(s, o->key, fault) != 0)
		goto done;

	do {
		*fault = (struct fault)FAULT_INIT;
		condition = if_absent &&
		    atomic_load(&s->shared->can->conditions) != S3_NO;
		rc = put_once(s, o, &p, condition, &tagged, fault);
	} while (rc != 0 && learn_refused(s, fault, tagged, condition));
	if (rc != 0 || (rc = verify(s, o->key, &p, fault)) != 0)
		goto done;

	if (tagged && atomic_load(&s->shared->can->tags) == S3_UNKNOWN) {
		kept = tags_kept(s, o->key, fault);
		if (kept < 0 && fault->kind == FAULT_PERSON)
			kept = 0; /* it may not be looked at */
		if (kept < 0) {
			rc = -1;
			goto done;
		}
		atomic_store(&s->shared->can->tags, kept ? S3_YES : S3_NO);
		if (!kept && (rc = put_once(s, o, &p, 0, &tagged, fault)) != 0)
			goto done;
	}
	s3_side_clear(s, o->key, o->version);

done:
	payload_close(&p);
	return rc;
}
