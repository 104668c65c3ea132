#ifndef S3API_COPY_SOURCE_H
#define S3API_COPY_SOURCE_H

#include "s3api/conditions.h"
#include "s3api/operation.h"

/* What x-amz-copy-source names, for CopyObject and UploadPartCopy. */
struct copy_source {
	struct slice bucket, key; /* in the request's memory */
	uint64_t version;         /* 0: the current one */
	struct conditions conditions;
	struct object_record object; /* as found; its slices in req->memory */
	/* The version as answers name it; empty when the bucket has none. */
	char version_text[24];
};

/* Parses the headers, checks the right to read and looks the source up. With
 * inline_bytes, a content that lives in the index is appended to it. 0, or -1
 * having failed the request. */
int copy_source_or_fail(struct s3_request *, struct copy_source *,
    struct buffer *inline_bytes, int *inline_found);
/* Header x-amz-copy-source-version-id, where the bucket has versions. */
void copy_source_header(struct s3_request *, const struct copy_source *);

#endif
