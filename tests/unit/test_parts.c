#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replicator/parts.h"

static void
runs_of_equal_sizes_come_back_one_by_one(void **state)
{
	uint64_t *sizes;

	(void)state;
	sizes = parts_sizes("5242880x3,17", 4, 3 * 5242880ULL + 17);
	assert_non_null(sizes);
	assert_int_equal(sizes[0], 5242880);
	assert_int_equal(sizes[2], 5242880);
	assert_int_equal(sizes[3], 17);
	free(sizes);
	sizes = parts_sizes("1,2,3", 3, 6);
	assert_non_null(sizes);
	assert_int_equal(sizes[1], 2);
	free(sizes);
	sizes = parts_sizes("9,0", 2, 9);
	assert_non_null(sizes);
	assert_int_equal(sizes[1], 0);
	free(sizes);
}

static void
what_does_not_come_to_the_object_is_not_believed(void **state)
{
	static const char *const wrong[] = { "", "10", "5x2", "5x3", "5,5,0",
		"5,,5", "5x,5", "x2", "5x0,5,5", "5x2,", "-5,15", "5 ,5",
		"99999999999999999999", "1x99999", "a", "5x2x1",
		"5497558138881,5" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_null(parts_sizes(wrong[i], 2, 11));
	assert_null(parts_sizes("5x2", 3, 10));
	assert_null(parts_sizes("5x2", 2, 11));
	assert_null(parts_sizes("5x2", 0, 0));
	assert_null(parts_sizes("18446744073709551615x2", 2, 10));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_of_equal_sizes_come_back_one_by_one),
		cmocka_unit_test(
		    what_does_not_come_to_the_object_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
