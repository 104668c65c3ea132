#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "replicator/probe_row.h"

void
probe_start(struct probe_writer *w)
{
	w->started_us = clock_monotonic_us();
}

static void
write_row(struct probe_writer *w, struct probe_row *row, const char *step)
{
	snprintf(row->step, sizeof(row->step), "%s", step);
	if (row->us == 0 && row->result != PROBE_SKIPPED)
		row->us = clock_monotonic_us() - w->started_us;
	if (row->us == 0 && row->result != PROBE_SKIPPED)
		row->us = 1; /* it was looked at */
	w->visit(row, w->arg);
}

void
probe_ok(struct probe_writer *w, const char *step, const char *fmt, ...)
{
	struct probe_row row = { .result = PROBE_OK };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row.text, sizeof(row.text), fmt, ap);
	va_end(ap);
	write_row(w, &row, step);
}

void
probe_warn(struct probe_writer *w, const char *step, const char *fmt, ...)
{
	struct probe_row row = { .result = PROBE_WARNING };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row.text, sizeof(row.text), fmt, ap);
	va_end(ap);
	write_row(w, &row, step);
}

void
probe_skip(struct probe_writer *w, const char *step, const char *fmt, ...)
{
	struct probe_row row = { .result = PROBE_SKIPPED };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row.text, sizeof(row.text), fmt, ap);
	va_end(ap);
	write_row(w, &row, step);
}

void
probe_fail(struct probe_writer *w, const char *step, const struct fault *fault)
{
	struct probe_row row = { .result = PROBE_FAILED };

	snprintf(row.text, sizeof(row.text), "%s", fault->text);
	snprintf(row.code, sizeof(row.code), "%s", fault->code);
	snprintf(
	    row.request_id, sizeof(row.request_id), "%s", fault->request_id);
	if (!w->failed)
		w->first_fault = *fault;
	w->failed = 1;
	write_row(w, &row, step);
}

static void
timed_ok(
    struct probe_writer *w, const char *step, uint64_t us, const char *text)
{
	struct probe_row row = { .result = PROBE_OK, .us = us + (us == 0) };

	snprintf(row.text, sizeof(row.text), "%s", text);
	write_row(w, &row, step);
}

int
probe_network(struct probe_writer *w, const struct http_call *call, int https)
{
	static const char *const steps[] = { "resolve", "connect", "tls" };
	const uint64_t ends[] = { call->times.resolve_us,
		call->times.connect_us, call->times.tls_us };
	int failed = call->fault.kind != FAULT_NONE, stage;
	uint64_t before = 0;

	for (stage = HTTP_RESOLVE; stage <= HTTP_TLS; stage++) {
		if (failed && (int)call->stage == stage) {
			probe_fail(w, steps[stage], &call->fault);
			return -1;
		}
		if (stage == HTTP_TLS && !https) {
			probe_skip(w, steps[stage],
			    "The endpoint is http://: data and requests go in "
			    "the clear.");
			continue;
		}
		timed_ok(w, steps[stage],
		    ends[stage] > before ? ends[stage] - before : 0,
		    stage == HTTP_CONNECT ? call->peer : "");
		if (ends[stage] > before)
			before = ends[stage];
	}
	if (!failed)
		return 0;
	/* It connected and then broke. */
	probe_fail(w, "authenticate", &call->fault);
	return -1;
}
