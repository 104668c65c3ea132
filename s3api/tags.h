#ifndef S3API_TAGS_H
#define S3API_TAGS_H

#include "base/buffer.h"
#include "s3api/s3error.h"

/*
 * Tags as pairs of the store, from the x-amz-tagging header and from XML, by
 * AWS's rules: 10 for an object and 50 for a bucket, keys of 1 to 128
 * characters, values of at most 256, keys unique. Pure; any thread.
 */

#define TAGS_MAX_OBJECT 10
#define TAGS_MAX_BUCKET 50

/* "k=v&k2=v2", percent-encoded. 0, or -1 and *s3err (InvalidTag). */
int tags_of_header(
    struct slice header, struct buffer *pairs, struct s3_error *s3err);
/* A Tagging document. 0, or -1 and *s3err (MalformedXML, InvalidTag). */
int tags_of_xml(struct slice document, size_t max, struct buffer *pairs,
    struct s3_error *s3err);
/* A Tagging document. */
void tags_to_xml(struct buffer *, struct slice pairs);

#endif
