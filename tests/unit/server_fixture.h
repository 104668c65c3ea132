#ifndef TESTS_UNIT_SERVER_FIXTURE_H
#define TESTS_UNIT_SERVER_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/workers.h"
#include "s3api/server.h"
#include "s3api/tls.h"

/*
 * A real server on loopback, with a handler for each way of reading and
 * answering, and clients that are plain sockets (or OpenSSL's), so that they
 * can misbehave.
 */

#define BIG_BYTES ((size_t)24 * 1024 * 1024)
#define PIECE_BYTES ((size_t)256 * 1024)

static struct http_server *server;
static struct workers *workers;
static int port, tls_port, file_fd, use_tls;
static SSL_CTX *client_ctx;
static char *big; /* BIG_BYTES of a pattern, which file_fd has, too */

/* What the handlers saw. */
static _Atomic int failures, finals, held;
static _Atomic int release_held;

/* The handlers. */

struct serving {
	struct job job;
	struct http_request *req;
	size_t room, total, sent;
	uint32_t sum;
	int file, drop_after;
	char *bytes;
};

static inline struct serving *
serving_new(struct http_request *req, size_t room)
{
	struct serving *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->req = req;
	s->room = room;
	s->bytes = malloc(room > 0 ? room : 1);
	assert_non_null(s->bytes);
	return s;
}

static inline void
serving_free(struct serving *s)
{
	atomic_fetch_add(&finals, 1);
	free(s->bytes);
	free(s);
}

static inline void
got_body(struct http_request *req, long n, int end, void *arg)
{
	struct serving *s = arg;
	char text[64];
	long i;

	if (n < 0) {
		atomic_fetch_add(&failures, 1);
		serving_free(s);
		http_respond(req, 400, NULL, "incomplete\n", 11);
		return;
	}
	for (i = 0; i < n; i++)
		s->sum = s->sum * 31 + (uint8_t)s->bytes[i];
	s->total += (size_t)n;
	assert_true(end || (size_t)n == s->room);
	if (!end) {
		http_body_read(req, s->bytes, s->room, got_body, s);
		return;
	}
	assert_int_equal(http_request_bytes_in(req), s->total);
	(void)snprintf(
	    text, sizeof(text), "%zu %u\n", s->total, (unsigned)s->sum);
	serving_free(s);
	http_respond(req, 200, NULL, text, strlen(text));
}

static inline void
sent_piece(struct http_request *req, int failed, void *arg)
{
	struct serving *s = arg;
	size_t n;

	if (failed) {
		atomic_fetch_add(&failures, 1);
		serving_free(s);
		http_cut(req);
		return;
	}
	if (s->sent == s->total) {
		if (!slice_is(http_request_head(req)->method, "HEAD"))
			assert_int_equal(http_request_bytes_out(req), s->total);
		serving_free(s);
		http_end(req);
		return;
	}
	n = s->total - s->sent < s->room ? s->total - s->sent : s->room;
	s->sent += n;
	if (s->file)
		http_send_file(req, file_fd, s->sent - n, n, sent_piece, s);
	else
		http_send(req, big + s->sent - n, n, sent_piece, s);
}

static inline void
cut_after(struct http_request *req, int failed, void *arg)
{
	if (failed)
		atomic_fetch_add(&failures, 1);
	if (arg != NULL)
		http_cut(req);
	else
		http_end(req);
}

static inline void
respond_later(struct job *job)
{
	struct serving *s = (struct serving *)job;
	struct http_request *req = s->req;

	serving_free(s);
	if (slice_is(http_request_head(req)->path, "/hold-short")) {
		http_begin(req, 200, NULL, 100);
		http_send(req, "0123456789", 10, cut_after, NULL);
		return;
	}
	http_respond(req, 200, NULL, "later\n", 6);
}

static inline void
work_then_post(struct job *job)
{
	struct serving *s = (struct serving *)job;

	if (s->room == 1) {
		atomic_fetch_add(&held, 1);
		while (!atomic_load(&release_held))
			usleep(2000);
	}
	s->job.run = respond_later;
	http_request_post(s->req, &s->job);
}

static inline void
send_from(struct http_request *req, size_t total, uint64_t length, int file,
    size_t piece)
{
	struct serving *s = serving_new(req, 0);

	s->room = piece;
	s->total = total;
	s->file = file;
	http_begin(req, 200, NULL, length);
	sent_piece(req, 0, s);
}

static inline size_t
query_number(const struct http_head *head, size_t otherwise)
{
	char text[24];

	if (head->query.len == 0 || head->query.len >= sizeof(text))
		return otherwise;
	memcpy(text, head->query.at, head->query.len);
	text[head->query.len] = '\0';
	return (size_t)strtoul(text, NULL, 10);
}

