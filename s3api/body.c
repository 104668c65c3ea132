#include <string.h>

#include "s3api/connection.h"
#include "s3api/loop.h"

/*
 * The request's body. Bytes that came in with the head are copied; all others
 * go from the socket to the caller's memory directly. In a chunked body the
 * data of the current chunk do so, and what is behind goes to the request's own
 * memory in the same call.
 */

#define DROP_MAX_BYTES (256 * 1024)

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

void
body_begin(struct http_request *req)
{
	const struct http_head *head = &req->head;

	req->body_left = head->content_length;
	req->body_ended = !head->chunked && head->content_length == 0;
	/* Of an empty body too: boto3 waits for it, and takes its next answer
	 * on the connection for this one's when it does not come. */
	req->continue_due = head->expect_continue;
	if (head->chunked)
		http_chunked_init(&req->chunked);
}

int
body_is_long(const struct http_request *req)
{
	return !req->body_ended && !req->head.chunked &&
	    req->body_left > DROP_MAX_BYTES;
}

/* Takes what has been read already. How much went to bytes; -1 when the framing
 * is broken. */
static ssize_t
take_buffered(struct http_request *req, char *bytes, size_t room)
{
	size_t have = req->in_len - req->in_at, consumed, n;
	int ret;

	if (req->head.chunked) {
		ret = http_chunked_decode(&req->chunked, req->in + req->in_at,
		    have, &consumed, bytes, room, &n);
		req->in_at += consumed;
		if (ret < 0)
			return -1;
		req->body_ended = ret;
	} else {
		n = have < room ? have : room;
		if (n > req->body_left)
			n = (size_t)req->body_left;
		memcpy(bytes, req->in + req->in_at, n);
		req->in_at += n;
		req->body_left -= n;
		req->body_ended = req->body_left == 0;
	}
	req->body_in += n;
	return (ssize_t)n;
}

/* Makes room in the request's memory for framing: everything up to the end of
 * the head is in use. */
static struct iovec
framing_room(struct http_request *req)
{
	struct iovec iov;

	if (req->in_at == req->in_len)
		req->in_at = req->in_len = req->head_len;
	iov.iov_base = req->in + req->in_len;
	iov.iov_len = sizeof(req->in) - req->in_len;
	return iov;
}

/* Reads from the socket. How much went to bytes (none may be progress, too);
 * STREAM_AGAIN; STREAM_FAILED at the end of the stream, too. */
static ssize_t
take_socket(struct connection *c, char *bytes, size_t room)
{
	struct http_request *req = c->request;
	struct iovec iov[2];
	size_t direct, consumed, produced;
	uint64_t left;
	ssize_t n;
	int parts = 0, drained;

	left = req->head.chunked ? req->chunked.left : req->body_left;
	direct = left < room ? (size_t)left : room;
	if (direct > 0)
		iov[parts++] = (struct iovec){ bytes, direct };
	if (req->head.chunked)
		iov[parts++] = framing_room(req);
	n = stream_read(&c->stream, iov, parts, &drained);
	if (n == 0)
		return STREAM_FAILED;
	if (n < 0) {
		c->readable = 0;
		return n;
	}

	c->readable = !drained;
	c->bytes_in += (uint64_t)n;
	c->spent += (uint64_t)n;
	counter_add(&c->loop->counters.bytes_in, (uint64_t)n);
	if (direct > (size_t)n)
		direct = (size_t)n;
	req->in_len += (size_t)n - direct;
	req->body_in += direct;
	if (!req->head.chunked) {
		req->body_left -= direct;
		req->body_ended = req->body_left == 0;
	} else if (direct > 0)
		(void)http_chunked_decode(&req->chunked, bytes, direct,
		    &consumed, bytes, direct, &produced);
	return (ssize_t)direct;
}

/* The body cannot be read on; the answer may still be. */
static void
broken(struct connection *c)
{
	c->request->body_broken = 1;
	c->request->read_failed = 1;
	connection_attend(c);
}

int
body_step(struct connection *c)
{
	struct http_request *req = c->request;
	size_t room;
	ssize_t n;

	while (!req->body_ended) {
		room = req->read_room - req->read_got;
		if (req->in_at < req->in_len) {
			n = take_buffered(
			    req, req->read_at + req->read_got, room);
			if (n < 0) {
				broken(c);
				return 0;
			}
			req->read_got += (size_t)n;
			/* More than that needs more room, or more bytes. */
			if (req->in_at < req->in_len)
				break;
			continue;
		}
		if (room == 0)
			break;
		if (!c->readable || c->spent >= CONNECTION_TURN_BYTES)
			return 0;
		n = take_socket(c, req->read_at + req->read_got, room);
		if (n == STREAM_AGAIN)
			return 0;
		if (n == STREAM_FAILED) {
			broken(c);
			return 0;
		}
		req->read_got += (size_t)n;
	}

	req->reading = 0;
	req->read_done(
	    req, (long)req->read_got, req->body_ended, req->read_arg);
	return 1;
}

int
body_drop(struct connection *c)
{
	struct http_request *req = c->request;
	ssize_t n;

	while (!req->body_ended) {
		if (req->in_at < req->in_len)
			n = take_buffered(
			    req, c->loop->scratch, LOOP_SCRATCH_BYTES);
		else if (!c->readable)
			return 0;
		else
			n = take_socket(
			    c, c->loop->scratch, LOOP_SCRATCH_BYTES);
		if (n == STREAM_AGAIN && c->readable == 0)
			return 0;
		if (n < 0)
			return -1;
		req->dropped += (uint64_t)n;
		if (req->dropped > DROP_MAX_BYTES)
			return -1;
	}
	return 1;
}

void
http_body_read(struct http_request *req, void *bytes, size_t room,
    http_body_done *done, void *arg)
{
	struct connection *c = req->conn;

	req->reading = 1;
	req->read_at = bytes;
	req->read_room = room;
	req->read_got = 0;
	req->read_done = done;
	req->read_arg = arg;
	if (req->body_broken) {
		broken(c);
		return;
	}
	if (req->continue_due) {
		req->continue_due = 0;
		if (req->in_at == req->in_len && !req->begun)
			output_add(
			    req, continue_line, sizeof(continue_line) - 1);
	}
	connection_run(c);
}

uint64_t
http_request_bytes_in(struct http_request *req)
{
	return req->body_in;
}
