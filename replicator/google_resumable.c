#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "replicator/google_private.h"

/*
 * Large objects: a resumable upload, whose state is its address. It takes the
 * bytes in order, in chunks of multiples of 256 KiB, and becomes the object
 * with the last of them. So part() keeps back the last bytes, at most 256 KiB,
 * and finish() sends them. How far it is the upload itself knows, and is asked
 * where this process cannot know it or something went wrong.
 *
 * A part's etag is "crc32c-HEX", of all its bytes, also of those kept back.
 */

#define FINISH_STALL_MS (10 * 60 * 1000)
#define STATUS_STALL_MS (60 * 1000)
#define PART_ETAG "crc32c-%08" PRIx32
/* Answers that took nothing, after which what was there is asked for. */
#define ROUNDS_MAX 3

/* Where an upload stands. */
struct standing {
	uint64_t received;
	int complete; /* the answer in s->call is the object */
};

static struct google_progress *
find_progress(struct google_shared *g, const uint8_t id[SHA256_BYTES])
{
	size_t i;

	for (i = 0; i < GOOGLE_SESSIONS; i++)
		if (memcmp(g->progress[i].upload, id, SHA256_BYTES) == 0)
			return &g->progress[i];
	return NULL;
}

static void
upload_id(const struct remote_upload *upload, uint8_t id[SHA256_BYTES])
{
	digest_once(DIGEST_SHA256, upload->state, strlen(upload->state), id);
}

static void
remember(struct google_session *s, const struct remote_upload *upload,
    uint64_t received)
{
	struct google_shared *g = s->shared;
	struct google_progress *p;
	uint8_t id[SHA256_BYTES];

	upload_id(upload, id);
	pthread_mutex_lock(&g->lock);
	if ((p = find_progress(g, id)) == NULL) {
		p = &g->progress[g->next_progress++ % GOOGLE_SESSIONS];
		memcpy(p->upload, id, sizeof(id));
	}
	p->received = received;
	pthread_mutex_unlock(&g->lock);
}

static void
forget(struct google_session *s, const struct remote_upload *upload)
{
	struct google_progress *p;
	uint8_t id[SHA256_BYTES];

	upload_id(upload, id);
	pthread_mutex_lock(&s->shared->lock);
	if ((p = find_progress(s->shared, id)) != NULL)
		memset(p, 0, sizeof(*p));
	pthread_mutex_unlock(&s->shared->lock);
}

/* 1 and how far it is, when this process knows. */
static int
recall(struct google_session *s, const struct remote_upload *upload,
    uint64_t *received)
{
	struct google_progress *p;
	uint8_t id[SHA256_BYTES];

	upload_id(upload, id);
	pthread_mutex_lock(&s->shared->lock);
	if ((p = find_progress(s->shared, id)) != NULL)
		*received = p->received;
	pthread_mutex_unlock(&s->shared->lock);
	return p != NULL;
}

/* The address that Google gave, which goes back as it is. Only one of the
 * endpoint's own is taken: tokens are sent there. */
static int
take_address(
    struct google_session *s, struct remote_upload *upload, struct fault *fault)
{
	struct slice at = http_call_header(&s->call, "location");
	size_t origin = strlen(s->shared->origin), i;
	const char *id;

	if (at.len <= origin || memcmp(at.at, s->shared->origin, origin) != 0 ||
	    at.at[origin] != '/')
		return fault_set(fault, FAULT_RETRY,
		    "Google began an upload without an address of its own.");
	for (i = 0; i < at.len; i++)
		if (at.at[i] <= ' ' || at.at[i] > '~')
			return fault_set(fault, FAULT_RETRY,
			    "Google began an upload with a bad address.");
	if (at.len < sizeof(upload->state)) {
		memcpy(upload->state, at.at, at.len);
		upload->state[at.len] = '\0';
		return 0;
	}
	/* What names it is the id. */
	id = memmem(at.at, at.len, "upload_id=", 10);
	i = id != NULL ? strcspn(id, "&\r\n") : 0;
	if (id == NULL || i > at.len - (size_t)(id - at.at) ||
	    snprintf(upload->state, sizeof(upload->state),
		"%s/upload/storage/v1/b/%s/o?uploadType=resumable&%.*s",
		s->shared->origin, s->shared->bucket_encoded, (int)i,
		id) >= (int)sizeof(upload->state))
		return fault_set(fault, FAULT_RETRY,
		    "Google began an upload with too long an address.");
	return 0;
}

