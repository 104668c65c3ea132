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

static struct serving *
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

static void
serving_free(struct serving *s)
{
	atomic_fetch_add(&finals, 1);
	free(s->bytes);
	free(s);
}

static void
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
	(void)snprintf(
	    text, sizeof(text), "%zu %u\n", s->total, (unsigned)s->sum);
	serving_free(s);
	http_respond(req, 200, NULL, text, strlen(text));
}

static void
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

static void
cut_after(struct http_request *req, int failed, void *arg)
{
	(void)failed;
	if (arg != NULL)
		http_cut(req);
	else
		http_end(req);
}

static void
respond_later(struct job *job)
{
	struct serving *s = (struct serving *)job;
	struct http_request *req = s->req;

	serving_free(s);
	http_respond(req, 200, NULL, "later\n", 6);
}

static void
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

static void
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

static size_t
query_number(const struct http_head *head, size_t otherwise)
{
	char text[24];

	if (head->query.len == 0 || head->query.len >= sizeof(text))
		return otherwise;
	memcpy(text, head->query.at, head->query.len);
	text[head->query.len] = '\0';
	return (size_t)strtoul(text, NULL, 10);
}

static void
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
	} else if (slice_is(path, "/later") || slice_is(path, "/hold")) {
		s = serving_new(req, slice_is(path, "/hold") ? 1 : 0);
		s->job.run = work_then_post;
		workers_submit(workers, &s->job);
	} else
		http_respond(req, 404, NULL, "none\n", 5);
}

static void
refusal_body(
    struct buffer *out, int status, const char *reason, const char **type)
{
	buffer_printf(out, "<%d>%s", status, reason);
	*type = "application/xml";
}

/* The server. */

static void
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

static void
start(void)
{
	start_with(&http_limits_default, NULL);
}

static void
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

static void
set_timeout(int fd)
{
	struct timeval tv = { 10, 0 };

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
}

static struct client *
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

static void
client_free(struct client *c)
{
	SSL_free(c->ssl);
	if (c->fd != -1)
		(void)close(c->fd);
	free(c);
}

/* How many bytes were sent before the peer went away. */
static size_t
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

static void
put(struct client *c, const char *text)
{
	assert_int_equal(put_bytes(c, text, strlen(text)), strlen(text));
}

/* Reads once more. How much, 0 at the end, -1 for a reset, -2 for a timeout. */
static ssize_t
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
static int
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
static void
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

static void
expect(struct client *c, int status, const char *body)
{
	struct answer a;

	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, status);
	assert_int_equal(a.length, strlen(body));
	get_bytes(c, body, strlen(body));
}

static void
expect_end(struct client *c)
{
	assert_int_equal(c->at, c->len);
	assert_int_equal(fill(c), 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static uint32_t
sum_of(const char *bytes, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = sum * 31 + (uint8_t)bytes[i];
	return sum;
}

static void
expect_sum(struct client *c, size_t len)
{
	char text[64];

	(void)snprintf(
	    text, sizeof(text), "%zu %u\n", len, (unsigned)sum_of(big, len));
	expect(c, 200, text);
}

static void
wait_for(_Atomic int *value, int at_least)
{
	uint64_t until = clock_monotonic_ms() + 8000;

	while (atomic_load(value) < at_least) {
		assert_true(clock_monotonic_ms() < until);
		usleep(1000);
	}
}

/* The tests. Those on connections run over plain sockets and over TLS. */

static void
answers_with_the_headers_of_a_server(void)
{
	struct client *c = client_new();
	struct answer a;
	char line[64];

	put(c, GET("/hello"));
	assert_int_equal(get_head(c, &a), 0);
	get_bytes(c, "hello\n", 6);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.head,
	    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n"
	    "Date: "));
	assert_non_null(strstr(a.head, "GMT\r\nServer: holdfast\r\n"));
	assert_non_null(strstr(a.head, "\r\nX-Peer: 127.0.0.1:"));
	assert_non_null(strstr(a.head, "\r\nX-Odd: a  B: c\r\n"));
	(void)snprintf(line, sizeof(line), "\r\nX-Tls: %d\r\n\r\n", use_tls);
	assert_non_null(strstr(a.head, line));
	assert_null(strstr(a.head, "Connection:"));
	client_free(c);
}

