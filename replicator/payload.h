#ifndef REPLICATOR_PAYLOAD_H
#define REPLICATOR_PAYLOAD_H

#include <stdint.h>

#include "base/digest.h"
#include "replicator/destination.h"

/*
 * The bytes [offset, offset + len) of a source as the body of a request that
 * must name their digests in front of them. Up to PAYLOAD_MEMORY_BYTES are read
 * once and held; more are read once for the digests and again for sending, the
 * second time from the page cache. Belongs to one thread.
 */

#define PAYLOAD_MEMORY_BYTES (256U << 10)

struct payload {
	const struct remote_source *source;
	uint64_t offset, len, at;
	char *bytes; /* NULL: read again */
	uint8_t md5[MD5_BYTES];
	char sha256[2 * SHA256_BYTES + 1]; /* hex; "" unless it was asked for */
	struct fault fault;                /* of the source while sending */
};

/* Reads. 0, or -1 and *fault, and nothing to close. */
int payload_open(struct payload *, const struct remote_source *,
    uint64_t offset, uint64_t len, struct fault *);
/* The same with the SHA-256. */
int payload_open_sha256(struct payload *, const struct remote_source *,
    uint64_t offset, uint64_t len, struct fault *);
void payload_close(struct payload *);
/* The body for http_call.source and .rewind, with the payload as argument. */
long payload_give(void *payload, char *room, size_t len);
int payload_rewind(void *payload);

#endif
