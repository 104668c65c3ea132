#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "s3api/payload.h"
#include "tests/unit/request_head.h"

#define HELLO "hello world"
#define HELLO_MD5 "XrY7u+Ae7tCTyyK7j1rNww=="
#define HELLO_SHA256 \
	"b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
#define UNSIGNED "x-amz-content-sha256: UNSIGNED-PAYLOAD\n"
#define TRAILER "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\n"

static struct request_head request;
static struct sigv4 sig;
static struct s3_error s3err;
static struct payload payload;

static int
init(const char *headers)
{
	const struct http_head *head;
	char text[4096];

	snprintf(text, sizeof(text), "PUT /b/k HTTP/1.1\nHost: h\n%s", headers);
	head = request_head(&request, text);
	s3err.code = S3_OK;
	assert_int_equal(sigv4_parse(head, &sig, &s3err), 0);
	return payload_init(&payload, head, &sig, NULL, &s3err);
}

/* Feeds the body in runs and finishes; *out gets the payload. The code of the
 * error, or S3_OK. */
static enum s3_code
run(const char *headers, const char *body, size_t body_len, size_t each,
    char *out)
{
	size_t at, n, got, total = 0;
	int failed;

	failed = init(headers);
	for (at = 0; at < body_len && !failed; at += n) {
		n = body_len - at < each ? body_len - at : each;
		memcpy(out + total, body + at, n);
		failed = payload_feed(&payload, out + total, n, &got, &s3err);
		total += got;
	}
	if (!failed)
		failed = payload_finish(&payload, &s3err);
	out[total] = '\0';
	payload_free(&payload);
	assert_true(!failed || s3err.code != S3_OK);
	return failed ? s3err.code : S3_OK;
}

static enum s3_code
run_text(const char *headers, const char *body, size_t each, char *out)
{
	return run(headers, body, strlen(body), each, out);
}

static void
check_value(const char *base64)
{
	char text[64];

	base64_encode(payload.checksum.value,
	    checksum_bytes((enum checksum_kind)payload.checksum.kind), text);
	assert_string_equal(text, base64);
}

static void
the_etag_is_always_computed_and_nothing_else(void **state)
{
	char out[256], text[64];
	size_t each;

	(void)state;
	for (each = 1; each < 13; each++) {
		assert_int_equal(
		    run_text(UNSIGNED "Content-Length: 11\n", HELLO, each, out),
		    S3_OK);
		assert_string_equal(out, HELLO);
		base64_encode(payload.md5, 16, text);
		assert_string_equal(text, HELLO_MD5);
		assert_int_equal(payload.checksum.kind, CHECKSUM_NONE);
		assert_int_equal(payload.length, 11);
	}
	assert_int_equal(
	    run_text(UNSIGNED "Content-Length: 0\n", "", 1, out), S3_OK);
	base64_encode(payload.md5, 16, text);
	assert_string_equal(text, "1B2M2Y8AsgTpgAmY7PhCfg==");
}

static const struct {
	const char *header, *name, *value;
	enum checksum_kind kind;
} sums[] = {
	{ "x-amz-checksum-crc32", "CRC32", "DUoRhQ==", CHECKSUM_CRC32 },
	{ "x-amz-checksum-crc32c", "CRC32C", "yZRlqg==", CHECKSUM_CRC32C },
	{ "x-amz-checksum-crc64nvme", "CRC64NVME",
	    "jSnVw/bqjr4=", CHECKSUM_CRC64NVME },
	{ "x-amz-checksum-sha1", "SHA1",
	    "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", CHECKSUM_SHA1 },
	{ "x-amz-checksum-sha256", "SHA256",
	    "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", CHECKSUM_SHA256 },
};
#define SUMS (sizeof(sums) / sizeof(sums[0]))

static void
each_checksum_is_checked_in_header_and_trailer(void **state)
{
	char headers[512], body[512], out[512];
	size_t i, each;

	(void)state;
	for (i = 0; i < SUMS; i++)
		for (each = 1; each < 120; each += 5) {
			snprintf(headers, sizeof(headers),
			    UNSIGNED "Content-Length: 11\n%s: %s\n"
				     "x-amz-sdk-checksum-algorithm: %s\n",
			    sums[i].header, sums[i].value, sums[i].name);
			assert_int_equal(
			    run_text(headers, HELLO, each, out), S3_OK);
			assert_int_equal(payload.checksum.kind, sums[i].kind);
			check_value(sums[i].value);
			assert_int_equal(
			    run_text(headers, "hello worle", each, out),
			    S3_BAD_DIGEST);

			snprintf(headers, sizeof(headers),
			    TRAILER "Content-Length: 99\nx-amz-trailer: %s\n"
				    "x-amz-decoded-content-length: 11\n",
			    sums[i].header);
			snprintf(body, sizeof(body),
			    "5\r\nhello\r\n6\r\n world\r\n0\r\n%s:%s\r\n\r\n",
			    sums[i].header, sums[i].value);
			assert_int_equal(
			    run_text(headers, body, each, out), S3_OK);
			assert_string_equal(out, HELLO);
			check_value(sums[i].value);
			body[4] = 'j';
			assert_int_equal(
			    run_text(headers, body, each, out), S3_BAD_DIGEST);
		}
}