static void
keeps_a_connection_for_further_requests(void)
{
	struct client *c = client_new();
	int i;

	for (i = 0; i < 50; i++) {
		put(c, GET("/refuse"));
		expect(c, 403, "no\n");
		put(c, GET("/later"));
		expect(c, 200, "later\n");
	}
	put(c, "GET /refuse HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	expect(c, 403, "no\n");
	expect_end(c);
	client_free(c);
}

static void
takes_a_request_byte_by_byte(void)
{
	static const char text[] = "PUT /body?3 HTTP/1.1\r\nHost: h\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n"
				   "5;x=y\r\n\x01\x02\x03\x04\x05\r\n0\r\n\r\n";
	struct client *c = client_new();
	char expected[64];
	size_t i;

	for (i = 0; i < strlen(text); i++) {
		assert_int_equal(put_bytes(c, text + i, 1), 1);
		usleep(200);
	}
	(void)snprintf(expected, sizeof(expected), "5 %u\n",
	    (unsigned)sum_of("\x01\x02\x03\x04\x05", 5));
	expect(c, 200, expected);
	client_free(c);
}

static void
serves_pipelined_requests_in_order(void)
{
	static const char *const mixed[] = { GET("/refuse"), GET("/later"),
		"PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: "
		"4\r\n\r\nabcd",
		"PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: "
		"4\r\n\r\nabcd",
		"PUT /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
		"chunked\r\n\r\n"
		"4\r\nabcd\r\n0\r\n\r\n",
		"\r\n" GET("/unknown?5"), GET("/none") };
	struct buffer text = BUFFER_INIT;
	struct client *c = client_new();
	struct answer a;
	char sum[64];
	size_t round, i;

	(void)snprintf(sum, sizeof(sum), "4 %u\n", (unsigned)sum_of("abcd", 4));
	for (round = 0; round < 60; round++) {
		for (i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++)
			buffer_add_text(&text, mixed[i]);
	}
	assert_int_equal(put_bytes(c, text.at, text.len), text.len);
	for (round = 0; round < 60; round++) {
		expect(c, 403, "no\n");
		expect(c, 200, "later\n");
		expect(c, 200, sum);
		expect(c, 403, "no\n");
		expect(c, 200, sum);
		assert_int_equal(get_head(c, &a), 0);
		get_bytes(c, "5\r\n", 3);
		get_bytes(c, big, 5);
		get_bytes(c, "\r\n0\r\n\r\n", 7);
		expect(c, 404, "none\n");
	}
	buffer_free(&text);
	client_free(c);
}

static void
reads_bodies_in_rooms_of_any_size(void)
{
	static const size_t rooms[] = { 1, 7, 4096, 65536, 300000 };
	static const size_t lens[] = { 0, 1, 17, 5000, 262144 };
	struct client *c = client_new();
	char head[128];
	size_t i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			(void)snprintf(head, sizeof(head),
			    "PUT /body?%zu HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: %zu\r\n\r\n",
			    rooms[i], lens[j]);
			put(c, head);
			assert_int_equal(put_bytes(c, big, lens[j]), lens[j]);
			expect_sum(c, lens[j]);
		}
	}
	client_free(c);
}

