#ifndef S3API_S3_H
#define S3API_S3_H

#include <stdint.h>

#include "s3api/server.h"

struct error;
struct object_record;
struct s3;
struct store;

/*
 * The S3 door: a handler for the HTTP server's listeners. A request passes:
 * target
 * -> signature -> rights -> a row of the table of operations -> the operation.
 */

struct s3_options {
	size_t loops;       /* of the HTTP server: state is kept for each */
	const char *domain; /* buckets are hosts below it; NULL: paths only */
	const char *region; /* the only one accepted; NULL: any */
	const char *admin_access_key, *admin_secret;
	int64_t skew_ms; /* of clients' clocks; 0: 15 minutes */
	/* x-amz-replication-status of an object, or NULL; brief. NULL: no
	 * object has one. */
	const char *(*replication_status)(void *replication,
	    struct slice bucket, struct slice key,
	    const struct object_record *);
	void *replication;
};

/* The options are copied. NULL and *err on failure. */
struct s3 *s3_new(const struct s3_options *, struct store *, struct error *err);
/* After the HTTP server has been freed. NULL is allowed. */
void s3_free(struct s3 *);

/* For struct http_listener; its context is the struct s3. */
http_handler s3_handle;
void s3_refusal_body(
    struct buffer *, int status, const char *reason, const char **content_type);

/* Appends the S3 door's figures in Prometheus' text format. Any thread. */
void s3_metrics(struct s3 *, struct buffer *);

#endif
