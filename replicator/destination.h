#ifndef REPLICATOR_DESTINATION_H
#define REPLICATOR_DESTINATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/fault.h"
#include "replicator/http_client.h"

struct error;

/*
 * A destination: a place outside that holds copies, whatever its protocol. One
 * table of functions fits AWS S3, S3-compatible stores, Google Cloud Storage
 * and Azure Blob Storage. A `struct destination` is the shared, thread-safe
 * part (settings, credentials, what was learnt of the provider); each thread
 * that talks to it has a `struct destination_session` of its own, with its
 * connections. All calls block. Keys are the keys below the configured path,
 * which the destination puts in front; nothing is ever changed outside it.
 */

enum provider {
	PROVIDER_AWS,
	PROVIDER_GOOGLE,
	PROVIDER_AZURE,
	PROVIDER_S3
};

/* The fields that people fill in; unused ones are NULL. Not owned. */
struct destination_fields {
	enum provider provider;
	const char *region, *endpoint, *bucket, *path;
	const char *access_key_id, *secret_access_key, *session_token;
	int use_instance_role;
	const char *service_account_json; /* Google: the file's contents */
	const char *service_account;      /* Google: of the instance role */
	const char *resource_group, *storage_account, *subscription_id,
	    *tenant_id, *client_id, *client_secret, *cloud_name;
	const char *account_key, *sas_token; /* Azure */
	const char *ca_cert;                 /* PEM */
	const char *proxy;
	const char *storage_class;
	const char *sse, *sse_kms_key_id; /* "AES256", "aws:kms" */
	int sse_bucket_key;
	const char *kms_key_name;  /* Google */
	uint64_t bytes_per_second; /* of each session; 0: unlimited */
	/* Where well-known services are, for tests and private clouds; NULL:
	 * the provider's own (instance metadata, STS, token and management
	 * endpoints). */
	const char *metadata_endpoint, *sts_endpoint, *token_endpoint,
	    *management_endpoint, *container_credentials_uri,
	    *container_authorization_token_file, *web_identity_token_file,
	    *role_arn;
	const char *resolve; /* http_client_settings.resolve */
};

#define REMOTE_PARTS_BYTES 128

/* What travels with an object besides its bytes. Slices are the caller's. */
struct remote_object {
	struct slice key;
	uint64_t size;
	struct slice attributes; /* pairs of store/record.h: content headers and
				  * x-amz-meta-* */
	struct slice tags;       /* pairs */
	int64_t mtime_ms;        /* of the commit here */
	char etag[40];           /* as S3 clients here see it */
	int has_md5;             /* md5 is that of all bytes */
	uint8_t md5[16];
	uint64_t version;               /* the store's version number */
	char parts[REMOTE_PARTS_BYTES]; /* replicator/parts.h; "": none */
	int has_crc32c; /* of all bytes; asked for where the MD5 is not known */
	uint32_t crc32c;
};

/* What a destination says of an object. Slices point into `memory`. */
struct remote_stat {
	uint64_t size;
	int64_t mtime_ms;          /* the provider's */
	int64_t original_mtime_ms; /* ours, from its metadata; 0: written by
				      others */
	char etag[72];             /* the provider's, without quotes */
	char original_etag[40];    /* ours; empty: written by others */
	uint64_t version;          /* ours; 0: written by others */
	char parts[REMOTE_PARTS_BYTES]; /* ours; "": not known */
	int has_md5, has_crc32c;
	uint8_t md5[16];
	uint32_t crc32c;
	int has_original_crc32c; /* ours, from its metadata */
	uint32_t original_crc32c;
	int archived;
	char storage_class[24]; /* "GLACIER", "Archive"; empty: usual */
	int side_lost;          /* attributes are missing that were outside the
				 * object's own metadata */
	struct slice attributes, tags; /* as remote_object's, ours taken out */
	struct buffer memory;          /* caller frees */
};