static void
reads_chunked_bodies(void)
{
	static const size_t sizes[] = { 1, 100, 4095, 20000, 262144 };
	static const size_t rooms[] = { 5, 4096, 100000 };
	const size_t total = 262144;
	struct client *c = client_new();
	struct buffer text = BUFFER_INIT;
	size_t i, j, at, n;

	for (i = 0; i < 15; i++) {
		buffer_clear(&text);
		buffer_printf(&text,
		    "PUT /body?%zu HTTP/1.1\r\nHost: h\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n",
		    rooms[i / 5]);
		for (at = 0; at < total; at += n) {
			n = total - at < sizes[i % 5] ? total - at
						      : sizes[i % 5];
			if (sizes[i % 5] == 1 && at > 3000)
				n = total - at;
			buffer_printf(&text, "%zx\r\n", n);
			buffer_add(&text, big + at, n);
			buffer_add_text(&text, "\r\n");
		}
		buffer_add_text(&text, "0\r\nX: y\r\n\r\n");
		/* The next request is right behind. */
		buffer_add_text(&text, GET("/refuse"));
		for (at = 0; at < text.len; at += j) {
			j = text.len - at < 50000 ? text.len - at : 50000;
			assert_int_equal(put_bytes(c, text.at + at, j), j);
		}
		expect_sum(c, total);
		expect(c, 403, "no\n");
	}
	buffer_free(&text);
	client_free(c);
}

