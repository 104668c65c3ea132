#ifndef S3API_UPLOAD_STREAM_H
#define S3API_UPLOAD_STREAM_H

#include "s3api/upload.h"

/*
 * Between upload.c, which decides and ends, and upload_stream.c, which moves
 * large bodies: on the loop for a small one, on two workers for a large one.
 */

/* The steps of an upload: each 0, or -1 and *s3err. Decodes in place and
 * digests, in order; payload_finish() verifies. */
int upload_digest(struct upload *, char *bytes, size_t len, size_t *decoded,
    struct s3_error *s3err);
/* Writes what was decoded, in order; on another thread at the same time. */
int upload_write(
    struct upload *, const char *bytes, size_t len, struct s3_error *s3err);
/* Makes it durable; after payload_finish(). */
int upload_seal(struct upload *, struct s3_error *s3err);
/* On the loop, when all is done or up->failed. */
void upload_done(struct upload *);

/* Moves the body through buffers to workers; begins the content there unless
 * it is begun. Ends in upload_done(). */
void upload_stream_start(struct upload *, uint64_t size);

#endif
