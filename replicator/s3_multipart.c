#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/s3_private.h"
#include "store/record.h"

/* The state of an upload is the id that the store gave it. */

#define MIB (1ULL << 20)
/* Stores that put parts together by copying take their time. */
#define FINISH_STALL_MS (10 * 60 * 1000)
#define UPLOAD_ID_MAX_BYTES (REMOTE_STATE_BYTES - 1)

static uint64_t
part_bytes_for(const struct s3_shared *s, uint64_t size)
{
	uint64_t least = (size + s->parts_max - 1) / s->parts_max;

	if (least < S3_PART_BYTES)
		return S3_PART_BYTES;
	return (least + MIB - 1) / MIB * MIB;
}

/* Finds one element by the end of its path. */
struct finding {
	const char *end;
	struct buffer *text;
};

static int
find_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct finding *f = arg;
	size_t a = strlen(path), b = strlen(f->end);

	if (text.at != NULL && a >= b && strcmp(path + a - b, f->end) == 0) {
		buffer_clear(f->text);
		buffer_add_slice(f->text, text);
		buffer_add_u8(f->text, '\0');
	}
	return 0;
}

static int
begin_once(struct s3_session *s, const struct remote_object *o, int *tagged,
    struct fault *fault)
{
	struct s3_request req = { .op = S3_MULTIPART,
		.method = "POST",
		.key = o->key,
		.query = "uploads" };
	struct buffer side = BUFFER_INIT;
	int rc = 0;

	*tagged =
	    o->tags.len > 0 && atomic_load(&s->shared->can->tags) == S3_YES;
	s3_object_headers(s->shared, o, *tagged, &req.headers, &side);
	if (side.len > 0)
		rc = s3_side_put(s, o, &side, fault);
	if (rc == 0)
		rc = s3_send(s, &req, fault);
	else
		buffer_free(&req.headers);
	buffer_free(&side);
	return rc;
}

int
s3_upload_begin(void *session, const struct remote_object *o,
    struct remote_upload *upload, struct fault *fault)
{
	struct s3_session *s = session;
	struct buffer id = BUFFER_INIT;
	struct finding find = { "/UploadId", &id };
	int tagged, rc;

	if (upload->part_bytes == 0)
		upload->part_bytes = part_bytes_for(s->shared, o->size);
	if (upload->part_bytes > S3_PART_MAX_BYTES)
		return fault_set(fault, FAULT_OBJECT,
		    "The object is larger than the store takes.");
	rc = begin_once(s, o, &tagged, fault);
	if (rc != 0 && tagged && fault->status / 100 == 4 &&
	    strcmp(fault->code, "AccessDenied") == 0) {
		atomic_store(&s->shared->can->tags, S3_NO);
		rc = begin_once(s, o, &tagged, fault);
	}
	if (rc != 0)
		return -1;
	xml_read(buffer_slice(&s->call.answer), find_leaf, &find);
	if (id.failed || id.len <= 1 || id.len > UPLOAD_ID_MAX_BYTES)
		rc = fault_set(fault, FAULT_RETRY,
		    "The store began an upload without naming it.");
	else
		memcpy(upload->state, id.at, id.len);
	buffer_free(&id);
	return rc;
}

/* "uploadId=..." behind what is there, NUL-terminated. */
static void
add_upload_id(struct buffer *query, const struct remote_upload *upload)
{
	char encoded[3 * REMOTE_STATE_BYTES + 1];

	uri_encode(upload->state, strlen(upload->state), 0, encoded);
	buffer_printf(query, "uploadId=%s", encoded);
	buffer_add_u8(query, '\0');
}

static int
part_once(struct s3_session *s, const struct remote_object *o,
    struct payload *p, const char *query, struct fault *fault)
{
	struct s3_request req = { .op = S3_MULTIPART,
		.method = "PUT",
		.key = o->key,
		.query = query };

	s3_payload_attach(s, p, &req);
	return s3_payload_send(s, p, &req, fault);
}

/* A match settles what a part's ETag is; so many others do as well. */
#define PART_DOUBTS_MAX 20

