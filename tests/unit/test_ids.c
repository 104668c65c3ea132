#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/ids.h"

static void
version_ids_go_there_and_back(void **state)
{
	char text[VERSION_TEXT_BYTES];
	struct s3_error s3err = S3_ERROR_INIT;
	uint64_t version;

	(void)state;
	version_number_text(0x1234, 0, text);
	assert_string_equal(text, "0000000000001234");
	assert_int_equal(version_parse(slice_text(text), &version, &s3err), 0);
	assert_int_equal(version, 0x1234);
	version_number_text(0x1234, 1, text);
	assert_string_equal(text, "null");
	assert_int_equal(version_parse(slice_text(text), &version, &s3err), 0);
	assert_true(version == VERSION_NULL);
	assert_int_equal(version_parse(SLICE_NULL, &version, &s3err), 0);
	assert_int_equal(version, 0);
}

static void
other_version_ids_are_refused(void **state)
{
	const char *const bad[] = { "x", "0", "0000000000000000",
		"ffffffffffffffff", "00000000000012345", "NULL",
		"000000000000123g", "" };
	struct s3_error s3err = S3_ERROR_INIT;
	uint64_t version;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    version_parse(slice_text(bad[i]), &version, &s3err), -1);
		assert_int_equal(s3err.code, S3_INVALID_ARGUMENT);
	}
}

static void
upload_ids_go_there_and_back(void **state)
{
	char text[UPLOAD_TEXT_BYTES];
	uint64_t upload, nonce;

	(void)state;
	upload_text(7, 0xfedcba9876543210, text);
	assert_int_equal(upload_parse(slice_text(text), &upload, &nonce), 0);
	assert_int_equal(upload, 7);
	assert_true(nonce == 0xfedcba9876543210);
	assert_int_equal(upload_parse(slice_text("7"), &upload, &nonce), -1);
	assert_int_equal(upload_parse(SLICE_NULL, &upload, &nonce), -1);
}

static void
tokens_carry_any_key(void **state)
{
	struct buffer token = BUFFER_INIT, key = BUFFER_INIT;
	char name[KEY_MAX_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(name); i++)
		name[i] = (char)i;
	token_add(&token, (struct slice){ name, sizeof(name) });
	assert_int_equal(token_parse(buffer_slice(&token), &key), 0);
	assert_int_equal(key.len, sizeof(name));
	assert_memory_equal(key.at, name, sizeof(name));
	buffer_clear(&token);
	buffer_clear(&key);
	token_add(&token, SLICE_NULL);
	assert_int_equal(token_parse(buffer_slice(&token), &key), 0);
	assert_int_equal(key.len, 0);
	buffer_free(&token);
	buffer_free(&key);
}

static void
foreign_tokens_are_refused(void **state)
{
	struct buffer key = BUFFER_INIT;

	(void)state;
	assert_int_equal(token_parse(slice_text("!"), &key), -1);
	assert_int_equal(token_parse(slice_text("eHg="), &key), -1);
	assert_int_equal(token_parse(slice_text(""), &key), -1);
	buffer_free(&key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_ids_go_there_and_back),
		cmocka_unit_test(other_version_ids_are_refused),
		cmocka_unit_test(upload_ids_go_there_and_back),
		cmocka_unit_test(tokens_carry_any_key),
		cmocka_unit_test(foreign_tokens_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