static void
asks_for_a_body_only_when_it_is_read(void)
{
	struct client *c = client_new();
	struct answer a;

	put(c,
	    "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n"
	    "Expect: 100-continue\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 100);
	assert_int_equal(put_bytes(c, big, 9), 9);
	expect_sum(c, 9);

	put(c,
	    "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n"
	    "Expect: 100-continue\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 403);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	get_bytes(c, "no\n", 3);
	expect_end(c);
	client_free(c);
}

static void
drops_a_small_body_that_nobody_read(void)
{
	struct client *c = client_new();

	put(c,
	    "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n"
	    "\r\n");
	expect(c, 403, "no\n");
	assert_int_equal(put_bytes(c, big, 200000), 200000);
	put(c, GET("/later"));
	expect(c, 200, "later\n");
	client_free(c);
}

static void
lets_a_client_with_a_large_body_see_the_refusal(void)
{
	struct client *c = client_new();
	struct answer a;

	put(c,
	    "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n"
	    "\r\n");
	assert_int_equal(put_bytes(c, big, 20000000), 20000000);
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 403);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	get_bytes(c, "no\n", 3);
	expect_end(c);
	client_free(c);

	c = client_new();
	put(c,
	    "PUT /refuse HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n100000\r\n");
	assert_int_equal(put_bytes(c, big, 0x100000), 0x100000);
	expect(c, 403, "no\n");
	expect_end(c);
	client_free(c);
}

static void
refuses_a_bad_head_in_the_listeners_form(void)
{
	struct client *c = client_new();
	struct answer a;

	put(c, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" GET("/hello"));
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 400);
	assert_non_null(
	    strstr(a.head, "\r\nContent-Type: application/xml\r\n"));
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	get_bytes(c, "<400>There is more than one Host header.", a.length);
	expect_end(c);
	client_free(c);
}

static void
refuses_broken_chunks_after_telling_the_handler(void)
{
	struct client *c = client_new();

	put(c,
	    "PUT /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n4\r\nabcdX\r\n");
	expect(c, 400, "incomplete\n");
	expect_end(c);
	assert_int_equal(failures, 1);
	client_free(c);
}

static void
sends_large_answers_whole(void)
{
	static const char *const paths[] = { "/whole", "/pieces", "/file" };
	static const size_t lens[] = { 0, 1, 16384, 100000, BIG_BYTES };
	struct client *c = client_new();
	struct answer a;
	char text[128];
	size_t i, j;

	for (i = 0; i < 3; i++) {
		for (j = 0; j < 5; j++) {
			(void)snprintf(text, sizeof(text),
			    "GET %s?%zu HTTP/1.1\r\nHost: h\r\n\r\n", paths[i],
			    lens[j]);
			put(c, text);
			if (j == 4)
				usleep(20000);
			assert_int_equal(get_head(c, &a), 0);
			assert_int_equal(a.length, lens[j]);
			get_bytes(c, big, lens[j]);
		}
	}
	assert_int_equal(failures, 0);
	client_free(c);
}

static void
sends_answers_of_unknown_length(void)
{
	static const char *const paths[] = { "/unknown", "/unknown-file" };
	const size_t piece[] = { 1000, 50000 };
	struct client *c = client_new();
	struct answer a;
	char text[128];
	size_t i, at;

	for (i = 0; i < 2; i++) {
		(void)snprintf(text, sizeof(text),
		    "GET %s?100000 HTTP/1.1\r\nHost: h\r\n\r\n", paths[i]);
		put(c, text);
		assert_int_equal(get_head(c, &a), 0);
		assert_non_null(
		    strstr(a.head, "\r\nTransfer-Encoding: chunked\r\n"));
		for (at = 0; at < 100000; at += piece[i]) {
			(void)snprintf(text, sizeof(text), "%zx\r\n", piece[i]);
			get_bytes(c, text, strlen(text));
			get_bytes(c, big + at, piece[i]);
			get_bytes(c, "\r\n", 2);
		}
		get_bytes(c, "0\r\n\r\n", 5);
	}
	client_free(c);

	/* HTTP/1.0 has no chunks: the end of the connection ends it. */
	c = client_new();
	put(c, "GET /unknown?5000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_null(strstr(a.head, "Transfer-Encoding"));
	assert_null(strstr(a.head, "Content-Length"));
	get_bytes(c, big, 5000);
	expect_end(c);
	client_free(c);
}

static void
answers_head_and_204_without_a_body(void)
{
	struct client *c = client_new();
	struct answer a;

	put(c, "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.length, 6);
	put(c, "HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.length, 123456);
	put(c, "HEAD /pieces?99999 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.length, 99999);
	put(c, GET("/nothing"));
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 204);
	assert_null(strstr(a.head, "Content-Length"));
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	client_free(c);
}

static void
speaks_http_1_0(void)
{
	struct client *c = client_new();
	struct answer a;

	put(c, "GET /refuse HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_non_null(strstr(a.head, "\r\nConnection: keep-alive\r\n"));
	get_bytes(c, "no\n", 3);
	put(c, "GET /refuse HTTP/1.0\r\n\r\n");
	assert_int_equal(get_head(c, &a), 0);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	get_bytes(c, "no\n", 3);
	expect_end(c);
	client_free(c);
}

static void
cuts_what_is_not_whole(void)
{
	static const char *const texts[] = { GET("/cut"), GET("/short") };
	struct client *c;
	struct answer a;
	ssize_t n;
	size_t i;

	for (i = 0; i < 2; i++) {
		c = client_new();
		put(c, texts[i]);
		/* The reset may overtake what was sent. */
		if (get_head(c, &a) == 0) {
			while ((n = fill(c)) > 0)
				;
			assert_int_equal(n, -1);
		}
		client_free(c);
	}
}

static void
survives_a_client_that_goes_at_any_moment(void)
{
	static const char text[] = "PUT /body?4 HTTP/1.1\r\nHost: h\r\n"
				   "Content-Length: 10\r\n\r\n012345678";
	static const char *const answers[] = { "/whole?20000000",
		"/pieces?20000000", "/file?20000000", "/later" };
	struct linger linger = { 1, 0 };
	struct client *c;
	char get[128];
	size_t i;
	int reset;

	for (reset = 0; reset < 2; reset++) {
		for (i = 0; i <= strlen(text); i++) {
			c = client_new();
			assert_int_equal(put_bytes(c, text, i), i);
			if (reset)
				(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER,
				    &linger, sizeof(linger));
			client_free(c);
		}
		for (i = 0; i < 8; i++) {
			(void)snprintf(get, sizeof(get),
			    "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
			    answers[i % 4]);
			c = client_new();
			put(c, get);
			if (i >= 4)
				assert_true(fill(c) > 0);
			if (reset)
				(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER,
				    &linger, sizeof(linger));
			client_free(c);
		}
	}
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	client_free(c);
}

static void
answers_a_client_that_has_shut_down_its_side(void)
{
	struct client *c = client_new();

	/* TLS: tickets come with the first answer, and must come before the
	 * client's goodbye. */
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	put(c, GET("/later"));
	if (c->ssl != NULL)
		(void)SSL_shutdown(c->ssl);
	(void)shutdown(c->fd, SHUT_WR);
	expect(c, 200, "later\n");
	expect_end(c);
	client_free(c);
}

static void
run_on(void **state, int tls, void (*test)(void))
{
	(void)state;
	use_tls = tls;
	start_with(&http_limits_default, tls ? *state : NULL);
	test();
	stop();
}

#define ON_BOTH(name) \
	static void name##_plain(void **state) \
	{ \
		run_on(state, 0, name); \
	} \
	static void name##_tls(void **state) \
	{ \
		run_on(state, 1, name); \
	}

ON_BOTH(answers_with_the_headers_of_a_server)
ON_BOTH(keeps_a_connection_for_further_requests)
ON_BOTH(takes_a_request_byte_by_byte)
ON_BOTH(serves_pipelined_requests_in_order)
ON_BOTH(reads_bodies_in_rooms_of_any_size)
ON_BOTH(reads_chunked_bodies)
ON_BOTH(asks_for_a_body_only_when_it_is_read)
ON_BOTH(drops_a_small_body_that_nobody_read)
ON_BOTH(lets_a_client_with_a_large_body_see_the_refusal)
ON_BOTH(refuses_a_bad_head_in_the_listeners_form)
ON_BOTH(refuses_broken_chunks_after_telling_the_handler)
ON_BOTH(sends_large_answers_whole)
ON_BOTH(sends_answers_of_unknown_length)
ON_BOTH(answers_head_and_204_without_a_body)
ON_BOTH(speaks_http_1_0)
ON_BOTH(cuts_what_is_not_whole)
ON_BOTH(survives_a_client_that_goes_at_any_moment)
ON_BOTH(answers_a_client_that_has_shut_down_its_side)

static void
bounds_the_time_for_a_head(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c, *idle;
	struct answer a;
	uint64_t before = clock_monotonic_ms();

	(void)state;
	use_tls = 0;
	limits.head_timeout_ms = 200;
	limits.idle_timeout_ms = 600;
	start_with(&limits, NULL);
	c = client_new();
	idle = client_new();
	put(c, "GET / HT");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 408);
	assert_true(clock_monotonic_ms() - before >= 200);
	get_bytes(c, "<408>The request's head did not come in time.", a.length);
	expect_end(c);
	expect_end(idle);
	assert_true(clock_monotonic_ms() - before >= 600);
	client_free(c);
	client_free(idle);
	stop();
}

static void
bounds_the_time_for_a_handshake(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c;

	limits.head_timeout_ms = 200;
	start_with(&limits, *state);
	use_tls = 0;
	port = tls_port;
	c = client_new();
	assert_int_equal(fill(c), 0);
	client_free(c);
	stop();
}

static void
bounds_how_slow_a_body_may_be(void **state)
{
	struct http_limits limits = http_limits_default;
	struct http_counters counters;
	struct client *c, *reader;

	(void)state;
	use_tls = 0;
	limits.stall_ms = 300;
	limits.min_bytes_per_second = 1000;
	start_with(&limits, NULL);

	/* A body that stops, and an answer that is not read. */
	c = client_new();
	reader = client_new();
	put(reader, GET("/pieces?20000000"));
	put(c, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nab");
	expect(c, 400, "incomplete\n");
	expect_end(c);
	client_free(c);
	wait_for(&failures, 2);
	while (fill(reader) > 0)
		reader->at = reader->len;
	client_free(reader);
	http_server_counters(server, &counters);
	assert_int_equal(counters.timeouts, 2);
	stop();
}

static void
lets_a_body_that_is_fast_enough_take_its_time(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c;
	int i;

	(void)state;
	use_tls = 0;
	limits.stall_ms = 200;
	limits.min_bytes_per_second = 1000;
	start_with(&limits, NULL);
	c = client_new();
	put(c, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n");
	for (i = 0; i < 40; i++) {
		usleep(20000);
		assert_int_equal(put_bytes(c, big + i * 100, 100), 100);
	}
	expect_sum(c, 4000);
	client_free(c);
	stop();
}

static void
refuses_connections_beyond_the_limit(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c[4], *over;
	struct answer a;
	struct http_counters counters;
	int i;

	limits.connections = 4;
	for (use_tls = 0; use_tls < 2; use_tls++) {
		start_with(&limits, *state);
		for (i = 0; i < 4; i++) {
			c[i] = client_new();
			put(c[i], GET("/refuse"));
			expect(c[i], 403, "no\n");
		}
		over = client_new();
		put(over, GET("/hello"));
		assert_int_equal(get_head(over, &a), 0);
		assert_int_equal(a.status, 503);
		assert_non_null(strstr(a.head, "\r\nRetry-After: 1\r\n"));
		assert_non_null(strstr(a.head, "application/xml"));
		get_bytes(over, "<503>Too many connections", 25);
		client_free(over);
		for (i = 0; i < 4; i++) {
			put(c[i], GET("/refuse"));
			expect(c[i], 403, "no\n");
			client_free(c[i]);
		}
		http_server_counters(server, &counters);
		assert_int_equal(counters.refused, 1);
		assert_int_equal(counters.accepted, 5);
		/* There is room again, once the server has seen them go. */
		for (i = 0; i < 100; i++) {
			over = client_new();
			put(over, GET("/hello"));
			assert_int_equal(get_head(over, &a), 0);
			client_free(over);
			if (a.status == 200)
				break;
			usleep(10000);
		}
		assert_int_equal(a.status, 200);
		stop();
	}
}

static void
refuses_when_descriptors_are_exhausted(void **state)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int taken[64], n = 0, ret;
	struct rlimit old, low;
	struct client *c, *over;
	struct answer a;

	(void)state;
	use_tls = 0;
	start();
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");

	/* This process is both client and server: the client's socket first,
	 * then every other descriptor. */
	over = calloc(1, sizeof(*over));
	assert_non_null(over);
	over->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_timeout(over->fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)over->fd + 8;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 64 && (taken[n] = dup(over->fd)) != -1)
		n++;
	assert_true(n < 64);

	addr.sin_port = htons((uint16_t)port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret = connect(over->fd, (struct sockaddr *)&addr, sizeof(addr));
	if (ret == 0)
		ret = get_head(over, &a);
	while (n > 0)
		(void)close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, 0);
	assert_int_equal(a.status, 503);
	client_free(over);

	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	client_free(c);
	over = client_new();
	put(over, GET("/refuse"));
	expect(over, 403, "no\n");
	client_free(over);
	stop();
}

static void
drains_what_has_begun(void **state)
{
	struct client *idle, *busy, *partial;
	struct answer a;
	pthread_t thread;

	(void)state;
	use_tls = 0;
	start();
	idle = client_new();
	put(idle, GET("/refuse"));
	expect(idle, 403, "no\n");
	busy = client_new();
	put(busy, GET("/hold"));
	partial = client_new();
	put(partial, "GET /refuse HTTP/1.1\r\n");
	wait_for(&held, 1);
	usleep(50000);

	assert_int_equal(pthread_create(&thread, NULL,
			     (void *(*)(void *))(void (*)(void))stop, NULL),
	    0);
	expect_end(idle);
	assert_int_equal(get_head(busy, &a), 0);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	get_bytes(busy, "later\n", 6);
	expect_end(busy);
	put(partial, "Host: h\r\n\r\n");
	expect(partial, 403, "no\n");
	expect_end(partial);
	assert_int_equal(pthread_join(thread, NULL), 0);
	client_free(idle);
	client_free(busy);
	client_free(partial);
}

static void
serves_what_was_sent_before_a_drain(void **state)
{
	struct client *c[40];
	int i;

	(void)state;
	use_tls = 0;
	start();
	for (i = 0; i < 40; i++)
		c[i] = client_new();
	for (i = 0; i < 40; i++)
		put(c[i], GET("/refuse"));
	stop();
	for (i = 0; i < 40; i++) {
		expect(c[i], 403, "no\n");
		expect_end(c[i]);
		client_free(c[i]);
	}
}

static void
ends_without_having_run(void **state)
{
	struct http_listener listener = { "127.0.0.1:0", NULL, handle, &server,
		NULL };
	struct error err = ERROR_INIT;
	struct client *c;

	(void)state;
	use_tls = 0;
	server = http_server_new(2, &http_limits_default, &err);
	assert_int_equal(http_server_listen(server, &listener, &err), 0);
	port = http_server_port(server, 0);
	c = client_new();
	http_server_free(server);
	assert_int_equal(fill(c), -1);
	client_free(c);
}

static void
cuts_what_outlasts_a_drain(void **state)
{
	struct client *reader, *busy;
	struct http_counters counters;
	uint64_t before;

	(void)state;
	use_tls = 0;
	start();
	reader = client_new();
	put(reader, GET("/pieces?24000000"));
	assert_true(fill(reader) > 0);
	busy = client_new();
	put(busy, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
	usleep(50000);
	before = clock_monotonic_ms();
	http_server_drain(server, 150);
	assert_true(clock_monotonic_ms() - before >= 140);
	assert_true(clock_monotonic_ms() - before < 3000);
	assert_int_equal(failures, 2);
	assert_int_equal(finals, 2);
	http_server_counters(server, &counters);
	assert_int_equal(counters.connections, 0);
	assert_int_equal(fill(busy), -1);
	client_free(reader);
	client_free(busy);
	stop();
}

static void
listens_on_a_unix_socket(void **state)
{
	char path[] = "/tmp/holdfast-test.XXXXXX", address[64], name[48];
	struct http_listener listener = { address, NULL, handle, &server,
		NULL };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;
	struct client *c;
	struct stat st;
	int stale;

	(void)state;
	use_tls = 0;
	assert_non_null(mkdtemp(path));
	(void)snprintf(name, sizeof(name), "%s/socket", path);
	(void)snprintf(address, sizeof(address), "unix:%s", name);
	memcpy(addr.sun_path, name, strlen(name) + 1);

	/* One is left from a server that was killed. */
	stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(stale, (struct sockaddr *)&addr, sizeof(addr)), 0);
	(void)close(stale);

	server = http_server_new(2, &http_limits_default, &err);
	workers = workers_start("test", 1, &err);
	assert_int_equal(http_server_listen(server, &listener, &err), 0);
	assert_int_equal(http_server_run(server, &err), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* A second server leaves it alone. */
	struct http_server *second =
	    http_server_new(1, &http_limits_default, &err);
	assert_int_equal(http_server_listen(second, &listener, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	http_server_free(second);

	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_timeout(c->fd);
	assert_int_equal(
	    connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	put(c, GET("/file?1000000"));
	struct answer a;
	assert_int_equal(get_head(c, &a), 0);
	get_bytes(c, big, 1000000);
	put(c,
	    "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n"
	    "\r\n");
	assert_int_equal(put_bytes(c, big, 5000000), 5000000);
	expect(c, 403, "no\n");
	expect_end(c);
	client_free(c);
	stop();
	assert_int_equal(stat(name, &st), -1);
	(void)rmdir(path);
}

static void
refuses_addresses_that_are_none_or_taken(void **state)
{
	static const char *const bad[] = { "", "9000", "127.0.0.1",
		"127.0.0.1:x", "127.0.0.1:65536", "::1:9000",
		"unix:", "no.such.host.invalid:1" };
	struct http_listener listener = { NULL, NULL, handle, &server, NULL };
	struct http_server *second;
	struct error err = ERROR_INIT;
	char address[32];
	size_t i;

	(void)state;
	use_tls = 0;
	start();
	second = http_server_new(2, &http_limits_default, &err);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		listener.address = bad[i];
		assert_int_equal(
		    http_server_listen(second, &listener, &err), -1);
		assert_true(err.text[0] != '\0');
	}
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	listener.address = address;
	assert_int_equal(http_server_listen(second, &listener, &err), -1);
	assert_int_equal(err.sys, EADDRINUSE);
	http_server_free(second);
	stop();
}

static void
counts_what_it_does(void **state)
{
	struct http_counters counters;
	struct client *c;

	(void)state;
	use_tls = 0;
	start();
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	http_server_counters(server, &counters);
	assert_int_equal(counters.connections, 1);
	http_server_drain(server, 1000);
	http_server_counters(server, &counters);
	assert_int_equal(counters.connections, 0);
	assert_int_equal(counters.accepted, 1);
	assert_int_equal(counters.requests, 1);
	assert_int_equal(counters.bytes_in, strlen(GET("/refuse")));
	assert_true(counters.bytes_out > 100);
	client_free(c);
	stop();
}

static void
reloads_a_certificate_while_serving(void **state)
{
	struct tls_context *tls = *state;
	struct error err = ERROR_INIT;
	struct client *before, *after;

	use_tls = 1;
	start_with(&http_limits_default, tls);
	before = client_new();
	put(before, GET("/refuse"));
	expect(before, 403, "no\n");
	assert_int_equal(tls_context_reload(tls, 1, &err), 1);
	after = client_new();
	put(after, GET("/refuse"));
	expect(after, 403, "no\n");
	put(before, GET("/refuse"));
	expect(before, 403, "no\n");
	client_free(before);
	client_free(after);
	stop();
}

static char tls_dir[] = "/tmp/holdfast-test.XXXXXX";

static int
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

static int
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

#define BOTH(name) cmocka_unit_test(name##_plain), cmocka_unit_test(name##_tls)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(answers_with_the_headers_of_a_server),
		BOTH(keeps_a_connection_for_further_requests),
		BOTH(takes_a_request_byte_by_byte),
		BOTH(serves_pipelined_requests_in_order),
		BOTH(reads_bodies_in_rooms_of_any_size),
		BOTH(reads_chunked_bodies),
		BOTH(asks_for_a_body_only_when_it_is_read),
		BOTH(drops_a_small_body_that_nobody_read),
		BOTH(lets_a_client_with_a_large_body_see_the_refusal),
		BOTH(refuses_a_bad_head_in_the_listeners_form),
		BOTH(refuses_broken_chunks_after_telling_the_handler),
		BOTH(sends_large_answers_whole),
		BOTH(sends_answers_of_unknown_length),
		BOTH(answers_head_and_204_without_a_body),
		BOTH(speaks_http_1_0),
		BOTH(cuts_what_is_not_whole),
		BOTH(survives_a_client_that_goes_at_any_moment),
		BOTH(answers_a_client_that_has_shut_down_its_side),
		cmocka_unit_test(bounds_the_time_for_a_head),
		cmocka_unit_test(bounds_the_time_for_a_handshake),
		cmocka_unit_test(bounds_how_slow_a_body_may_be),
		cmocka_unit_test(lets_a_body_that_is_fast_enough_take_its_time),
		cmocka_unit_test(refuses_connections_beyond_the_limit),
		cmocka_unit_test(refuses_when_descriptors_are_exhausted),
		cmocka_unit_test(drains_what_has_begun),
		cmocka_unit_test(serves_what_was_sent_before_a_drain),
		cmocka_unit_test(ends_without_having_run),
		cmocka_unit_test(cuts_what_outlasts_a_drain),
		cmocka_unit_test(listens_on_a_unix_socket),
		cmocka_unit_test(refuses_addresses_that_are_none_or_taken),
		cmocka_unit_test(counts_what_it_does),
		cmocka_unit_test(reloads_a_certificate_while_serving),
	};

	return cmocka_run_group_tests_name("server", tests, set_up, tear_down);
}
