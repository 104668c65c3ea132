#ifndef S3API_DOWNLOAD_H
#define S3API_DOWNLOAD_H

#include "s3api/operation.h"

/*
 * A content on its way to the client. The first block is read and verified
 * before the answer's head goes out, so that damage there is an error answer;
 * damage found later cuts the connection. Bytes that are not in the page cache
 * are read by a worker. Ends the request in every case.
 */

/* Sends bytes [first, end) of the extent, end > first. status and the request's
 * headers are of the answer. The object was looked up just before; if its
 * extent went away since, again looks it up anew (or is NULL). */
void download_start(struct s3_request *, int status, uint64_t extent,
    uint64_t first, uint64_t end, s3_step *again);

#endif
