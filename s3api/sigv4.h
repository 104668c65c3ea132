#ifndef S3API_SIGV4_H
#define S3API_SIGV4_H

#include <stdint.h>

#include "base/digest.h"
#include "s3api/http.h"
#include "s3api/s3error.h"

/*
 * AWS Signature Version 4, in the Authorization header and presigned in the
 * query ("Authenticating Requests (AWS Signature Version 4)", Amazon S3 API
 * Reference). Two steps, since the secret is looked up between them: parse finds
 * whose signature it claims to be, verify proves it. Any thread.
 */

enum payload_kind {
	PAYLOAD_SIGNED,            /* x-amz-content-sha256 is the body's digest */
	PAYLOAD_UNSIGNED,          /* UNSIGNED-PAYLOAD, and presigned by default */
	PAYLOAD_CHUNKED_SIGNED,    /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
	PAYLOAD_CHUNKED_SIGNED_TRAILER,  /* ...-PAYLOAD-TRAILER */
	PAYLOAD_CHUNKED_UNSIGNED_TRAILER /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

struct sigv4 {
	int anonymous; /* no signature at all: all else is unset */
	int presigned;
	struct slice access_key;
	struct slice date, region, service; /* of the credential scope */
	struct slice signed_headers;        /* as sent, ';'-separated (decoded) */
	uint8_t signature[SHA256_BYTES];
	int64_t time_ms;    /* x-amz-date (or Date) */
	char time_text[17]; /* the same, as signed */
	uint64_t expires_s; /* presigned only */
	enum payload_kind payload;
	uint8_t payload_sha256[SHA256_BYTES]; /* PAYLOAD_SIGNED */
	char text[2048]; /* decoded query values that the slices point into */
};

struct sigv4_rules {
	int64_t now_ms;
	int64_t skew_ms;     /* 15 minutes */
	struct slice region; /* the only one accepted; empty: any */
};

/* 0, or -1 and *s3err. Both a header and a query signature is refused; so is
 * Signature Version 2, by a sentence. */
int sigv4_parse(const struct http_head *, struct sigv4 *, struct s3_error *s3err);

/* A key derived from a secret for one day, region and service; kept so that
 * requests cost two hashes rather than six. */
struct sigv4_key {
	uint8_t key[SHA256_BYTES];
};
void sigv4_derive(struct slice secret, const struct sigv4 *, struct sigv4_key *);

/* 0 when the signature is that of the request and its time is right; else -1 and
 * *s3err (SignatureDoesNotMatch, RequestTimeTooSkewed, AccessDenied for an
 * expired presigned request, AuthorizationHeaderMalformed for another region).
 * The comparison takes constant time. */
int sigv4_verify(const struct http_head *, const struct sigv4 *,
    const struct sigv4_key *, const struct sigv4_rules *, struct s3_error *s3err);

#endif
