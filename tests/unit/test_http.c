#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3api/http.h"

static struct http_head head;
static struct http_refusal refusal;

/* Parses a copy of exactly that many bytes, so that a sanitizer sees each step
 * beyond; the copy lives until the next call. */
static long
parse_bytes(const char *bytes, size_t len)
{
	static char *copy;

	free(copy);
	copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	memset(&refusal, 0, sizeof(refusal));
	return http_head_parse(copy, len, &head, &refusal);
}

static long
parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void
assert_slice(struct slice s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.at, text, s.len);
}

static void
takes_a_request_apart(void **state)
{
	static const char text[] =
	    "PUT /bucket/a%20key?partNumber=1&x HTTP/1.1\r\n"
	    "Host: store.example:9000\r\n"
	    "X-Amz-Date:\t 20261124T000000Z \t\r\n"
	    "Content-Length: 12\r\n"
	    "Expect: 100-Continue\r\n"
	    "Empty:\r\n"
	    "\r\nbody";

	(void)state;
	assert_int_equal(parse(text), strlen(text) - 4);
	assert_slice(head.method, "PUT");
	assert_slice(head.target, "/bucket/a%20key?partNumber=1&x");
	assert_slice(head.path, "/bucket/a%20key");
	assert_slice(head.query, "partNumber=1&x");
	assert_slice(head.host, "store.example:9000");
	assert_int_equal(head.version_minor, 1);
	assert_int_equal(head.keep_alive, 1);
	assert_int_equal(head.expect_continue, 1);
	assert_int_equal(head.chunked, 0);
	assert_int_equal(head.has_length, 1);
	assert_int_equal(head.content_length, 12);
	assert_int_equal(head.n_headers, 5);
	assert_slice(http_header_get(&head, "x-amz-date"), "20261124T000000Z");
	assert_slice(http_header_get(&head, "empty"), "");
	assert_null(http_header_get(&head, "absent").at);
}

static void
waits_for_more_at_every_byte(void **state)
{
	static const char text[] = "GET http://h:1/a/b?c HTTP/1.1\r\n"
				   "Host: h:1\r\nTransfer-Encoding: chunked\r\n"
				   "Connection: foo, close\r\n\r\n";
	size_t len = strlen(text), i;

	(void)state;
	for (i = 0; i < len; i++)
		assert_int_equal(parse_bytes(text, i), 0);
	assert_int_equal(parse_bytes(text, len), len);
	assert_slice(head.path, "/a/b");
	assert_slice(head.query, "c");
	assert_int_equal(head.chunked, 1);
	assert_int_equal(head.keep_alive, 0);
}

