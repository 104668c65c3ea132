#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/range.h"

static uint64_t first, end;

static enum range_kind
parse(const char *header, uint64_t size)
{
	return range_parse(slice_text(header), size, &first, &end);
}

static void
one_range_of_bytes_is_a_part(void **state)
{
	(void)state;
	assert_int_equal(parse("bytes=0-0", 10), RANGE_PART);
	assert_int_equal(first, 0);
	assert_int_equal(end, 1);
	assert_int_equal(parse("bytes=3-", 10), RANGE_PART);
	assert_int_equal(first, 3);
	assert_int_equal(end, 10);
	assert_int_equal(parse("bytes=3-99", 10), RANGE_PART);
	assert_int_equal(end, 10);
	assert_int_equal(parse("bytes=0-18446744073709551615", 10), RANGE_PART);
	assert_int_equal(end, 10);
}

static void
a_suffix_counts_from_the_end(void **state)
{
	(void)state;
	assert_int_equal(parse("bytes=-4", 10), RANGE_PART);
	assert_int_equal(first, 6);
	assert_int_equal(end, 10);
	assert_int_equal(parse("bytes=-99", 10), RANGE_PART);
	assert_int_equal(first, 0);
	assert_int_equal(parse("bytes=-0", 10), RANGE_UNSATISFIABLE);
}

static void
a_range_behind_the_end_is_not_satisfiable(void **state)
{
	(void)state;
	assert_int_equal(parse("bytes=10-", 10), RANGE_UNSATISFIABLE);
	assert_int_equal(parse("bytes=10-20", 10), RANGE_UNSATISFIABLE);
	assert_int_equal(parse("bytes=0-0", 0), RANGE_UNSATISFIABLE);
	assert_int_equal(parse("bytes=-1", 0), RANGE_UNSATISFIABLE);
}

static void
what_is_no_single_range_is_ignored(void **state)
{
	const char *const ignored[] = { "", "bytes", "bytes=", "bytes=-",
		"bytes=a-b", "bytes=5-3", "bytes=0-1,3-4", "lines=0-1",
		"bytes= 0-1", "bytes=0-1 ", "bytes=+1-2",
		"bytes=99999999999999999999-" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		assert_int_equal(parse(ignored[i], 10), RANGE_WHOLE);
		assert_int_equal(first, 0);
		assert_int_equal(end, 10);
	}
}

static void
a_copys_range_has_both_ends_within_the_source(void **state)
{
	(void)state;
	assert_int_equal(
	    range_parse_copy(slice_text("bytes=2-9"), 10, &first, &end), 0);
	assert_int_equal(first, 2);
	assert_int_equal(end, 10);
	assert_int_equal(
	    range_parse_copy(slice_text("bytes=2-10"), 10, &first, &end), -1);
	assert_int_equal(
	    range_parse_copy(slice_text("bytes=2-"), 10, &first, &end), -1);
	assert_int_equal(
	    range_parse_copy(slice_text("bytes=5-4"), 10, &first, &end), -1);
	assert_int_equal(
	    range_parse_copy(slice_text("bytes=0-0"), 0, &first, &end), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_range_of_bytes_is_a_part),
		cmocka_unit_test(a_suffix_counts_from_the_end),
		cmocka_unit_test(a_range_behind_the_end_is_not_satisfiable),
		cmocka_unit_test(what_is_no_single_range_is_ignored),
		cmocka_unit_test(a_copys_range_has_both_ends_within_the_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
