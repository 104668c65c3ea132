#ifndef S3API_S3OWN_H
#define S3API_S3OWN_H

#include "s3api/operation.h"
#include "s3api/s3metrics.h"

/*
 * What s3.c, request.c and respond.c share; operations do not look in here.
 */

/* Requests that a loop keeps for reuse. */
#define S3_SPARE_MAX 64
/* A kept buffer is no larger. */
#define S3_SPARE_BUFFER_BYTES 8192

struct s3_loop {
	struct access *access;
	struct s3_request *spare;
	size_t n_spare;
	uint64_t ids; /* the last request id, before it is stirred */
};

struct s3 {
	const char *(*replication_status)(void *replication,
	    struct slice bucket, struct slice key,
	    const struct object_record *);
	void *replication;
	struct store *store;
	char *domain, *region; /* NULL: none */
	int64_t skew_ms;
	char owner_id[33];
	struct s3metrics metrics;
	size_t n_loops;
	struct s3_loop *loops;
};

/* A request of the loop, with all zero but its kept buffers; NULL without
 * memory. request_free() gives it back. */
struct s3_request *request_new(struct s3 *, struct http_request *);
void request_free(struct s3_request *, struct s3_loop *);
/* Ends the process's interest in spare requests. */
void requests_drop(struct s3_loop *);

#endif
