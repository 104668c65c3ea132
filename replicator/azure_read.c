#include <stdio.h>
#include <string.h>

#include "replicator/azure_private.h"
#include "replicator/range_read.h"
#include "replicator/side_keep.h"

/* Azure gives the digest of a range up to this. */
#define RANGE_MD5_MAX_BYTES (4U << 20)

static int
read_side(struct azure_session *s, struct slice key, struct remote_stat *st,
    struct fault *fault)
{
	struct azure_request req = { .op = AZURE_READ, .method = "GET" };
	struct buffer name = BUFFER_INIT;
	int rc;

	side_object_key(key, st->version, &name);
	req.key = buffer_slice(&name);
	rc = azure_send(s, &req, fault);
	buffer_free(&name);
	return side_keep_read(rc, buffer_slice(&s->call.answer), st, fault);
}

int
azure_stat(void *session, struct slice key, struct remote_stat *st,
    struct fault *fault)
{
	struct azure_session *s = session;
	struct azure_request req = {
		.op = AZURE_READ, .method = "HEAD", .key = key
	};
	int side = 0;

	memset(st, 0, sizeof(*st));
	if (azure_send(s, &req, fault) != 0 ||
	    azure_stat_read(s, st, &side, fault) != 0 ||
	    (side && read_side(s, key, st, fault) != 0)) {
		buffer_free(&st->memory);
		st->memory = (struct buffer)BUFFER_INIT;
		return -1;
	}
	return 0;
}

int
azure_get(void *session, struct slice key, uint64_t offset, uint64_t len,
    void *bytes, struct fault *fault)
{
	struct azure_session *s = session;
	struct range_read r = {
		.call = &s->call, .offset = offset, .bytes = bytes, .len = len
	};
	struct azure_request req = { .op = AZURE_READ,
		.method = "GET",
		.key = key,
		.sink = range_take,
		.sink_arg = &r };
	uint8_t said[MD5_BYTES], md5[MD5_BYTES];
	char range[RANGE_TEXT_BYTES];
	int rc;

	if (len == 0)
		return 0;
	range_text(&r, range);
	azure_header(&req, "x-ms-range", range);
	if (len <= RANGE_MD5_MAX_BYTES)
		azure_header(&req, "x-ms-range-get-content-md5", "true");
	rc = azure_send(s, &req, fault);
	/* Azure heeds ranges: it is another who gives the whole, or more. */
	if (r.enough || (s->call.status / 100 == 2 && s->call.status != 206))
		return fault_set(fault, FAULT_RETRY,
		    "The answer is not the range that was asked for: it is "
		    "not Azure's, perhaps.");
	if (range_end(&r, rc, fault) != 0)
		return -1;
	if (len <= RANGE_MD5_MAX_BYTES && s->call.status == 206 &&
	    azure_answer_md5(s, "content-md5", said)) {
		digest_once(DIGEST_MD5, bytes, (size_t)len, md5);
		if (memcmp(said, md5, MD5_BYTES) != 0)
			return fault_set(fault, FAULT_RETRY,
			    "The bytes were changed on their way: Azure's "
			    "checksum differs.");
	}
	return 0;
}

int
azure_remove(void *session, struct slice key, struct fault *fault)
{
	struct azure_session *s = session;
	struct azure_request req = {
		.op = AZURE_DELETE, .method = "DELETE", .key = key
	};

	azure_header(&req, "x-ms-delete-snapshots", "include");
	if (azure_send(s, &req, fault) != 0) {
		if (fault->kind != FAULT_MISSING)
			return -1;
		*fault = (struct fault)FAULT_INIT;
	}
	azure_side_clear(s, key, 0);
	return 0;
}
