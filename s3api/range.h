#ifndef S3API_RANGE_H
#define S3API_RANGE_H

#include <stdint.h>

#include "base/buffer.h"

/*
 * The Range header (RFC 9110 section 14.2) as S3 takes it: one range of bytes.
 * Several ranges, other units and anything malformed are ignored, which answers
 * the whole object. Pure; any thread.
 */
enum range_kind {
	RANGE_WHOLE,        /* no range, or one that is ignored */
	RANGE_PART,         /* [first, end) of size bytes */
	RANGE_UNSATISFIABLE /* 416 */
};

enum range_kind range_parse(
    struct slice header, uint64_t size, uint64_t *first, uint64_t *end);

/* x-amz-copy-source-range: "bytes=first-last", both given and within size. 0,
 * or -1. */
int range_parse_copy(
    struct slice header, uint64_t size, uint64_t *first, uint64_t *end);

#endif
