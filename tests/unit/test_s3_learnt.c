#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "replicator/s3_learnt.h"

static void
a_place_has_one_for_all(void **state)
{
	struct s3_abilities *a = s3_abilities_of("host/one", 0);

	(void)state;
	assert_ptr_equal(s3_abilities_of("host/one", 0), a);
	assert_ptr_not_equal(s3_abilities_of("host/two", 0), a);
	assert_int_equal(atomic_load(&a->tags), S3_UNKNOWN);
	assert_int_equal(
	    atomic_load(&s3_abilities_of("aws/one", 1)->tags), S3_YES);
}

static void
what_is_written_is_recalled(void **state)
{
	struct s3_abilities *a = s3_abilities_of("host/kept", 0);
	char text[100];

	(void)state;
	atomic_store(&a->conditions, S3_NO);
	atomic_store(&a->encodes, S3_YES);
	s3_abilities_write(a, "host/kept", text, sizeof(text));
	assert_string_equal(text, "host/kept 0 0 1 0 0 0 2");
	s3_abilities_forget(a);
	assert_int_equal(atomic_load(&a->encodes), S3_UNKNOWN);
	s3_abilities_recall(text);
	assert_int_equal(atomic_load(&a->conditions), S3_NO);
	assert_int_equal(atomic_load(&a->encodes), S3_YES);
}

static void
another_text_teaches_nothing(void **state)
{
	static const char *const texts[] = { "", "host/odd",
		"host/odd 1 1 1 1 1 1", "host/odd 1 1 1 1 1 1 1 1",
		"host/odd 1 1 1 3 1 1 1", "host/odd 1 1 1 1 1 1 -",
		"host/odd 1,1 1 1 1 1 1" };
	struct s3_abilities *a = s3_abilities_of("host/odd", 0);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		s3_abilities_recall(texts[i]);
		assert_int_equal(atomic_load(&a->md5_etags), S3_UNKNOWN);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_has_one_for_all),
		cmocka_unit_test(what_is_written_is_recalled),
		cmocka_unit_test(another_text_teaches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