/* A part's ETag is its MD5 at most stores; it cannot be read back where not,
 * and then Content-MD5 and the size of the whole must do. One that looks like
 * an MD5 and is another is damage wherever whole objects have theirs: the first
 * part that is damaged on its way must not pass for a store of the other kind.
 * Cloudflare's look like none. */
static int
verify_part(struct s3_session *s, const struct payload *p, struct fault *fault)
{
	struct s3_shared *shared = s->shared;
	atomic_int *learnt = &shared->can->md5_parts;
	uint8_t md5[MD5_BYTES];
	int looks = s3_etag_md5(s3_answer_etag(s), md5);

	if (looks && memcmp(md5, p->md5, MD5_BYTES) == 0) {
		if (!s3_answer_opaque(s))
			atomic_store(learnt, S3_YES);
		return 0;
	}
	if (s3_answer_opaque(s))
		return 0;
	if (atomic_load(learnt) == S3_YES ||
	    (looks && atomic_load(learnt) == S3_UNKNOWN &&
		atomic_load(&shared->can->md5_etags) != S3_NO &&
		atomic_fetch_add(&shared->part_doubts, 1) < PART_DOUBTS_MAX))
		return fault_set(fault, FAULT_RETRY,
		    "The store holds other bytes of a part than were sent.");
	atomic_store(learnt, S3_NO);
	return 0;
}

int
s3_part(void *session, const struct remote_object *o,
    const struct remote_upload *upload, uint32_t number, uint64_t offset,
    uint64_t len, const struct remote_source *source, struct remote_part *part,
    struct fault *fault)
{
	struct s3_session *s = session;
	struct buffer query = BUFFER_INIT;
	struct payload p;
	struct slice etag;
	int rc = -1;

	if (payload_open_sha256(&p, source, offset, len, fault) != 0)
		return -1;
	buffer_printf(&query, "partNumber=%" PRIu32 "&", number);
	add_upload_id(&query, upload);
	if (query.failed) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	rc = part_once(s, o, &p, query.at, fault);
	if (rc != 0 && fault->status == 501 &&
	    atomic_load(&s->shared->can->content_md5) == S3_UNKNOWN) {
		atomic_store(&s->shared->can->content_md5, S3_NO);
		rc = part_once(s, o, &p, query.at, fault);
	}
	if (rc != 0 || (rc = verify_part(s, &p, fault)) != 0)
		goto done;
	etag = s3_answer_etag(s);
	if (etag.len == 0 || etag.len >= sizeof(part->etag)) {
		rc = fault_set(fault, FAULT_RETRY,
		    "The store took a part without giving its ETag.");
		goto done;
	}
	memcpy(part->etag, etag.at, etag.len);
	part->etag[etag.len] = '\0';
	part->number = number;

done:
	payload_close(&p);
	buffer_free(&query);
	return rc;
}

