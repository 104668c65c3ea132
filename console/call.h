#ifndef CONSOLE_CALL_H
#define CONSOLE_CALL_H

#include "base/buffer.h"
#include "s3api/server.h"

struct workers;

/*
 * A request that a worker answers: its body is read on the loop, the work is
 * done where it may wait for the disk, and the answer goes out on the loop
 * again.
 */

#define CALL_BODY_MAX_BYTES (64 * 1024)

struct call {
	struct slice method, path;
	struct slice body;
	long peer_uid; /* of the control socket's; else -1 */
	/* The answer. */
	int status;
	const char *content_type;
	struct buffer answer;
};

/* Fills in the answer; on a worker's thread. */
typedef void call_work(struct call *, void *context);

/* Takes the request over. From its handler. */
void call_start(
    struct http_request *, struct workers *, call_work *, void *context);

/* Answers a line of text at once. */
void call_text(struct http_request *, int status, const char *text);

#endif
