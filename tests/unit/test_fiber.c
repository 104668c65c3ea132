#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fiber.h"

#define STACK_BYTES (64 * 1024)

static char story[64];

static void
say_twice(void *arg)
{
	strncat(story, arg, sizeof(story) - strlen(story) - 1);
	fiber_yield();
	strncat(story, arg, sizeof(story) - strlen(story) - 1);
}

static void
fibers_take_turns_and_end(void **state)
{
	struct error err = ERROR_INIT;
	struct fiber *a = fiber_new(STACK_BYTES, say_twice, "a", &err);
	struct fiber *b = fiber_new(STACK_BYTES, say_twice, "b", &err);

	(void)state;
	story[0] = '\0';
	assert_non_null(a);
	assert_non_null(b);
	fiber_resume(a);
	fiber_resume(b);
	assert_false(fiber_ended(a));
	fiber_resume(b);
	assert_true(fiber_ended(b));
	fiber_resume(a);
	assert_true(fiber_ended(a));
	assert_string_equal(story, "abba");
	fiber_free(a);
	fiber_free(b);
}

struct depth {
	unsigned calls, sum;
};

static unsigned
deep(unsigned n)
{
	volatile char room[512];

	room[0] = (char)n;
	if (n == 0)
		return 0;
	if (n % 16 == 0)
		fiber_yield();
	return deep(n - 1) + 1 + (room[0] != (char)n);
}

static void
go_deep(void *arg)
{
	struct depth *d = arg;

	d->sum = deep(d->calls);
}

static void
a_stack_is_kept_over_a_yield(void **state)
{
	struct error err = ERROR_INIT;
	struct depth d[8];
	struct fiber *f[8];
	size_t i, left = 8;

	(void)state;
	for (i = 0; i < 8; i++) {
		d[i] = (struct depth){ 60 - (unsigned)i, 0 };
		f[i] = fiber_new(4 * STACK_BYTES, go_deep, &d[i], &err);
		assert_non_null(f[i]);
	}
	while (left > 0)
		for (i = 0, left = 0; i < 8; i++)
			if (!fiber_ended(f[i])) {
				fiber_resume(f[i]);
				left++;
			}
	for (i = 0; i < 8; i++) {
		assert_int_equal(d[i].sum, d[i].calls);
		fiber_free(f[i]);
	}
}

static struct fiber *seen;

static void
look_at_current(void *arg)
{
	(void)arg;
	seen = fiber_current();
}

static void
a_fiber_knows_itself_and_a_thread_is_none(void **state)
{
	struct error err = ERROR_INIT;
	struct fiber *f = fiber_new(STACK_BYTES, look_at_current, NULL, &err);

	(void)state;
	assert_null(fiber_current());
	fiber_resume(f);
	assert_ptr_equal(seen, f);
	assert_null(fiber_current());
	fiber_free(f);
}

static void
one_that_never_ran_is_freed(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	fiber_free(fiber_new(STACK_BYTES, look_at_current, NULL, &err));
	fiber_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fibers_take_turns_and_end),
		cmocka_unit_test(a_stack_is_kept_over_a_yield),
		cmocka_unit_test(a_fiber_knows_itself_and_a_thread_is_none),
		cmocka_unit_test(one_that_never_ran_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
