#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "replicator/range_read.h"

static char room[8];
static struct http_call call;

static struct range_read
wanting(uint64_t offset, uint64_t len, const char *headers)
{
	buffer_clear(&call.headers_out);
	buffer_add_text(&call.headers_out, headers);
	memset(room, '.', sizeof(room));
	return (struct range_read){
		.call = &call, .offset = offset, .bytes = room, .len = len
	};
}

static void
the_range_is_taken_as_it_comes(void **state)
{
	struct range_read r = wanting(3, 4, "Content-Range: bytes 3-6/10\r\n");
	struct fault fault = FAULT_INIT;
	char text[RANGE_TEXT_BYTES];

	(void)state;
	range_text(&r, text);
	assert_string_equal(text, "bytes=3-6");
	assert_int_equal(range_take(&r, "de", 2), 0);
	assert_int_equal(range_take(&r, "fg", 2), 0);
	assert_int_equal(range_end(&r, 0, &fault), 0);
	assert_memory_equal(room, "defg....", 8);
}

static void
it_is_cut_out_of_the_whole(void **state)
{
	struct range_read r = wanting(3, 4, "");
	struct fault fault = { .kind = FAULT_RETRY };

	(void)state;
	assert_int_equal(range_take(&r, "ab", 2), 0);
	assert_int_equal(range_take(&r, "cdefghij", 8), -1);
	assert_int_equal(range_end(&r, -1, &fault), 0);
	assert_int_equal(fault.kind, FAULT_NONE);
	assert_memory_equal(room, "defg....", 8);
}

static void
another_range_is_not_taken(void **state)
{
	struct range_read r = wanting(3, 4, "Content-Range: bytes 4-7/10\r\n");
	struct fault fault = { .kind = FAULT_RETRY };

	(void)state;
	assert_int_equal(range_take(&r, "efgh", 4), -1);
	assert_int_equal(range_end(&r, -1, &fault), -1);
	assert_int_equal(fault.kind, FAULT_RETRY);
	assert_memory_equal(room, "........", 8);
}

static void
an_object_that_ends_early_is_its_own_matter(void **state)
{
	struct range_read r = wanting(3, 4, "Content-Range: bytes 3-4/5\r\n");
	struct fault fault = FAULT_INIT;

	(void)state;
	assert_int_equal(range_take(&r, "de", 2), 0);
	assert_int_equal(range_end(&r, 0, &fault), -1);
	assert_int_equal(fault.kind, FAULT_OBJECT);
	fault.status = 416;
	assert_int_equal(range_end(&r, -1, &fault), -1);
	assert_non_null(strstr(fault.text, "before byte 3"));
}

static void
what_breaks_in_the_middle_keeps_its_fault(void **state)
{
	struct range_read r = wanting(0, 4, "");
	struct fault fault = FAULT_INIT;

	(void)state;
	assert_int_equal(range_take(&r, "ab", 2), 0);
	fault_set(&fault, FAULT_RETRY, "cut");
	assert_int_equal(range_end(&r, -1, &fault), -1);
	assert_string_equal(fault.text, "cut");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_range_is_taken_as_it_comes),
		cmocka_unit_test(it_is_cut_out_of_the_whole),
		cmocka_unit_test(another_range_is_not_taken),
		cmocka_unit_test(an_object_that_ends_early_is_its_own_matter),
		cmocka_unit_test(what_breaks_in_the_middle_keeps_its_fault),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buffer_free(&call.headers_out);
	return failed;
}
