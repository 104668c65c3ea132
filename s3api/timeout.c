#include "s3api/connection.h"
#include "s3api/loop.h"

#define LINGER_MS 2000 /* without a byte from the client */
#define LINGER_TOTAL_MS 30000

/* Whether a body stands still, in either direction, for the client's sake. */
static int
is_waiting(const struct connection *c)
{
	const struct http_request *req = c->request;

	if (c->state == CONNECTION_DROPPING)
		return !c->readable;
	if (!c->writable && output_pending(req))
		return 1;
	return c->state == CONNECTION_SERVING && req->reading &&
	    !req->read_failed && !c->readable;
}

/*
 * Whether a body is too slow. Time counts only while the server waits for the
 * client, sampled at each tick; bytes are those which the client has sent or
 * acknowledged, since the kernel takes megabytes ahead of a slow reader.
 */
static int
is_stalled(struct connection *c, uint32_t tick_ms)
{
	const struct http_limits *limits = &c->loop->shared->limits;
	uint64_t moved;
	size_t unsent;

	if (!is_waiting(c))
		return 0;
	c->waited_ms += tick_ms;
	if (c->waited_ms < limits->stall_ms)
		return 0;

	moved = c->bytes_in + c->bytes_out;
	unsent = stream_unsent(&c->stream);
	moved -= unsent < moved ? unsent : moved;
	if (moved < c->waited_bytes ||
	    moved - c->waited_bytes <
		limits->min_bytes_per_second * c->waited_ms / 1000)
		return 1;
	c->waited_ms = 0;
	c->waited_bytes = moved;
	return 0;
}

static void
stalled(struct connection *c)
{
	struct http_request *req = c->request;

	if (c->state != CONNECTION_SERVING || !req->reading) {
		connection_lost(c, 1);
		return;
	}
	/* The handler may still tell the client so. */
	req->body_broken = 1;
	req->read_failed = 1;
	connection_attend(c);
}

void
connection_tick(struct connection *c, uint32_t tick_ms)
{
	const struct http_limits *limits = &c->loop->shared->limits;
	uint64_t age_ms = c->loop->now_ms - c->since_ms;

	switch (c->state) {
	case CONNECTION_HANDSHAKE:
		if (age_ms <= limits->head_timeout_ms + tick_ms)
			return;
		connection_lost(c, 0);
		break;
	case CONNECTION_HEAD:
		if (c->request == NULL) {
			if (age_ms <= limits->idle_timeout_ms + tick_ms)
				return;
			stream_shutdown(&c->stream);
			connection_lost(c, 0);
		} else {
			if (age_ms <= limits->head_timeout_ms + tick_ms)
				return;
			connection_refuse(
			    c, 408, "The request's head did not come in time.");
		}
		break;
	case CONNECTION_SERVING:
	case CONNECTION_FINISHING:
	case CONNECTION_DROPPING:
		if (!is_stalled(c, tick_ms))
			return;
		stalled(c);
		break;
	case CONNECTION_LINGERING:
		c->waited_ms += tick_ms;
		if (age_ms > LINGER_MS || c->waited_ms > LINGER_TOTAL_MS)
			connection_lost(c, 0);
		return;
	case CONNECTION_GONE:
	case CONNECTION_DEAD:
		return;
	}
	counter_add(&c->loop->counters.timeouts, 1);
}
