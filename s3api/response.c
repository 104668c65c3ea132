#include <stdio.h>
#include <string.h>

#include "s3api/connection.h"
#include "s3api/loop.h"

#define HEAD_ROOM_BYTES 384 /* of a head, without the handler's headers */

static const char last_chunk[] = "0\r\n\r\n";

void
http_out_header(struct buffer *out, const char *name, struct slice value)
{
	size_t i, name_len = strlen(name);
	char *at;

	if (buffer_reserve(out, name_len + value.len + 4) != 0)
		return;
	at = out->at + out->len;
	memcpy(at, name, name_len);
	at += name_len;
	*at++ = ':';
	*at++ = ' ';
	for (i = 0; i < value.len; i++)
		*at++ = (uint8_t)value.at[i] < 0x20 || value.at[i] == 0x7f
		    ? ' '
		    : value.at[i];
	*at++ = '\r';
	*at++ = '\n';
	out->len = (size_t)(at - out->at);
}

void
http_out_header_text(struct buffer *out, const char *name, const char *value)
{
	http_out_header(out, name, slice_text(value));
}

/* Writes digits so that they end before `end`; where they begin. */
static char *
digits_before(char *end, uint64_t value)
{
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return end;
}

void
http_out_header_u64(struct buffer *out, const char *name, uint64_t value)
{
	char digits[20], *at;

	at = digits_before(digits + sizeof(digits), value);
	http_out_header(out, name,
	    (struct slice){ at, (size_t)(digits + sizeof(digits) - at) });
}

static char *
put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

#define PUT(at, literal) put((at), (literal), sizeof(literal) - 1)

/* Whether the connection can serve another request after this answer. */
static int
may_keep(const struct http_request *req)
{
	const struct connection *c = req->conn;

	/* A client that still waits for 100 Continue may send its body or not,
	 * so what comes next could be taken for either. */
	return c->keep && !c->loop->draining && !req->body_broken &&
	    !req->continue_due && !body_is_long(req);
}

/* Writes the answer's head to req->text. 0, or -1 without memory. */
static int
write_head(struct http_request *req, int status, const struct buffer *headers,
    uint64_t content_length)
{
	struct connection *c = req->conn;
	struct slice fixed = loop_fixed_lines(c->loop);
	const char *phrase = http_status_phrase(status);
	size_t more = headers != NULL ? headers->len : 0;
	char digits[20], *at, *number;
	int old = req->head.version_minor == 0;

	buffer_clear(&req->text);
	if ((headers != NULL && headers->failed) ||
	    buffer_reserve(&req->text, HEAD_ROOM_BYTES + more) != 0)
		return -1;

	c->keep = may_keep(req) && !req->until_close;
	at = PUT(req->text.at, "HTTP/1.1 ");
	*at++ = (char)('0' + status / 100 % 10);
	*at++ = (char)('0' + status / 10 % 10);
	*at++ = (char)('0' + status % 10);
	*at++ = ' ';
	at = put(at, phrase, strlen(phrase));
	if (req->answer_chunked)
		at = PUT(at, "\r\nTransfer-Encoding: chunked\r\n");
	else if (req->until_close || status == 204 || status == 304)
		at = PUT(at, "\r\n");
	else {
		at = PUT(at, "\r\nContent-Length: ");
		number = digits_before(digits + sizeof(digits), content_length);
		at =
		    put(at, number, (size_t)(digits + sizeof(digits) - number));
		at = PUT(at, "\r\n");
	}
	at = put(at, fixed.at, fixed.len);
	if (!c->keep)
		at = PUT(at, "Connection: close\r\n");
	else if (old)
		at = PUT(at, "Connection: keep-alive\r\n");
	if (more > 0)
		at = put(at, headers->at, more);
	at = PUT(at, "\r\n");
	req->text.len = (size_t)(at - req->text.at);
	req->head_sent = 0;
	return 0;
}

/* The head goes in front of whatever is written first. */
static void
add_head(struct http_request *req)
{
	if (!req->head_sent)
		output_add(req, req->text.at, req->text.len);
	req->head_sent = 1;
}

/* The final call has been made: callbacks are off. */
static void
finish(struct http_request *req)
{
	req->reading = req->read_failed = 0;
	req->sending = req->send_failed = 0;
	req->conn->state = CONNECTION_FINISHING;
}

/* Makes what is still to be written independent of the caller's memory. */
static int
keep_body(struct http_request *req)
{
	struct output *out = &req->out;
	size_t head_left = 0, head_at, body_at;
	int text = out->body - 1;

	if (out->at > out->body)
		return 0;
	if (out->at <= text)
		head_left = out->iov[text].iov_len;
	head_at = req->text.len - head_left;
	body_at = req->text.len;
	buffer_add(&req->text, out->iov[out->body].iov_base,
	    out->iov[out->body].iov_len);
	if (req->text.failed)
		return -1;
	if (out->at <= text)
		out->iov[text].iov_base = req->text.at + head_at;
	out->iov[out->body].iov_base = req->text.at + body_at;
	return 0;
}

