#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "replicator/s3_private.h"
#include "replicator/side_object.h"
#include "store/record.h"

static void
its_key_has_the_digest_and_the_version(void **state)
{
	struct buffer key = BUFFER_INIT;

	(void)state;
	side_object_key(SLICE_LITERAL("abc"), 17, &key);
	assert_true(slice_is(buffer_slice(&key),
	    "plugins/holdfast/meta/ba7816bf8f01cfea414140de5dae2223b00361a39617"
	    "7a9cb410ff61f20015ad/17.json"));
	buffer_free(&key);
}

static void
any_bytes_come_back(void **state)
{
	struct buffer attributes = BUFFER_INIT, tags = BUFFER_INIT;
	struct buffer contents = BUFFER_INIT, a = BUFFER_INIT, t = BUFFER_INIT;
	struct remote_object o = { .key = SLICE_LITERAL("k\xff"),
		.version = 3 };

	(void)state;
	pairs_add(&attributes, SLICE_LITERAL("x-amz-meta-a"),
	    SLICE_LITERAL("\xfe\x00\x01"));
	pairs_add(&attributes, SLICE_LITERAL("x-amz-meta-b"),
	    SLICE_LITERAL(" \xc3\xbc \""));
	pairs_add(&attributes, SLICE_LITERAL("x-amz-meta-c"), SLICE_NULL);
	pairs_add(&tags, SLICE_LITERAL("\xc3\xa4"), SLICE_LITERAL("<&>"));
	o.attributes = buffer_slice(&attributes);
	o.tags = buffer_slice(&tags);
	side_object_encode(&o, &contents);
	assert_false(contents.failed);
	assert_int_equal(
	    side_object_decode(buffer_slice(&contents), &a, &t), 0);
	assert_true(slice_equal(buffer_slice(&a), o.attributes));
	assert_true(slice_equal(buffer_slice(&t), o.tags));
	buffer_free(&attributes);
	buffer_free(&tags);
	buffer_free(&contents);
	buffer_free(&a);
	buffer_free(&t);
}

static void
what_is_not_understood_is_refused(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"format\":2}",
		"{\"format\":1,\"attributes\":[[1,2]],\"tags\":[]}",
		"{\"format\":1,\"attributes\":[[\"a\"]],\"tags\":[]}",
		"{\"format\":1,\"attributes\":[[\"a\",{\"base64\":\"!\"}]]}" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buffer a = BUFFER_INIT, t = BUFFER_INIT;

		assert_int_equal(
		    side_object_decode(slice_text(bad[i]), &a, &t), -1);
		buffer_free(&a);
		buffer_free(&t);
	}
}

static size_t
header_bytes(const struct buffer *headers, const char *name)
{
	return pairs_get(buffer_slice(headers), name).len;
}

static void
metadata_that_fits_needs_no_side_object(void **state)
{
	struct s3_shared shared = { .aws = 1 };
	struct buffer attributes = BUFFER_INIT, headers = BUFFER_INIT;
	struct buffer side = BUFFER_INIT;
	struct remote_object o = { .key = SLICE_LITERAL("k"), .version = 1 };

	(void)state;
	pairs_add(
	    &attributes, SLICE_LITERAL("x-amz-meta-a"), SLICE_LITERAL("b c"));
	o.attributes = buffer_slice(&attributes);
	s3_object_headers(&shared, &o, 0, &headers, &side);
	assert_int_equal(side.len, 0);
	assert_int_equal(header_bytes(&headers, "x-amz-meta-a"), 3);
	assert_true(slice_is(pairs_get(buffer_slice(&headers), "content-type"),
	    "binary/octet-stream"));
	buffer_free(&attributes);
	buffer_free(&headers);
}

/* 2,048 bytes of metadata are allowed here and there, and ours come on top. */
static void
metadata_beyond_the_limit_goes_aside(void **state)
{
	struct s3_shared shared = { .aws = 1 };
	struct buffer attributes = BUFFER_INIT, headers = BUFFER_INIT;
	struct buffer side = BUFFER_INIT;
	struct remote_object o = { .key = SLICE_LITERAL("k"), .version = 1 };
	struct slice rest, name, value;
	char long_value[2040];
	size_t used = 0;

	(void)state;
	memset(long_value, 'x', sizeof(long_value));
	pairs_add(&attributes, SLICE_LITERAL("x-amz-meta-long"),
	    (struct slice){ long_value, sizeof(long_value) });
	pairs_add(
	    &attributes, SLICE_LITERAL("x-amz-meta-s"), SLICE_LITERAL("short"));
	o.attributes = buffer_slice(&attributes);
	s3_object_headers(&shared, &o, 0, &headers, &side);
	assert_true(side.len > sizeof(long_value));
	assert_int_equal(header_bytes(&headers, "x-amz-meta-long"), 0);
	assert_int_equal(header_bytes(&headers, "x-amz-meta-s"), 5);
	assert_int_equal(header_bytes(&headers, "x-amz-meta-holdfast-side"), 1);
	rest = buffer_slice(&headers);
	while (pairs_next(&rest, &name, &value) == 1)
		if (slice_starts(name, "x-amz-meta-"))
			used += name.len - 11 + value.len;
	assert_true(used <= 2048);
	buffer_free(&attributes);
	buffer_free(&headers);
	buffer_free(&side);
}

static void
values_that_headers_change_go_aside(void **state)
{
	static const char *const odd[] = { " a", "a ", "a  b", "\xc3\xbc",
		"a\tb", "" };
	struct s3_shared shared = { .aws = 1 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct buffer attributes = BUFFER_INIT, headers = BUFFER_INIT;
		struct buffer side = BUFFER_INIT;
		struct remote_object o = { .key = SLICE_LITERAL("k") };

		pairs_add(&attributes, SLICE_LITERAL("x-amz-meta-a"),
		    slice_text(odd[i]));
		o.attributes = buffer_slice(&attributes);
		s3_object_headers(&shared, &o, 0, &headers, &side);
		assert_true(side.len > 0);
		buffer_free(&attributes);
		buffer_free(&headers);
		buffer_free(&side);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_key_has_the_digest_and_the_version),
		cmocka_unit_test(any_bytes_come_back),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(metadata_that_fits_needs_no_side_object),
		cmocka_unit_test(metadata_beyond_the_limit_goes_aside),
		cmocka_unit_test(values_that_headers_change_go_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
