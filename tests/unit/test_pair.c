#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "console/pair.h"

static void
made_pairs_are_long_and_each_is_another(void **state)
{
	char access[PAIR_ACCESS_KEY_MAX_BYTES + 1], secret[64], other[64];

	(void)state;
	pair_make_access_key(access, sizeof(access));
	pair_make_secret(secret, sizeof(secret));
	pair_make_secret(other, sizeof(other));
	assert_int_equal(strlen(access), 20);
	assert_int_equal(strlen(secret), 43);
	assert_string_not_equal(secret, other);
	assert_int_equal(pair_check(access, secret, NULL), 0);
}

static void
a_small_room_is_not_left(void **state)
{
	char text[8];

	(void)state;
	pair_make_access_key(text, sizeof(text));
	assert_int_equal(strlen(text), 7);
	pair_make_secret(text, sizeof(text));
	assert_int_equal(strlen(text), 7);
}

static void
names_that_others_chose_are_taken(void **state)
{
	(void)state;
	assert_int_equal(pair_check("kurl", "a1b2c3d4e", NULL), 0);
	assert_int_equal(pair_check("AKIAIOSFODNN7EXAMPLE",
			     "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLE=", NULL),
	    0);
}

static void
what_a_signature_cannot_carry_is_refused(void **state)
{
	static const char *const wrong[] = { "", "a/b", "a,b", "a=b", "a b",
		"a\n", "\xc3\xa9" };
	char longer[PAIR_SECRET_MAX_BYTES + 2];
	struct error err = ERROR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(pair_check(wrong[i], "secret", &err), -1);
	assert_int_equal(pair_check("a", "", &err), -1);
	assert_int_equal(pair_check("a", "secret\n", &err), -1);
	assert_null(strstr(err.text, "secret\n"));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(pair_check("a", longer, &err), -1);
	assert_int_equal(pair_check(longer, "secret", &err), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_pairs_are_long_and_each_is_another),
		cmocka_unit_test(a_small_room_is_not_left),
		cmocka_unit_test(names_that_others_chose_are_taken),
		cmocka_unit_test(what_a_signature_cannot_carry_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
