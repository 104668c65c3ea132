#ifndef S3API_AWSCHUNKED_H
#define S3API_AWSCHUNKED_H

#include <stdint.h>

#include "s3api/s3error.h"
#include "s3api/sigv4.h"

/*
 * The aws-chunked content coding ("Signature calculations for the Authorization
 * header: transferring payload in multiple chunks", Amazon S3 API Reference):
 * chunks of any size, each signed over the one before, or unsigned; a trailer,
 * signed or not. Decoded in place and incrementally, so memory does not depend
 * on a chunk's size. One thread at a time.
 */
struct aws_chunked;

/* kind is one of the PAYLOAD_CHUNKED_ ones; sig and key are copied. decoded_len
 * is x-amz-decoded-content-length, or UINT64_MAX when it was not given.
 * trailers is the request's x-amz-trailer value: only those names are accepted
 * there. NULL without memory. */
struct aws_chunked *aws_chunked_new(enum payload_kind, const struct sigv4 *,
    const struct sigv4_key *, uint64_t decoded_len, struct slice trailers);
/* Turns bytes[0, len) into payload bytes at the same place; *out_len of them. 1
 * when the envelope has ended, 0 to go on, -1 and *s3err (bad framing, wrong
 * chunk signature, another length than declared). Bytes behind the end are an
 * error, but for one more line end. What comes out is proven only once the
 * envelope has ended: until then it may not be shown to anybody. */
int aws_chunked_decode(struct aws_chunked *, char *bytes, size_t len,
    size_t *out_len, struct s3_error *s3err);
/* Call when the body has ended: 0 when the envelope has too, or lacks no more
 * than its last line end; else -1 and *s3err (IncompleteBody,
 * MalformedTrailerError). */
int aws_chunked_ended(struct aws_chunked *, struct s3_error *s3err);
/* The value of a trailer (lower-case name), or SLICE_NULL; valid until free. */
struct slice aws_chunked_trailer(const struct aws_chunked *, const char *name);
void aws_chunked_free(struct aws_chunked *);

#endif