static inline void
handle(struct http_request *req, void *context)
{
	const struct http_head *head = http_request_head(req);
	struct buffer headers = BUFFER_INIT;
	struct slice path = head->path;
	struct serving *s;
	size_t n = query_number(head, 65536);

	assert_ptr_equal(context, &server);
	assert_true(http_request_loop(req) < http_server_loops(server));
	if (slice_is(path, "/hello")) {
		http_out_header(
		    &headers, "X-Peer", slice_text(http_request_peer(req)));
		http_out_header_text(&headers, "X-Odd", "a\r\nB: c");
		http_out_header_u64(
		    &headers, "X-Tls", (uint64_t)http_request_is_tls(req));
		http_respond(req, 200, &headers, "hello\n", 6);
		buffer_free(&headers);
	} else if (slice_is(path, "/body")) {
		s = serving_new(req, n);
		http_body_read(req, s->bytes, s->room, got_body, s);
	} else if (slice_is(path, "/refuse"))
		http_respond(req, 403, NULL, "no\n", 3);
	else if (slice_is(path, "/whole"))
		http_respond(req, 200, NULL, big, n);
	else if (slice_is(path, "/pieces"))
		send_from(req, n, n, 0, PIECE_BYTES);
	else if (slice_is(path, "/file"))
		send_from(req, n, n, 1, PIECE_BYTES);
	else if (slice_is(path, "/unknown"))
		send_from(req, n, HTTP_LENGTH_UNKNOWN, 0, 1000);
	else if (slice_is(path, "/unknown-file"))
		send_from(req, n, HTTP_LENGTH_UNKNOWN, 1, 50000);
	else if (slice_is(path, "/head"))
		http_respond_head(req, 200, NULL, 123456);
	else if (slice_is(path, "/nothing"))
		http_respond(req, 204, NULL, NULL, 0);
	else if (slice_is(path, "/cut")) {
		http_begin(req, 200, NULL, 100);
		http_send(req, "0123456789", 10, cut_after, req);
	} else if (slice_is(path, "/short")) {
		http_begin(req, 200, NULL, 100);
		http_send(req, "0123456789", 10, cut_after, NULL);
	} else if (slice_is(path, "/later") || slice_starts(path, "/hold")) {
		s = serving_new(req, slice_starts(path, "/hold") ? 1 : 0);
		s->job.run = work_then_post;
		workers_submit(workers, &s->job);
	} else
		http_respond(req, 404, NULL, "none\n", 5);
}

static inline void
refusal_body(
    struct buffer *out, int status, const char *reason, const char **type)
{
	buffer_printf(out, "<%d>%s", status, reason);
	*type = "application/xml";
}

/* The server. */

static inline void
start_with(const struct http_limits *limits, struct tls_context *tls)
{
	struct error err = ERROR_INIT;
	struct http_listener listener = { "127.0.0.1:0", NULL, handle, &server,
		refusal_body };

	failures = finals = held = release_held = 0;
	workers = workers_start("test", 4, &err);
	server = http_server_new(2, limits, &err);
	assert_non_null(workers);
	assert_non_null(server);
	assert_int_equal(http_server_listen(server, &listener, &err), 0);
	if (tls != NULL) {
		listener.tls = tls;
		assert_int_equal(
		    http_server_listen(server, &listener, &err), 0);
		tls_port = http_server_port(server, 1);
	}
	assert_int_equal(http_server_run(server, &err), 0);
	port = http_server_port(server, 0);
	assert_true(port > 0);
}

static inline void
start(void)
{
	start_with(&http_limits_default, NULL);
}

static inline void
stop(void)
{
	struct http_counters c;

	atomic_store(&release_held, 1);
	http_server_drain(server, 2000);
	http_server_counters(server, &c);
	assert_int_equal(c.connections, 0);
	http_server_free(server);
	workers_stop(workers);
}

/* The client. */

struct client {
	int fd;
	SSL *ssl;
	size_t at, len; /* of what has been read and not been looked at */
	char bytes[65536];
};

static inline void
set_timeout(int fd)
{
	struct timeval tv = { 10, 0 };

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
}