static void
an_algorithm_alone_is_computed_and_kept(void **state)
{
	char headers[512], out[512];
	size_t i;

	(void)state;
	for (i = 0; i < SUMS; i++) {
		snprintf(headers, sizeof(headers),
		    UNSIGNED "Content-Length: 11\n"
			     "x-amz-sdk-checksum-algorithm: %s\n",
		    sums[i].name);
		assert_int_equal(run_text(headers, HELLO, 4, out), S3_OK);
		assert_int_equal(payload.checksum.kind, sums[i].kind);
		check_value(sums[i].value);
	}
	assert_int_equal(init(UNSIGNED "Content-Length: 0\n"), 0);
	payload_want(&payload, CHECKSUM_CRC32);
	assert_int_equal(payload_finish(&payload, &s3err), 0);
	check_value("AAAAAA==");
	payload_free(&payload);
}

static void
the_signed_hash_and_the_md5_are_checked(void **state)
{
	char out[256];
	size_t each;

	(void)state;
	for (each = 1; each < 13; each++) {
		assert_int_equal(
		    run_text("x-amz-content-sha256: " HELLO_SHA256
			     "\nContent-Length: 11\nContent-MD5: " HELLO_MD5
			     "\n",
			HELLO, each, out),
		    S3_OK);
		assert_int_equal(run_text("x-amz-content-sha256: " HELLO_SHA256
					  "\nContent-Length: 11\n",
				     "hello worle", each, out),
		    S3_UNSIGNED_CONTENT);
		assert_int_equal(
		    run_text(UNSIGNED "Content-Length: 11\n"
				      "Content-MD5: " HELLO_MD5 "\n",
			"hello worle", each, out),
		    S3_BAD_DIGEST);
	}
}

static void
large_bodies_pass_in_slices(void **state)
{
	const size_t len = 1000000;
	char *body = malloc(len), *out = malloc(len + 1);
	uint8_t md5[MD5_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < len; i++)
		body[i] = (char)(i * 2654435761u >> 13);
	digest_once(DIGEST_MD5, body, len, md5);
	assert_int_equal(
	    run(UNSIGNED "Content-Length: 1000000\n", body, len, 300001, out),
	    S3_OK);
	assert_memory_equal(out, body, len);
	assert_memory_equal(payload.md5, md5, MD5_BYTES);
	assert_int_equal(run(UNSIGNED "Transfer-Encoding: chunked\n"
				      "x-amz-sdk-checksum-algorithm: SHA256\n",
			     body, len, 16384, out),
	    S3_OK);
	assert_memory_equal(payload.md5, md5, MD5_BYTES);
	free(body);
	free(out);
}

static void
large_chunked_bodies_come_out_whole(void **state)
{
	const size_t len = 200000;
	char *body = malloc(2 * len), *out = malloc(2 * len), *plain;
	size_t at, n, total = 0, each;
	uint8_t md5[MD5_BYTES];

	(void)state;
	plain = malloc(len);
	for (at = 0; at < len; at++)
		plain[at] = (char)(at * 2654435761u >> 11);
	for (at = 0; at < len; at += n) {
		n = 1 + at * 7 % 30000;
		n = len - at < n ? len - at : n;
		total += (size_t)sprintf(body + total, "%zx\r\n", n);
		memcpy(body + total, plain + at, n);
		total += n;
		total += (size_t)sprintf(body + total, "\r\n");
	}
	total += (size_t)sprintf(body + total, "0\r\n\r\n");
	digest_once(DIGEST_MD5, plain, len, md5);
	for (each = 1000; each < 400000; each *= 3) {
		assert_int_equal(run(TRAILER "Transfer-Encoding: chunked\n"
					     "x-amz-decoded-content-length: "
					     "200000\n",
				     body, total, each, out),
		    S3_OK);
		assert_memory_equal(out, plain, len);
		assert_memory_equal(payload.md5, md5, MD5_BYTES);
	}
	free(plain);
	free(body);
	free(out);
}