int
google_begin(void *session, const struct remote_object *o,
    struct remote_upload *upload, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_CREATE, .method = "POST" };
	struct google_session *s = session;
	struct buffer side = BUFFER_INIT, text = BUFFER_INIT;
	json_t *resource;
	char length[24];
	int rc = -1;

	if (upload->part_bytes == 0)
		upload->part_bytes = GOOGLE_CHUNK_BYTES;
	if (upload->part_bytes % GOOGLE_STEP_BYTES != 0)
		return fault_set(fault, FAULT_OBJECT,
		    "Google takes parts of multiples of 256 KiB.");
	if ((resource = google_resource(s->shared, o, &side)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	if (side.len > 0 && google_side_put(s, o, &side, fault) != 0)
		goto done;
	if (o->has_md5)
		google_set_md5(resource, o->md5);
	google_resource_text(resource, &text);
	google_url_upload(s->shared, &req, "resumable");
	google_header(&req, "Content-Type", "application/json; charset=UTF-8");
	google_header(&req, "X-Upload-Content-Type",
	    json_string_value(json_object_get(resource, "contentType")));
	snprintf(length, sizeof(length), "%" PRIu64, o->size);
	google_header(&req, "X-Upload-Content-Length", length);
	if (text.failed)
		req.url.failed = 1;
	req.body = text.at;
	req.body_len = text.len;
	if (google_send(s, &req, fault) != 0 ||
	    take_address(s, upload, fault) != 0)
		goto done;
	remember(s, upload, 0);
	rc = 0;

done:
	json_decref(resource);
	buffer_free(&side);
	buffer_free(&text);
	return rc;
}

/* "Range: bytes=0-42" says what was received; without it, nothing. */
static int
read_standing(
    struct google_session *s, struct standing *at, struct fault *fault)
{
	struct slice text = http_call_header(&s->call, "range");
	uint64_t last;

	at->complete = s->call.status / 100 == 2;
	at->received = 0;
	if (at->complete || text.len == 0)
		return 0;
	if (slice_starts(text, "bytes=0-"))
		text = (struct slice){ text.at + 8, text.len - 8 };
	else if (slice_starts(text, "0-"))
		text = (struct slice){ text.at + 2, text.len - 2 };
	if (parse_u64(text.at, text.len, 0, UINT64_MAX - 1, &last) != 0)
		return fault_set(fault, FAULT_RETRY,
		    "Google does not say how far the upload is.");
	at->received = last + 1;
	return 0;
}

static int
ask_standing(struct google_session *s, const struct remote_upload *upload,
    uint64_t size, struct standing *at, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_SESSION,
		.method = "PUT",
		.stall_timeout_ms = STATUS_STALL_MS };
	char range[48];

	buffer_add_text(&req.url, upload->state);
	snprintf(range, sizeof(range), "bytes */%" PRIu64, size);
	google_header(&req, "Content-Range", range);
	if (google_send(s, &req, fault) != 0) {
		/* Nothing was changed by asking. */
		fault->fate_unknown = 0;
		return -1;
	}
	return read_standing(s, at, fault);
}

/* Sends bytes from `offset`, which are the object's last when they end with it.
 */
static int
send_chunk(struct google_session *s, const struct remote_object *o,
    const struct remote_upload *upload, uint64_t offset,
    const struct google_bytes *b, const uint32_t *whole_crc32c,
    struct standing *at, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_SESSION,
		.method = "PUT",
		.body = b->at,
		.body_len = b->len };
	char range[96], sum[BASE64_BYTES(4)], hash[32];
	uint8_t crc[4];

	buffer_add_text(&req.url, upload->state);
	if (b->len > 0)
		snprintf(range, sizeof(range),
		    "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
		    offset + b->len - 1, o->size);
	else
		snprintf(range, sizeof(range), "bytes */%" PRIu64, o->size);
	google_header(&req, "Content-Range", range);
	if (whole_crc32c != NULL) {
		be32_put(crc, *whole_crc32c);
		base64_encode(crc, sizeof(crc), sum);
		snprintf(hash, sizeof(hash), "crc32c=%s", sum);
		google_header(&req, "X-Goog-Hash", hash);
		req.stall_timeout_ms = FINISH_STALL_MS;
	}
	if (google_send(s, &req, fault) != 0)
		return -1;
	return read_standing(s, at, fault);
}

/* The checksum of what was read, as far as it was read in order. */
struct summing {
	uint64_t next;
	uint32_t crc32c;
};

static void
sum_up(struct summing *sum, uint64_t offset, const struct google_bytes *b)
{
	if (offset != sum->next)
		return;
	sum->crc32c = crc32c_combine(sum->crc32c, b->crc32c, b->len);
	sum->next += b->len;
}

/* Sends what is missing of the bytes up to `end`. whole_crc32c: of the whole
 * object, when end is its end. */
static int
send_up_to(struct google_session *s, const struct remote_object *o,
    const struct remote_upload *upload, uint64_t end,
    const uint32_t *whole_crc32c, const struct remote_source *source,
    struct summing *sum, struct standing *at, struct fault *fault)
{
	int known = recall(s, upload, &at->received), rounds = 0, rc = 0;
	struct google_bytes b;
	uint64_t before, len;

