#ifndef S3API_SIGV4_H
#define S3API_SIGV4_H

#include <stdint.h>

#include "base/digest.h"
#include "s3api/http.h"
#include "s3api/s3error.h"

/*
 * AWS Signature Version 4, in the Authorization header and presigned in the
 * query ("Authenticating Requests (AWS Signature Version 4)", Amazon S3 API
 * Reference). Two steps, since the secret is looked up between them: parse
 * finds whose signature it claims to be, verify proves it. Any thread.
 */

enum payload_kind {
	PAYLOAD_SIGNED,         /* x-amz-content-sha256 is the body's digest */
	PAYLOAD_UNSIGNED,       /* UNSIGNED-PAYLOAD, and presigned by default */
	PAYLOAD_CHUNKED_SIGNED, /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
	PAYLOAD_CHUNKED_SIGNED_TRAILER,  /* ...-PAYLOAD-TRAILER */
	PAYLOAD_CHUNKED_UNSIGNED_TRAILER /* STREAMING-UNSIGNED-PAYLOAD-TRAILER
					  */
};

struct sigv4 {
	int anonymous; /* no signature at all: of the rest, only payload is set
			*/
	int presigned;
	struct slice access_key;
	struct slice date, region, service; /* of the credential scope */
	struct slice signed_headers; /* as sent, ';'-separated (decoded) */
	uint8_t signature[SHA256_BYTES];
	int64_t time_ms;    /* x-amz-date (or Date) */
	char time_text[17]; /* the same, as signed */
	uint64_t expires_s; /* presigned only */
	struct slice
	    payload_text; /* what stands for the body in the signature */
	enum payload_kind payload;
	uint8_t payload_sha256[SHA256_BYTES]; /* PAYLOAD_SIGNED */
	/* Decoded query values that the slices point into: a struct sigv4 is
	 * passed by address, never copied. */
	char text[2048];
};

struct sigv4_rules {
	int64_t now_ms;
	int64_t skew_ms;     /* 15 minutes */
	struct slice region; /* the only one accepted; empty: any */
};

/* 0, or -1 and *s3err. Both a header and a query signature is refused; so are
 * Signature Version 2, an asymmetric signature and a security token, by a
 * sentence. */
int sigv4_parse(
    const struct http_head *, struct sigv4 *, struct s3_error *s3err);

#define SIGV4_SECRET_MAX_BYTES 1024

/* A key derived from a secret for one day, region and service; kept so that
 * requests cost two hashes rather than six. */
struct sigv4_key {
	uint8_t key[SHA256_BYTES];
};
/* A secret longer than SIGV4_SECRET_MAX_BYTES gives a key that fits nothing. */
void sigv4_derive(
    struct slice secret, const struct sigv4 *, struct sigv4_key *);

/* 0 when the signature is that of the request, its time is right, and host and
 * every x-amz- header are under it; else -1 and *s3err (SignatureDoesNotMatch,
 * RequestTimeTooSkewed, AccessDenied for an expired presigned request or a
 * header that is not signed, AuthorizationHeaderMalformed or
 * AuthorizationQueryParametersError for another region). The comparison takes
 * constant time. */
int sigv4_verify(const struct http_head *, const struct sigv4 *,
    const struct sigv4_key *, const struct sigv4_rules *,
    struct s3_error *s3err);

#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"

/* The lines that begin each thing that is signed: algorithm, time and scope,
 * each with its line feed. Returns their length. */
#define SIGV4_SCOPE_MAX_BYTES 256
#define SIGV4_LINES_MAX_BYTES (32 + 17 + SIGV4_SCOPE_MAX_BYTES)
size_t sigv4_lines(const struct sigv4 *, const char *algorithm,
    char lines[SIGV4_LINES_MAX_BYTES]);

#endif
