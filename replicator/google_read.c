#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/range_read.h"

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

/* "crc32c=AAAAAA==,md5=...", which is that of the whole object. 1 when the
 * answer was whole and has another checksum. */
static int
differs(const struct range_read *r)
{
	struct slice text = http_call_header(r->call, "x-goog-hash");
	const char *at;
	uint8_t crc[4];

	if (r->call->status != 200 || r->offset != 0 || r->enough)
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
	struct range_read r = {
		.call = &s->call, .offset = offset, .bytes = bytes, .len = len
	};
	struct google_request req = { .op = GOOGLE_GET,
		.method = "GET",
		.sink = range_take,
		.sink_arg = &r };
	char range[RANGE_TEXT_BYTES];

	if (len == 0)
		return 0;
	google_url_object(s->shared, &req, key);
	google_query(&req, "alt", slice_text("media"));
	range_text(&r, range);
	google_header(&req, "Range", range);
	/* Else Google unpacks what has the content encoding gzip. */
	google_header(&req, "Accept-Encoding", "gzip");
	if (range_end(&r, google_send(s, &req, fault), fault) != 0)
		return -1;
	if (differs(&r))
		return fault_set(fault, FAULT_RETRY,
		    "The bytes were changed on their way: Google's checksum "
		    "differs.");
	return 0;
}
