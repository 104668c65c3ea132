#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/s3metrics.h"

static const char *
name(size_t row)
{
	return row == 0 ? "GetObject" : "none";
}

static void
only_what_was_counted_is_told(void **state)
{
	struct s3metrics metrics;
	struct buffer out = BUFFER_INIT;

	(void)state;
	memset(&metrics, 0, sizeof(metrics));
	assert_int_equal(s3metrics_init(&metrics, 1), 0);
	s3metrics_count(&metrics, 0, S3_OK, 90, 1, 10);
	s3metrics_count(&metrics, 0, S3_OK, 3000, 2, 20);
	s3metrics_count(&metrics, 0, S3_NO_SUCH_KEY, 100000000, 0, 0);
	s3metrics_text(&metrics, name, &out);
	buffer_add_u8(&out, '\0');
	assert_non_null(strstr(out.at,
	    "\nholdfast_s3_requests_total{operation=\"GetObject\",code=\"OK\"} "
	    "2\n"));
	assert_non_null(
	    strstr(out.at, "{operation=\"GetObject\",code=\"NoSuchKey\"} 1\n"));
	assert_non_null(
	    strstr(out.at, "{operation=\"GetObject\",le=\"0.0001\"} 1\n"));
	assert_non_null(
	    strstr(out.at, "{operation=\"GetObject\",le=\"0.005\"} 2\n"));
	assert_non_null(
	    strstr(out.at, "{operation=\"GetObject\",le=\"60\"} 2\n"));
	assert_non_null(
	    strstr(out.at, "{operation=\"GetObject\",le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(
	    out.at, "_seconds_sum{operation=\"GetObject\"} 100.003090\n"));
	assert_non_null(
	    strstr(out.at, "_seconds_count{operation=\"GetObject\"} 3\n"));
	assert_non_null(strstr(out.at, "_received_bytes_total 3\n"));
	assert_non_null(strstr(out.at, "_sent_bytes_total 30\n"));
	assert_null(strstr(out.at, "\"none\""));
	buffer_free(&out);
	s3metrics_free(&metrics);
}

/* A series that comes twice makes Prometheus refuse all of them. */
static void
codes_of_one_name_are_one_series(void **state)
{
	static const char series[] =
	    "{operation=\"GetObject\",code=\"AccessDenied\"} ";
	struct s3metrics metrics;
	struct buffer out = BUFFER_INIT;
	const char *first;

	(void)state;
	memset(&metrics, 0, sizeof(metrics));
	assert_int_equal(s3metrics_init(&metrics, 1), 0);
	s3metrics_count(&metrics, 0, S3_QUOTA_EXCEEDED, 1, 0, 0);
	s3metrics_count(&metrics, 0, S3_STORAGE_FULL, 1, 0, 0);
	s3metrics_text(&metrics, name, &out);
	s3metrics_count(&metrics, 0, S3_ACCESS_DENIED, 1, 0, 0);
	buffer_clear(&out);
	s3metrics_text(&metrics, name, &out);
	buffer_add_u8(&out, '\0');
	first = strstr(out.at, series);
	assert_non_null(first);
	assert_int_equal(first[sizeof(series) - 1], '3');
	assert_null(strstr(first + 1, series));
	buffer_free(&out);
	s3metrics_free(&metrics);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_was_counted_is_told),
		cmocka_unit_test(codes_of_one_name_are_one_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
