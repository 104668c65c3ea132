#ifndef S3API_UPLOAD_H
#define S3API_UPLOAD_H

#include "s3api/operation.h"
#include "s3api/payload.h"
#include "store/content.h"

/*
 * A request's body on its way into a content. A small one is read into memory
 * and written on the loop; a larger one passes through a few buffers, of which
 * one is filled from the socket while workers digest a second and write a
 * third. Whatever fails (the client, the disk, a digest), the request is failed
 * and nothing remains.
 */

struct upload {
	/* Set by the operation. */
	struct s3_request *req;
	enum checksum_kind checksum_kind; /* the only one allowed;
					   * CHECKSUM_NONE: any, or none */
	/* Appends the record for the content's trailer; size, md5 and checksum
	 * are known. Runs on any thread, once. */
	void (*describe)(struct upload *, struct buffer *record);
	uint64_t owner_upload; /* a part's; else 0 */
	uint16_t owner_part;
	/* Runs on the loop with the content verified and sealed, which it
	 * takes. */
	s3_step *ready;
	/* NULL, or runs before the request fails, to let go what it holds. */
	s3_step *dropped;

	/* What it came to; size, md5 and checksum are in the payload. */
	struct content_writer *content;
	struct payload payload;

	/* upload.c's own. */
	struct upload_stream *stream;
	char *memory; /* small */
	size_t room, filled;
	struct s3_error s3err;
	int failed;
};

/* The upload is the first member of the request's state, zeroed but for what
 * the operation sets. Ends in ready, or fails the request. */
void upload_start(struct upload *);

#endif
