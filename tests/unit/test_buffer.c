#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buffer.h"

static void
slices_compare_by_bytes_then_length(void **state)
{
	(void)state;
	assert_true(slice_compare(slice_text("a"), slice_text("b")) < 0);
	assert_true(slice_compare(slice_text("ab"), slice_text("a")) > 0);
	assert_true(slice_compare(slice_text("\x7f"), slice_text("\x80")) < 0);
	assert_true(slice_compare(SLICE_NULL, slice_text("")) == 0);
	assert_true(slice_compare(SLICE_NULL, slice_text("a")) < 0);
	assert_true(slice_equal(SLICE_LITERAL("a\0b"), SLICE_LITERAL("a\0b")));
	assert_false(slice_equal(SLICE_LITERAL("a\0b"), SLICE_LITERAL("a\0c")));
	assert_true(slice_is(slice_text("x"), "x"));
	assert_false(slice_is(SLICE_LITERAL("x\0"), "x"));
	assert_true(slice_starts(slice_text("prefix/a"), "prefix/"));
	assert_false(slice_starts(slice_text("pre"), "prefix/"));
	assert_true(slice_starts(SLICE_NULL, ""));
}

static void
case_is_ignored_for_ascii_letters_alone(void **state)
{
	(void)state;
	assert_true(slice_is_nocase(slice_text("Content-MD5"), "content-md5"));
	assert_false(slice_is_nocase(slice_text("@"), "`"));
	assert_false(slice_is_nocase(slice_text("["), "{"));
	assert_false(slice_is_nocase(slice_text("\xc4"), "\xe4"));
	assert_false(slice_is_nocase(slice_text("ab"), "abc"));
}

static void
a_copy_ends_with_a_nul(void **state)
{
	char *copy;

	(void)state;
	copy = slice_copy((struct slice){ "abcdef", 3 });
	assert_string_equal(copy, "abc");
	free(copy);
	copy = slice_copy(SLICE_NULL);
	assert_string_equal(copy, "");
	free(copy);
}

static void
a_buffer_grows_and_keeps_what_it_holds(void **state)
{
	struct buffer b = BUFFER_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < 10000; i++)
		buffer_add_u8(&b, (uint8_t)i);
	buffer_printf(&b, "%s-%d", "end", 7);
	assert_int_equal(b.failed, 0);
	assert_int_equal(b.len, 10005);
	for (i = 0; i < 10000; i++)
		assert_int_equal((uint8_t)b.at[i], (uint8_t)i);
	assert_memory_equal(b.at + 10000, "end-7", 5);
	buffer_clear(&b);
	assert_int_equal(b.len, 0);
	buffer_add_text(&b, "new");
	assert_true(slice_is(buffer_slice(&b), "new"));
	buffer_free(&b);
	assert_null(b.at);
}

static void
an_append_that_cannot_fit_in_memory_fails_the_buffer(void **state)
{
	struct buffer b = BUFFER_INIT;

	(void)state;
	buffer_add_text(&b, "kept");
	assert_int_equal(buffer_reserve(&b, SIZE_MAX), -1);
	assert_int_equal(b.failed, 1);
	buffer_add_text(&b, "not taken");
	buffer_printf(&b, "%d", 1);
	assert_true(slice_is(buffer_slice(&b), "kept"));
	buffer_free(&b);
	assert_int_equal(b.failed, 0);
}

static void
a_reader_takes_what_a_buffer_wrote(void **state)
{
	struct buffer b = BUFFER_INIT;
	struct reader r;

	(void)state;
	buffer_add_u8(&b, 0xfe);
	buffer_add_be16(&b, 0x0102);
	buffer_add_be32(&b, 0x03040506);
	buffer_add_be64(&b, UINT64_C(0x0708090a0b0c0d0e));
	buffer_add_be16(&b, 3);
	buffer_add_text(&b, "abc");
	buffer_add_be32(&b, 2);
	buffer_add_slice(&b, SLICE_LITERAL("de"));
	buffer_add_text(&b, "rest");
	assert_memory_equal(b.at,
	    "\xfe\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e", 15);

	r = reader_of(b.at, b.len);
	assert_int_equal(reader_u8(&r), 0xfe);
	assert_int_equal(reader_be16(&r), 0x0102);
	assert_int_equal(reader_be32(&r), 0x03040506);
	assert_int_equal(reader_be64(&r), UINT64_C(0x0708090a0b0c0d0e));
	assert_true(slice_is(reader_slice16(&r), "abc"));
	assert_true(slice_is(reader_slice32(&r), "de"));
	assert_true(slice_is(reader_take(&r, 4), "rest"));
	assert_int_equal(r.len, 0);
	assert_int_equal(r.failed, 0);
	assert_int_equal(reader_take(&r, 0).len, 0);
	assert_int_equal(r.failed, 0);
	assert_int_equal(reader_u8(&r), 0);
	assert_int_equal(r.failed, 1);
	buffer_free(&b);
}

static void
a_reader_never_passes_the_end(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 1, 2, 3 };
	struct reader r;
	size_t len;

	(void)state;
	for (len = 0; len <= sizeof(bytes); len++) {
		r = reader_of(bytes, len);
		assert_null(reader_slice16(&r).at);
		assert_int_equal(r.failed, 1);
		r = reader_of(bytes, len);
		assert_null(reader_slice32(&r).at);
		assert_int_equal(r.failed, 1);
		r = reader_of(bytes, len);
		assert_int_equal(reader_be64(&r), 0);
		assert_int_equal(r.failed, 1);
	}
}

static void
after_a_failure_a_reader_answers_zero(void **state)
{
	struct reader r;

	(void)state;
	r = reader_of("\x01\x02\x03", 3);
	assert_int_equal(reader_be32(&r), 0);
	assert_int_equal(reader_u8(&r), 0);
	assert_int_equal(reader_be16(&r), 0);
	assert_null(reader_take(&r, 1).at);
	assert_null(reader_take(&r, 0).at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_compare_by_bytes_then_length),
		cmocka_unit_test(case_is_ignored_for_ascii_letters_alone),
		cmocka_unit_test(a_copy_ends_with_a_nul),
		cmocka_unit_test(a_buffer_grows_and_keeps_what_it_holds),
		cmocka_unit_test(
		    an_append_that_cannot_fit_in_memory_fails_the_buffer),
		cmocka_unit_test(a_reader_takes_what_a_buffer_wrote),
		cmocka_unit_test(a_reader_never_passes_the_end),
		cmocka_unit_test(after_a_failure_a_reader_answers_zero),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
