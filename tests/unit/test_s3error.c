#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "s3api/s3error.h"

static void
every_code_has_name_status_and_sentence(void **state)
{
	struct s3_error s3err;
	enum s3_code code;

	(void)state;
	for (code = S3_ACCESS_DENIED; code < S3_CODES; code++) {
		assert_non_null(s3_code_name(code));
		assert_in_range(s3_code_status(code), 300, 599);
		assert_int_equal(s3_error_set(&s3err, code, NULL), -1);
		assert_int_equal(s3err.code, code);
		assert_true(strlen(s3err.message) > 10);
	}
	assert_string_equal(s3_code_name(S3_NO_SUCH_KEY), "NoSuchKey");
	assert_int_equal(s3_code_status(S3_NO_SUCH_KEY), 404);
	assert_int_equal(s3_code_status(S3_INVALID_RANGE), 416);
	assert_int_equal(s3_code_status(S3_PRECONDITION_FAILED), 412);
	assert_int_equal(s3_code_status(S3_MISSING_CONTENT_LENGTH), 411);
}

static void
a_sentence_of_the_caller_takes_the_place_of_the_codes_own(void **state)
{
	struct s3_error s3err;

	(void)state;
	assert_int_equal(
	    s3_error_set(&s3err, S3_INVALID_ARGUMENT, "%d is odd", 3), -1);
	assert_string_equal(s3err.message, "3 is odd");
}

static void
errors_of_the_store_keep_their_sentence(void **state)
{
	static const struct {
		enum error_kind kind;
		enum s3_code code;
	} rows[] = {
		{ ERR_DISK_FULL, S3_STORAGE_FULL },
		{ ERR_READ_ONLY, S3_STORAGE_FULL },
		{ ERR_QUOTA, S3_QUOTA_EXCEEDED },
		{ ERR_BUSY, S3_SLOW_DOWN },
		{ ERR_CLOSING, S3_SERVICE_UNAVAILABLE },
		{ ERR_NO_BUCKET, S3_NO_SUCH_BUCKET },
		{ ERR_NOT_FOUND, S3_NO_SUCH_KEY },
		{ ERR_CONDITION, S3_PRECONDITION_FAILED },
		{ ERR_CONFLICT, S3_CONDITIONAL_REQUEST_CONFLICT },
		{ ERR_DIGEST, S3_BAD_DIGEST },
		{ ERR_DAMAGED, S3_INTERNAL_ERROR },
		{ ERR_INTERNAL, S3_INTERNAL_ERROR },
		{ (enum error_kind)999, S3_INTERNAL_ERROR },
	};
	struct s3_error s3err;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		error_set(&err, rows[i].kind, "what happened");
		assert_int_equal(s3_error_from(&s3err, &err), -1);
		assert_int_equal(s3err.code, rows[i].code);
		assert_string_equal(s3err.message, "what happened");
	}
}

static void
a_full_disk_stops_clients(void **state)
{
	static const enum s3_code codes[] = { S3_STORAGE_FULL,
		S3_QUOTA_EXCEEDED };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(s3_code_status(codes[i]), 403);
		assert_string_equal(s3_code_name(codes[i]), "AccessDenied");
	}
}

static void
the_document_is_escaped(void **state)
{
	struct buffer out = BUFFER_INIT;
	struct s3_error s3err;

	(void)state;
	s3_error_set(&s3err, S3_NO_SUCH_KEY, "a < b");
	s3_error_xml(
	    &out, &s3err, SLICE_NULL, SLICE_LITERAL("/b/\"k\"&\x01"), "42");
	buffer_add(&out, "", 1);
	assert_string_equal(out.at,
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<Error><Code>NoSuchKey</Code><Message>a &lt; b</Message>"
	    "<Resource>/b/&quot;k&quot;&amp;\xef\xbf\xbd</Resource>"
	    "<RequestId>42</RequestId><HostId>holdfast</HostId></Error>");
	buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_name_status_and_sentence),
		cmocka_unit_test(
		    a_sentence_of_the_caller_takes_the_place_of_the_codes_own),
		cmocka_unit_test(errors_of_the_store_keep_their_sentence),
		cmocka_unit_test(a_full_disk_stops_clients),
		cmocka_unit_test(the_document_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
