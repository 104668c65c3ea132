#include <string.h>

#include "base/log.h"
#include "s3api/connection.h"
#include "s3api/loop.h"

/* The request's head: from the socket to the handler. */

static void
dispatch(struct connection *c, size_t head_len)
{
	struct http_request *req = c->request;

	req->in_at += head_len;
	req->in_tried = 0;
	req->head_len = req->in_at;
	request_reset(req);
	body_begin(req);
	c->keep = req->head.keep_alive;
	c->linger = 0;
	c->waited_ms = 0;
	c->waited_bytes = c->bytes_in + c->bytes_out;
	c->spent += CONNECTION_REQUEST_COST;
	counter_add(&c->loop->counters.requests, 1);
	connection_enter(c, CONNECTION_SERVING);
	c->listener->handler(req, c->listener->context);
}

/* Looks for a head in what has been read; 0 when it is not complete. */
static int
parse_head(struct connection *c)
{
	struct http_request *req = c->request;
	struct http_refusal refusal;
	size_t len = req->in_len - req->in_at;
	long n;

	if (len == req->in_tried)
		return 0;
	n = http_head_parse(req->in + req->in_at, len, &req->head, &refusal);
	if (n > 0)
		dispatch(c, (size_t)n);
	else if (n < 0)
		connection_refuse(c, refusal.status, refusal.reason);
	req->in_tried = n == 0 ? len : 0;
	return n != 0;
}

static int
read_head(struct connection *c)
{
	struct http_request *req;
	struct iovec iov;
	ssize_t n;
	int drained;

	if (c->request == NULL) {
		if ((c->request = loop_request_take(c->loop)) == NULL) {
			log_line(LOG_ERROR, "http.memory",
			    "no memory for a request: its connection is "
			    "closed");
			connection_lost(c, 0);
			return 0;
		}
		c->request->conn = c;
	}
	req = c->request;
	if (req->in_at > 0) {
		memmove(
		    req->in, req->in + req->in_at, req->in_len - req->in_at);
		req->in_len -= req->in_at;
		req->in_at = 0;
	}

	/* Two more than the longest head, for the empty line before it. */
	iov.iov_base = req->in + req->in_len;
	iov.iov_len = HTTP_HEAD_MAX_BYTES + 2 - req->in_len;
	n = stream_read(&c->stream, &iov, 1, &drained);
	if (n > 0) {
		if (req->in_len == 0)
			c->since_ms = c->loop->now_ms;
		req->in_len += (size_t)n;
		c->bytes_in += (uint64_t)n;
		counter_add(&c->loop->counters.bytes_in, (uint64_t)n);
		c->readable = !drained;
		return 1;
	}
	if (n == 0) {
		connection_close(c);
		return 0;
	}
	if (n != STREAM_AGAIN) {
		connection_lost(c, 0);
		return 0;
	}
	c->readable = 0;
	if (req->in_len == 0) {
		loop_request_give(c->loop, req);
		c->request = NULL;
	}
	return 0;
}

int
head_step(struct connection *c)
{
	if (c->refused) {
		connection_refuse(
		    c, 503, "Too many connections are open; please try again.");
		return 1;
	}
	if (c->request != NULL && parse_head(c))
		return 1;
	if (c->readable && read_head(c))
		return 1;
	/* What has been sent before a drain began is still served. */
	if (c->loop->draining && c->state == CONNECTION_HEAD &&
	    c->request == NULL)
		connection_close(c);
	return 0;
}
