#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/range_read.h"

void
range_text(const struct range_read *r, char text[RANGE_TEXT_BYTES])
{
	snprintf(text, RANGE_TEXT_BYTES, "bytes=%" PRIu64 "-%" PRIu64,
	    r->offset, r->offset + r->len - 1);
}

/* "bytes 0-9/1000" says where the answer begins; without it, at the start. */
static uint64_t
begins_at(const struct http_call *call)
{
	struct slice text = http_call_header(call, "content-range");
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

int
range_take(void *arg, const char *bytes, size_t len)
{
	struct range_read *r = arg;
	uint64_t cut;

	if (!r->begun) {
		r->at = begins_at(r->call);
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

int
range_end(const struct range_read *r, int rc, struct fault *fault)
{
	if (rc != 0 && fault->status == 416)
		return fault_set(fault, FAULT_OBJECT,
		    "The object outside ends before byte %" PRIu64 ".",
		    r->offset);
	if (r->other)
		return fault_set(fault, FAULT_RETRY,
		    "Another range came than was asked for.");
	if (rc != 0 && !r->enough)
		return -1;
	if (r->got < r->len)
		return fault_set(fault, FAULT_OBJECT,
		    "The object outside ends %" PRIu64 " bytes early.",
		    r->len - r->got);
	*fault = (struct fault)FAULT_INIT;
	return 0;
}
