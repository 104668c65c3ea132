#ifndef REPLICATOR_AZURE_PRIVATE_H
#define REPLICATOR_AZURE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/credentials.h"
#include "replicator/destination.h"
#include "replicator/http_client.h"
#include "replicator/payload.h"
#include "replicator/refusal.h"

struct error;

/*
 * Between the files of the Azure Blob Storage protocol (azure_*.c): block blobs
 * by the REST interface, of the version below, which every cloud speaks.
 */

#define AZURE_VERSION "2021-12-02"

/* Where the services of a cloud are. */
struct azure_cloud {
	const char *names[4]; /* as people call it; the first is Azure's own */
	const char *login;    /* Entra's address */
	const char *management;  /* Azure Resource Manager's address */
	const char *blob_suffix; /* the host behind the account's name */
};
/* NULL when there is none of that name; NULL and "" are the public one. */
const struct azure_cloud *azure_cloud_of(const char *name);
#define AZURE_STORAGE_SCOPE "https://storage.azure.com/.default"

/* Whom a token says that it is for, as far as it can be read: "application ...,
 * object ...", else "". header: "Bearer ...". */
void azure_token_identity(struct slice header, char *text, size_t room);

enum azure_means {
	AZURE_BY_KEY,
	AZURE_BY_SAS,
	AZURE_BY_TOKEN
};

#define AZURE_KEY_MAX_BYTES 256

struct azure_shared {
	int https;
	char *host;    /* with its port unless that is the scheme's own */
	char *base;    /* path of the endpoint: "" or "/account" */
	char *account; /* as the signature names it */
	char *container;
	char *path; /* "" or ending with '/' */
	char *sas;  /* without '?' */
	char *tier; /* access tier of new blobs; NULL: the account's */
	enum azure_means means;
	struct token_source *tokens;     /* AZURE_BY_TOKEN: for the blobs */
	struct token_source *management; /* for listing keys; NULL: not set */
	char *keys_url;
	char principal[256];

	atomic_llong clock_offset_ms; /* the provider's clock less ours */
	atomic_int sides;  /* side objects: 0 not known, -1 none, 1 some */
	atomic_int listed; /* the key below came from listing keys */

	pthread_mutex_t lock; /* of what follows */
	uint8_t key[AZURE_KEY_MAX_BYTES];
	size_t key_len; /* 0: none yet */
	uint64_t key_fetched_ms;
};

struct azure_session {
	struct azure_shared *shared;
	struct http_client *http;
	struct http_call call; /* the last one, with its answer */
	/* Where the last listing ended, so that the next need not start over:
	 * a page began behind `page_first` of this prefix. */
	struct buffer page_prefix, page_first, page_marker;
};

/* What is asked for: decides the permission that a refusal names. */
enum azure_op {
	AZURE_READ,
	AZURE_WRITE,
	AZURE_DELETE,
	AZURE_LIST,
	AZURE_CONTAINER
};

struct azure_request {
	enum azure_op op;
	const char *method;
	struct slice key;      /* below the path; SLICE_NULL: the container */
	struct buffer query;   /* pairs, not encoded, names in lower case */
	struct buffer headers; /* pairs, lower-case names */
	const void *body;
	uint64_t body_len;
	struct payload *payload; /* instead of body */
	http_body_sink *sink;
	void *sink_arg;
	uint64_t stall_timeout_ms; /* 0: as usual */
};

/*
 * Authorizes and sends; tries once more when that mends it: with the
 * provider's clock, with a fresh token or key, with the account's key where the
 * identity may not use blobs. 0 and the answer in s->call for a 2xx; else -1
 * and *fault, sorted. Frees the request's query and headers.
 */
int azure_send(struct azure_session *, struct azure_request *, struct fault *);
/* A request without authorization, for its times and whether there is anybody:
 * s->call tells. */
void azure_knock(struct azure_session *);
void azure_query(struct azure_request *, const char *name, const char *value);
void azure_header(struct azure_request *, const char *name, const char *value);
/* Content-MD5 in base64, under that name. */
void azure_header_md5(
    struct azure_request *, const char *name, const uint8_t md5[MD5_BYTES]);

void azure_refusal_read(const struct http_call *, struct refusal *);
int azure_refusal_fault(const struct azure_shared *, enum azure_op,
    const struct http_call *, const struct refusal *, struct fault *);
const char *azure_permission(enum azure_op);

/* Asks Azure Resource Manager for the account's keys and keeps one. 0, or -1
 * and *fault. At most every 30 seconds unless there is none. */
int azure_key_list(struct azure_session *, struct fault *);

/* The headers that a blob is stored with: its properties, metadata, our own
 * facts and tier. What does not fit goes to *side, empty otherwise. */
void azure_object_properties(const struct remote_object *, struct buffer *);
void azure_object_metadata(
    const struct remote_object *, struct buffer *headers, struct buffer *side);
/* Reads what the last answer (of a HEAD) says; *side is set when there is a
 * side object. 0, or -1 and *fault. */
int azure_stat_read(
    struct azure_session *, struct remote_stat *, int *side, struct fault *);
/* Without quotes. */
void azure_answer_etag(const struct azure_session *, char *text, size_t room);
/* 1 when the last answer has that digest of base64 text, and *md5. */
int azure_answer_md5(
    const struct azure_session *, const char *name, uint8_t md5[MD5_BYTES]);
int azure_md5_text(struct slice text, uint8_t md5[MD5_BYTES]);

int azure_side_put(struct azure_session *, const struct remote_object *,
    const struct buffer *side, struct fault *);
/* Removes side objects of the key but that of keep_version (0: all); what
 * fails is left for later. */
void azure_side_clear(struct azure_session *, struct slice key, uint64_t keep);

/* The table's functions. */
int azure_check_key(void *, struct slice key, struct fault *);
int azure_put(void *, const struct remote_object *,
    const struct remote_source *, int if_absent, struct fault *);
int azure_begin(void *, const struct remote_object *, struct remote_upload *,
    struct fault *);
int azure_part(void *, const struct remote_object *,
    const struct remote_upload *, uint32_t number, uint64_t offset,
    uint64_t len, const struct remote_source *, struct remote_part *,
    struct fault *);
int azure_finish(void *, const struct remote_object *,
    const struct remote_upload *, const struct remote_part *, size_t n,
    struct fault *);
int azure_abort(
    void *, struct slice key, const struct remote_upload *, struct fault *);
int azure_stat(void *, struct slice key, struct remote_stat *, struct fault *);
int azure_get(void *, struct slice key, uint64_t offset, uint64_t len,
    void *bytes, struct fault *);
int azure_list(void *, struct slice prefix, struct slice after, remote_visit *,
    void *arg, struct fault *);
int azure_remove(void *, struct slice key, struct fault *);
int azure_retag(void *, const struct remote_object *, struct fault *);
int azure_probe(void *, probe_visit *, void *arg, struct fault *);

#define AZURE_PART_BYTES (8ULL << 20)
#define AZURE_PART_MAX_BYTES (4000ULL << 20)
#define AZURE_PARTS_MAX 50000
#define AZURE_OWN_PREFIX "plugins/holdfast/"

#endif