/* Gives the bytes [offset, offset + len) of what is sent, verified: 0, or -1
 * and *fault (which then is the call's). Called in order; again from an earlier
 * offset when a checksum is made before sending, and when sending is tried
 * again. */
struct remote_source {
	int (*read)(void *arg, uint64_t offset, void *bytes, size_t len,
	    struct fault *);
	void *arg;
};

/* An upload in parts, durable across restarts: `state` is the protocol's own
 * text (an upload id, a session's address, a block prefix). */
#define REMOTE_STATE_BYTES 1024
struct remote_upload {
	char state[REMOTE_STATE_BYTES];
	/* All parts but the last have this size. begin() chooses it when it is
	 * 0, and else takes it. */
	uint64_t part_bytes;
	/* For finish(), where limits say finish_sends; not durable. */
	const struct remote_source *source;
};
/* A part that was sent: what finishing needs to name it. */
struct remote_part {
	uint32_t number; /* from 1 */
	char etag[192];  /* Cloudflare's are long */
};

struct remote_entry {     /* of a listing */
	struct slice key; /* below the path */
	uint64_t size;
	int64_t mtime_ms;
	char etag[72];
	int has_md5, has_crc32c;
	uint8_t md5[16];
	uint32_t crc32c;
	int archived;
};
typedef int remote_visit(const struct remote_entry *, void *arg);

/* A row of the Test button. */
struct probe_row {
	char step[24]; /* "resolve", "connect", "tls", "authenticate", "bucket",
			* "list", "put", "get range", "overwrite", "multipart",
			* "delete", and warnings: "lifecycle", "versioning",
			* "lock" */
	enum {
		PROBE_OK,
		PROBE_FAILED,
		PROBE_SKIPPED,
		PROBE_WARNING
	} result;
	uint64_t us;
	char text[512]; /* what was found (principal, clock offset), or what to
			   do */
	char code[64], request_id[96];
};
typedef void probe_visit(const struct probe_row *, void *arg);

struct destination;
struct destination_session;

struct destination_limits {
	uint64_t single_put_max_bytes; /* larger ones go in parts */
	uint64_t part_min_bytes, part_max_bytes;
	uint32_t parts_max;
	uint64_t
	    same_key_interval_ms; /* Google: 1000 between changes of a key */
	int can_condition;        /* put with if_absent is atomic */
	int stage_is_hidden; /* parts are invisible until finish (all four) */
	/* Google: an upload takes its bytes in order. The caller sends one part
	 * after another, none at the same time as another of that upload. */
	int parts_in_order;
	/* Google: the object's last bytes make it visible, so that part() keeps
	 * them back and finish() sends them: the caller sets
	 * remote_upload.source before it, open for reading. */
	int finish_sends;
	/* Unfinished uploads stay until they are ended, and abort() with an
	 * empty state ends all that the key has. */
	int abort_finds;
	/* Calls of a session that joined a group let other fibers run
	 * meanwhile. */
	int yields;
};

struct destination_protocol {
	const char *name;
	/* Makes the shared part; checks fields without the network. NULL and
	 * *err naming the field and the remedy. */
	void *(*open)(const struct destination_fields *, struct error *err);
	void (*close)(void *);
	/* A session's part. */
	void *(*session)(void *shared, struct http_client *);
	void (*session_close)(void *session);
	void (*limits)(void *shared, struct destination_limits *);
	/* The provider's clock less this machine's, as its last answer's Date
	 * said; to half a second. 0 before the first. */
	int64_t (*clock_offset_ms)(void *shared);
	/* 0 if the provider can hold that key; else -1 and FAULT_OBJECT. */
	int (*check_key)(void *shared, struct slice key, struct fault *);
	/* What was learnt of the provider so far, as a text to keep, and from
	 * such a text, before it is opened. NULL: nothing is to be learnt. */
	void (*learnt)(void *shared, char *text, size_t room);
	void (*recall)(const char *text);

