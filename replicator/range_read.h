#ifndef REPLICATOR_RANGE_READ_H
#define REPLICATOR_RANGE_READ_H

#include <stdint.h>

#include "replicator/fault.h"
#include "replicator/http_client.h"

/*
 * Takes the wanted range of an object out of an answer, also of one that begins
 * earlier or is the whole. Belongs to one call.
 */

#define RANGE_TEXT_BYTES 64

struct range_read {
	const struct http_call *call;
	uint64_t offset, at; /* of the object's bytes, the next that comes */
	char *bytes;
	uint64_t len, got;
	int begun, enough, other;
};

/* "bytes=FIRST-LAST", as the request's header asks. */
void range_text(const struct range_read *, char text[RANGE_TEXT_BYTES]);
/* The answer's http_body_sink; arg is the range_read. */
int range_take(void *arg, const char *bytes, size_t len);
/* What came of it. rc and *fault are the request's: a range that is complete
 * is, whatever came behind it. 0, or -1 and *fault. */
int range_end(const struct range_read *, int rc, struct fault *);

#endif