static void
headers_that_are_wrong_are_refused_before_the_body(void **state)
{
	static const struct {
		const char *headers;
		enum s3_code code;
	} rows[] = {
		{ UNSIGNED, S3_MISSING_CONTENT_LENGTH },
		{ TRAILER, S3_MISSING_CONTENT_LENGTH },
		{ UNSIGNED "Content-Length: 5368709121\n",
		    S3_ENTITY_TOO_LARGE },
		{ TRAILER "Content-Length: 1\n"
			  "x-amz-decoded-content-length: 5368709121\n",
		    S3_ENTITY_TOO_LARGE },
		{ TRAILER "Content-Length: 1\n"
			  "x-amz-decoded-content-length: x\n",
		    S3_INVALID_ARGUMENT },
		{ UNSIGNED "Content-Length: 1\nContent-MD5: x\n",
		    S3_INVALID_DIGEST },
		{ UNSIGNED "Content-Length: 1\nContent-MD5: DUoRhQ==\n",
		    S3_INVALID_DIGEST },
		{ UNSIGNED "Content-Length: 1\nContent-MD5:\n",
		    S3_INVALID_DIGEST },
		{ UNSIGNED "Content-Length: 1\nx-amz-checksum-crc32: x\n",
		    S3_INVALID_REQUEST },
		{ UNSIGNED "Content-Length: 1\nx-amz-checksum-md4: DUoRhQ==\n",
		    S3_INVALID_REQUEST },
		{ UNSIGNED "Content-Length: 1\nx-amz-checksum-crc32: DUoRhQ==\n"
			   "x-amz-checksum-crc32c: yZRlqg==\n",
		    S3_INVALID_REQUEST },
		{ UNSIGNED "Content-Length: 1\nx-amz-checksum-crc32: DUoRhQ==\n"
			   "x-amz-sdk-checksum-algorithm: CRC32C\n",
		    S3_INVALID_REQUEST },
		{ UNSIGNED "Content-Length: 1\n"
			   "x-amz-sdk-checksum-algorithm: MD4\n",
		    S3_INVALID_REQUEST },
		{ UNSIGNED "Content-Length: 1\n"
			   "x-amz-trailer: x-amz-checksum-crc32\n",
		    S3_INVALID_REQUEST },
		{ TRAILER "Content-Length: 1\nx-amz-trailer: x-other\n",
		    S3_INVALID_REQUEST },
		{ TRAILER "Content-Length: 1\nx-amz-trailer: "
			  "x-amz-checksum-crc32, x-amz-checksum-sha1\n",
		    S3_INVALID_REQUEST },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(init(rows[i].headers), -1);
		assert_int_equal(s3err.code, rows[i].code);
		payload_free(&payload);
	}
	assert_int_equal(init(UNSIGNED "Content-Length: 5368709120\n"), 0);
	payload_free(&payload);
}

static void
a_body_of_another_length_is_refused(void **state)
{
	char out[256];

	(void)state;
	assert_int_equal(
	    run_text(UNSIGNED "Content-Length: 12\n", HELLO, 4, out),
	    S3_INCOMPLETE_BODY);
	assert_int_equal(
	    run_text(UNSIGNED "Content-Length: 10\n", HELLO, 4, out),
	    S3_INVALID_REQUEST);
	assert_int_equal(run_text(TRAILER "Content-Length: 99\n"
					  "x-amz-decoded-content-length: 11\n",
			     "b\r\nhello world\r\n", 4, out),
	    S3_INCOMPLETE_BODY);
	assert_int_equal(
	    run_text(TRAILER "Content-Length: 99\n"
			     "x-amz-trailer: x-amz-checksum-crc32\n",
		"b\r\nhello world\r\n0\r\n\r\n", 4, out),
	    S3_MALFORMED_TRAILER);
	assert_int_equal(
	    run_text(TRAILER "Content-Length: 99\n"
			     "x-amz-trailer: x-amz-checksum-crc32\n",
		"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:x\r\n\r\n", 4,
		out),
	    S3_INVALID_REQUEST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_etag_is_always_computed_and_nothing_else),
		cmocka_unit_test(
		    each_checksum_is_checked_in_header_and_trailer),
		cmocka_unit_test(an_algorithm_alone_is_computed_and_kept),
		cmocka_unit_test(the_signed_hash_and_the_md5_are_checked),
		cmocka_unit_test(large_bodies_pass_in_slices),
		cmocka_unit_test(large_chunked_bodies_come_out_whole),
		cmocka_unit_test(
		    headers_that_are_wrong_are_refused_before_the_body),
		cmocka_unit_test(a_body_of_another_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