static void
respond(struct http_request *req, int status, const struct buffer *headers,
    const void *body, size_t len, uint64_t content_length)
{
	struct connection *c = req->conn;
	int ret;

	if (c->state == CONNECTION_GONE) {
		connection_release(c);
		return;
	}
	finish(req);
	req->answer_chunked = req->until_close = 0;
	if (write_head(req, status, headers, content_length) != 0)
		goto fail;
	add_head(req);
	if (len > 0) {
		output_add(req, body, len);
		req->out.body = req->out.n - 1;
	}
	ret = output_write(c, 1);
	if (ret == STREAM_FAILED)
		goto fail;
	if (ret != 1 && len > 0 && keep_body(req) != 0)
		goto fail;
	connection_run(c);
	return;

fail:
	connection_lost(c, 1);
}

void
http_respond(struct http_request *req, int status, const struct buffer *headers,
    const void *body, size_t len)
{
	int bare = slice_is(req->head.method, "HEAD") || status == 204 ||
	    status == 304;

	respond(req, status, headers, body, bare ? 0 : len, len);
}

void
http_respond_head(struct http_request *req, int status,
    const struct buffer *headers, uint64_t content_length)
{
	respond(req, status, headers, NULL, 0, content_length);
}

void
http_begin(struct http_request *req, int status, const struct buffer *headers,
    uint64_t content_length)
{
	struct connection *c = req->conn;
	int unknown = content_length == HTTP_LENGTH_UNKNOWN;

	if (c->state == CONNECTION_GONE)
		return;
	req->begun = 1;
	req->no_body = slice_is(req->head.method, "HEAD") || status == 204 ||
	    status == 304;
	req->answer_chunked = unknown && req->head.version_minor > 0;
	req->until_close = unknown && req->head.version_minor == 0;
	req->answer_left = content_length;
	if (write_head(req, status, headers, content_length) != 0)
		connection_lost(c, 1);
}

/* What a piece in either form begins with. 0, or -1 when there is nothing more
 * to do for it here. */
static int
begin_piece(struct http_request *req, size_t len, http_sent *done, void *arg)
{
	struct connection *c = req->conn;
	int n;

	req->sending = 1;
	req->send_done = done;
	req->send_arg = arg;
	if (req->answer_left != HTTP_LENGTH_UNKNOWN) {
		if (len > req->answer_left)
			connection_lost(c, 1);
		else
			req->answer_left -= len;
	}
	if (c->state == CONNECTION_GONE) {
		req->send_failed = 1;
		connection_attend(c);
		return -1;
	}
	add_head(req);
	if (req->answer_chunked && !req->no_body && len > 0) {
		n = snprintf(
		    req->chunk_line, sizeof(req->chunk_line), "%zx\r\n", len);
		output_add(req, req->chunk_line, (size_t)n);
	}
	return 0;
}

void
http_send(struct http_request *req, const void *bytes, size_t len,
    http_sent *done, void *arg)
{
	if (begin_piece(req, len, done, arg) != 0)
		return;
	if (!req->no_body && len > 0) {
		output_add(req, bytes, len);
		req->out.body = req->out.n - 1;
		if (req->answer_chunked)
			output_add(req, "\r\n", 2);
	}
	connection_run(req->conn);
}

void
http_send_file(struct http_request *req, int fd, uint64_t offset, size_t len,
    http_sent *done, void *arg)
{
	struct output *out = &req->out;

	if (begin_piece(req, len, done, arg) != 0)
		return;
	if (!req->no_body && len > 0) {
		out->fd = fd;
		out->file_offset = offset;
		out->file_left = len;
		out->tail = "\r\n";
		out->tail_len = req->answer_chunked ? 2 : 0;
	}
	connection_run(req->conn);
}

void
http_end(struct http_request *req)
{
	struct connection *c = req->conn;
	int whole = req->no_body || req->answer_left == 0 ||
	    req->answer_left == HTTP_LENGTH_UNKNOWN;

	if (c->state == CONNECTION_GONE) {
		connection_release(c);
		return;
	}
	if (!req->begun || !whole || req->sending) {
		http_cut(req);
		return;
	}
	add_head(req);
	if (req->answer_chunked && !req->no_body)
		output_add(req, last_chunk, sizeof(last_chunk) - 1);
	finish(req);
	connection_run(c);
}

void
http_cut(struct http_request *req)
{
	struct connection *c = req->conn;

	if (c->state == CONNECTION_GONE) {
		connection_release(c);
		return;
	}
	finish(req);
	connection_lost(c, 1);
}

uint64_t
http_request_bytes_out(struct http_request *req)
{
	return req->body_out;
}