static void
write_parts(struct buffer *body, const struct remote_part *parts, size_t n)
{
	size_t i;

	buffer_add_text(body,
	    "<CompleteMultipartUpload "
	    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (i = 0; i < n; i++)
		buffer_printf(body,
		    "<Part><PartNumber>%" PRIu32
		    "</PartNumber><ETag>\"%s\"</ETag></Part>",
		    parts[i].number, parts[i].etag);
	buffer_add_text(body, "</CompleteMultipartUpload>");
}

/* The ETag of a whole at AWS: the MD5 of its parts' MD5s. 0 when it cannot be
 * told. */
static int
composite_etag(
    const struct remote_part *parts, size_t n, char text[2 * MD5_BYTES + 16])
{
	struct digest *all = digest_new(DIGEST_MD5);
	uint8_t md5[MD5_BYTES];
	size_t i;

	for (i = 0; all != NULL && i < n; i++) {
		if (!s3_etag_md5(slice_text(parts[i].etag), md5)) {
			digest_free(all);
			return 0;
		}
		digest_update(all, md5, MD5_BYTES);
	}
	if (all == NULL)
		return 0;
	digest_final(all, md5);
	digest_free(all);
	hex_encode(md5, MD5_BYTES, text);
	snprintf(text + 2 * MD5_BYTES, 16, "-%zu", n);
	return 1;
}

/* Is the object there that this upload makes, whole? */
static int
is_there(struct s3_session *s, const struct remote_object *o,
    const struct remote_part *parts, size_t n, struct fault *fault)
{
	struct remote_stat st;
	char etag[2 * MD5_BYTES + 16];
	int rc = 0;

	if (s3_stat(s, o->key, &st, fault) != 0)
		return -1;
	if (st.size != o->size)
		rc = fault_set(fault, FAULT_OBJECT,
		    "The store holds %" PRIu64 " bytes where %" PRIu64
		    " were sent.",
		    st.size, o->size);
	else if (st.version != o->version)
		rc = fault_set(fault, FAULT_MISSING,
		    "The store holds another version of the object.");
	else if (s->shared->aws && !s3_answer_opaque(s) &&
	    atomic_load(&s->shared->can->md5_parts) == S3_YES &&
	    composite_etag(parts, n, etag) && strcmp(etag, st.etag) != 0)
		rc = fault_set(fault, FAULT_OBJECT,
		    "The store put other bytes together than were sent.");
	buffer_free(&st.memory);
	return rc;
}

/* The answer begins before the store is done, so it may be an error under a
 * status of success. */
static int
check_finished(struct s3_session *s, struct fault *fault)
{
	struct refusal refusal;

	s3_refusal_read(buffer_slice(&s->call.answer), &refusal);
	if (refusal.code[0] == '\0')
		return 0;
	s3_refusal_fault(s->shared, S3_MULTIPART, &s->call, &refusal, fault);
	if (fault->kind == FAULT_NONE)
		fault->kind = FAULT_RETRY;
	return -1;
}

int
s3_finish(void *session, const struct remote_object *o,
    const struct remote_upload *upload, const struct remote_part *parts,
    size_t n, struct fault *fault)
{
	struct s3_session *s = session;
	struct s3_request req = { .op = S3_MULTIPART,
		.method = "POST",
		.key = o->key,
		.stall_timeout_ms = FINISH_STALL_MS };
	struct buffer query = BUFFER_INIT, body = BUFFER_INIT;
	uint8_t sum[SHA256_BYTES];
	char sha256[2 * SHA256_BYTES + 1];
	int rc = -1;

	add_upload_id(&query, upload);
	write_parts(&body, parts, n);
	if (query.failed || body.failed) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	digest_once(DIGEST_SHA256, body.at, body.len, sum);
	hex_encode(sum, sizeof(sum), sha256);
	req.query = query.at;
	req.body = body.at;
	req.body_len = body.len;
	req.payload = sha256;
	rc = s3_send(s, &req, fault);
	if (rc == 0)
		rc = check_finished(s, fault);
	/* An upload that is gone may have been finished by an earlier try whose
	 * answer was lost. */
	if (rc == 0 ||
	    (fault->kind == FAULT_MISSING &&
		strcmp(fault->code, "NoSuchUpload") == 0))
		rc = is_there(s, o, parts, n, fault);
	if (rc == 0)
		s3_side_clear(s, o->key, o->version);

done:
	buffer_free(&query);
	buffer_free(&body);
	return rc;
}

/* That a store cannot list them, or not for us, is no reason to send nothing.
 */
static int
abort_all(struct s3_session *s, struct slice key, struct fault *fault)
{
	if (s3_uploads_end(s, key, 1, INT64_MAX, fault) == 0)
		return 0;
	if (fault->kind == FAULT_RETRY && fault->status == 0)
		return -1;
	*fault = (struct fault)FAULT_INIT;
	return 0;
}

int
s3_abort(void *session, struct slice key, const struct remote_upload *upload,
    struct fault *fault)
{
	struct s3_session *s = session;
	struct s3_request req = {
		.op = S3_ABORT, .method = "DELETE", .key = key
	};
	struct buffer query = BUFFER_INIT;
	int rc;

	if (upload->state[0] == '\0')
		return abort_all(s, key, fault);
	add_upload_id(&query, upload);
	if (query.failed)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	req.query = query.at;
	rc = s3_send(s, &req, fault);
	if (rc != 0 && fault->kind == FAULT_MISSING)
		rc = 0;
	buffer_free(&query);
	return rc;
}
