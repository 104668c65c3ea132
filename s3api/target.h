#ifndef S3API_TARGET_H
#define S3API_TARGET_H

#include "base/buffer.h"
#include "s3api/http.h"
#include "s3api/s3error.h"

/*
 * What a request is about: the bucket and key that its path (or its Host, in
 * the virtual-host style) names, and the parameters of its query,
 * percent-decoded. Pure functions; any thread.
 */

#define TARGET_PARAMS_MAX 48

struct target_param {
	struct slice name, value; /* value is empty without '=' */
};

struct target {
	struct slice bucket, key; /* empty: none */
	struct target_param params[TARGET_PARAMS_MAX];
	size_t n_params;
};

/* domain (NULL: none) is the name below which buckets are hosts. The slices
 * point into *memory, which is cleared first and must not change. 0, or -1 and
 * *s3err: InvalidURI, KeyTooLongError, InvalidBucketName, InvalidArgument. */
int target_parse(const struct http_head *, const char *domain,
    struct buffer *memory, struct target *, struct s3_error *s3err);

/* The first parameter of that name: its value, or SLICE_NULL without one. */
struct slice target_get(const struct target *, const char *name);
int target_has(const struct target *, const char *name);
/* A number from the query within [0, max]; a larger one becomes max. 0 and
 * *value (fallback without the parameter), or -1 and *s3err. */
int target_number(const struct target *, const char *name, uint64_t fallback,
    uint64_t max, uint64_t *value, struct s3_error *s3err);

/* Whether a bucket may be made with this name (AWS's rules). */
int bucket_name_valid(struct slice name);

/* Whether the bytes are well-formed UTF-8 (RFC 3629). */
int utf8_valid(struct slice);

#endif
