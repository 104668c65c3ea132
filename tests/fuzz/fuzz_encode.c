/*
 * The parsers of text in base/: the first byte chooses one, the rest is its
 * input, in memory of exactly its size. What is accepted must come back the
 * same when it is written again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int holds)
{
	if (!holds)
		abort();
}

static void
try_base64(const char *text, size_t len)
{
	char *bytes, *again;
	int n;

	bytes = malloc(len + 1);
	require(bytes != NULL);
	n = base64_decode(text, len, bytes, len);
	if (n >= 0) {
		again = malloc(BASE64_BYTES((size_t)n));
		require(again != NULL);
		base64_encode(bytes, (size_t)n, again);
		require(strlen(again) == len && memcmp(again, text, len) == 0);
		free(again);
		if (n > 0)
			require(base64_decode(
				    text, len, bytes, (size_t)n - 1) == -1);
	}
	free(bytes);
}

static void
try_hex(const char *text, size_t len)
{
	char *bytes, *again;

	bytes = malloc(len / 2 + 1);
	again = malloc(len + 2);
	require(bytes != NULL && again != NULL);
	if (hex_decode(text, len, bytes, len / 2) == 0) {
		hex_encode(bytes, len / 2, again);
		require(slice_is_nocase((struct slice){ text, len }, again));
	}
	require(hex_decode(text, len, bytes, len / 2 + 1) == -1);
	free(bytes);
	free(again);
}

/* Any bytes survive encoding, and any decoding is no longer than its text. */
static void
try_uri(const char *text, size_t len)
{
	char *encoded, *bytes;
	size_t encoded_len;
	long n;
	int flag;

	bytes = malloc(len + 1);
	encoded = malloc(3 * len + 1);
	require(bytes != NULL && encoded != NULL);
	for (flag = 0; flag < 2; flag++) {
		n = uri_decode(text, len, flag, bytes);
		require(n >= -1 && n <= (long)len);
		encoded_len = uri_encode(text, len, flag, encoded);
		require(strlen(encoded) == encoded_len);
		n = uri_decode(encoded, encoded_len, flag, encoded);
		require(n == (long)len && memcmp(encoded, text, len) == 0);
	}
	free(encoded);
	free(bytes);
}

static void
try_basic(const char *text, size_t len)
{
	char again[CLOCK_TEXT_BYTES];
	int64_t ms;

	if (clock_parse_basic(text, len, &ms) != 0)
		return;
	clock_basic(ms, again);
	require(slice_is((struct slice){ text, len }, again));
}

static void
try_iso8601(const char *text, size_t len)
{
	char again[CLOCK_TEXT_BYTES];
	int64_t ms;

	if (clock_parse_iso8601(text, len, &ms) != 0)
		return;
	clock_iso8601(ms, again);
	require(memcmp(text, again, strlen("2026-11-24T12:36:01")) == 0);
	if (len == strlen(again))
		require(memcmp(text, again, len) == 0);
}

static void
try_http_date(const char *text, size_t len)
{
	char again[CLOCK_TEXT_BYTES];
	int64_t ms, ms_again;

	if (clock_parse_http_date(text, len, &ms) != 0)
		return;
	require(ms % 1000 == 0);
	clock_http_date(ms, again);
	if (clock_parse_http_date(again, strlen(again), &ms_again) == 0)
		require(ms_again == ms);
	else
		abort();
}

static void
try_numbers(const char *text, size_t len)
{
	char *copy, people[32];
	uint64_t value;

	if (parse_u64(text, len, 10, 1000, &value) == 0)
		require(value >= 10 && value <= 1000);
	copy = slice_copy((struct slice){ text, len });
	require(copy != NULL);
	if (parse_size(copy, &value) == 0) {
		format_size(value, people, sizeof(people));
		require(strlen(people) < sizeof(people) - 1);
	}
	if (parse_duration(copy, &value) == 0)
		require(copy[0] >= '0' && copy[0] <= '9');
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const char *, size_t) = { try_base64,
		try_hex, try_uri, try_basic, try_iso8601, try_http_date,
		try_numbers };
	char *text;

	if (size == 0)
		return 0;
	/* Exactly as large as the text, so that one byte too far is seen. */
	text = malloc(size - 1 == 0 ? 1 : size - 1);
	require(text != NULL);
	memcpy(text, data + 1, size - 1);
	parsers[data[0] % (sizeof(parsers) / sizeof(parsers[0]))](
	    text, size - 1);
	free(text);
	return 0;
}
