#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"

#define TUESDAY_MS INT64_C(1795523761123) /* 2026-11-24T12:36:01.123Z */

typedef int (*parser)(const char *, size_t, int64_t *);

static void
assert_parses(parser parse, const char *text, int64_t expected)
{
	int64_t ms;

	ms = -1;
	assert_int_equal(parse(text, strlen(text), &ms), 0);
	assert_int_equal(ms, expected);
}

static void
assert_all_refused(parser parse, const char *const *texts, size_t n)
{
	int64_t ms;
	size_t i;

	for (i = 0; i < n; i++) {
		if (parse(texts[i], strlen(texts[i]), &ms) != -1)
			fail_msg("\"%s\" is taken for a time", texts[i]);
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
times_are_written_as_the_protocols_want_them(void **state)
{
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	clock_iso8601(TUESDAY_MS, text);
	assert_string_equal(text, "2026-11-24T12:36:01.123Z");
	clock_basic(TUESDAY_MS, text);
	assert_string_equal(text, "20261124T123601Z");
	clock_http_date(TUESDAY_MS, text);
	assert_string_equal(text, "Tue, 24 Nov 2026 12:36:01 GMT");
	clock_http_date(INT64_C(784111777000), text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	clock_iso8601(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	clock_iso8601(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void
times_that_need_another_digit_stay_at_the_edge(void **state)
{
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	clock_iso8601(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	clock_iso8601(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

/* The C library's calendar, over every day of ten thousand years. */
static void
every_day_agrees_with_the_c_library(void **state)
{
	char text[CLOCK_TEXT_BYTES], expected[128];
	int64_t day, ms, back;
	struct tm tm;
	time_t t;

	(void)state;
	for (day = -719528; day <= 2932896; day++) {
		ms = day * 86400000 + (day & 0xffff) * 1000;
		t = (time_t)(ms / 1000);
		assert_non_null(gmtime_r(&t, &tm));
		snprintf(expected, sizeof(expected),
		    "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
		clock_iso8601(ms, text);
		if (strcmp(text, expected) != 0)
			fail_msg("day %lld: %s, not %s", (long long)day, text,
			    expected);
		if (clock_parse_iso8601(text, strlen(text), &back) != 0 ||
		    back != ms)
			fail_msg("%s does not come back", text);
		clock_http_date(ms, text);
		if (strncmp(
			text, &"SunMonTueWedThuFriSat"[3 * tm.tm_wday], 3) != 0)
			fail_msg("%s has the wrong day of the week", text);
		if (clock_parse_http_date(text, strlen(text), &back) != 0 ||
		    back != ms)
			fail_msg("%s does not come back", text);
	}
}

static void
basic_times_are_parsed(void **state)
{
	(void)state;
	assert_parses(
	    clock_parse_basic, "20261124T123601Z", TUESDAY_MS / 1000 * 1000);
	assert_parses(clock_parse_basic, "19700101T000000Z", 0);
	assert_parses(
	    clock_parse_basic, "20240229T235959Z", INT64_C(1709251199000));
}

static void
basic_times_that_are_not_exact_are_refused(void **state)
{
	static const char *const wrong[] = { "", "20261124", "20261124T123601",
		"20261124T123601Z ", " 20261124T123601Z", "20261124t123601Z",
		"20261124T123601z", "20261324T123601Z", "20260024T123601Z",
		"20261100T123601Z", "20261131T123601Z", "20230229T123601Z",
		"21000229T000000Z", "20261124T243601Z", "20261124T126001Z",
		"20261124T123660Z", "2026112aT123601Z", "+0261124T123601Z",
		"20261124T123601+0000" };

	(void)state;
	assert_all_refused(clock_parse_basic, wrong, COUNT(wrong));
}

static void
iso_times_are_parsed_with_and_without_fraction(void **state)
{
	(void)state;
	assert_parses(
	    clock_parse_iso8601, "2026-11-24T12:36:01.123Z", TUESDAY_MS);
	assert_parses(
	    clock_parse_iso8601, "2026-11-24T12:36:01Z", TUESDAY_MS - 123);
	assert_parses(
	    clock_parse_iso8601, "2026-11-24T12:36:01.1Z", TUESDAY_MS - 23);
	assert_parses(
	    clock_parse_iso8601, "2026-11-24T12:36:01.12Z", TUESDAY_MS - 3);
	assert_parses(
	    clock_parse_iso8601, "2026-11-24T12:36:01.123999999Z", TUESDAY_MS);
}

static void
iso_times_that_are_not_exact_are_refused(void **state)
{
	static const char *const wrong[] = { "", "2026-11-24",
		"2026-11-24T12:36:01", "2026-11-24 12:36:01Z",
		"2026-11-24T12:36:01.Z", "2026-11-24T12:36:01.1234567890Z",
		"2026-11-24T12:36:01.12aZ", "2026-11-24T12:36:01,123Z",
		"2026-11-24T12:36:01+00:00", "2026-11-24T12:36:01Z0",
		"2026-11-24T12:36Z", "2026-11-24T12:36:60Z",
		"2026-1-24T12:36:01Z", "20261124T123601Z",
		"2026-02-30T00:00:00Z" };

	(void)state;
	assert_all_refused(clock_parse_iso8601, wrong, COUNT(wrong));
}

/* RFC 9110 section 5.6.7 gives one moment in its three forms. */
static void
all_three_forms_of_an_http_date_are_parsed(void **state)
{
	const int64_t moment = INT64_C(784111777000);

	(void)state;
	assert_parses(
	    clock_parse_http_date, "Sun, 06 Nov 1994 08:49:37 GMT", moment);
	assert_parses(
	    clock_parse_http_date, "Sunday, 06-Nov-94 08:49:37 GMT", moment);
	assert_parses(
	    clock_parse_http_date, "Sun Nov  6 08:49:37 1994", moment);
	assert_parses(clock_parse_http_date, "Tue Nov 24 12:36:01 2026",
	    TUESDAY_MS - 123);
}

static void
a_leap_second_is_the_next_minutes_start(void **state)
{
	(void)state;
	assert_parses(clock_parse_http_date, "Sat, 31 Dec 2016 23:59:60 GMT",
	    INT64_C(1483228800000));
}

static void
two_digits_of_a_year_mean_at_most_fifty_years_ahead(void **state)
{
	char text[64];
	struct tm tm;
	int64_t ms;
	time_t t;
	int ahead, year;

	(void)state;
	t = time(NULL);
	assert_non_null(gmtime_r(&t, &tm));
	for (ahead = -45; ahead <= 45; ahead++) {
		year = tm.tm_year + 1900 + ahead;
		snprintf(text, sizeof(text), "Monday, 01-Jan-%02d 00:00:00 GMT",
		    year % 100);
		assert_int_equal(
		    clock_parse_http_date(text, strlen(text), &ms), 0);
		clock_iso8601(ms, text);
		if (year / 100 <= (tm.tm_year + 1900) / 100)
			assert_int_equal((text[0] - '0') * 1000 +
				(text[1] - '0') * 100 + (text[2] - '0') * 10 +
				text[3] - '0',
			    year);
	}
}

static void
http_dates_that_are_not_exact_are_refused(void **state)
{
	static const char *const wrong[] = { "", "now", "0",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Son, 06 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Fri, 31 Dec 9999 23:59:60 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun,06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
		"Sunday, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT", "Sun Nov  6 08:49:37 94" };

	(void)state;
	assert_all_refused(clock_parse_http_date, wrong, COUNT(wrong));
}

static void
clocks_go_forward(void **state)
{
	uint64_t ms, us;

	(void)state;
	assert_true(clock_wall_ms() > INT64_C(1700000000000));
	ms = clock_monotonic_ms();
	us = clock_monotonic_us();
	assert_true(us / 1000 >= ms);
	assert_true(clock_monotonic_us() >= us);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_as_the_protocols_want_them),
		cmocka_unit_test(
		    times_that_need_another_digit_stay_at_the_edge),
		cmocka_unit_test(every_day_agrees_with_the_c_library),
		cmocka_unit_test(basic_times_are_parsed),
		cmocka_unit_test(basic_times_that_are_not_exact_are_refused),
		cmocka_unit_test(
		    iso_times_are_parsed_with_and_without_fraction),
		cmocka_unit_test(iso_times_that_are_not_exact_are_refused),
		cmocka_unit_test(all_three_forms_of_an_http_date_are_parsed),
		cmocka_unit_test(a_leap_second_is_the_next_minutes_start),
		cmocka_unit_test(
		    two_digits_of_a_year_mean_at_most_fifty_years_ahead),
		cmocka_unit_test(http_dates_that_are_not_exact_are_refused),
		cmocka_unit_test(clocks_go_forward),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
