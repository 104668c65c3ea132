#ifndef S3API_AWAIT_H
#define S3API_AWAIT_H

#include "s3api/operation.h"

/* Runs the request's operation; while the store is being restored, not before
 * what it needs to know is known: an object's key is asked for outside, and a
 * listing that might lack something is told to come again. */
void s3_await(struct s3_request *);

#endif
