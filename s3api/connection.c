#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "s3api/connection.h"
#include "s3api/loop.h"
#include "s3api/tls.h"

#define LINGER_BYTES (64 * 1024 * 1024)

void
connection_enter(struct connection *c, enum connection_state state)
{
	c->state = state;
	c->since_ms = c->loop->now_ms;
}

void
connection_attend(struct connection *c)
{
	if (c->attended)
		return;
	c->attended = 1;
	c->next_attention = c->loop->attention;
	c->loop->attention = c;
	event_active(&c->loop->attend, EV_TIMEOUT, 1);
}

void
connection_lost(struct connection *c, int reset)
{
	if (c->state == CONNECTION_GONE || c->state == CONNECTION_DEAD)
		return;

	(void)event_del(&c->read_event);
	(void)event_del(&c->write_event);
	if (reset)
		stream_reset(&c->stream);
	else
		stream_close(&c->stream);

	if (c->state == CONNECTION_SERVING) {
		c->state = CONNECTION_GONE;
		c->request->body_broken = 1;
		c->request->read_failed = c->request->reading;
		c->request->send_failed = c->request->sending;
	} else
		c->state = CONNECTION_DEAD;
	connection_attend(c);
}

void
connection_release(struct connection *c)
{
	c->state = CONNECTION_DEAD;
	connection_attend(c);
}

static void
connection_free(struct connection *c)
{
	struct loop *loop = c->loop;

	if (c->request != NULL)
		loop_request_give(loop, c->request);
	loop_forget(loop, c);
	free(c);
}

void
connection_attended(struct connection *c)
{
	struct http_request *req = c->request;

	if (c->state == CONNECTION_DEAD) {
		connection_free(c);
		return;
	}
	if (c->state != CONNECTION_GONE && c->state != CONNECTION_SERVING)
		return;
	if (req->reading && req->read_failed) {
		req->reading = req->read_failed = 0;
		req->read_done(req, -1, 0, req->read_arg);
	}
	if (c->state == CONNECTION_GONE && req->sending && req->send_failed) {
		req->sending = req->send_failed = 0;
		req->send_done(req, 1, req->send_arg);
	}
}

void
connection_close(struct connection *c)
{
	if (c->stream.ssl != NULL)
		stream_shutdown(&c->stream);
	connection_lost(c, 0);
}

/* Says goodbye, and waits for the client to have read the answer: were the
 * socket closed with bytes of the client unread, a reset would overtake it. */
static void
begin_linger(struct connection *c)
{
	stream_shutdown(&c->stream);
	if (c->request != NULL)
		loop_request_give(c->loop, c->request);
	c->request = NULL;
	c->readable = 1;
	c->waited_ms = 0;
	c->lingered = 0;
	connection_enter(c, CONNECTION_LINGERING);
}

static void
next_request(struct connection *c)
{
	struct http_request *req = c->request;

	if (req->in_at == req->in_len) {
		loop_request_give(c->loop, req);
		c->request = NULL;
	}
	connection_enter(c, CONNECTION_HEAD);
}

static void
answered(struct connection *c)
{
	struct http_request *req = c->request;

	if (!c->keep) {
		if (c->linger || !req->body_ended || req->in_at < req->in_len)
			begin_linger(c);
		else
			connection_close(c);
	} else if (!req->body_ended)
		connection_enter(c, CONNECTION_DROPPING);
	else
		next_request(c);
}

void
connection_refuse(struct connection *c, int status, const char *reason)
{
	struct buffer body = BUFFER_INIT, headers = BUFFER_INIT;
	const char *type = "text/plain; charset=utf-8";
	struct http_request *req;

	if (c->request == NULL &&
	    (c->request = loop_request_take(c->loop)) == NULL) {
		connection_lost(c, 0);
		return;
	}
	req = c->request;
	req->conn = c;
	request_reset(req);
	req->head.method = req->head.target = SLICE_LITERAL("-");
	req->head.version_minor = 1;
	req->head.n_headers = 0;
	req->body_ended = 1;
	c->keep = 0;
	c->linger = 1;

	if (c->listener->refusal_body != NULL)
		c->listener->refusal_body(&body, status, reason, &type);
	else
		buffer_printf(&body, "%s\n", reason);
	http_out_header_text(&headers, "Content-Type", type);
	if (status == 503)
		http_out_header_text(&headers, "Retry-After", "1");
	connection_enter(c, CONNECTION_SERVING);
	http_respond(req, status, &headers, body.at, body.len);
	buffer_free(&body);
	buffer_free(&headers);
}

/* Steps: 1 when something was done, 0 when there is nothing but to wait. */

static int
step_handshake(struct connection *c)
{
	switch (stream_handshake(&c->stream)) {
	case 1:
		c->writable = 1;
		connection_enter(c, CONNECTION_HEAD);
		return 1;
	case STREAM_AGAIN:
		c->readable = 0;
		c->writable = !c->stream.read_wants_write;
		return 0;
	default:
		connection_lost(c, 0);
		return 0;
	}
}

static int
step_serving(struct connection *c)
{
	struct http_request *req = c->request;

	if (req->reading && !req->read_failed && body_step(c))
		return 1;
	if (!req->sending && !output_pending(req))
		return 0;
	switch (output_write(c, 0)) {
	case 1:
		if (!req->sending)
			return 0;
		req->sending = 0;
		req->send_done(req, 0, req->send_arg);
		return 1;
	case STREAM_FAILED:
		connection_lost(c, 0);
		return 0;
	default:
		return 0;
	}
}

