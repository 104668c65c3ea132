#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

static void
an_error_has_kind_and_sentence(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(
	    error_set(&err, ERR_NOT_FOUND, "no object %s", "a/b"), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.text, "no object a/b");
	error_clear(&err);
	assert_int_equal(err.kind, ERR_NONE);
	assert_string_equal(err.text, "");
}

static void
errno_decides_the_kind_and_ends_the_sentence(void **state)
{
	static const struct {
		int errnum;
		enum error_kind kind;
	} rows[] = {
		{ ENOSPC, ERR_DISK_FULL },
		{ EDQUOT, ERR_DISK_FULL },
		{ EROFS, ERR_READ_ONLY },
		{ ENOMEM, ERR_NOMEM },
		{ EMFILE, ERR_BUSY },
		{ ENFILE, ERR_BUSY },
		{ EIO, ERR_IO },
		{ EACCES, ERR_IO },
	};
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errno = E2BIG;
		assert_int_equal(error_sys(&err, rows[i].errnum, "x"), -1);
		assert_int_equal(err.kind, rows[i].kind);
		assert_int_equal(err.sys, rows[i].errnum);
		assert_int_equal(errno, E2BIG);
	}
	error_sys(&err, ENOSPC, "cannot write %d bytes", 7);
	assert_string_equal(
	    err.text, "cannot write 7 bytes: No space left on device");
}

static void
context_goes_in_front_and_kind_stays(void **state)
{
	struct error err;

	(void)state;
	error_sys(&err, EIO, "cannot read");
	assert_int_equal(error_add(&err, "extent %d", 9), -1);
	assert_int_equal(error_add(&err, "bucket %s", "b"), -1);
	assert_string_equal(
	    err.text, "bucket b: extent 9: cannot read: Input/output error");
	assert_int_equal(err.kind, ERR_IO);
	assert_int_equal(err.sys, EIO);
}

static void
long_texts_are_cut_off_at_their_end(void **state)
{
	char text[2 * ERROR_TEXT_BYTES];
	struct error err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, ERR_INVALID, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
	error_add(&err, "bbb");
	assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
	assert_int_equal(strncmp(err.text, "bbb: aaa", 8), 0);
	memset(text, 'c', sizeof(text) - 1);
	error_add(&err, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
	error_sys(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_BYTES - 1);
}

static void
an_errors_own_text_may_be_an_argument(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERR_IO, "cause");
	error_set(&err, ERR_DAMAGED, "because of %s", err.text);
	assert_string_equal(err.text, "because of cause");
	error_add(&err, "again %s", err.text);
	assert_string_equal(
	    err.text, "again because of cause: because of cause");
}

static void
nobody_need_want_the_error(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(error_sys(NULL, EIO, "x"), -1);
	assert_int_equal(error_add(NULL, "x"), -1);
	assert_int_equal(error_nomem(NULL), -1);
	error_clear(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_kind_and_sentence),
		cmocka_unit_test(errno_decides_the_kind_and_ends_the_sentence),
		cmocka_unit_test(context_goes_in_front_and_kind_stays),
		cmocka_unit_test(long_texts_are_cut_off_at_their_end),
		cmocka_unit_test(an_errors_own_text_may_be_an_argument),
		cmocka_unit_test(nobody_need_want_the_error),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
