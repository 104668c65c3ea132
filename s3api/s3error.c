#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "s3api/s3error.h"
#include "s3api/xml.h"

/*
 * Code and status are AWS's. A full disk and a bucket's own quota, which AWS
 * does not have, are AccessDenied with 403, since that makes most clients stop
 * at once and show the sentence: docs/full-disk.md has the measurements. Kopia
 * knows an unknown access key by AWS's own sentence, and only then does not try
 * ten times.
 */
static const struct {
	const char *name;
	int status;
	const char *sentence;
} codes[S3_CODES] = {
	[S3_OK] = { "OK", 200, "" },
	[S3_ACCESS_DENIED] = { "AccessDenied", 403,
	    "The access key has no right to do this." },
	[S3_AUTHORIZATION_HEADER_MALFORMED] = { "AuthorizationHeaderMalformed",
	    400, "The Authorization header is not a Signature Version 4 one." },
	[S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR] = { "AuthorizationQueryParame"
						      "tersError",
	    400,
	    "The X-Amz- query parameters are not a Signature Version 4 "
	    "signature." },
	[S3_BAD_DIGEST] = { "BadDigest", 400,
	    "The bytes that arrived do not have the digest or checksum that "
	    "the "
	    "request names." },
	[S3_BUCKET_ALREADY_EXISTS] = { "BucketAlreadyExists", 409,
	    "A bucket of this name exists already." },
	[S3_BUCKET_ALREADY_OWNED_BY_YOU] = { "BucketAlreadyOwnedByYou", 409,
	    "A bucket of this name exists already and is yours." },
	[S3_BUCKET_NOT_EMPTY] = { "BucketNotEmpty", 409,
	    "The bucket still holds objects, versions or delete markers; "
	    "delete "
	    "them first." },
	[S3_CONDITIONAL_REQUEST_CONFLICT] = { "ConditionalRequestConflict", 409,
	    "Another request changed the object meanwhile; send the request "
	    "again." },
	[S3_ENTITY_TOO_LARGE] = { "EntityTooLarge", 400,
	    "The object or part is larger than S3 allows." },
	[S3_ENTITY_TOO_SMALL] = { "EntityTooSmall", 400,
	    "A part that is not the last has less than 5 MiB." },
	[S3_EXPIRED_TOKEN] = { "ExpiredToken", 400,
	    "The security token has expired." },
	[S3_ILLEGAL_LOCATION_CONSTRAINT] = { "IllegalLocationConstraintExceptio"
					     "n",
	    400, "The location constraint is not this server's region." },
	[S3_INCOMPLETE_BODY] = { "IncompleteBody", 400,
	    "The body ended before the length that the request declares." },
	[S3_INTERNAL_ERROR] = { "InternalError", 500,
	    "The server met an error of its own; its log says more." },
	[S3_INVALID_ACCESS_KEY_ID] = { "InvalidAccessKeyId", 403,
	    "The Access Key Id you provided does not exist in our records." },
	[S3_INVALID_ARGUMENT] = { "InvalidArgument", 400,
	    "An argument of the request is not valid." },
	[S3_INVALID_BUCKET_NAME] = { "InvalidBucketName", 400,
	    "A bucket's name has 3 to 63 lower-case letters, digits, dots and "
	    "hyphens, and begins and ends with a letter or digit." },
	[S3_INVALID_DIGEST] = { "InvalidDigest", 400,
	    "Content-MD5 is not the base64 of 16 bytes." },
	[S3_INVALID_OBJECT_STATE] = { "InvalidObjectState", 403,
	    "The object's state does not allow this." },
	[S3_INVALID_PART] = { "InvalidPart", 400,
	    "A part that is named was not uploaded, or has another ETag or "
	    "checksum." },
	[S3_INVALID_PART_NUMBER] = { "InvalidPartNumber", 416,
	    "The object has no such part." },
	[S3_INVALID_PART_ORDER] = { "InvalidPartOrder", 400,
	    "The part numbers do not ascend." },
	[S3_INVALID_RANGE] = { "InvalidRange", 416,
	    "The range begins behind the object's end." },
	[S3_INVALID_REQUEST] = { "InvalidRequest", 400,
	    "The request is not valid." },
	[S3_INVALID_STORAGE_CLASS] = { "InvalidStorageClass", 400,
	    "The storage class is not one that this server has: it keeps "
	    "everything as STANDARD." },
	[S3_INVALID_TAG] = { "InvalidTag", 400,
	    "A tag's key has 1 to 128 characters and its value up to 256; keys "
	    "are unique." },
	[S3_INVALID_TOKEN] = { "InvalidToken", 400,
	    "Security tokens are not issued here: use an access key and its "
	    "secret alone." },
	[S3_INVALID_URI] = { "InvalidURI", 400,
	    "The request's path cannot be decoded." },
	[S3_KEY_TOO_LONG] = { "KeyTooLongError", 400,
	    "A key has at most 1,024 bytes." },
	[S3_MALFORMED_TRAILER] = { "MalformedTrailerError", 400,
	    "The trailer behind the body is not what the request announces." },
	[S3_MALFORMED_XML] = { "MalformedXML", 400,
	    "The XML in the body is not well-formed or not what this operation "
	    "takes." },
	[S3_METADATA_TOO_LARGE] = { "MetadataTooLarge", 400,
	    "User metadata has at most 2 KiB." },
	[S3_METHOD_NOT_ALLOWED] = { "MethodNotAllowed", 405,
	    "The method is not allowed on this resource." },
	[S3_MISSING_CONTENT_LENGTH] = { "MissingContentLength", 411,
	    "The request needs a Content-Length." },
	[S3_MISSING_REQUEST_BODY] = { "MissingRequestBodyError", 400,
	    "The request needs a body." },
	[S3_MISSING_SECURITY_HEADER] = { "MissingSecurityHeader", 400,
	    "The request lacks a header that its signature needs." },
	[S3_NO_SUCH_BUCKET] = { "NoSuchBucket", 404,
	    "There is no bucket of this name." },
	[S3_NO_SUCH_BUCKET_POLICY] = { "NoSuchBucketPolicy", 404,
	    "The bucket has no policy." },
	[S3_NO_SUCH_CONFIGURATION] = { "NoSuchConfiguration", 404,
	    "The bucket has no configuration of this id." },
	[S3_NO_SUCH_CORS_CONFIGURATION] = { "NoSuchCORSConfiguration", 404,
	    "The bucket has no CORS configuration." },
	[S3_NO_SUCH_KEY] = { "NoSuchKey", 404,
	    "There is no object of this key." },
	[S3_NO_SUCH_LIFECYCLE_CONFIGURATION] = { "NoSuchLifecycleConfiguration",
	    404, "The bucket has no lifecycle configuration." },
	[S3_NO_SUCH_OBJECT_LOCK_CONFIGURATION] = { "NoSuchObjectLockConfigurati"
						   "on",
	    404, "The object has no lock configuration." },
	[S3_NO_SUCH_PUBLIC_ACCESS_BLOCK] = { "NoSuchPublicAccessBlockConfigurat"
					     "ion",
	    404, "The bucket has no public access block configuration." },
	[S3_NO_SUCH_TAG_SET] = { "NoSuchTagSet", 404, "There are no tags." },
	[S3_NO_SUCH_UPLOAD] = { "NoSuchUpload", 404,
	    "There is no such multipart upload; it was completed or aborted, "
	    "or "
	    "never begun." },
	[S3_NO_SUCH_VERSION] = { "NoSuchVersion", 404,
	    "The object has no such version." },
	[S3_NO_SUCH_WEBSITE_CONFIGURATION] = { "NoSuchWebsiteConfiguration",
	    404, "The bucket has no website configuration." },
	[S3_NOT_IMPLEMENTED] = { "NotImplemented", 501,
	    "This server does not implement that." },
	[S3_NOT_MODIFIED] = { "NotModified", 304,
	    "The object has not been modified." },
	[S3_OBJECT_LOCK_CONFIGURATION_NOT_FOUND] = { "ObjectLockConfigurationNo"
						     "tFoundError",
	    404, "The bucket has no object lock configuration." },
	[S3_OWNERSHIP_CONTROLS_NOT_FOUND] = { "OwnershipControlsNotFoundError",
	    404, "The bucket has no ownership controls." },
	[S3_PRECONDITION_FAILED] = { "PreconditionFailed", 412,
	    "A precondition of the request does not hold." },
	[S3_QUOTA_EXCEEDED] = { "AccessDenied", 403,
	    "The bucket's quota is used up: delete objects or raise the "
	    "quota." },
	[S3_REPLICATION_CONFIGURATION_NOT_FOUND] = { "ReplicationConfigurationN"
						     "otFoundError",
	    404, "The bucket has no replication configuration." },
	[S3_REQUEST_TIMEOUT] = { "RequestTimeout", 400,
	    "The body did not arrive in time." },
	[S3_REQUEST_TIME_TOO_SKEWED] = { "RequestTimeTooSkewed", 403,
	    "The request's time differs too much from the server's: set the "
	    "clocks of both." },
	[S3_SERVER_SIDE_ENCRYPTION_CONFIGURATION_NOT_FOUND] = { "ServerSideEncr"
								"yptionConfigur"
								"ationNotFoundE"
								"rror",
	    404, "The bucket has no encryption configuration." },
	[S3_SERVICE_UNAVAILABLE] = { "ServiceUnavailable", 503,
	    "The server is shutting down: come again." },
	[S3_SIGNATURE_DOES_NOT_MATCH] = { "SignatureDoesNotMatch", 403,
	    "The signature is not that of this request under this access key: "
	    "check the secret key, and that nothing on the way changes the "
	    "request." },
	[S3_SLOW_DOWN] = { "SlowDown", 503,
	    "Too much is in progress: come again, and less at once." },
	[S3_STORAGE_FULL] = { "AccessDenied", 403,
	    "The server's disk is full: delete objects or give it more "
	    "space." },
	[S3_TOO_MANY_PARTS] = { "InvalidArgument", 400,
	    "A part's number is between 1 and 10,000." },
	[S3_UNSIGNED_CONTENT] = { "XAmzContentSHA256Mismatch", 400,
	    "The body's SHA-256 is not what x-amz-content-sha256 says." },
};

