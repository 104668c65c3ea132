#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "s3api/conditions.h"

#define ETAG "0123456789abcdef0123456789abcdef"
#define OTHER "00000000000000000000000000000000"
#define DAY_1 "Sun, 06 Nov 1994 08:49:37 GMT"
#define DAY_2 "Mon, 07 Nov 1994 08:49:37 GMT"
#define DAY_3 "Tue, 08 Nov 1994 08:49:37 GMT"
#define DAY_2_MS 784198177500 /* and half a second */

static struct object_record object;

static void
make_object(void)
{
	size_t i;

	memset(&object, 0, sizeof(object));
	for (i = 0; i < 8; i++)
		object.md5[i] = object.md5[i + 8] =
		    (uint8_t)(2 * i << 4 | (2 * i + 1));
	object.mtime_ms = DAY_2_MS;
}

static enum s3_code
read_with(const char *match, const char *none_match, const char *modified,
    const char *unmodified)
{
	struct http_head head;
	struct conditions conditions;
	const struct {
		const char *name, *value;
	} all[] = { { "if-match", match }, { "if-none-match", none_match },
		{ "if-modified-since", modified },
		{ "if-unmodified-since", unmodified } };
	size_t i;

	memset(&head, 0, sizeof(head));
	for (i = 0; i < 4; i++)
		if (all[i].value != NULL)
			head.headers[head.n_headers++] =
			    (struct http_header){ slice_text(all[i].name),
				    slice_text(all[i].value) };
	conditions_of_request(&head, &conditions);
	make_object();
	return conditions_read(&conditions, &object);
}

static void
a_tag_decides_a_read(void **state)
{
	(void)state;
	assert_int_equal(read_with(NULL, NULL, NULL, NULL), S3_OK);
	assert_int_equal(read_with("\"" ETAG "\"", NULL, NULL, NULL), S3_OK);
	assert_int_equal(read_with(ETAG, NULL, NULL, NULL), S3_OK);
	assert_int_equal(read_with("*", NULL, NULL, NULL), S3_OK);
	assert_int_equal(
	    read_with("\"x\", \"" ETAG "\"", NULL, NULL, NULL), S3_OK);
	assert_int_equal(
	    read_with(OTHER, NULL, NULL, NULL), S3_PRECONDITION_FAILED);
	assert_int_equal(read_with(NULL, ETAG, NULL, NULL), S3_NOT_MODIFIED);
	assert_int_equal(
	    read_with(NULL, "W/\"" ETAG "\"", NULL, NULL), S3_NOT_MODIFIED);
	assert_int_equal(read_with(NULL, OTHER, NULL, NULL), S3_OK);
}

static void
a_date_decides_a_read_to_the_second(void **state)
{
	(void)state;
	assert_int_equal(read_with(NULL, NULL, DAY_1, NULL), S3_OK);
	assert_int_equal(read_with(NULL, NULL, DAY_2, NULL), S3_NOT_MODIFIED);
	assert_int_equal(read_with(NULL, NULL, DAY_3, NULL), S3_NOT_MODIFIED);
	assert_int_equal(
	    read_with(NULL, NULL, NULL, DAY_1), S3_PRECONDITION_FAILED);
	assert_int_equal(read_with(NULL, NULL, NULL, DAY_2), S3_OK);
	assert_int_equal(read_with(NULL, NULL, NULL, DAY_3), S3_OK);
	assert_int_equal(read_with(NULL, NULL, "yesterday", "later"), S3_OK);
}

static void
a_tag_goes_before_a_date(void **state)
{
	(void)state;
	assert_int_equal(read_with(ETAG, NULL, NULL, DAY_1), S3_OK);
	assert_int_equal(read_with(NULL, ETAG, DAY_1, NULL), S3_NOT_MODIFIED);
	assert_int_equal(read_with(NULL, OTHER, DAY_3, NULL), S3_OK);
	assert_int_equal(
	    read_with(OTHER, ETAG, NULL, NULL), S3_PRECONDITION_FAILED);
}

static enum error_kind
write_with(const char *match, const char *none_match, int exists)
{
	struct conditions conditions;
	struct error err = ERROR_INIT;

	memset(&conditions, 0, sizeof(conditions));
	conditions.match = slice_text(match);
	conditions.none_match = slice_text(none_match);
	make_object();
	conditions_check_write(exists ? &object : NULL, &conditions, &err);
	return err.kind;
}

static void
a_write_may_ask_for_nothing_or_for_a_tag(void **state)
{
	(void)state;
	assert_int_equal(write_with("", "*", 0), ERR_NONE);
	assert_int_equal(write_with("", "*", 1), ERR_CONDITION);
	assert_int_equal(write_with(ETAG, "", 1), ERR_NONE);
	assert_int_equal(write_with("*", "", 1), ERR_NONE);
	assert_int_equal(write_with(OTHER, "", 1), ERR_CONDITION);
	assert_int_equal(write_with(ETAG, "", 0), ERR_NOT_FOUND);
	assert_int_equal(write_with("*", "", 0), ERR_NOT_FOUND);
	assert_int_equal(write_with("", OTHER, 1), ERR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tag_decides_a_read),
		cmocka_unit_test(a_date_decides_a_read_to_the_second),
		cmocka_unit_test(a_tag_goes_before_a_date),
		cmocka_unit_test(a_write_may_ask_for_nothing_or_for_a_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
