#ifndef S3API_S3ERROR_H
#define S3API_S3ERROR_H

#include <stddef.h>

#include "base/buffer.h"

struct error;

/*
 * S3's errors: AWS's code and status (Amazon S3 API Reference, "Error
 * responses") and a sentence of ours that says what is wrong and what to do.
 */

enum s3_code {
	S3_OK = 0,
	S3_ACCESS_DENIED,
	S3_AUTHORIZATION_HEADER_MALFORMED,
	S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
	S3_BAD_DIGEST,
	S3_BUCKET_ALREADY_EXISTS,
	S3_BUCKET_ALREADY_OWNED_BY_YOU,
	S3_BUCKET_NOT_EMPTY,
	S3_CONDITIONAL_REQUEST_CONFLICT,
	S3_ENTITY_TOO_LARGE,
	S3_ENTITY_TOO_SMALL,
	S3_EXPIRED_TOKEN,
	S3_ILLEGAL_LOCATION_CONSTRAINT,
	S3_INCOMPLETE_BODY,
	S3_INTERNAL_ERROR,
	S3_INVALID_ACCESS_KEY_ID,
	S3_INVALID_ARGUMENT,
	S3_INVALID_BUCKET_NAME,
	S3_INVALID_DIGEST,
	S3_INVALID_OBJECT_STATE,
	S3_INVALID_PART,
	S3_INVALID_PART_NUMBER,
	S3_INVALID_PART_ORDER,
	S3_INVALID_RANGE,
	S3_INVALID_REQUEST,
	S3_INVALID_STORAGE_CLASS,
	S3_INVALID_TAG,
	S3_INVALID_TOKEN,
	S3_INVALID_URI,
	S3_KEY_TOO_LONG,
	S3_MALFORMED_TRAILER,
	S3_MALFORMED_XML,
	S3_METADATA_TOO_LARGE,
	S3_METHOD_NOT_ALLOWED,
	S3_MISSING_CONTENT_LENGTH,
	S3_MISSING_REQUEST_BODY,
	S3_MISSING_SECURITY_HEADER,
	S3_NO_SUCH_BUCKET,
	S3_NO_SUCH_BUCKET_POLICY,
	S3_NO_SUCH_CONFIGURATION,
	S3_NO_SUCH_CORS_CONFIGURATION,
	S3_NO_SUCH_KEY,
	S3_NO_SUCH_LIFECYCLE_CONFIGURATION,
	S3_NO_SUCH_OBJECT_LOCK_CONFIGURATION, /* on an object */
	S3_NO_SUCH_PUBLIC_ACCESS_BLOCK,
	S3_NO_SUCH_TAG_SET,
	S3_NO_SUCH_UPLOAD,
	S3_NO_SUCH_VERSION,
	S3_NO_SUCH_WEBSITE_CONFIGURATION,
	S3_NOT_IMPLEMENTED,
	S3_NOT_MODIFIED,
	S3_OBJECT_LOCK_CONFIGURATION_NOT_FOUND, /* on a bucket */
	S3_OWNERSHIP_CONTROLS_NOT_FOUND,
	S3_PRECONDITION_FAILED,
	S3_QUOTA_EXCEEDED,
	S3_REPLICATION_CONFIGURATION_NOT_FOUND,
	S3_REQUEST_TIMEOUT,
	S3_REQUEST_TIME_TOO_SKEWED,
	S3_SERVER_SIDE_ENCRYPTION_CONFIGURATION_NOT_FOUND,
	S3_SERVICE_UNAVAILABLE,
	S3_SIGNATURE_DOES_NOT_MATCH,
	S3_SLOW_DOWN,
	S3_STORAGE_FULL,
	S3_TOO_MANY_PARTS,
	S3_UNSIGNED_CONTENT, /* XAmzContentSHA256Mismatch */
	S3_CODES
};

struct s3_error {
	enum s3_code code;
	char message[512];
};

#define S3_ERROR_INIT \
	{ \
		S3_OK, "" \
	}

/* AWS's spelling ("NoSuchKey") and status (404). */
const char *s3_code_name(enum s3_code);
int s3_code_status(enum s3_code);

/* Sets it; fmt NULL takes the code's own sentence. Returns -1. */
int s3_error_set(struct s3_error *, enum s3_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* From an error of the store. Returns -1. */
int s3_error_from(struct s3_error *, const struct error *);

/* The XML document: Code, Message, details (elements that name the thing, such
 * as Key; may be empty), Resource, RequestId, HostId. */
void s3_error_xml(struct buffer *, const struct s3_error *,
    struct slice details, struct slice resource, const char *request_id);

#endif