	at->complete = 0;
	for (;;) {
		if (!known &&
		    (rc = ask_standing(s, upload, o->size, at, fault)) != 0)
			break;
		known = 1;
		if (at->complete ||
		    (at->received >= end && whole_crc32c == NULL))
			break;
		if (at->received > end) {
			rc = fault_set(fault, FAULT_MISSING,
			    "The upload has more bytes than the object.");
			break;
		}
		before = at->received;
		len = end - before;
		if (len > GOOGLE_CHUNK_BYTES)
			len = GOOGLE_CHUNK_BYTES;
		if ((rc = google_bytes_read(
			 &b, source, before, (size_t)len, fault)) != 0)
			break;
		sum_up(sum, before, &b);
		rc = send_chunk(s, o, upload, before, &b,
		    before + len == o->size ? whole_crc32c : NULL, at, fault);
		google_bytes_free(&b);
		if (rc == 0 && !at->complete && at->received <= before &&
		    ++rounds == ROUNDS_MAX)
			rc = fault_set(fault, FAULT_RETRY,
			    "Google takes no more bytes of the upload.");
		/* Bytes that were not the next ones are refused: what is? */
		if (rc != 0 && (fault->status == 400 || fault->status == 416) &&
		    fault->kind == FAULT_OBJECT && rounds++ == 0) {
			*fault = (struct fault)FAULT_INIT;
			known = 0;
			rc = 0;
			continue;
		}
		if (rc != 0)
			break;
		if (!at->complete)
			remember(s, upload, at->received);
	}
	if (rc != 0 || at->complete)
		forget(s, upload);
	return rc;
}

/* Reads what was not sent for its checksum. */
static int
sum_rest(struct summing *sum, uint64_t end, const struct remote_source *source,
    struct fault *fault)
{
	struct google_bytes b;
	uint64_t at, n;

	while ((at = sum->next) < end) {
		n = end - at < GOOGLE_STEP_BYTES ? end - at : GOOGLE_STEP_BYTES;
		if (google_bytes_read(&b, source, at, (size_t)n, fault) != 0)
			return -1;
		sum_up(sum, at, &b);
		google_bytes_free(&b);
	}
	return 0;
}

int
google_part(void *session, const struct remote_object *o,
    const struct remote_upload *upload, uint32_t number, uint64_t offset,
    uint64_t len, const struct remote_source *source, struct remote_part *part,
    struct fault *fault)
{
	struct google_session *s = session;
	struct summing sum = { .next = offset };
	struct standing at;
	uint64_t end = offset + len;

	/* The object's end waits for finish(). */
	if (end == o->size)
		end = len == 0
		    ? offset
		    : (end - 1) / GOOGLE_STEP_BYTES * GOOGLE_STEP_BYTES;
	if (send_up_to(s, o, upload, end, NULL, source, &sum, &at, fault) !=
		0 ||
	    sum_rest(&sum, offset + len, source, fault) != 0)
		return -1;
	part->number = number;
	snprintf(part->etag, sizeof(part->etag), PART_ETAG, sum.crc32c);
	return 0;
}

/* The checksum of the whole, from those of its parts. */
static int
combine(const struct remote_object *o, const struct remote_upload *upload,
    const struct remote_part *parts, size_t n, uint32_t *sum)
{
	uint64_t offset = 0, len;
	uint32_t part;
	size_t i;

	*sum = 0;
	for (i = 0; i < n; i++, offset += len) {
		len = o->size - offset < upload->part_bytes
		    ? o->size - offset
		    : upload->part_bytes;
		if (sscanf(parts[i].etag, "crc32c-%8" SCNx32, &part) != 1)
			return -1;
		*sum = crc32c_combine(*sum, part, len);
	}
	return offset == o->size ? 0 : -1;
}

int
google_finish(void *session, const struct remote_object *o,
    const struct remote_upload *upload, const struct remote_part *parts,
    size_t n, struct fault *fault)
{
	struct google_session *s = session;
	struct summing unused = { .next = UINT64_MAX };
	struct standing at;
	uint32_t sum;

	if (combine(o, upload, parts, n, &sum) != 0)
		return fault_set(fault, FAULT_MISSING,
		    "The upload's parts are not known: it begins anew.");
	if (upload->source == NULL)
		return fault_set(fault, FAULT_OBJECT,
		    "The last bytes of the object are not at hand.");
	if (send_up_to(s, o, upload, o->size, &sum, upload->source, &unused,
		&at, fault) != 0)
		return -1;
	if (google_verify(s, o->key, o->size, sum, o->has_md5 ? o->md5 : NULL,
		fault) != 0)
		return -1;
	google_side_clear(s, o->key, o->version);
	return 0;
}

int
google_abort(void *session, struct slice key,
    const struct remote_upload *upload, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_SESSION,
		.method = "DELETE" };
	struct google_session *s = session;

	(void)key;
	if (upload->state[0] == '\0')
		return 0;
	buffer_add_text(&req.url, upload->state);
	google_header(&req, "Content-Length", "0");
	forget(s, upload);
	/* 499 is how Google says that it was given up. */
	if (google_send(s, &req, fault) != 0 && fault->kind != FAULT_MISSING &&
	    fault->status != 499)
		return -1;
	*fault = (struct fault)FAULT_INIT;
	return 0;
}
