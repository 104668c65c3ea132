#include <string.h>

#include "base/encode.h"
#include "s3api/range.h"

/* Splits "bytes=a-b" at its dash. 0, or -1 when it is not one range of bytes.
 */
static int
split(struct slice header, struct slice *a, struct slice *b)
{
	const char *dash;

	if (header.len < 7 || !slice_starts(header, "bytes=") ||
	    memchr(header.at, ',', header.len) != NULL)
		return -1;
	header.at += 6;
	header.len -= 6;
	if ((dash = memchr(header.at, '-', header.len)) == NULL)
		return -1;
	a->at = header.at;
	a->len = (size_t)(dash - header.at);
	b->at = dash + 1;
	b->len = header.len - a->len - 1;
	return 0;
}

enum range_kind
range_parse(struct slice header, uint64_t size, uint64_t *first, uint64_t *end)
{
	struct slice a, b;
	uint64_t from, to;

	*first = 0;
	*end = size;
	if (split(header, &a, &b) != 0 || (a.len == 0 && b.len == 0))
		return RANGE_WHOLE;

	if (a.len == 0) { /* the last `to` bytes */
		if (parse_u64(b.at, b.len, 0, UINT64_MAX, &to) != 0)
			return RANGE_WHOLE;
		if (to == 0 || size == 0)
			return RANGE_UNSATISFIABLE;
		*first = to >= size ? 0 : size - to;
		return RANGE_PART;
	}
	if (parse_u64(a.at, a.len, 0, UINT64_MAX, &from) != 0)
		return RANGE_WHOLE;
	to = UINT64_MAX;
	if (b.len > 0 && parse_u64(b.at, b.len, 0, UINT64_MAX, &to) != 0)
		return RANGE_WHOLE;
	if (to < from)
		return RANGE_WHOLE;
	if (from >= size)
		return RANGE_UNSATISFIABLE;
	*first = from;
	*end = to >= size ? size : to + 1;
	return RANGE_PART;
}

int
range_parse_copy(
    struct slice header, uint64_t size, uint64_t *first, uint64_t *end)
{
	struct slice a, b;
	uint64_t last;

	if (size == 0 || split(header, &a, &b) != 0 ||
	    parse_u64(b.at, b.len, 0, size - 1, &last) != 0 ||
	    parse_u64(a.at, a.len, 0, last, first) != 0)
		return -1;
	*end = last + 1;
	return 0;
}
