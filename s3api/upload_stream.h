#ifndef S3API_UPLOAD_STREAM_H
#define S3API_UPLOAD_STREAM_H

#include "s3api/upload.h"

/*
 * Between upload.c, which decides and ends, and upload_stream.c, which moves
 * large bodies. Bytes are fed and finished on one thread at a time: the loop
 * for a small body, a worker for a large one.
 */

/* Decodes, digests and writes; 0, or -1 and up->s3err. */
int upload_feed(struct upload *, char *bytes, size_t len);
/* Verifies and seals; 0, or -1 and up->s3err. */
int upload_finish(struct upload *);
/* On the loop, when all is done or up->failed. */
void upload_done(struct upload *);

/* Moves the body through buffers to a worker; begins the content there unless
 * it is begun. Ends in upload_done(). */
void upload_stream_start(struct upload *, uint64_t size);

#endif
