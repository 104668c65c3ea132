#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "s3api/awschunked.h"

/* The examples of "Transferring Payload in Multiple Chunks" in the Amazon S3
 * API Reference: 66,560 times 'a' in chunks of 64 KiB. */
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define PAYLOAD_BYTES 66560

static struct s3_error s3err;

static void
example_request(const char *seed, struct sigv4 *sig, struct sigv4_key *key)
{
	memset(sig, 0, sizeof(*sig));
	sig->date = SLICE_LITERAL("20130524");
	sig->region = SLICE_LITERAL("us-east-1");
	sig->service = SLICE_LITERAL("s3");
	strcpy(sig->time_text, "20130524T000000Z");
	assert_int_equal(hex_decode(seed, 64, sig->signature, 32), 0);
	sigv4_derive(SLICE_LITERAL(SECRET), sig, key);
}

/* Decodes text in runs of the given length. The payload's length, or -1; *ended
 * is what the last decode and the end of the body said. */
static long
decode(struct aws_chunked *c, char *text, size_t len, size_t run)
{
	size_t at, n, out, total = 0;
	char piece[131072];

	assert_true(run <= sizeof(piece));
	for (at = 0; at < len; at += n) {
		n = len - at < run ? len - at : run;
		memcpy(piece, text + at, n);
		if (aws_chunked_decode(c, piece, n, &out, &s3err) < 0)
			return -1;
		memcpy(text + total, piece, out);
		total += out;
	}
	if (aws_chunked_ended(c, &s3err) != 0)
		return -1;
	return (long)total;
}

static size_t
add(char *text, size_t len, const char *more)
{
	memcpy(text + len, more, strlen(more));
	return len + strlen(more);
}

static size_t
example_chunks(
    char *text, const char *first, const char *second, const char *last)
{
	size_t len = 0;

	len = add(text, len, "10000;chunk-signature=");
	len = add(text, len, first);
	len = add(text, len, "\r\n");
	memset(text + len, 'a', 65536);
	len = add(text, len + 65536, "\r\n400;chunk-signature=");
	len = add(text, len, second);
	len = add(text, len, "\r\n");
	memset(text + len, 'a', 1024);
	len = add(text, len + 1024, "\r\n0;chunk-signature=");
	len = add(text, len, last);
	return add(text, len, "\r\n");
}

static size_t
example_signed(char *text)
{
	return add(text,
	    example_chunks(text,
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a2886"
		"48",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef54"
		"97",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449d"
		"f9"),
	    "\r\n");
}

#define SEED "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"

static void
published_example_of_signed_chunks(void **state)
{
	static const size_t runs[] = { 1, 7, 4096, 16384, 131072 };
	struct sigv4_key key;
	struct sigv4 sig;
	struct aws_chunked *c;
	char *text = malloc(80000);
	size_t i, j, len;

	(void)state;
	example_request(SEED, &sig, &key);
	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		len = example_signed(text);
		assert_int_equal(len, 66824);
		c = aws_chunked_new(PAYLOAD_CHUNKED_SIGNED, &sig, &key,
		    PAYLOAD_BYTES, SLICE_NULL);
		assert_int_equal(decode(c, text, len, runs[i]), PAYLOAD_BYTES);
		for (j = 0; j < PAYLOAD_BYTES; j++)
			assert_true(text[j] == 'a');
		aws_chunked_free(c);
	}
	free(text);
}

static void
a_changed_byte_or_signature_is_found(void **state)
{
	static const size_t at[] = { 30, 100, 65000, 66000, 66800 };
	struct sigv4_key key;
	struct sigv4 sig;
	struct aws_chunked *c;
	char *text = malloc(80000);
	size_t i, len;

	(void)state;
	example_request(SEED, &sig, &key);
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		len = example_signed(text);
		text[at[i]] = text[at[i]] == 'a' ? 'b' : 'a';
		c = aws_chunked_new(PAYLOAD_CHUNKED_SIGNED, &sig, &key,
		    PAYLOAD_BYTES, SLICE_NULL);
		assert_int_equal(decode(c, text, len, 4096), -1);
		assert_int_equal(s3err.code, S3_SIGNATURE_DOES_NOT_MATCH);
		aws_chunked_free(c);
	}
	free(text);
}

#define TRAILER_SEED \
	"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
#define TRAILER_SIGNED \
	"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"

static size_t
example_trailer(char *text, const char *trailer)
{
	return add(text,
	    example_chunks(text,
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5a"
		"a2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5"
		"c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f9"
		"92"),
	    trailer);
}

