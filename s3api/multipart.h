#ifndef S3API_MULTIPART_H
#define S3API_MULTIPART_H

#include "s3api/operation.h"

/* What all operations on a multipart upload begin with. */
struct multipart {
	uint64_t upload;
	struct upload_record record; /* its slices in req->memory */
};

/* The upload that the query's uploadId names. 0, or -1 having failed the
 * request (NoSuchBucket, NoSuchUpload). */
int multipart_or_fail(struct s3_request *, struct multipart *);
/* The query's partNumber. 0, or -1 having failed the request. */
int part_number_or_fail(struct s3_request *, uint16_t *number);

#endif
