#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "replicator/refusal.h"

static const char *const keep[] = { "retention", "hold", NULL };
static const struct refusal_row rows[] = {
	REFUSAL("Denied", FAULT_OBJECT, "Kept. %M", .words = keep),
	REFUSAL("Denied", FAULT_PERSON, "%W lacks %P on %B of %A."),
	REFUSAL("Slow", FAULT_RETRY, "Wait.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("Cold", FAULT_OBJECT, "Cold.", .flags = REFUSAL_ARCHIVED),
	REFUSAL("", FAULT_MISSING, "Gone.", .status = 404),
	REFUSAL(NULL, FAULT_PERSON, "Elsewhere (%S).", .status = 3),
	REFUSAL(NULL, FAULT_NONE, "It answered %S%D"),
};

static struct fault
sort(int status, const char *code, const char *message)
{
	static const struct refusal_names names = { "bucket", "account",
		"permission", "who" };
	struct http_call call = { .method = "GET", .status = status };
	struct refusal r = { .code = "" };
	struct fault fault;

	strncpy(r.code, code, sizeof(r.code) - 1);
	strncpy(r.message, message, sizeof(r.message) - 1);
	assert_int_equal(refusal_fault(refusal_find(rows, status, &r), &names,
			     &call, &r, &fault),
	    -1);
	return fault;
}

static void
the_first_row_that_fits_wins(void **state)
{
	struct fault f = sort(403, "Denied", "by a legal hold");

	(void)state;
	assert_int_equal(f.kind, FAULT_OBJECT);
	assert_string_equal(f.text, "Kept. by a legal hold");
	f = sort(403, "Denied", "");
	assert_int_equal(f.kind, FAULT_PERSON);
	assert_string_equal(
	    f.text, "who lacks permission on bucket of account.");
	assert_string_equal(f.code, "Denied");
}

static void
rows_match_a_status_or_its_hundred(void **state)
{
	(void)state;
	assert_int_equal(sort(404, "", "").kind, FAULT_MISSING);
	assert_string_equal(sort(307, "", "").text, "Elsewhere (307).");
	assert_string_equal(sort(404, "New", "").text, "It answered 404 New.");
}

static void
what_no_row_names_is_what_the_status_says(void **state)
{
	struct fault f = sort(503, "New", "busy");

	(void)state;
	assert_int_equal(f.kind, FAULT_RETRY);
	assert_true(f.slow_down);
	assert_string_equal(f.text, "It answered 503 New: busy");
}

static void
rows_say_what_else_is_known(void **state)
{
	(void)state;
	assert_true(sort(400, "Slow", "").slow_down);
	assert_true(sort(403, "Cold", "").archived);
	assert_false(sort(403, "Denied", "").archived);
}

static void
a_message_longer_than_a_fault_is_cut(void **state)
{
	char message[400];

	(void)state;
	memset(message, 'x', sizeof(message));
	message[sizeof(message) - 1] = '\0';
	assert_in_range(strlen(sort(400, "Unknown", message).text), 400, 511);
}

static void
the_permission_is_the_one_that_is_named(void **state)
{
	static const char *const marks[] = { "perform: ", "lacks ", NULL };
	struct refusal r = { .message =
				 "may not perform: kms:GenerateDataKey on x" };
	char room[64];

	(void)state;
	assert_string_equal(
	    refusal_permission(&r, marks, "", "s3:Put", room, sizeof(room)),
	    "kms:GenerateDataKey");
	assert_string_equal(
	    refusal_permission(&r, marks, "s3:", "s3:Put", room, sizeof(room)),
	    "s3:Put");
}

static void
text_of_an_answer_has_no_control_characters(void **state)
{
	char to[8];

	(void)state;
	refusal_take(to, sizeof(to), SLICE_LITERAL("a\r\nb\tcdefgh"));
	assert_string_equal(to, "a  b cd");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_row_that_fits_wins),
		cmocka_unit_test(rows_match_a_status_or_its_hundred),
		cmocka_unit_test(what_no_row_names_is_what_the_status_says),
		cmocka_unit_test(rows_say_what_else_is_known),
		cmocka_unit_test(a_message_longer_than_a_fault_is_cut),
		cmocka_unit_test(the_permission_is_the_one_that_is_named),
		cmocka_unit_test(text_of_an_answer_has_no_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