static inline struct client *
client_new(void)
{
	struct client *c = calloc(1, sizeof(*c));
	struct sockaddr_in addr = { .sin_family = AF_INET };

	assert_non_null(c);
	addr.sin_port = htons((uint16_t)(use_tls ? tls_port : port));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	set_timeout(c->fd);
	assert_int_equal(
	    connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (use_tls) {
		c->ssl = SSL_new(client_ctx);
		assert_non_null(c->ssl);
		assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
		assert_int_equal(SSL_connect(c->ssl), 1);
	}
	return c;
}

static inline void
client_free(struct client *c)
{
	SSL_free(c->ssl);
	if (c->fd != -1)
		(void)close(c->fd);
	free(c);
}

/* How many bytes were sent before the peer went away. */
static inline size_t
put_bytes(struct client *c, const void *bytes, size_t len)
{
	const char *p = bytes;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = c->ssl != NULL
		    ? SSL_write(c->ssl, p + done, (int)(len - done))
		    : send(c->fd, p + done, len - done, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static inline void
put(struct client *c, const char *text)
{
	assert_int_equal(put_bytes(c, text, strlen(text)), strlen(text));
}

/* Reads once more. How much, 0 at the end, -1 for a reset, -2 for a timeout. */
static inline ssize_t
fill(struct client *c)
{
	ssize_t n;

	if (c->at == c->len)
		c->at = c->len = 0;
	assert_true(c->len < sizeof(c->bytes));
	if (c->ssl != NULL) {
		n = SSL_read(c->ssl, c->bytes + c->len,
		    (int)(sizeof(c->bytes) - c->len));
		if (n <= 0)
			n = SSL_get_error(c->ssl, (int)n) ==
				SSL_ERROR_ZERO_RETURN
			    ? 0
			    : -1;
	} else {
		n = recv(
		    c->fd, c->bytes + c->len, sizeof(c->bytes) - c->len, 0);
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			n = -2;
	}
	if (n > 0)
		c->len += (size_t)n;
	return n;
}

struct answer {
	int status;
	char head[4096];
	size_t length; /* of Content-Length */
};

/* Reads an answer's head. 0, or what fill() said. */
static inline int
get_head(struct client *c, struct answer *a)
{
	char *end, *field;
	size_t len;
	ssize_t n;

	while (c->at == c->len ||
	    (end = memmem(c->bytes + c->at, c->len - c->at, "\r\n\r\n", 4)) ==
		NULL) {
		if ((n = fill(c)) <= 0)
			return n == 0 ? 1 : (int)n;
	}
	len = (size_t)(end + 4 - c->bytes) - c->at;
	assert_true(len < sizeof(a->head));
	memcpy(a->head, c->bytes + c->at, len);
	a->head[len] = '\0';
	c->at += len;
	assert_int_equal(strncmp(a->head, "HTTP/1.1 ", 9), 0);
	a->status = atoi(a->head + 9);
	field = strstr(a->head, "\r\nContent-Length: ");
	a->length = field == NULL ? 0 : (size_t)atol(field + 18);
	return 0;
}

/* Reads so many bytes and compares them. */
static inline void
get_bytes(struct client *c, const char *expected, size_t len)
{
	size_t n;

	while (len > 0) {
		if (c->at == c->len)
			assert_true(fill(c) > 0);
		n = c->len - c->at < len ? c->len - c->at : len;
		assert_memory_equal(c->bytes + c->at, expected, n);
		c->at += n;
		expected += n;
		len -= n;
	}
}

static inline void
expect(struct client *c, int status, const char *body)
{
	struct answer a;

	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, status);
	assert_int_equal(a.length, strlen(body));
	get_bytes(c, body, strlen(body));
}

static inline void
expect_end(struct client *c)
{
	assert_int_equal(c->at, c->len);
	assert_int_equal(fill(c), 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static inline uint32_t
sum_of(const char *bytes, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = sum * 31 + (uint8_t)bytes[i];
	return sum;
}

static inline void
expect_sum(struct client *c, size_t len)
{
	char text[64];

	(void)snprintf(
	    text, sizeof(text), "%zu %u\n", len, (unsigned)sum_of(big, len));
	expect(c, 200, text);
}

static inline void
wait_for(_Atomic int *value, int at_least)
{
	uint64_t until = clock_monotonic_ms() + 8000;

	while (atomic_load(value) < at_least) {
		assert_true(clock_monotonic_ms() < until);
		usleep(1000);
	}
}

static char tls_dir[] = "/tmp/holdfast-test.XXXXXX";

static inline int
set_up(void **state)
{
	char cert[64], key[64], name[] = "/tmp/holdfast-test.XXXXXX";
	struct error err = ERROR_INIT;
	size_t i;

	log_set_level(LOG_ERROR + 1);
	if (mkdtemp(tls_dir) == NULL ||
	    tls_self_signed(tls_dir, "localhost,127.0.0.1", &err) != 0)
		return -1;
	(void)snprintf(cert, sizeof(cert), "%s/server.pem", tls_dir);
	(void)snprintf(key, sizeof(key), "%s/server.key", tls_dir);
	*state = tls_context_new(cert, key, &err);
	client_ctx = SSL_CTX_new(TLS_client_method());
	big = malloc(BIG_BYTES);
	file_fd = mkstemp(name);
	if (*state == NULL || client_ctx == NULL || big == NULL ||
	    file_fd == -1)
		return -1;
	(void)unlink(name);
	for (i = 0; i < BIG_BYTES; i++)
		big[i] = (char)(i * 2654435761u >> 13);
	for (i = 0; i < BIG_BYTES; i += PIECE_BYTES) {
		if (write(file_fd, big + i, PIECE_BYTES) !=
		    (ssize_t)PIECE_BYTES)
			return -1;
	}
	return 0;
}

static inline int
tear_down(void **state)
{
	static const char *const names[] = { "ca.pem", "ca.key", "server.pem",
		"server.key" };
	char path[64];
	size_t i;

	for (i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", tls_dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(tls_dir);
	tls_context_free(*state);
	SSL_CTX_free(client_ctx);
	free(big);
	(void)close(file_fd);
	return 0;
}

#endif