/* What each error of the store is on the S3 port. */
static const enum s3_code of_store[] = {
	[ERR_NONE] = S3_INTERNAL_ERROR,
	[ERR_NOMEM] = S3_INTERNAL_ERROR,
	[ERR_IO] = S3_INTERNAL_ERROR,
	[ERR_DISK_FULL] = S3_STORAGE_FULL,
	[ERR_READ_ONLY] = S3_STORAGE_FULL,
	[ERR_BUSY] = S3_SLOW_DOWN,
	[ERR_DAMAGED] = S3_INTERNAL_ERROR,
	[ERR_FORMAT] = S3_INTERNAL_ERROR,
	[ERR_LOCKED] = S3_INTERNAL_ERROR,
	[ERR_INVALID] = S3_INVALID_ARGUMENT,
	[ERR_NOT_FOUND] = S3_NO_SUCH_KEY,
	[ERR_NO_BUCKET] = S3_NO_SUCH_BUCKET,
	[ERR_NO_VERSION] = S3_NO_SUCH_VERSION,
	[ERR_NO_UPLOAD] = S3_NO_SUCH_UPLOAD,
	[ERR_NO_PART] = S3_INVALID_PART,
	[ERR_PART_ORDER] = S3_INVALID_PART_ORDER,
	[ERR_PART_SMALL] = S3_ENTITY_TOO_SMALL,
	[ERR_TOO_LARGE] = S3_ENTITY_TOO_LARGE,
	[ERR_EXISTS] = S3_BUCKET_ALREADY_OWNED_BY_YOU,
	[ERR_NOT_EMPTY] = S3_BUCKET_NOT_EMPTY,
	[ERR_CONDITION] = S3_PRECONDITION_FAILED,
	[ERR_CONFLICT] = S3_CONDITIONAL_REQUEST_CONFLICT,
	[ERR_QUOTA] = S3_QUOTA_EXCEEDED,
	[ERR_DIGEST] = S3_BAD_DIGEST,
	[ERR_DELETE_MARKER] = S3_METHOD_NOT_ALLOWED,
	[ERR_CLOSING] = S3_SERVICE_UNAVAILABLE,
	[ERR_AWAY] = S3_SERVICE_UNAVAILABLE,
	[ERR_ARCHIVED] = S3_INVALID_OBJECT_STATE,
	[ERR_INTERNAL] = S3_INTERNAL_ERROR,
};

