#include <stdlib.h>
#include <string.h>

#include "s3api/http.h"

/*
 * A head with what follows it. A head that is taken is taken at exactly its
 * last byte, and all slices lie in it; what is refused early stays refused.
 * What follows is decoded as chunks, in runs that the first byte chooses and at
 * once, which must come to the same.
 */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int holds)
{
	if (!holds)
		abort();
}

static long
parse(const uint8_t *data, size_t len, struct http_head *head, char **copy)
{
	struct http_refusal refusal = { 0, NULL };
	long n;

	*copy = malloc(len + 1);
	require(*copy != NULL);
	memcpy(*copy, data, len);
	n = http_head_parse(*copy, len, head, &refusal);
	require(n >= -1 && n <= (long)len);
	require(n != 0 || len < HTTP_HEAD_MAX_BYTES + 2);
	require(n != -1 || (refusal.status >= 400 && refusal.reason != NULL));
	return n;
}

static long
parse_only(const uint8_t *data, size_t len)
{
	static struct http_head head;
	char *copy;
	long n;

	n = parse(data, len, &head, &copy);
	free(copy);
	return n;
}

static void
require_inside(struct slice s, const char *bytes, long len)
{
	require(s.len == 0 || slice_is(s, "/") ||
	    (s.at >= bytes && s.at + s.len <= bytes + len));
}

static void
look_at_head(const struct http_head *head, const char *bytes, long len)
{
	size_t i, j;

	require(head->method.len > 0 && head->path.len > 0);
	require(!(head->chunked && head->has_length));
	require(head->content_length <= INT64_MAX);
	require(head->host.at != NULL || head->version_minor == 0);
	require_inside(head->method, bytes, len);
	require_inside(head->target, bytes, len);
	require_inside(head->path, bytes, len);
	require_inside(head->query, bytes, len);
	require_inside(head->host, bytes, len);
	for (i = 0; i < head->n_headers; i++) {
		require_inside(head->headers[i].name, bytes, len);
		require_inside(head->headers[i].value, bytes, len);
		for (j = 0; j < head->headers[i].name.len; j++)
			require(head->headers[i].name.at[j] < 'A' ||
			    head->headers[i].name.at[j] > 'Z');
	}
}

struct decoded {
	int ret;
	size_t consumed, produced;
};

static struct decoded
decode(const uint8_t *data, size_t len, size_t run, char *out)
{
	struct decoded sum = { 0, 0, 0 };
	struct http_chunked d;
	size_t consumed, produced, part;

	http_chunked_init(&d);
	while (sum.ret == 0 && sum.consumed < len) {
		part = len - sum.consumed < run ? len - sum.consumed : run;
		sum.ret =
		    http_chunked_decode(&d, (const char *)data + sum.consumed,
			part, &consumed, out + sum.produced, run, &produced);
		require(consumed <= part && produced <= run);
		require(sum.ret != 0 || consumed > 0);
		sum.consumed += consumed;
		sum.produced += produced;
	}
	return sum;
}

static void
look_at_chunks(const uint8_t *data, size_t len, size_t run)
{
	char *whole = malloc(len + 1), *parts = malloc(len + run + 1);
	struct decoded a, b;

	require(whole != NULL && parts != NULL);
	memcpy(whole, data, len);
	a = decode((const uint8_t *)whole, len, len + 1, whole);
	b = decode(data, len, run, parts);
	require(a.ret == b.ret && a.produced == b.produced);
	require(a.consumed == b.consumed);
	require(memcmp(whole, parts, a.produced) == 0);
	free(whole);
	free(parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head head;
	char *copy;
	size_t run;
	long n, early;

	if (size == 0)
		return 0;
	run = (size_t)data[0] % 64 + 1;
	data++;
	size--;

	n = parse(data, size, &head, &copy);
	if (n > 0) {
		look_at_head(&head, copy, n);
		require(parse_only(data, (size_t)n) == n);
		require(parse_only(data, (size_t)n - 1) == 0);
	}
	early = parse_only(data, size / 2);
	require(early != -1 || n == -1);
	free(copy);

	n = n > 0 ? n : 0;
	look_at_chunks(data + n, size - (size_t)n, run);
	return 0;
}