	/* Each: 0, or -1 and *fault. */
	/* One request; if_absent: fails with FAULT_EXISTS when there is one.
	 * Compares size and checksum of the answer. */
	int (*put)(void *session, const struct remote_object *,
	    const struct remote_source *, int if_absent, struct fault *);
	int (*begin)(void *session, const struct remote_object *,
	    struct remote_upload *, struct fault *);
	int (*part)(void *session, const struct remote_object *,
	    const struct remote_upload *, uint32_t number, uint64_t offset,
	    uint64_t len, const struct remote_source *, struct remote_part *,
	    struct fault *);
	int (*finish)(void *session, const struct remote_object *,
	    const struct remote_upload *, const struct remote_part *, size_t n,
	    struct fault *);
	/* Also of one that is gone. An empty state: limits.abort_finds. */
	int (*abort)(void *session, struct slice key,
	    const struct remote_upload *, struct fault *);
	int (*stat)(void *session, struct slice key, struct remote_stat *,
	    struct fault *); /* FAULT_MISSING */
	int (*get)(void *session, struct slice key, uint64_t offset,
	    uint64_t len, void *bytes, struct fault *);
	/* Ascending in byte order, from behind `after`; until visit returns
	 * nonzero. */
	int (*list)(void *session, struct slice prefix, struct slice after,
	    remote_visit *, void *arg, struct fault *);
	int (*remove)(void *session, struct slice key, struct fault *);
	/* Changes tags and metadata in place where the provider can without
	 * sending the bytes again; FAULT_OBJECT when it cannot (then the object
	 * is put again). */
	int (*retag)(
	    void *session, const struct remote_object *, struct fault *);
	/* Every row in turn, to the first failure that makes the rest
	 * senseless. Leaves nothing behind. 0 when all passed. */
	int (*probe)(void *session, probe_visit *, void *arg, struct fault *);
};

extern const struct destination_protocol
    destination_s3; /* AWS and compatible */
extern const struct destination_protocol destination_google;
extern const struct destination_protocol destination_azure;

/* Opens by provider. The fields are copied as far as they are needed. NULL and
 * *err. */
struct destination *destination_open(
    const struct destination_fields *, struct error *err);
void destination_close(struct destination *);
const struct destination_protocol *destination_table(
    const struct destination *);
void destination_limits(
    const struct destination *, struct destination_limits *);
/* destination_protocol.clock_offset_ms, without a session. Any thread. */
int64_t destination_clock_offset_ms(const struct destination *);
/* destination_protocol.check_key, without a session. */
int destination_check_key(
    const struct destination *, struct slice key, struct fault *);
/* destination_protocol.learnt and recall; the text is empty when there is
 * nothing to keep. */
#define REMOTE_LEARNT_BYTES 768
void destination_learnt(
    const struct destination *, char text[REMOTE_LEARNT_BYTES]);
void destination_recall(enum provider, const char *text);
/* A session for one thread; the table's functions take destination_call(s). */
struct destination_session *destination_session_new(
    struct destination *, int (*stopped)(void *), void *arg, struct error *err);
/* Its calls let other fibers of the thread run meanwhile (http_client.h). */
void destination_session_join(
    struct destination_session *, struct http_group *);
void destination_session_free(struct destination_session *);
void *destination_call(struct destination_session *);

/* How our own facts travel in metadata: names below, given by each protocol its
 * prefix ("x-amz-meta-", ...). */
#define REMOTE_META_ETAG "holdfast-etag"
#define REMOTE_META_MTIME "holdfast-mtime" /* milliseconds */
#define REMOTE_META_VERSION "holdfast-version"
#define REMOTE_META_PARTS "holdfast-parts"
/* Of a multipart object, whose ETag is no MD5: 8 hex digits. */
#define REMOTE_META_CRC32C "holdfast-crc32c"
/* 0, or -1 when it is none. */
int remote_crc32c_parse(struct slice text, uint32_t *crc32c);
/* Tags as "name=value&..." where the destination has none. What does not fit at
 * all: side_object.h. */
#define REMOTE_META_TAGS "holdfast-tags"

#endif
