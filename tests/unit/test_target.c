#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/target.h"
#include "store/record.h"

static struct target target;
static struct buffer memory;

static int
parse(const char *path, const char *query, const char *host, const char *domain)
{
	struct http_head head;
	struct s3_error s3err = S3_ERROR_INIT;

	memset(&head, 0, sizeof(head));
	head.path = slice_text(path);
	head.query = slice_text(query);
	head.host = slice_text(host);
	if (target_parse(&head, domain, &memory, &target, &s3err) == 0)
		return S3_OK;
	return (int)s3err.code;
}

static void
assert_target(const char *bucket, const char *key)
{
	assert_true(slice_is(target.bucket, bucket));
	assert_true(slice_is(target.key, key));
}

static void
a_path_names_bucket_and_key(void **state)
{
	(void)state;
	assert_int_equal(parse("/", "", "h", NULL), S3_OK);
	assert_target("", "");
	assert_int_equal(parse("/b", "", "h", NULL), S3_OK);
	assert_target("b", "");
	assert_int_equal(parse("/b/", "", "h", NULL), S3_OK);
	assert_target("b", "");
	assert_int_equal(parse("/b/k%20k/%2F+x", "", "h", NULL), S3_OK);
	assert_target("b", "k k//+x");
	buffer_free(&memory);
}

static void
dots_and_slashes_in_keys_are_names_like_any_other(void **state)
{
	(void)state;
	assert_int_equal(parse("/b//a/../.", "", "h", NULL), S3_OK);
	assert_target("b", "/a/../.");
	assert_int_equal(parse("/b/%01%0a", "", "h", NULL), S3_OK);
	assert_target("b", "\x01\n");
	buffer_free(&memory);
}

static void
a_host_below_the_domain_names_the_bucket(void **state)
{
	(void)state;
	assert_int_equal(parse("/k/l", "", "b.s3.test:9000", "s3.test"), S3_OK);
	assert_target("b", "k/l");
	assert_int_equal(parse("/", "", "my.b.S3.Test", "s3.test"), S3_OK);
	assert_target("my.b", "");
	assert_int_equal(parse("/b/k", "", "s3.test:9000", "s3.test"), S3_OK);
	assert_target("b", "k");
	assert_int_equal(parse("/b/k", "", "xs3.test", "s3.test"), S3_OK);
	assert_target("b", "k");
	assert_int_equal(parse("/b/k", "", "[::1]:9000", "s3.test"), S3_OK);
	assert_target("b", "k");
	buffer_free(&memory);
}

static void
a_path_that_cannot_be_decoded_is_refused(void **state)
{
	(void)state;
	assert_int_equal(parse("/b/%zz", "", "h", NULL), S3_INVALID_URI);
	assert_int_equal(parse("/b/%f", "", "h", NULL), S3_INVALID_URI);
	assert_int_equal(parse("/b/%ff", "", "h", NULL), S3_INVALID_URI);
	assert_int_equal(parse("/b/%ed%a0%80", "", "h", NULL), S3_INVALID_URI);
	assert_int_equal(parse("*", "", "h", NULL), S3_INVALID_URI);
	assert_int_equal(parse("//k", "", "h", NULL), S3_INVALID_BUCKET_NAME);
	assert_int_equal(parse("/b", "a=%q", "h", NULL), S3_INVALID_URI);
	buffer_free(&memory);
}

static void
a_key_has_at_most_1024_bytes(void **state)
{
	char path[KEY_MAX_BYTES + 8] = "/b/";

	(void)state;
	memset(path + 3, 'k', KEY_MAX_BYTES);
	assert_int_equal(parse(path, "", "h", NULL), S3_OK);
	assert_int_equal(target.key.len, KEY_MAX_BYTES);
	path[3 + KEY_MAX_BYTES] = 'k';
	assert_int_equal(parse(path, "", "h", NULL), S3_KEY_TOO_LONG);
	buffer_free(&memory);
}

static void
the_querys_parameters_are_decoded(void **state)
{
	struct s3_error s3err = S3_ERROR_INIT;
	uint64_t value;

	(void)state;
	assert_int_equal(
	    parse("/b", "acl&prefix=a%2Fb+c&max-keys=7&e=&&x=a=b", "h", NULL),
	    S3_OK);
	assert_true(target_has(&target, "acl"));
	assert_false(target_has(&target, "prefi"));
	assert_true(slice_is(target_get(&target, "prefix"), "a/b c"));
	assert_true(slice_is(target_get(&target, "x"), "a=b"));
	assert_int_equal(target_get(&target, "e").len, 0);
	assert_null(target_get(&target, "none").at);
	assert_int_equal(
	    target_number(&target, "max-keys", 5, 1000, &value, &s3err), 0);
	assert_int_equal(value, 7);
	assert_int_equal(
	    target_number(&target, "none", 5, 1000, &value, &s3err), 0);
	assert_int_equal(value, 5);
	assert_int_equal(
	    target_number(&target, "max-keys", 5, 3, &value, &s3err), 0);
	assert_int_equal(value, 3);
	assert_int_equal(
	    target_number(&target, "prefix", 5, 3, &value, &s3err), -1);
	assert_int_equal(s3err.code, S3_INVALID_ARGUMENT);
	buffer_free(&memory);
}

static void
too_many_parameters_are_refused(void **state)
{
	char query[3 * TARGET_PARAMS_MAX + 4];
	size_t i;

	(void)state;
	for (i = 0; i <= TARGET_PARAMS_MAX; i++)
		memcpy(query + 2 * i, "a&", 2);
	query[2 * TARGET_PARAMS_MAX] = '\0';
	assert_int_equal(parse("/b", query, "h", NULL), S3_OK);
	query[2 * TARGET_PARAMS_MAX] = 'a';
	query[2 * TARGET_PARAMS_MAX + 1] = '\0';
	assert_int_equal(parse("/b", query, "h", NULL), S3_INVALID_ARGUMENT);
	buffer_free(&memory);
}

static void
bucket_names_follow_aws_rules(void **state)
{
	const char *good[] = { "abc", "a-b.c", "0ab", "velero-backups", "1.2.3",
		"1.2.3.4.5", "192.168.5.x" };
	const char *bad[] = { "", "ab", "Abc", "-ab", "ab-", ".ab", "ab.",
		"a..b", "a_b", "192.168.5.4", "a/b",
		("0123456789012345678901234567890123456789012345678901234567890"
		 "1"
		 "23") };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(bucket_name_valid(slice_text(good[i])));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(bucket_name_valid(slice_text(bad[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_names_bucket_and_key),
		cmocka_unit_test(
		    dots_and_slashes_in_keys_are_names_like_any_other),
		cmocka_unit_test(a_host_below_the_domain_names_the_bucket),
		cmocka_unit_test(a_path_that_cannot_be_decoded_is_refused),
		cmocka_unit_test(a_key_has_at_most_1024_bytes),
		cmocka_unit_test(the_querys_parameters_are_decoded),
		cmocka_unit_test(too_many_parameters_are_refused),
		cmocka_unit_test(bucket_names_follow_aws_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
