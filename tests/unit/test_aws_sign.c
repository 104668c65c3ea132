#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/aws_sign.h"
#include "store/record.h"

/* The examples of "Authenticating Requests: Using the Authorization Header" in
 * the S3 API reference: one key pair, 24 May 2013, examplebucket. */
#define ID "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define HOST "examplebucket.s3.amazonaws.com"
#define EMPTY \
	"e3b0c44298fc1c149afbf4c8996fb924" \
	"27ae41e4649b934ca495991b7852b855"
#define SCOPE ID "/20130524/us-east-1/s3/aws4_request"

static void
sign(const char *method, const char *path, const char *query,
    const char *payload, const char *const *headers, const char *expected)
{
	struct buffer pairs = BUFFER_INIT, out = BUFFER_INIT;
	struct aws_keys keys = { .access_key_id = ID, .secret = SECRET };
	struct aws_request req = { .method = method,
		.path = path,
		.query = query,
		.payload = payload,
		.region = "us-east-1",
		.service = "s3" };

	assert_int_equal(
	    clock_parse_basic("20130524T000000Z", 16, &req.wall_ms), 0);
	for (; *headers != NULL; headers += 2)
		pairs_add(
		    &pairs, slice_text(headers[0]), slice_text(headers[1]));
	req.headers = buffer_slice(&pairs);
	aws_sign(&req, &keys, &out);
	buffer_add_u8(&out, '\0');
	assert_false(out.failed);
	assert_string_equal(out.at, expected);
	buffer_free(&pairs);
	buffer_free(&out);
}

static void
published_example_get_object(void **state)
{
	static const char *const headers[] = { "x-amz-date", "20130524T000000Z",
		"range", "bytes=0-9", "x-amz-content-sha256", EMPTY, "host",
		HOST, NULL };

	(void)state;
	sign("GET", "/test.txt", "", EMPTY, headers,
	    "AWS4-HMAC-SHA256 Credential=" SCOPE ", "
	    "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
	    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c"
	    "6036bdb41");
}

static void
published_example_put_object(void **state)
{
	static const char *const headers[] = { "host", HOST, "date",
		"Fri, 24 May 2013 00:00:00 GMT", "x-amz-date",
		"20130524T000000Z", "x-amz-storage-class", "REDUCED_REDUNDANCY",
		"x-amz-content-sha256",
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b0"
		"72",
		NULL };

	(void)state;
	sign("PUT", "/test%24file.text", "",
	    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	    headers,
	    "AWS4-HMAC-SHA256 Credential=" SCOPE ", "
	    "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;"
	    "x-amz-storage-class, "
	    "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af"
	    "0ece108bd");
}

static const char *const plain[] = { "host", HOST, "x-amz-content-sha256",
	EMPTY, "x-amz-date", "20130524T000000Z", NULL };

static void
published_example_of_a_parameter_without_a_value(void **state)
{
	(void)state;
	sign("GET", "/", "lifecycle", EMPTY, plain,
	    "AWS4-HMAC-SHA256 Credential=" SCOPE ", "
	    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
	    "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0"
	    "136783543");
}

static void
published_example_list_objects(void **state)
{
	(void)state;
	sign("GET", "/", "max-keys=2&prefix=J", EMPTY, plain,
	    "AWS4-HMAC-SHA256 Credential=" SCOPE ", "
	    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
	    "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711"
	    "ef69dc6f7");
}

/* Blanks around a value and several in a row are as one when signed. */
static void
blanks_of_a_value_are_folded(void **state)
{
	static const char *const folded[] = { "host", HOST, "x-amz-meta-a",
		"b c", "x-amz-date", "20130524T000000Z", NULL };
	static const char *const wide[] = { "host", HOST, "x-amz-meta-a",
		"  b   c ", "x-amz-date", "20130524T000000Z", NULL };
	struct buffer one = BUFFER_INIT, pairs = BUFFER_INIT;
	struct aws_keys keys = { .access_key_id = ID, .secret = SECRET };
	struct aws_request req = { .method = "GET",
		.path = "/",
		.query = "",
		.payload = EMPTY,
		.region = "us-east-1",
		.service = "s3",
		.wall_ms = 1369353600000 };
	size_t i;

	(void)state;
	for (i = 0; folded[i] != NULL; i += 2)
		pairs_add(
		    &pairs, slice_text(folded[i]), slice_text(folded[i + 1]));
	req.headers = buffer_slice(&pairs);
	aws_sign(&req, &keys, &one);
	buffer_add_u8(&one, '\0');
	sign("GET", "/", "", EMPTY, wide, one.at);
	buffer_free(&one);
	buffer_free(&pairs);
}

static void
keys_of_odd_bytes_are_encoded_once(void **state)
{
	static const char key[] = "a b/+\xc3\xa9%2F?&=#~\x01$!'()*";
	char text[3 * sizeof(key) + 1];

	(void)state;
	uri_encode(key, sizeof(key) - 1, 1, text);
	assert_string_equal(
	    text, "a%20b/%2B%C3%A9%252F%3F%26%3D%23~%01%24%21%27%28%29%2A");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_example_get_object),
		cmocka_unit_test(published_example_put_object),
		cmocka_unit_test(
		    published_example_of_a_parameter_without_a_value),
		cmocka_unit_test(published_example_list_objects),
		cmocka_unit_test(blanks_of_a_value_are_folded),
		cmocka_unit_test(keys_of_odd_bytes_are_encoded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
