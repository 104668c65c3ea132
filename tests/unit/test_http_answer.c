#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

static struct http_call
answered(int status, const char *lines)
{
	struct http_call call = { .method = "PUT", .status = status };

	buffer_add_text(&call.headers_out, lines);
	http_answer_facts(&call);
	return call;
}

static void
headers_are_found_in_any_case(void **state)
{
	struct http_call call = answered(200,
	    "HTTP/1.1 200 OK\r\nETag: \"a: b\"\r\nx-EMPTY:\r\nX-Late:  v \r\n");

	(void)state;
	assert_true(slice_is(http_call_header(&call, "etag"), "\"a: b\""));
	assert_true(slice_is(http_call_header(&call, "x-late"), "v"));
	assert_int_equal(http_call_header(&call, "x-empty").len, 0);
	assert_null(http_call_header(&call, "x-none").at);
	http_call_clear(&call);
}

static void
retry_after_is_seconds(void **state)
{
	static const struct {
		const char *line;
		uint64_t ms;
	} rows[] = {
		{ "Retry-After: 120\r\n", 120000 },
		{ "retry-after: 0\r\n", 0 },
		{ "Retry-After: 99999999999\r\n", 86400000 },
		{ "Retry-After: -5\r\n", 0 },
		{ "Retry-After: soon\r\n", 0 },
		{ "", 0 },
	};
	struct http_call call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		call = answered(503, rows[i].line);
		assert_int_equal(call.fault.retry_after_ms, rows[i].ms);
		http_call_clear(&call);
	}
}

/* The date is one of the server's clock, which need not be ours. */
static void
retry_after_is_a_date_on_the_servers_clock(void **state)
{
	struct http_call call = answered(503,
	    "Date: Tue, 24 Nov 2020 12:36:01 GMT\r\n"
	    "Retry-After: Tue, 24 Nov 2020 12:37:01 GMT\r\n");

	(void)state;
	assert_int_equal(call.fault.retry_after_ms, 60000);
	http_call_clear(&call);
}

static void
the_clocks_difference_is_measured(void **state)
{
	char date[CLOCK_TEXT_BYTES], line[100];
	struct http_call call;

	(void)state;
	clock_http_date(clock_wall_ms() + 3600000, date);
	snprintf(line, sizeof(line), "Date: %s\r\n", date);
	call = answered(200, line);
	assert_true(call.has_clock);
	assert_in_range(call.clock_offset_ms, 3598000, 3602000);
	http_call_clear(&call);
	call = answered(200, "Date: yesterday\r\n");
	assert_false(call.has_clock);
	http_call_clear(&call);
}

static void
each_providers_request_id_is_kept(void **state)
{
	static const char *const lines[] = { "x-amz-request-id: ID1\r\n",
		"x-ms-request-id: ID1\r\n", "X-GUploader-UploadID: ID1\r\n" };
	struct http_call call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		call = answered(404, lines[i]);
		assert_string_equal(call.fault.request_id, "ID1");
		assert_int_equal(call.fault.kind, FAULT_NONE);
		http_call_clear(&call);
	}
}

static void
an_answer_of_something_that_gave_up_leaves_the_fate_unknown(void **state)
{
	struct http_call call = answered(504, "");

	(void)state;
	assert_true(call.fault.fate_unknown);
	http_call_clear(&call);
	assert_false(http_status_fate("GET", 504));
	assert_false(http_status_fate("HEAD", 500));
	assert_true(http_status_fate("DELETE", 500));
	assert_true(http_status_fate("POST", 502));
	assert_false(http_status_fate("PUT", 503));
	assert_false(http_status_fate("PUT", 403));
}

static void
statuses_are_sorted(void **state)
{
	(void)state;
	assert_int_equal(http_status_fault(204), FAULT_NONE);
	assert_int_equal(http_status_fault(302), FAULT_PERSON);
	assert_int_equal(http_status_fault(401), FAULT_PERSON);
	assert_int_equal(http_status_fault(403), FAULT_PERSON);
	assert_int_equal(http_status_fault(404), FAULT_MISSING);
	assert_int_equal(http_status_fault(408), FAULT_RETRY);
	assert_int_equal(http_status_fault(412), FAULT_EXISTS);
	assert_int_equal(http_status_fault(413), FAULT_OBJECT);
	assert_int_equal(http_status_fault(429), FAULT_RETRY);
	assert_int_equal(http_status_fault(500), FAULT_RETRY);
	assert_int_equal(http_status_fault(501), FAULT_PERSON);
	assert_int_equal(http_status_fault(504), FAULT_RETRY);
}

static void
a_fault_keeps_what_was_said_and_gains_context(void **state)
{
	struct fault f = { .kind = FAULT_RETRY, .status = 503 };

	(void)state;
	assert_int_equal(fault_set(&f, FAULT_PERSON, "no %s", "bucket"), -1);
	assert_int_equal(fault_add(&f, "probing %d", 7), -1);
	assert_string_equal(f.text, "probing 7: no bucket");
	assert_int_equal(f.status, 503);
	assert_int_equal(f.kind, FAULT_PERSON);
	memset(f.text, 'x', sizeof(f.text) - 1);
	f.text[sizeof(f.text) - 1] = '\0';
	fault_add(&f, "y");
	assert_int_equal(strlen(f.text), sizeof(f.text) - 1);
	assert_string_equal(fault_kind_name(FAULT_OBJECT), "object");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_found_in_any_case),
		cmocka_unit_test(retry_after_is_seconds),
		cmocka_unit_test(retry_after_is_a_date_on_the_servers_clock),
		cmocka_unit_test(the_clocks_difference_is_measured),
		cmocka_unit_test(each_providers_request_id_is_kept),
		cmocka_unit_test(
		    an_answer_of_something_that_gave_up_leaves_the_fate_unknown),
		cmocka_unit_test(statuses_are_sorted),
		cmocka_unit_test(a_fault_keeps_what_was_said_and_gains_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
