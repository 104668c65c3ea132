#ifndef S3API_CONDITIONS_H
#define S3API_CONDITIONS_H

#include <stdint.h>

#include "s3api/http.h"
#include "s3api/s3error.h"
#include "store/record.h"

struct error;

/*
 * Preconditions: If-Match, If-None-Match, If-Modified-Since and
 * If-Unmodified-Since, of a read, of a copy's source, and of a write.
 * Precedence is RFC 9110's section 13.2.2, which AWS follows: a date counts
 * only without the entity tag that goes before it. Pure; any thread.
 */
struct conditions {
	struct slice match, none_match; /* empty: not named */
	int has_modified_since, has_unmodified_since;
	int64_t modified_since_ms, unmodified_since_ms;
};

/* Of the request itself. Dates that are no dates are ignored. */
void conditions_of_request(const struct http_head *, struct conditions *);
/* Of a copy's source: x-amz-copy-source-if-... */
void conditions_of_source(const struct http_head *, struct conditions *);
int conditions_any(const struct conditions *);

/* What a read of the object is to answer: S3_OK, S3_NOT_MODIFIED or
 * S3_PRECONDITION_FAILED. */
enum s3_code conditions_read(
    const struct conditions *, const struct object_record *);

/* Whether an If-Match or If-None-Match header names the tag. */
int etag_list_has(struct slice header, const char *etag);

/* Checks for the store (object_check of store/store.h); arg is a struct
 * conditions that holds a write's If-Match and If-None-Match, or a source's. */
int conditions_check_write(
    const struct object_record *current, void *arg, struct error *err);
int conditions_check_source(
    const struct object_record *current, void *arg, struct error *err);

#endif