static void
published_example_of_a_signed_trailer(void **state)
{
	/* AWS's clients; minio-go; a last line end missing; one too many. */
	static const char *const trailers[] = {
		"x-amz-checksum-crc32c:sOO8/Q==\r\n"
		"x-amz-trailer-signature:" TRAILER_SIGNED "\r\n\r\n",
		"x-amz-checksum-crc32c:sOO8/Q==\n\r\n"
		"x-amz-trailer-signature:" TRAILER_SIGNED "\r\n\r\n",
		"x-amz-checksum-crc32c: sOO8/Q==\r\n"
		"x-amz-trailer-signature: " TRAILER_SIGNED "\r\n",
		"X-Amz-Checksum-Crc32c:sOO8/Q==\r\n"
		"x-amz-trailer-signature:" TRAILER_SIGNED "\r\n\r\n\r\n",
	};
	static const size_t runs[] = { 1, 100, 131072 };
	struct sigv4_key key;
	struct sigv4 sig;
	struct aws_chunked *c;
	char *text = malloc(80000);
	size_t i, j;

	(void)state;
	example_request(TRAILER_SEED, &sig, &key);
	for (i = 0; i < sizeof(trailers) / sizeof(trailers[0]); i++) {
		for (j = 0; j < sizeof(runs) / sizeof(runs[0]); j++) {
			c = aws_chunked_new(PAYLOAD_CHUNKED_SIGNED_TRAILER,
			    &sig, &key, PAYLOAD_BYTES,
			    SLICE_LITERAL("x-amz-checksum-crc32c"));
			assert_int_equal(
			    decode(c, text, example_trailer(text, trailers[i]),
				runs[j]),
			    PAYLOAD_BYTES);
			assert_true(slice_is(
			    aws_chunked_trailer(c, "x-amz-checksum-crc32c"),
			    "sOO8/Q=="));
			assert_null(aws_chunked_trailer(c, "x-amz-other").at);
			aws_chunked_free(c);
		}
	}
	free(text);
}

static void
a_signed_trailer_that_is_not_right_is_refused(void **state)
{
	static const struct {
		const char *trailer;
		enum s3_code code;
	} rows[] = {
		{ "x-amz-checksum-crc32c:sOO8/R==\r\n"
		  "x-amz-trailer-signature:" TRAILER_SIGNED "\r\n\r\n",
		    S3_SIGNATURE_DOES_NOT_MATCH },
		{ "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n",
		    S3_MALFORMED_TRAILER },
		{ "x-amz-checksum-crc32c:sOO8/Q==\r\n", S3_MALFORMED_TRAILER },
		{ "x-amz-checksum-sha1:sOO8/Q==\r\n", S3_MALFORMED_TRAILER },
		{ "\r\n", S3_MALFORMED_TRAILER },
		{ "x-amz-checksum-crc32c:sOO8/Q==\r\n"
		  "x-amz-checksum-crc32c:sOO8/Q==\r\n",
		    S3_MALFORMED_TRAILER },
		{ "x-amz-checksum-crc32c:sOO8/Q==\r\n"
		  "x-amz-trailer-signature:00\r\n\r\n",
		    S3_MALFORMED_TRAILER },
		{ "x-amz-checksum-crc32c:sO", S3_INCOMPLETE_BODY },
	};
	struct sigv4_key key;
	struct sigv4 sig;
	struct aws_chunked *c;
	char *text = malloc(80000);
	size_t i;

	(void)state;
	example_request(TRAILER_SEED, &sig, &key);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = aws_chunked_new(PAYLOAD_CHUNKED_SIGNED_TRAILER, &sig, &key,
		    PAYLOAD_BYTES, SLICE_LITERAL("x-amz-checksum-crc32c"));
		assert_int_equal(
		    decode(
			c, text, example_trailer(text, rows[i].trailer), 1000),
		    -1);
		assert_int_equal(s3err.code, rows[i].code);
		aws_chunked_free(c);
	}
	free(text);
}

static long
unsigned_body(const char *body, uint64_t decoded_len, const char *announced,
    size_t run, char *out)
{
	struct aws_chunked *c;
	long n;

	c = aws_chunked_new(PAYLOAD_CHUNKED_UNSIGNED_TRAILER, NULL, NULL,
	    decoded_len, slice_text(announced));
	strcpy(out, body);
	s3err.code = S3_OK;
	n = decode(c, out, strlen(body), run);
	if (n >= 0)
		out[n] = '\0';
	aws_chunked_free(c);
	return n;
}

static void
unsigned_chunks_of_any_size_are_taken(void **state)
{
	static const char *const bodies[] = {
		"b\r\nhello "
		"world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
		"1\r\nh\r\n1\r\ne\r\n9\r\nllo world\r\n0\r\n"
		"x-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
		"00b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n",
		"B\r\nhello world\r\n000\r\n"
		"x-amz-checksum-crc32: DUoRhQ==\n\r\n",
	};
	char out[256];
	size_t i, run;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		for (run = 1; run < 100; run++) {
			assert_int_equal(
			    unsigned_body(bodies[i], run % 2 ? 11 : UINT64_MAX,
				"x-amz-checksum-crc32", run, out),
			    11);
			assert_string_equal(out, "hello world");
		}
}

