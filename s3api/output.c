#include <string.h>
#include <unistd.h>

#include "s3api/connection.h"
#include "s3api/loop.h"

int
output_pending(const struct http_request *req)
{
	return req->out.at < req->out.n || req->out.file_left > 0;
}

void
output_add(struct http_request *req, const void *bytes, size_t len)
{
	struct output *out = &req->out;

	if (len == 0)
		return;
	if (out->at == out->n) {
		out->at = out->n = 0;
		out->body = -1;
	}
	out->iov[out->n].iov_base = (void *)(uintptr_t)bytes;
	out->iov[out->n].iov_len = len;
	out->n++;
}

/* Copies what comes next, file and all, to the loop's scratch, so that it is
 * written at once: small answers, and all of TLS, where the same bytes come
 * together again if the write has to be repeated. The length, or -1. */
static ssize_t
gather(const struct output *out, char *scratch)
{
	size_t len = 0, n;
	ssize_t got;
	int i;

	for (i = out->at; i < out->n && len < LOOP_SCRATCH_BYTES; i++) {
		n = out->iov[i].iov_len;
		if (n > LOOP_SCRATCH_BYTES - len)
			n = LOOP_SCRATCH_BYTES - len;
		memcpy(scratch + len, out->iov[i].iov_base, n);
		len += n;
	}
	if (i < out->n || out->file_left == 0)
		return (ssize_t)len;

	n = LOOP_SCRATCH_BYTES - len;
	if (n > out->file_left)
		n = out->file_left;
	if (n > 0) {
		got = pread(out->fd, scratch + len, n, (off_t)out->file_offset);
		if (got != (ssize_t)n)
			return -1;
	}
	return (ssize_t)(len + n);
}

static ssize_t
write_some(struct connection *c, struct output *out)
{
	struct iovec one;
	ssize_t n;
	int tls = c->stream.ssl != NULL;

	if (tls && out->at < out->n &&
	    out->iov[out->at].iov_len >= LOOP_SCRATCH_BYTES)
		return stream_write(&c->stream, &out->iov[out->at], 1, 0);
	if (tls ||
	    (out->file_left > 0 && out->file_left < LOOP_SCRATCH_BYTES)) {
		if ((n = gather(out, c->loop->scratch)) < 0)
			return STREAM_FAILED;
		one.iov_base = c->loop->scratch;
		one.iov_len = (size_t)n;
		return stream_write(&c->stream, &one, 1, 0);
	}
	if (out->at < out->n)
		return stream_write(&c->stream, &out->iov[out->at],
		    out->n - out->at, out->file_left > 0);

	n = stream_sendfile(&c->stream, out->fd, out->file_offset,
	    out->file_left < CONNECTION_TURN_BYTES ? out->file_left
						   : CONNECTION_TURN_BYTES);
	return n == 0 ? STREAM_FAILED : n;
}

static void
advance(struct http_request *req, size_t n)
{
	struct output *out = &req->out;
	struct iovec *iov;
	size_t part;

	while (out->at < out->n && n > 0) {
		iov = &out->iov[out->at];
		part = n < iov->iov_len ? n : iov->iov_len;
		if (out->at == out->body)
			req->body_out += part;
		iov->iov_base = (char *)iov->iov_base + part;
		iov->iov_len -= part;
		n -= part;
		if (iov->iov_len == 0)
			out->at++;
	}
	if (n == 0)
		return;

	out->file_offset += n;
	out->file_left -= n;
	req->body_out += n;
	if (out->file_left == 0) {
		output_add(req, out->tail, out->tail_len);
		out->tail_len = 0;
	}
}

int
output_write(struct connection *c, int whole)
{
	struct http_request *req = c->request;
	ssize_t n;

	while (output_pending(req)) {
		if (!c->writable)
			return STREAM_AGAIN;
		if (!whole && c->spent >= CONNECTION_TURN_BYTES)
			return 0;
		n = write_some(c, &req->out);
		if (n < 0) {
			c->writable = 0;
			return (int)n;
		}
		c->bytes_out += (uint64_t)n;
		c->spent += (uint64_t)n;
		counter_add(&c->loop->counters.bytes_out, (uint64_t)n);
		advance(req, (size_t)n);
	}
	return 1;
}