static void
ignores_one_empty_line_before_a_request(void **state)
{
	(void)state;
	assert_int_equal(parse("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), 29);
	assert_int_equal(parse("\r\n"), 0);
	assert_int_equal(parse("\r"), 0);
	assert_int_equal(
	    parse("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), -1);
}

static void
keeps_a_connection_alive_as_the_version_says(void **state)
{
	static const struct {
		const char *text;
		int keep_alive;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: x ,\tCLOSE\r\n\r\n",
		    0 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n",
		    1 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: "
		  "close\r\n\r\n",
		    0 },
		{ "GET / HTTP/1.0\r\n\r\n", 0 },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 1 },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
		    0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(parse(rows[i].text) > 0);
		assert_int_equal(head.keep_alive, rows[i].keep_alive);
	}
}

static void
accepts_every_form_of_target(void **state)
{
	static const struct {
		const char *text, *path, *query, *host;
	} rows[] = {
		{ "GET //x//../y HTTP/1.1\r\nHost: h\r\n\r\n", "//x//../y", "",
		    "h" },
		{ "GET /? HTTP/1.1\r\nHost:\r\n\r\n", "/", "", "" },
		{ "GET /a?b?c HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "/a", "b?c",
		    "[::1]:80" },
		{ "GET http://H:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "/", "",
		    "h:1" },
		{ "GET HTTPS://h?x HTTP/1.1\r\nHost: h\r\n\r\n", "/", "x",
		    "h" },
		{ "GET http://h/y HTTP/1.0\r\n\r\n", "/y", "", "h" },
		{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", "", "h" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(parse(rows[i].text) > 0);
		assert_slice(head.path, rows[i].path);
		assert_slice(head.query, rows[i].query);
		assert_slice(head.host, rows[i].host);
	}
	assert_true(parse("GET / HTTP/1.0\r\n\r\n") > 0);
	assert_null(head.host.at);
}

#define LINE "GET / HTTP/1.1\r\n"
#define H LINE "Host: h\r\n"

static const struct {
	const char *what;
	int status;
	const char *text;
} refused[] = {
	{ "a bare LF behind the request line", 400,
	    "GET / HTTP/1.1\nHost: h\r\n\r\n" },
	{ "a bare LF behind a header", 400, H "A: b\n\r\n" },
	{ "a bare LF as the empty line", 400, H "\n" },
	{ "a bare CR in a value", 400, H "A: b\rC: d\r\n\r\n" },
	{ "a bare CR in the request line", 400,
	    "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a line of CR CR LF", 400, H "\r\r\n\r\n" },
	{ "a NUL in a value", 400, H "A: \x01\r\n\r\n" },
	{ "DEL in a value", 400, H "A: \x7f\r\n\r\n" },
	{ "a blank before the method", 400,
	    " GET / HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "two blanks before the target", 400,
	    "GET  / HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "two blanks before the version", 400,
	    "GET /  HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a blank behind the version", 400,
	    "GET / HTTP/1.1 \r\nHost: h\r\n\r\n" },
	{ "a tab for a blank", 400, "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "no target", 400, "GET HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "HTTP/0.9", 400, "GET /\r\n\r\n" },
	{ "a fragment", 400, "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a target with a byte above ASCII", 400,
	    "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a target that is a name", 400,
	    "GET bucket HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "another scheme", 400, "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a URL without a host", 400,
	    "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a URL with a user", 400,
	    "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a URL of another host", 400,
	    "GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "'*' for another method", 400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "CONNECT", 501, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a method that is too long", 501,
	    "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABC / HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "a method that is no token", 400,
	    "G(T / HTTP/1.1\r\nHost: h\r\n\r\n" },
	{ "HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n" },
	{ "HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\n" },
	{ "a version in small letters", 400,
	    "GET / http/1.1\r\nHost: h\r\n\r\n" },
	{ "a version of two digits", 400,
	    "GET / HTTP/1.10\r\nHost: h\r\n\r\n" },
	{ "TLS on a plain port", 400, "\x16\x03\x01" },
	{ "no Host", 400, LINE "\r\n" },
	{ "two Hosts", 400, H "Host: h\r\n\r\n" },
	{ "two hosts in one", 400, LINE "Host: h, i\r\n\r\n" },
	{ "a Host with a blank", 400, LINE "Host: a b\r\n\r\n" },
	{ "a Host with a path", 400, LINE "Host: h/x\r\n\r\n" },
	{ "a Host with a user", 400, LINE "Host: u@h\r\n\r\n" },
	{ "a folded header", 400, H "A: b\r\n c\r\n\r\n" },
	{ "a folded first header", 400, LINE "\tHost: h\r\n\r\n" },
	{ "a blank before the colon", 400, H "A : b\r\n\r\n" },
	{ "a tab before the colon", 400, H "Content-Length\t: 5\r\n\r\n" },
	{ "a blank in a name", 400, H "A b: c\r\n\r\n" },
	{ "no name", 400, H ": b\r\n\r\n" },
	{ "no colon", 400, H "AB\r\n\r\n" },
	{ "a name that is no token", 400, H "A(: b\r\n\r\n" },
	{ "two lengths that agree", 400,
	    H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n" },
	{ "two lengths that do not", 400,
	    H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n" },
	{ "two lengths in one", 400, H "Content-Length: 5, 5\r\n\r\n" },
	{ "a length with a sign", 400, H "Content-Length: +5\r\n\r\n" },
	{ "a negative length", 400, H "Content-Length: -5\r\n\r\n" },
	{ "a length in hex", 400, H "Content-Length: 0x5\r\n\r\n" },
	{ "an empty length", 400, H "Content-Length:\r\n\r\n" },
	{ "a length beyond 63 bits", 400,
	    H "Content-Length: 9223372036854775808\r\n\r\n" },
	{ "a length and chunked", 400,
	    H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ "chunked and a length", 400,
	    H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" },
	{ "chunked twice", 400,
	    H "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
	      "chunked\r\n\r\n" },
	{ "chunked twice in one", 501,
	    H "Transfer-Encoding: chunked, chunked\r\n\r\n" },
	{ "another coding first", 501,
	    H "Transfer-Encoding: gzip, chunked\r\n\r\n" },
	{ "identity", 501, H "Transfer-Encoding: identity\r\n\r\n" },
	{ "a disguised chunked", 400,
	    H "Transfer-Encoding: \x0b"
	      "chunked\r\n\r\n" },
	{ "chunked with a parameter", 501,
	    H "Transfer-Encoding: chunked;q=1\r\n\r\n" },
	{ "an empty coding", 501, H "Transfer-Encoding:\r\n\r\n" },
	{ "chunked in HTTP/1.0", 400,
	    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ "another expectation", 417, H "Expect: 200-ok\r\n\r\n" },
};

static void
refuses_what_could_be_understood_in_two_ways(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (parse(refused[i].text) != -1 ||
		    refusal.status != refused[i].status)
			fail_msg(
			    "%s: status %d", refused[i].what, refusal.status);
		assert_non_null(refusal.reason);
	}
}

static void
refuses_a_nul(void **state)
{
	static const char text[] = H "A: b\0c\r\n\r\n";

	(void)state;
	assert_int_equal(parse_bytes(text, sizeof(text) - 1), -1);
	assert_int_equal(refusal.status, 400);
}

static void
bounds_a_head(void **state)
{
	char *text = malloc(HTTP_HEAD_MAX_BYTES + 100);
	size_t len, i;

	(void)state;
	assert_non_null(text);

	/* The longest that is allowed, and one byte more. */
	len = strlen(H "A: ");
	memcpy(text, H "A: ", len);
	memset(text + len, 'x', HTTP_HEAD_MAX_BYTES - len);
	memcpy(text + HTTP_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	assert_int_equal(parse_bytes(text, HTTP_HEAD_MAX_BYTES - 1), 0);
	assert_int_equal(
	    parse_bytes(text, HTTP_HEAD_MAX_BYTES), HTTP_HEAD_MAX_BYTES);
	memcpy(text + HTTP_HEAD_MAX_BYTES - 4, "x\r\n\r\n", 5);
	assert_int_equal(parse_bytes(text, HTTP_HEAD_MAX_BYTES), -1);
	assert_int_equal(refusal.status, 431);
	assert_int_equal(parse_bytes(text, HTTP_HEAD_MAX_BYTES + 1), -1);
	assert_int_equal(refusal.status, 431);

	/* A request line without an end. */
	memset(text, 'x', HTTP_HEAD_MAX_BYTES);
	memcpy(text, "GET /", 5);
	assert_int_equal(parse_bytes(text, HTTP_HEAD_MAX_BYTES), -1);
	assert_int_equal(refusal.status, 414);

	/* As many headers as are allowed, and one more. */
	len = strlen(H);
	memcpy(text, H, len);
	for (i = 1; i < HTTP_HEADERS_MAX; i++, len += 6)
		memcpy(text + len, "A: b\r\n", 6);
	memcpy(text + len, "\r\n", 2);
	assert_int_equal(parse_bytes(text, len + 2), len + 2);
	assert_int_equal(head.n_headers, HTTP_HEADERS_MAX);
	memcpy(text + len, "A: b\r\n\r\n", 8);
	assert_int_equal(parse_bytes(text, len + 8), -1);
	assert_int_equal(refusal.status, 431);
	free(text);
}

static const char chunked[] = "5\r\nhello\r\n"
			      "1;ext=\"a\"\r\n \r\n"
			      "00000F\r\nworld of chunks\r\n"
			      "000\r\nTrailer: x\r\nOther: y\r\n\r\n";
static const char dechunked[] = "hello world of chunks";

/* Decodes text in two parts, the first of `split` bytes, into rooms of a size.
 */
static void
decode_split(size_t split, size_t room)
{
	struct http_chunked d;
	size_t len = strlen(chunked), at = 0, got = 0, consumed, produced, part;
	char out[64], in[128];
	int ret = 0;

	http_chunked_init(&d);
	memcpy(in, chunked, len);
	while (ret == 0) {
		part = (at < split ? split : len) - at;
		ret = http_chunked_decode(
		    &d, in + at, part, &consumed, out + got, room, &produced);
		assert_true(consumed <= part && produced <= room);
		assert_true(consumed > 0 || produced > 0);
		at += consumed;
		got += produced;
	}
	assert_int_equal(ret, 1);
	assert_int_equal(at, len);
	assert_int_equal(got, strlen(dechunked));
	assert_memory_equal(out, dechunked, got);
}

static void
decodes_chunks_at_every_split(void **state)
{
	size_t split, room;

	(void)state;
	for (split = 0; split <= strlen(chunked); split++) {
		for (room = 1; room <= 32; room += 3)
			decode_split(split, room);
	}
}

static void
decodes_chunks_in_place(void **state)
{
	char bytes[sizeof(chunked) + 4];
	struct http_chunked d;
	size_t consumed, produced;

	(void)state;
	memcpy(bytes, chunked, strlen(chunked));
	memcpy(bytes + strlen(chunked), "next", 4);
	http_chunked_init(&d);
	assert_int_equal(http_chunked_decode(&d, bytes, strlen(chunked) + 4,
			     &consumed, bytes, sizeof(bytes), &produced),
	    1);
	assert_int_equal(consumed, strlen(chunked));
	assert_int_equal(produced, strlen(dechunked));
	assert_memory_equal(bytes, dechunked, produced);
}

static void
knows_the_end_of_chunks_without_room(void **state)
{
	struct http_chunked d;
	size_t consumed, produced;
	char out[5];

	(void)state;
	http_chunked_init(&d);
	assert_int_equal(http_chunked_decode(&d, "5\r\nhello\r\n0\r\n\r\n", 15,
			     &consumed, out, 5, &produced),
	    1);
	assert_int_equal(produced, 5);
}

static void
refuses_bad_chunks(void **state)
{
	static const char *const bad[] = { "\r\n", "g\r\n", "+5\r\n", " 5\r\n",
		"5 \r\n", "0x5\r\n", "5\nhello", "5\rhello", "5\r\nhello5",
		"5\r\nhello\n", "5\r\nhello\r5", "5;a\nhello", "5;\x01\r\n",
		"8000000000000000\r\n", "10000000000000000\r\n", "-1\r\n",
		"0\r\nA: b\n", "0\r\n A: b\r\n", "0\r\n: b\r\n", "0\r\nA: b\rx",
		"0\r\n\n", "0\r\n\rx", "0\r\nA: \x01\r\n" };
	struct http_chunked d;
	size_t consumed, produced, i;
	char out[32];

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		http_chunked_init(&d);
		if (http_chunked_decode(&d, bad[i], strlen(bad[i]), &consumed,
			out, sizeof(out), &produced) != -1)
			fail_msg("\"%s\"", bad[i]);
	}
}

static void
bounds_what_is_beside_chunks(void **state)
{
	struct http_chunked d;
	size_t consumed, produced, i;
	char out[8];
	int ret;

	(void)state;
	/* A size of zeros, an extension, and a trailer, all without end. */
	static const char *const begins[] = { "0", "1;", "0\r\nA:" };
	for (i = 0; i < 3; i++) {
		size_t fed = 0;

		http_chunked_init(&d);
		ret = http_chunked_decode(&d, begins[i], strlen(begins[i]),
		    &consumed, out, sizeof(out), &produced);
		while (ret == 0 && fed++ < 20000)
			ret = http_chunked_decode(
			    &d, "0", 1, &consumed, out, sizeof(out), &produced);
		assert_int_equal(ret, -1);
		assert_true(fed < 10000);
	}
}

static void
has_a_phrase_for_each_status(void **state)
{
	(void)state;
	assert_string_equal(http_status_phrase(404), "Not Found");
	assert_string_equal(http_status_phrase(503), "Service Unavailable");
	assert_string_equal(http_status_phrase(299), "Unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_request_apart),
		cmocka_unit_test(waits_for_more_at_every_byte),
		cmocka_unit_test(ignores_one_empty_line_before_a_request),
		cmocka_unit_test(keeps_a_connection_alive_as_the_version_says),
		cmocka_unit_test(accepts_every_form_of_target),
		cmocka_unit_test(refuses_what_could_be_understood_in_two_ways),
		cmocka_unit_test(refuses_a_nul),
		cmocka_unit_test(bounds_a_head),
		cmocka_unit_test(decodes_chunks_at_every_split),
		cmocka_unit_test(decodes_chunks_in_place),
		cmocka_unit_test(knows_the_end_of_chunks_without_room),
		cmocka_unit_test(refuses_bad_chunks),
		cmocka_unit_test(bounds_what_is_beside_chunks),
		cmocka_unit_test(has_a_phrase_for_each_status),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
