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

/* Reads the source's bytes [at, end), verified, on a worker. */
struct source_reader {
	uint64_t at, end;
	struct buffer inline_bytes; /* of a content that lives in the index */
	int in_index;
	struct content *content; /* opened by the first read of another */
	char *memory;
};

/* The next bytes, at most some; 0 at the end, or -1 and *s3err. They may be
 * changed. */
long source_read(struct s3_request *, const struct copy_source *,
    struct source_reader *, char **bytes, struct s3_error *s3err);
void source_reader_free(struct source_reader *);

/* Parses the headers, checks the right to read and looks the source up, for the
 * reader (NULL: none) with the bytes of a content that lives in the index. 0,
 * or -1 having failed the request and freed the reader. */
int copy_source_or_fail(
    struct s3_request *, struct copy_source *, struct source_reader *);
/* Header x-amz-copy-source-version-id, where the bucket has versions. */
void copy_source_header(struct s3_request *, const struct copy_source *);

#endif