const char *
s3_code_name(enum s3_code code)
{
	return codes[code].name;
}

int
s3_code_status(enum s3_code code)
{
	return codes[code].status;
}

int
s3_error_set(struct s3_error *s3err, enum s3_code code, const char *fmt, ...)
{
	va_list ap;

	s3err->code = code;
	if (fmt == NULL) {
		snprintf(s3err->message, sizeof(s3err->message), "%s",
		    codes[code].sentence);
		return -1;
	}
	va_start(ap, fmt);
	vsnprintf(s3err->message, sizeof(s3err->message), fmt, ap);
	va_end(ap);
	return -1;
}

int
s3_error_from(struct s3_error *s3err, const struct error *err)
{
	size_t kind = (size_t)err->kind;
	enum s3_code code = S3_INTERNAL_ERROR;

	if (kind < sizeof(of_store) / sizeof(of_store[0]))
		code = of_store[kind];
	if (err->text[0] == '\0')
		return s3_error_set(s3err, code, NULL);
	return s3_error_set(s3err, code, "%s", err->text);
}

void
s3_error_xml(struct buffer *out, const struct s3_error *s3err,
    struct slice details, struct slice resource, const char *request_id)
{
	buffer_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	xml_open(out, "Error");
	xml_string(out, "Code", s3_code_name(s3err->code));
	xml_string(out, "Message", s3err->message);
	buffer_add_slice(out, details);
	xml_text(out, "Resource", resource);
	xml_string(out, "RequestId", request_id);
	xml_string(out, "HostId", "holdfast");
	xml_close(out, "Error");
}
