#include "tests/unit/server_fixture.h"

/* Each of these runs over plain sockets and over TLS. */

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
keeps_answers_for_a_client_that_reads_late(void)
{
	static const size_t lens[] = { 0, 100, 20000, 300000 };
	struct client *c = client_new();
	struct answer a;
	char text[64];
	size_t i;

	for (i = 0; i < 120; i++) {
		(void)snprintf(text, sizeof(text),
		    "GET /whole?%zu HTTP/1.1\r\nHost: h\r\n\r\n", lens[i % 4]);
		put(c, text);
	}
	usleep(100000);
	for (i = 0; i < 120; i++) {
		assert_int_equal(get_head(c, &a), 0);
		assert_int_equal(a.length, lens[i % 4]);
		get_bytes(c, big, a.length);
	}
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
ON_BOTH(keeps_answers_for_a_client_that_reads_late)
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

#define BOTH(name) cmocka_unit_test(name##_plain), cmocka_unit_test(name##_tls)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(answers_with_the_headers_of_a_server),
		BOTH(keeps_a_connection_for_further_requests),
		BOTH(takes_a_request_byte_by_byte),
		BOTH(serves_pipelined_requests_in_order),
		BOTH(keeps_answers_for_a_client_that_reads_late),
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
	};

	return cmocka_run_group_tests_name("server", tests, set_up, tear_down);
}
