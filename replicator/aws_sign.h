#ifndef REPLICATOR_AWS_SIGN_H
#define REPLICATOR_AWS_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/credentials.h"

/*
 * Signature Version 4 as a client makes it: in the Authorization header, over
 * every header given. Pure functions; any thread.
 */

struct aws_request {
	const char *method;
	const char *path;  /* as sent: encoded once */
	const char *query; /* as sent: encoded, its parameters sorted; "" */
	/* Pairs of store/record.h: lower-case names in any order, among them
	 * host, x-amz-date and what else is to be signed. */
	struct slice headers;
	const char *payload; /* SHA-256 in hex, or UNSIGNED-PAYLOAD */
	const char *region, *service;
	int64_t wall_ms; /* the time that x-amz-date says */
};

/* Appends the Authorization header's value; out is failed without memory. */
void aws_sign(
    const struct aws_request *, const struct aws_keys *, struct buffer *out);

#endif
