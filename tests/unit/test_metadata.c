#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/metadata.h"
#include "store/record.h"

static struct http_head head;
static struct buffer pairs, headers;
static struct target target;

static void
begin(void)
{
	memset(&head, 0, sizeof(head));
	target.n_params = 0;
	buffer_clear(&pairs);
	buffer_clear(&headers);
}

static void
add(const char *name, const char *value)
{
	head.headers[head.n_headers++] =
	    (struct http_header){ slice_text(name), slice_text(value) };
}

static int
read_pairs(void)
{
	struct s3_error s3err = S3_ERROR_INIT;

	if (metadata_of_request(&head, &pairs, &s3err) == 0)
		return S3_OK;
	return (int)s3err.code;
}

static int
refused(const char *name, const char *value)
{
	struct s3_error s3err = S3_ERROR_INIT;

	begin();
	add(name, value);
	return metadata_refuse(&head, &s3err) == 0 ? S3_OK : (int)s3err.code;
}

static const char *
written(void)
{
	metadata_to_headers(&headers, buffer_slice(&pairs), &target);
	buffer_add_u8(&headers, '\0');
	return headers.at;
}

static int
end(void **state)
{
	(void)state;
	buffer_free(&pairs);
	buffer_free(&headers);
	return 0;
}

static void
content_headers_and_user_metadata_are_kept(void **state)
{
	begin();
	add("content-type", "text/plain");
	add("host", "h");
	add("x-amz-meta-a", "1");
	add("cache-control", "no-store");
	add("x-amz-meta-b", "");
	assert_int_equal(read_pairs(), S3_OK);
	assert_int_equal(pairs_count(buffer_slice(&pairs)), 4);
	assert_string_equal(written(),
	    "Content-Type: text/plain\r\nCache-Control: no-store\r\n"
	    "x-amz-meta-a: 1\r\nx-amz-meta-b: \r\n");
	end(state);
}

static void
without_a_content_type_it_is_binary(void **state)
{
	begin();
	assert_int_equal(read_pairs(), S3_OK);
	assert_string_equal(written(), "Content-Type: binary/octet-stream\r\n");
	end(state);
}

static void
the_aws_chunked_coding_is_not_the_objects(void **state)
{
	begin();
	add("content-encoding", "aws-chunked");
	assert_int_equal(read_pairs(), S3_OK);
	assert_null(pairs_get(buffer_slice(&pairs), "content-encoding").at);
	begin();
	add("content-encoding", "gzip, aws-chunked");
	assert_int_equal(read_pairs(), S3_OK);
	assert_true(slice_is(
	    pairs_get(buffer_slice(&pairs), "content-encoding"), "gzip"));
	end(state);
}

static void
a_repeated_name_is_one_pair(void **state)
{
	begin();
	add("x-amz-meta-a", "1");
	add("x-amz-meta-b", "2");
	add("x-amz-meta-a", "3");
	assert_int_equal(read_pairs(), S3_OK);
	assert_int_equal(pairs_count(buffer_slice(&pairs)), 2);
	assert_true(
	    slice_is(pairs_get(buffer_slice(&pairs), "x-amz-meta-a"), "1,3"));
	end(state);
}

static void
user_metadata_is_limited(void **state)
{
	static char value[METADATA_MAX_BYTES + 1];

	begin();
	memset(value, 'v', METADATA_MAX_BYTES - 1);
	add("x-amz-meta-k", value);
	assert_int_equal(read_pairs(), S3_OK);
	value[METADATA_MAX_BYTES - 1] = 'v';
	begin();
	add("x-amz-meta-k", value);
	assert_int_equal(read_pairs(), S3_METADATA_TOO_LARGE);
	end(state);
}

static void
the_query_overrides_content_headers(void **state)
{
	begin();
	add("content-type", "text/plain");
	assert_int_equal(read_pairs(), S3_OK);
	target.params[target.n_params++] =
	    (struct target_param){ SLICE_LITERAL("response-content-type"),
		    SLICE_LITERAL("a/b") };
	assert_string_equal(written(), "Content-Type: a/b\r\n");
	end(state);
}

static void
what_this_server_does_not_do_is_refused(void **state)
{
	assert_int_equal(refused("x-amz-acl", "private"), S3_OK);
	assert_int_equal(
	    refused("x-amz-acl", "public-read"), S3_NOT_IMPLEMENTED);
	assert_int_equal(
	    refused("x-amz-grant-read", "id=1"), S3_NOT_IMPLEMENTED);
	assert_int_equal(refused("x-amz-server-side-encryption", "AES256"),
	    S3_NOT_IMPLEMENTED);
	assert_int_equal(refused("x-amz-storage-class", "STANDARD"), S3_OK);
	assert_int_equal(refused("x-amz-storage-class", "GLACIER"),
	    S3_INVALID_STORAGE_CLASS);
	assert_int_equal(refused("x-amz-object-lock-mode", "COMPLIANCE"),
	    S3_INVALID_REQUEST);
	assert_int_equal(refused("x-amz-meta-a", "b"), S3_OK);
	end(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_headers_and_user_metadata_are_kept),
		cmocka_unit_test(without_a_content_type_it_is_binary),
		cmocka_unit_test(the_aws_chunked_coding_is_not_the_objects),
		cmocka_unit_test(a_repeated_name_is_one_pair),
		cmocka_unit_test(user_metadata_is_limited),
		cmocka_unit_test(the_query_overrides_content_headers),
		cmocka_unit_test(what_this_server_does_not_do_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
