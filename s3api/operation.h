#ifndef S3API_OPERATION_H
#define S3API_OPERATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/workers.h"
#include "s3api/access.h"
#include "s3api/s3error.h"
#include "s3api/server.h"
#include "s3api/sigv4.h"
#include "s3api/target.h"
#include "store/store.h"

struct s3;
struct s3_request;

/*
 * What an operation is given and what it may call. An operation runs on the
 * request's loop, may go on later (s3_submit, s3_work, a body that is read),
 * and ends by exactly one s3_respond... or s3_fail..., after which the request
 * and all memory of it are gone.
 */

typedef void s3_step(struct s3_request *);

enum s3_method {
	M_GET,
	M_HEAD,
	M_PUT,
	M_POST,
	M_DELETE,
	M_OTHER
};
enum s3_resource {
	ON_SERVICE,
	ON_BUCKET,
	ON_OBJECT
};

/* A row of the table in operations.c. */
struct s3_operation {
	enum s3_method method;
	enum s3_resource on;
	const char
	    *subresource;   /* a parameter that must be there; NULL: none */
	const char *header; /* a header that must be there; NULL: none */
	uint8_t right;      /* enum key_right; RIGHT_NONE; RIGHT_ANY */
	const char *name;   /* AWS's */
	s3_step *run;
};
#define RIGHT_ANY 0    /* some right on the bucket */
#define RIGHT_SELF 128 /* the operation looks itself */

extern const struct s3_operation s3_operations[];
extern const size_t s3_operations_count;

/* The row for a request; NULL and *s3err (NotImplemented, MethodNotAllowed). */
const struct s3_operation *s3_operation_find(enum s3_method, enum s3_resource,
    const struct target *, const struct http_head *, struct s3_error *s3err);

struct s3_request {
	struct http_request *http;
	const struct http_head *head;
	struct s3 *s3;
	struct store *store;
	char id[17]; /* x-amz-request-id */
	enum s3_method method;
	const struct s3_operation *operation; /* NULL until found */
	struct target target;
	struct slice bucket, key; /* of the target */
	struct sigv4 sig;
	struct access_key *who;   /* NULL until authenticated */
	struct sigv4_key sig_key; /* for chunk signatures; wiped at the end */

	uint64_t begin;      /* store_visible() when it came */
	uint64_t started_us; /* monotonic */
	uint64_t body_bytes; /* payload received, for the log */

	void *state; /* the operation's own */

	struct buffer text;    /* what the target points into */
	struct buffer headers; /* of the answer */
	struct buffer out;     /* body of the answer */
	struct buffer memory;  /* what records point into */
	struct buffer scratch; /* for what lives briefly */
	unsigned tries;        /* of an operation that begins anew */

	/* request.c's, body.c's and respond.c's own. */
	struct s3_block *blocks;
	struct job job;
	struct body *body;
	s3_step *work, *resume;
	struct s3_request *next;
};

/* Zeroed memory that lives as long as the request; NULL without memory (then
 * s3_fail_nomem). */
void *s3_memory(struct s3_request *, size_t bytes);
/* A copy that lives as long as the request; .at NULL without memory. */
struct slice s3_keep(struct s3_request *, struct slice);

/* ---- answers; headers of the operation are in req->headers ---- */

void s3_respond_empty(struct s3_request *, int status);
/* req->out is the XML document. */
void s3_respond_xml(struct s3_request *);
/* Bytes; to HEAD their number alone. */
void s3_respond_bytes(
    struct s3_request *, int status, const void *bytes, size_t len);
void s3_respond_head(struct s3_request *, int status, uint64_t content_length);

void s3_fail(struct s3_request *, const struct s3_error *);
/* fmt NULL: the code's own sentence. */
void s3_fail_code(struct s3_request *, enum s3_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void s3_fail_store(struct s3_request *, const struct error *);
void s3_fail_nomem(struct s3_request *);

/* For an answer in pieces: adds the standard headers and calls http_begin();
 * ends by s3_sent(), which calls http_end(), or http_cut() unless code is
 * S3_OK. */
void s3_begin(struct s3_request *, int status, uint64_t content_length);
void s3_sent(
    struct s3_request *, int status, enum s3_code code, uint64_t bytes);
/* The client is gone, or was too slow: ends the request without an answer. */
void s3_gone(struct s3_request *);

/* ---- going on later ---- */

/* Prepares a change before it is submitted: when it is settled, resume runs on
 * the request's loop. */
void s3_prepare(struct s3_request *, struct change *, s3_step *resume);
/* Runs work on a worker of the store, then resume on the request's loop. */
void s3_work(struct s3_request *, s3_step *work, s3_step *resume);
/* The same for work that waits for a destination. */
void s3_work_far(struct s3_request *, s3_step *work, s3_step *resume);
/* Reads the whole body, verified, into req->out, then calls resume (which
 * clears it before it writes an answer); or fails the request itself, beyond
 * max_bytes by MalformedXML. checksums: whether x-amz-checksum-... is of the
 * body (and not of an object that it speaks of). */
void s3_read_body(
    struct s3_request *, size_t max_bytes, int checksums, s3_step *resume);

/* ---- small helps ---- */

/* 0, or -1 having failed the request, unless the bucket exists. */
int s3_bucket_or_fail(struct s3_request *, struct bucket_record *);
/* 0, or -1 having failed the request, when a write of the request's declared
 * length into its bucket cannot succeed: no bucket, or its quota. */
int s3_writable_or_fail(struct s3_request *);
/* Header x-amz-version-id as the bucket's versioning asks. */
void s3_version_header(
    struct s3_request *, enum bucket_versioning, const struct object_record *);
/* The owner element: all buckets and objects have the same. */
void s3_owner_xml(
    const struct s3_request *, struct buffer *, const char *element);
const char *s3_owner_id(const struct s3 *);
const char *s3_region(const struct s3 *);

#endif
