#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

#define RETRY_AFTER_MAX_S (24 * 3600)

static struct slice
trim(struct slice text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.len--;
	}
	while (text.len > 0 &&
	    (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

struct slice
http_call_header(const struct http_call *call, const char *name)
{
	const char *at = call->headers_out.at, *end, *eol, *colon;
	struct slice field;

	if (at == NULL)
		return SLICE_NULL;
	end = at + call->headers_out.len;
	for (; at < end; at = eol + 2) {
		eol = memmem(at, (size_t)(end - at), "\r\n", 2);
		if (eol == NULL)
			break;
		colon = memchr(at, ':', (size_t)(eol - at));
		if (colon == NULL)
			continue;
		field = (struct slice){ at, (size_t)(colon - at) };
		if (slice_is_nocase(field, name)) {
			colon++;
			return trim(
			    (struct slice){ colon, (size_t)(eol - colon) });
		}
	}
	return SLICE_NULL;
}

/* Retry-After is a number of seconds or a date. */
static uint64_t
retry_after_ms(struct slice text, int64_t now_ms)
{
	uint64_t seconds;
	int64_t at_ms;

	if (text.len == 0)
		return 0;
	if (parse_u64(text.at, text.len, 0, UINT64_MAX, &seconds) == 0)
		return (seconds < RETRY_AFTER_MAX_S ? seconds
						    : RETRY_AFTER_MAX_S) *
		    1000;
	if (clock_parse_http_date(text.at, text.len, &at_ms) != 0 ||
	    at_ms <= now_ms)
		return 0;
	if (at_ms - now_ms > (int64_t)RETRY_AFTER_MAX_S * 1000)
		return (uint64_t)RETRY_AFTER_MAX_S * 1000;
	return (uint64_t)(at_ms - now_ms);
}

void
http_answer_facts(struct http_call *call)
{
	static const char *const ids[] = { "x-amz-request-id",
		"x-ms-request-id", "x-guploader-uploadid", "x-amzn-requestid",
		"client-request-id" };
	int64_t now_ms = clock_wall_ms(), server_ms = now_ms;
	struct slice text;
	size_t i;

	text = http_call_header(call, "date");
	if (text.len > 0 &&
	    clock_parse_http_date(text.at, text.len, &server_ms) == 0) {
		/* The header is cut off to seconds: its middle is the best
		 * guess. */
		call->clock_offset_ms = server_ms + 500 - now_ms;
		call->has_clock = 1;
	}
	/* A date is on the server's clock. */
	call->fault.retry_after_ms =
	    retry_after_ms(http_call_header(call, "retry-after"), server_ms);
	call->fault.status = call->status;
	call->fault.fate_unknown = http_status_fate(call->method, call->status);
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		text = http_call_header(call, ids[i]);
		if (text.len == 0)
			continue;
		snprintf(call->fault.request_id, sizeof(call->fault.request_id),
		    "%.*s", (int)(text.len < 95 ? text.len : 95), text.at);
		break;
	}
}

enum fault_kind
http_status_fault(int status)
{
	if (status >= 200 && status < 300)
		return FAULT_NONE;
	switch (status) {
	case 408:
	case 425:
	case 429:
		return FAULT_RETRY;
	case 404:
	case 410:
		return FAULT_MISSING;
	case 412:
		return FAULT_EXISTS;
	case 401:
	case 402:
	case 403:
	case 407:
	case 501:
	case 505:
		return FAULT_PERSON;
	default:
		break;
	}
	if (status >= 500)
		return FAULT_RETRY;
	return status < 400 ? FAULT_PERSON : FAULT_OBJECT;
}

int
http_status_fate(const char *method, int status)
{
	return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
	    (status == 500 || status == 502 || status == 504);
}