static void
an_empty_body_has_only_its_end(void **state)
{
	struct sigv4_key key;
	struct sigv4 sig;
	struct aws_chunked *c;
	char out[256];

	(void)state;
	assert_int_equal(unsigned_body("0\r\n\r\n", 0, "", 3, out), 0);
	assert_int_equal(unsigned_body("0\r\nx-amz-checksum-crc32:AAAAAA==\r\n"
				       "\r\n",
			     0, "x-amz-checksum-crc32", 3, out),
	    0);
	example_request(SEED, &sig, &key);
	c = aws_chunked_new(PAYLOAD_CHUNKED_SIGNED, &sig, &key, 0, SLICE_NULL);
	assert_int_equal(aws_chunked_ended(c, &s3err), 0);
	aws_chunked_free(c);
	c = aws_chunked_new(PAYLOAD_CHUNKED_SIGNED, &sig, &key, 1, SLICE_NULL);
	assert_int_equal(aws_chunked_ended(c, &s3err), -1);
	assert_int_equal(s3err.code, S3_INCOMPLETE_BODY);
	aws_chunked_free(c);
}

static void
framing_that_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *body;
		uint64_t decoded_len;
		enum s3_code code;
	} rows[] = {
		{ "\r\n", 1, S3_INVALID_REQUEST },
		{ "x\r\n", 1, S3_INVALID_REQUEST },
		{ "1\na\r\n0\r\n\r\n", 1, S3_INVALID_REQUEST },
		{ "1\r\nab\r\n0\r\n\r\n", 1, S3_INVALID_REQUEST },
		{ "1\r\na\n0\r\n\r\n", 1, S3_INVALID_REQUEST },
		{ "1 \r\na\r\n0\r\n\r\n", 1, S3_INVALID_REQUEST },
		{ "1;chunk-signature=0\r\na\r\n0\r\n\r\n", 1,
		    S3_INVALID_REQUEST },
		{ "00000000000000001\r\na\r\n0\r\n\r\n", 1,
		    S3_INVALID_REQUEST },
		{ "ffffffffffffffff\r\na", 1, S3_INVALID_REQUEST },
		{ "2\r\nab\r\n0\r\n\r\n", 1, S3_INVALID_REQUEST },
		{ "1\r\na\r\n0\r\n\r\n", 2, S3_INCOMPLETE_BODY },
		{ "1\r\na\r\n", 1, S3_INCOMPLETE_BODY },
		{ "1\r\na", 1, S3_INCOMPLETE_BODY },
		{ "1\r\na\r\n0", 1, S3_INCOMPLETE_BODY },
		{ "1\r\na\r\n0\r\n\r", 1, S3_INCOMPLETE_BODY },
		{ "1\r\na\r\n0\r\n\r\nGET", 1, S3_INVALID_REQUEST },
		{ "1\r\na\r\n0\r\n\r\n\r\n\r\n", 1, S3_INVALID_REQUEST },
		{ "1\r\na\r\n0\r\na:b\r\n\r\n", 1, S3_MALFORMED_TRAILER },
		{ "1\r\na\r\n0\r\nnothing\r\n\r\n", 1, S3_MALFORMED_TRAILER },
		{ "1\r\na\r\n0\r\nx-amz-trailer-signature:00\r\n\r\n", 1,
		    S3_MALFORMED_TRAILER },
	};
	char out[256];
	size_t i, run;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (run = 1; run < 64; run++) {
			assert_int_equal(unsigned_body(rows[i].body,
					     rows[i].decoded_len, "", run, out),
			    -1);
			assert_int_equal(s3err.code, rows[i].code);
		}
}

static void
a_line_without_end_is_bounded(void **state)
{
	char body[2048], out[2048];

	(void)state;
	memset(body, '0', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	assert_int_equal(unsigned_body(body, 1, "", 10, out), -1);
	assert_int_equal(s3err.code, S3_INVALID_REQUEST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_example_of_signed_chunks),
		cmocka_unit_test(a_changed_byte_or_signature_is_found),
		cmocka_unit_test(published_example_of_a_signed_trailer),
		cmocka_unit_test(a_signed_trailer_that_is_not_right_is_refused),
		cmocka_unit_test(unsigned_chunks_of_any_size_are_taken),
		cmocka_unit_test(an_empty_body_has_only_its_end),
		cmocka_unit_test(framing_that_is_wrong_is_refused),
		cmocka_unit_test(a_line_without_end_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
