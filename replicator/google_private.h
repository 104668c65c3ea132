#ifndef REPLICATOR_GOOGLE_PRIVATE_H
#define REPLICATOR_GOOGLE_PRIVATE_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "replicator/credentials.h"
#include "replicator/destination.h"
#include "replicator/http_client.h"

struct error;

/*
 * Between the files of the Google Cloud Storage protocol (google_*.c): its JSON
 * API, version 1.
 */

#define GOOGLE_CHUNK_BYTES (8ULL << 20) /* held in memory while it is sent */
#define GOOGLE_STEP_BYTES (256U << 10)  /* chunks but the last: multiples */
#define GOOGLE_NAME_MAX_BYTES 1024
#define GOOGLE_OWN_PREFIX "plugins/holdfast/"
#define GOOGLE_SESSIONS 64

/* How far an upload is, as this process has seen it. */
struct google_progress {
	uint8_t upload[SHA256_BYTES]; /* of its address */
	uint64_t received;
};

struct google_shared {
	char *origin; /* "https://host:port/base", without a slash at its end */
	int https;
	char *bucket;
	char *bucket_encoded;
	char *path; /* "" or ending with '/' */
	char *storage_class, *kms_key;
	struct token_source *tokens;

	atomic_llong clock_offset_ms; /* Google's clock less ours */
	atomic_int sides;             /* enum sides */

	pthread_mutex_t lock; /* of what follows */
	struct google_progress progress[GOOGLE_SESSIONS];
	size_t next_progress;
};

struct google_session {
	struct google_shared *shared;
	struct http_client *http;
	struct http_call call;     /* the last one, with its answer */
	uint64_t token_generation; /* what it was authorized with */
	/* Of what was written last. */
	uint64_t generation;
};

/* What is asked for: decides the permission that a refusal names, and what is
 * missing when something is. */
enum google_op {
	GOOGLE_CREATE,
	GOOGLE_SESSION, /* a resumable upload that was begun */
	GOOGLE_GET,
	GOOGLE_DELETE,
	GOOGLE_LIST,
	GOOGLE_UPDATE,
	GOOGLE_BUCKET
};

struct google_request {
	enum google_op op;
	const char *method;
	struct buffer url;
	struct buffer headers; /* pairs */
	const void *body;
	uint64_t body_len;
	http_body_source *source; /* instead of body */
	int (*rewind)(void *arg);
	void *source_arg;
	http_body_sink *sink;
	void *sink_arg;
	uint64_t stall_timeout_ms;
};

/* The URL's start; google_query() goes on from there. */
void google_url_bucket(
    const struct google_shared *, struct google_request *, const char *behind);
void google_url_object(
    const struct google_shared *, struct google_request *, struct slice key);
/* Behind an object's, for a copy of it to a key. */
void google_url_rewrite_to(
    const struct google_shared *, struct google_request *, struct slice key);
void google_url_upload(
    const struct google_shared *, struct google_request *, const char *type);
void google_query(struct google_request *, const char *name, struct slice);
void google_query_number(struct google_request *, const char *name, uint64_t);
void google_header(
    struct google_request *, const char *name, const char *value);

/*
 * Authorizes and sends; tries once more with a fresh token when that may mend
 * it. 0 and the answer in s->call for a 2xx, and for a resumable upload's 308;
 * else -1 and *fault, sorted. Frees the request's URL and headers.
 */
int google_send(
    struct google_session *, struct google_request *, struct fault *);

/* Sorts a refusal, the answer in s->call. */
int google_refusal_fault(
    const struct google_session *, enum google_op, struct fault *);
const char *google_permission(enum google_op);

/* Bytes of a source, held in memory, with their checksums. */
struct google_bytes {
	char *at;
	size_t len;
	uint8_t md5[MD5_BYTES];
	uint32_t crc32c;
};
int google_bytes_read(struct google_bytes *, const struct remote_source *,
    uint64_t offset, size_t len, struct fault *);
void google_bytes_free(struct google_bytes *);

/* The resource that an object is stored with; a side object's contents in
 * *side when not all fits, empty otherwise. NULL without memory. */
json_t *google_resource(const struct google_shared *,
    const struct remote_object *, struct buffer *side);
/* Appends the resource as text. */
void google_resource_text(const json_t *, struct buffer *);
void google_set_crc32c(json_t *resource, uint32_t crc32c);
void google_set_md5(json_t *resource, const uint8_t md5[MD5_BYTES]);

/* What an answer says of an object. */
struct google_object {
	uint64_t size, generation;
	int has_md5, has_crc32c;
	uint8_t md5[MD5_BYTES];
	uint32_t crc32c;
};
/* NULL and *fault when the answer is no JSON. The caller drops it. */
json_t *google_answer(struct google_session *, struct fault *);
/* 0, or -1 when the resource does not say its size. */
int google_object_read(const json_t *resource, struct google_object *);
/* Fills *st; *side is set when there is a side object. 0, or -1 and *fault. */
int google_stat_read(
    const json_t *resource, struct remote_stat *, int *side, struct fault *);
/* Fills all but the key. */
int google_entry_read(const json_t *resource, struct remote_entry *);

/* Compares the answer of an upload with what was sent; other bytes are removed
 * again. md5: NULL when not known. */
int google_verify(struct google_session *, struct slice key, uint64_t size,
    uint32_t crc32c, const uint8_t *md5, struct fault *);

int google_side_put(struct google_session *, const struct remote_object *,
    const struct buffer *side, struct fault *);
/* Removes side objects of the key but that of keep_version (0: all); what
 * fails is left for later. */
void google_side_clear(
    struct google_session *, struct slice key, uint64_t keep);
/* Puts a side object's pairs in the place of the metadata's. */
int google_side_read(struct google_session *, struct slice key,
    struct remote_stat *, struct fault *);

/* One upload of bytes in memory with their resource. */
int google_insert(struct google_session *, struct slice key, json_t *resource,
    const struct google_bytes *, int if_absent, struct fault *);
/* generation: 0, whichever is there. */
int google_delete(struct google_session *, struct slice key,
    uint64_t generation, struct fault *);

/* The table's functions. */
int google_put(void *, const struct remote_object *,
    const struct remote_source *, int if_absent, struct fault *);
int google_begin(void *, const struct remote_object *, struct remote_upload *,
    struct fault *);
int google_part(void *, const struct remote_object *,
    const struct remote_upload *, uint32_t number, uint64_t offset,
    uint64_t len, const struct remote_source *, struct remote_part *,
    struct fault *);
int google_finish(void *, const struct remote_object *,
    const struct remote_upload *, const struct remote_part *, size_t n,
    struct fault *);
int google_abort(
    void *, struct slice key, const struct remote_upload *, struct fault *);
int google_stat(void *, struct slice key, struct remote_stat *, struct fault *);
int google_get(void *, struct slice key, uint64_t offset, uint64_t len,
    void *bytes, struct fault *);
int google_list(void *, struct slice prefix, struct slice after, remote_visit *,
    void *arg, struct fault *);
int google_remove(void *, struct slice key, struct fault *);
int google_retag(void *, const struct remote_object *, struct fault *);
int google_probe(void *, probe_visit *, void *arg, struct fault *);

/* What of a bucket's rules will bite. */
struct google_rules {
	int known;
	uint64_t retention_s;
};
/* Writes the rows; never a failure. */
struct probe_writer;
void google_probe_rules(
    struct google_session *, struct probe_writer *, struct google_rules *);

#endif
