#ifndef REPLICATOR_S3_PRIVATE_H
#define REPLICATOR_S3_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "replicator/credentials.h"
#include "replicator/destination.h"
#include "replicator/http_client.h"
#include "replicator/payload.h"
#include "replicator/refusal.h"
#include "replicator/s3_learnt.h"
#include "replicator/xml_read.h"

/*
 * Between the files of the S3 protocol (s3_*.c): AWS and stores that speak like
 * it. Requests are the plainest that S3 knows; what a store can do beyond that
 * is learnt from its answers and remembered in the shared part.
 */

struct s3_shared {
	int aws, https;
	int by_region;    /* the host follows from the region */
	int virtual_host; /* the bucket is part of the host's name */
	char *host;       /* with its port unless that is the scheme's own */
	char *base;       /* path of the endpoint: "" or "/..." */
	char *bucket;
	char *path; /* "" or ending with '/' */
	char *storage_class, *sse, *kms_key;
	int bucket_key;
	uint32_t parts_max;
	struct aws_credentials *credentials;
	char *sts_endpoint;
	char *place; /* whose abilities these are */
	struct s3_abilities *can;

	atomic_llong clock_offset_ms; /* the store's clock less ours */
	atomic_int sides;             /* enum sides */
	/* Parts whose ETag was not their MD5 while that is open. */
	atomic_int part_doubts;

	pthread_mutex_t lock; /* of what follows */
	char region[64];
	char first_region[64]; /* as it was configured */
};

struct s3_session {
	struct s3_shared *shared;
	struct http_client *http;
	struct http_call call;    /* the last one, with its answer */
	uint64_t keys_generation; /* what it was signed with */
};

/* What is asked for: decides the permission that a refusal names. */
enum s3_op {
	S3_GET,
	S3_HEAD,
	S3_PUT,
	S3_DELETE,
	S3_LIST,
	S3_MULTIPART,
	S3_ABORT,
	S3_GET_TAGS,
	S3_PUT_TAGS,
	S3_GET_VERSIONING,
	S3_GET_LIFECYCLE,
	S3_GET_LOCK,
	S3_DELETE_VERSION,
	S3_LIST_UPLOADS
};

struct s3_request {
	enum s3_op op;
	const char *method;
	struct slice key;      /* below the path; SLICE_NULL: the bucket */
	const char *query;     /* encoded, sorted; NULL: none */
	struct buffer headers; /* pairs, lower-case names */
	const void *body;
	uint64_t body_len;
	http_body_source *source; /* instead of body */
	int (*rewind)(void *arg);
	void *source_arg;
	const char *payload; /* SHA-256 of the body in hex; NULL: of none */
	http_body_sink *sink;
	void *sink_arg;
	uint64_t stall_timeout_ms;
};

/*
 * Signs and sends; tries once more when that mends it: with the store's clock,
 * with the region that it named, with fresh credentials. 0 and the answer in
 * s->call for a 2xx; else -1 and *fault, sorted. Frees the request's headers.
 */
int s3_send(struct s3_session *, struct s3_request *, struct fault *);
/* A HEAD of the bucket without a signature: shows how far the network leads,
 * and at AWS the bucket's region. As http_client_call(s->call). */
int s3_knock(struct s3_session *);
/* Adds a header to a request. */
void s3_header(struct s3_request *, const char *name, const char *value);

/* Reads the body of an answer; empty fields when it is no S3 error. */
void s3_refusal_read(struct slice body, struct refusal *);
/* Sorts a refusal. */
int s3_refusal_fault(const struct s3_shared *, enum s3_op,
    const struct http_call *, const struct refusal *, struct fault *);
const char *s3_permission(enum s3_op);

/* Makes a payload with its SHA-256 a request's body, with Content-MD5 where
 * that is not refused. */
void s3_payload_attach(
    struct s3_session *, struct payload *, struct s3_request *);
/* s3_send of a payload: the source's fault wins. */
int s3_payload_send(
    struct s3_session *, struct payload *, struct s3_request *, struct fault *);

/* The headers that an object is stored with: content headers, metadata, our own
 * facts, storage class and encryption. with_tags: x-amz-tagging as well. What
 * does not fit goes to *side (an encoded side object), empty otherwise. */
void s3_object_headers(const struct s3_shared *, const struct remote_object *,
    int with_tags, struct buffer *headers, struct buffer *side);
/* Writes the side object before its object. */
int s3_side_put(struct s3_session *, const struct remote_object *,
    const struct buffer *side, struct fault *);
/* Removes side objects of the key but that of keep_version (0: all); what
 * fails is left for later. */
void s3_side_clear(struct s3_session *, struct slice key, uint64_t keep);
/* Reads what the last answer (of a HEAD) says into *st; *side is set when the
 * object has a side object. */
int s3_stat_read(struct s3_session *, struct remote_stat *, int *side,
    int *tag_count, struct fault *);
/* Is the ETag, without quotes, the MD5 in hex? */
int s3_etag_md5(struct slice etag, uint8_t md5[MD5_BYTES]);
/* Are objects encrypted by a key service, so that no ETag is an MD5? */
int s3_encrypts_by_kms(const struct s3_shared *);
/* Does the answer say that ETags are opaque, since a key service encrypts? */
int s3_answer_opaque(const struct s3_session *);
/* The header's value without quotes. */
struct slice s3_answer_etag(const struct s3_session *);
int s3_storage_archived(struct slice storage_class);

/* The table's functions. */
int s3_put(void *, const struct remote_object *, const struct remote_source *,
    int if_absent, struct fault *);
int s3_upload_begin(void *, const struct remote_object *,
    struct remote_upload *, struct fault *);
int s3_part(void *, const struct remote_object *, const struct remote_upload *,
    uint32_t number, uint64_t offset, uint64_t len,
    const struct remote_source *, struct remote_part *, struct fault *);
int s3_finish(void *, const struct remote_object *,
    const struct remote_upload *, const struct remote_part *, size_t n,
    struct fault *);
int s3_abort(
    void *, struct slice key, const struct remote_upload *, struct fault *);
int s3_stat(void *, struct slice key, struct remote_stat *, struct fault *);
int s3_get(void *, struct slice key, uint64_t offset, uint64_t len, void *bytes,
    struct fault *);
int s3_list(void *, struct slice prefix, struct slice after, remote_visit *,
    void *arg, struct fault *);
int s3_remove(void *, struct slice key, struct fault *);
int s3_retag(void *, const struct remote_object *, struct fault *);
int s3_probe(void *, probe_visit *, void *arg, struct fault *);

/* Ends unfinished uploads of the key, or (not exactly) of all keys that begin
 * with it, that were begun before then by the store's clock; among the first
 * 1,000 that it lists. */
int s3_uploads_end(struct s3_session *, struct slice key, int exactly,
    int64_t before_ms, struct fault *);

/* Who the credentials are, as STS says: an ARN; -1 when it cannot be told. */
int s3_identity(struct s3_session *, char *arn, size_t room);
/* The rows about rules of the bucket that would bite: never a failure. */
struct probe_writer;
int s3_probe_rules(void *session, struct probe_writer *);

#define S3_PART_BYTES (8ULL << 20)
#define S3_PART_MAX_BYTES (5ULL << 30)
#define S3_OWN_PREFIX "plugins/holdfast/"

#endif
