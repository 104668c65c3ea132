#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "replicator/google_private.h"

int
google_stat(void *session, struct slice key, struct remote_stat *st,
    struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_GET, .method = "GET" };
	struct google_session *s = session;
	json_t *resource = NULL;
	int side = 0, rc = -1;

	memset(st, 0, sizeof(*st));
	google_url_object(s->shared, &req, key);
	if (google_send(s, &req, fault) == 0 &&
	    (resource = google_answer(s, fault)) != NULL &&
	    google_stat_read(resource, st, &side, fault) == 0 &&
	    (!side || google_side_read(s, key, st, fault) == 0))
		rc = 0;
	json_decref(resource);
	if (rc != 0) {
		buffer_free(&st->memory);
		st->memory = (struct buffer)BUFFER_INIT;
	}
	return rc;
}

/* Takes the wanted range, also out of the whole. */
struct range {
	struct google_session *s;
	uint64_t offset, at; /* of the object's bytes, the next that comes */
	char *bytes;
	uint64_t len, got;
	int begun, enough, other;
};

/* "bytes 0-9/1000" says where the answer begins; without it, at the start. */
static uint64_t
begins_at(const struct google_session *s)
{
	struct slice text = http_call_header(&s->call, "content-range");
	const char *at, *end;
	uint64_t first;

	if (!slice_starts(text, "bytes "))
		return 0;
	at = text.at + 6;
	end = memchr(at, '-', text.len - 6);
	if (end == NULL ||
	    parse_u64(at, (size_t)(end - at), 0, UINT64_MAX, &first) != 0)
		return 0;
	return first;
}

static int
take_range(void *arg, const char *bytes, size_t len)
{
	struct range *r = arg;
	uint64_t cut;

	if (!r->begun) {
		r->at = begins_at(r->s);
		r->begun = 1;
	}
	if (r->at > r->offset) {
		r->other = 1;
		return -1;
	}
	cut = r->offset - r->at;
	if (cut > len)
		cut = len;
	r->at += cut;
	bytes += cut;
	len -= (size_t)cut;
	if (len > r->len - r->got) {
		len = (size_t)(r->len - r->got);
		r->enough = 1;
	}
	memcpy(r->bytes + r->got, bytes, len);
	r->got += len;
	return r->enough ? -1 : 0;
}

/* "crc32c=AAAAAA==,md5=...", which is that of the whole object. 1 when the
 * answer was whole and has another checksum. */
static int
differs(const struct range *r)
{
	struct slice text = http_call_header(&r->s->call, "x-goog-hash");
	const char *at;
	uint8_t crc[4];

	if (r->s->call.status != 200 || r->offset != 0 || r->enough)
		return 0;
	at = text.len > 0 ? memmem(text.at, text.len, "crc32c=", 7) : NULL;
	if (at == NULL || text.at + text.len - at < 15 ||
	    base64_decode(at + 7, 8, crc, sizeof(crc)) != 4)
		return 0;
	return be32_get(crc) != crc32c(0, r->bytes, r->got);
}

int
google_get(void *session, struct slice key, uint64_t offset, uint64_t len,
    void *bytes, struct fault *fault)
{
	struct google_session *s = session;
	struct range r = {
		.s = s, .offset = offset, .bytes = bytes, .len = len
	};
	struct google_request req = { .op = GOOGLE_GET,
		.method = "GET",
		.sink = take_range,
		.sink_arg = &r };
	char range[64];

	if (len == 0)
		return 0;
	google_url_object(s->shared, &req, key);
	google_query(&req, "alt", slice_text("media"));
	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset,
	    offset + len - 1);
	google_header(&req, "Range", range);
	/* Else Google unpacks what has the content encoding gzip. */
	google_header(&req, "Accept-Encoding", "gzip");
	if (google_send(s, &req, fault) != 0) {
		if (fault->status == 416)
			return fault_set(fault, FAULT_OBJECT,
			    "The object outside ends before byte %" PRIu64 ".",
			    offset);
		if (r.other)
			return fault_set(fault, FAULT_RETRY,
			    "Google sent another range than was asked for.");
		if (!r.enough)
			return -1;
	}
	if (r.got < len)
		return fault_set(fault, FAULT_OBJECT,
		    "The object outside ends %" PRIu64 " bytes early.",
		    len - r.got);
	if (differs(&r))
		return fault_set(fault, FAULT_RETRY,
		    "The bytes were changed on their way: Google's checksum "
		    "differs.");
	*fault = (struct fault)FAULT_INIT;
	return 0;
}
