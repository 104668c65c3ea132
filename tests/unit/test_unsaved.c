#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replicator/unsaved.h"

static int
set_up(void **state)
{
	return (*state = calloc(1, sizeof(struct unsaved))) == NULL;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

static void
a_settled_key_is_unsaved_until_its_sequence_is_durable(void **state)
{
	struct unsaved *u = *state;

	unsaved_add(u, 7, 100, 50);
	assert_true(unsaved_has(u, 7, 99));
	assert_false(unsaved_has(u, 7, 100));
}

static void
a_key_that_was_settled_twice_waits_for_the_newer(void **state)
{
	struct unsaved *u = *state;

	unsaved_add(u, 7, 120, 50);
	unsaved_add(u, 7, 100, 50);
	assert_true(unsaved_has(u, 7, 119));
	assert_false(unsaved_has(u, 7, 120));
}

static void
keys_of_one_place_do_not_wait_for_one_another(void **state)
{
	struct unsaved *u = *state;
	uint32_t i;

	for (i = 0; i < UNSAVED_WAYS; i++)
		unsaved_add(u, 7 + i * UNSAVED_SETS, 100 + i, 50);
	assert_true(unsaved_has(u, 7, 50));
	assert_false(unsaved_has(u, 7 + i * UNSAVED_SETS, 50));
}

static void
more_keys_than_there_is_room_for_all_wait(void **state)
{
	struct unsaved *u = *state;
	uint32_t i;

	for (i = 0; i < 5 * UNSAVED_WAYS; i++)
		unsaved_add(u, 7 + i * UNSAVED_SETS, 100 + i, 50);
	for (i = 0; i < 5 * UNSAVED_WAYS; i++)
		assert_true(unsaved_has(u, 7 + i * UNSAVED_SETS, 100 + i - 1));
}

static void
what_is_durable_makes_room(void **state)
{
	struct unsaved *u = *state;
	uint32_t i;

	for (i = 0; i < 5 * UNSAVED_WAYS; i++)
		unsaved_add(u, 7 + i * UNSAVED_SETS, 100 + i, 100 + i - 1);
	assert_false(unsaved_has(u, 7, 100 + i - 2));
	assert_true(unsaved_has(u, 7 + (i - 1) * UNSAVED_SETS, 100 + i - 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_settled_key_is_unsaved_until_its_sequence_is_durable,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_key_that_was_settled_twice_waits_for_the_newer, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    keys_of_one_place_do_not_wait_for_one_another, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    more_keys_than_there_is_room_for_all_wait, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    what_is_durable_makes_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