static int
step_finishing(struct connection *c)
{
	switch (output_write(c, 0)) {
	case 1:
		answered(c);
		return 1;
	case STREAM_FAILED:
		connection_lost(c, 0);
		return 0;
	default:
		return 0;
	}
}

static int
step_dropping(struct connection *c)
{
	switch (body_drop(c)) {
	case 1:
		next_request(c);
		return 1;
	case 0:
		return 0;
	default:
		begin_linger(c);
		return 1;
	}
}

static int
step_lingering(struct connection *c)
{
	ssize_t n;

	if (!c->readable)
		return 0;
	n = stream_discard(&c->stream, c->loop->scratch, LOOP_SCRATCH_BYTES);
	if (n == STREAM_AGAIN) {
		c->readable = 0;
		return 0;
	}
	c->lingered += n > 0 ? (uint64_t)n : 0;
	if (n <= 0 || c->lingered > LINGER_BYTES) {
		connection_lost(c, 0);
		return 0;
	}
	c->spent += (uint64_t)n;
	c->since_ms = c->loop->now_ms;
	c->readable = n == LOOP_SCRATCH_BYTES;
	return 1;
}

static int
step(struct connection *c)
{
	switch (c->state) {
	case CONNECTION_HANDSHAKE:
		return step_handshake(c);
	case CONNECTION_HEAD:
		return head_step(c);
	case CONNECTION_SERVING:
		return step_serving(c);
	case CONNECTION_FINISHING:
		return step_finishing(c);
	case CONNECTION_DROPPING:
		return step_dropping(c);
	case CONNECTION_LINGERING:
		return step_lingering(c);
	case CONNECTION_GONE:
	case CONNECTION_DEAD:
		break;
	}
	return 0;
}

static int
wants_read(const struct connection *c)
{
	if (c->stream.write_wants_read)
		return 1;
	if (c->state == CONNECTION_SERVING)
		return c->request->reading && !c->request->read_failed;
	return c->state != CONNECTION_FINISHING;
}

static int
wants_write(const struct connection *c)
{
	if (c->writable)
		return 0;
	if (c->stream.read_wants_write)
		return 1;
	return (c->state == CONNECTION_SERVING ||
		   c->state == CONNECTION_FINISHING) &&
	    output_pending(c->request);
}

/* Asks the loop for what is waited for. Events that are asked for and not
 * wanted are left until they come, since mostly they are wanted again first. 0,
 * or -1 without memory. */
static int
arm(struct connection *c)
{
	if (wants_read(c)) {
		if (!c->read_armed && event_add(&c->read_event, NULL) != 0)
			return -1;
		c->read_armed = 1;
	} else if (c->read_armed && c->readable) {
		(void)event_del(&c->read_event);
		c->read_armed = 0;
	}
	if (wants_write(c) && !c->write_armed) {
		if (event_add(&c->write_event, NULL) != 0)
			return -1;
		c->write_armed = 1;
	}
	return 0;
}

void
connection_run(struct connection *c)
{
	if (c->running)
		return;
	c->running = 1;
	c->spent = 0;
	while (step(c)) {
		if (c->spent >= CONNECTION_TURN_BYTES)
			break;
	}
	c->running = 0;
	if (c->state == CONNECTION_GONE || c->state == CONNECTION_DEAD)
		return;
	if (arm(c) != 0) {
		connection_lost(c, 1);
		return;
	}
	if (c->spent >= CONNECTION_TURN_BYTES)
		event_active(&c->read_event, EV_TIMEOUT, 1);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	if (what & EV_READ) {
		c->readable = 1;
		if (c->stream.write_wants_read)
			c->writable = 1;
	}
	connection_run(c);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	int wanted = wants_write(c);

	(void)fd;
	(void)what;
	c->writable = 1;
	if (c->stream.read_wants_write)
		c->readable = 1;
	if (!wanted) {
		(void)event_del(&c->write_event);
		c->write_armed = 0;
	}
	connection_run(c);
}

void
connection_open(struct loop *loop, const struct http_listener *listener, int fd,
    const struct sockaddr_storage *peer, int beyond)
{
	struct connection *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		goto fail;
	c->stream.fd = fd;
	if (listener->tls != NULL &&
	    (c->stream.ssl = tls_session_new(listener->tls, fd)) == NULL)
		goto fail;

	c->loop = loop;
	c->listener = listener;
	c->writable = 1;
	c->refused = beyond != 0;
	if (peer->ss_family == AF_INET6)
		memcpy(&c->peer.in6, peer, sizeof(c->peer.in6));
	else if (peer->ss_family == AF_INET)
		memcpy(&c->peer.in, peer, sizeof(c->peer.in));
	else
		c->peer.any.sa_family = AF_UNIX;
	(void)event_assign(
	    &c->read_event, loop->base, fd, EV_READ | EV_PERSIST, on_read, c);
	(void)event_assign(&c->write_event, loop->base, fd,
	    EV_WRITE | EV_PERSIST, on_write, c);
	if (event_add(&c->read_event, NULL) != 0)
		goto fail;
	c->read_armed = 1;

	loop_remember(loop, c);
	connection_enter(
	    c, c->stream.ssl != NULL ? CONNECTION_HANDSHAKE : CONNECTION_HEAD);
	if (beyond)
		connection_run(c);
	return;

fail:
	log_line(LOG_ERROR, "http.memory",
	    "no memory for a connection: it is closed");
	if (c == NULL || c->stream.ssl == NULL)
		(void)close(fd);
	else
		stream_close(&c->stream);
	free(c);
	loop_uncount(loop, beyond);
}
