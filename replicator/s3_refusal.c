#include <stdio.h>
#include <string.h>

#include "replicator/s3_private.h"

/*
 * What S3 and its like answer, by the code's name, then by the status.
 */

/* A denied delete or overwrite may be a retention rule's doing: that is the
 * object's matter, and not a missing permission. */
static const char *const retention[] = { "object lock", "Object Lock", "WORM",
	"retention", "Retention", "legal hold", "is protected", NULL };

static const struct refusal_row rows[] = {
	REFUSAL("AccessDenied", FAULT_OBJECT,
	    "The object is kept by a retention rule. %M", .words = retention),
	REFUSAL("InvalidAccessKeyId", FAULT_PERSON,
	    "The store does not know this access key id: it is mistyped, "
	    "deleted or disabled, or belongs to another provider."),
	REFUSAL("InactiveAccessKey", FAULT_PERSON,
	    "The access key is disabled: enable it, or give another."),
	REFUSAL("SignatureDoesNotMatch", FAULT_PERSON,
	    "The secret access key does not fit the access key id: enter it "
	    "again. (If it is right, something between changes requests.)"),
	REFUSAL("RequestTimeTooSkewed", FAULT_PERSON,
	    "This machine's clock and the store's differ too much: set the "
	    "clock, best by NTP."),
	REFUSAL("ExpiredToken", FAULT_PERSON,
	    "The credentials have expired: get new ones."),
	REFUSAL("TokenRefreshRequired", FAULT_PERSON,
	    "The credentials have expired: get new ones."),
	REFUSAL("InvalidToken", FAULT_PERSON,
	    "The session token is not accepted: get new credentials."),
	REFUSAL("AuthorizationHeaderMalformed", FAULT_PERSON,
	    "The store refuses the signature's form; most often the region is "
	    "wrong. It says: %M"),
	REFUSAL("AccessDenied", FAULT_PERSON,
	    "Permission %P is missing for bucket "
	    "%B. %M"),
	REFUSAL("AccountProblem", FAULT_PERSON,
	    "There is a problem with the account: ask the provider. %M"),
	REFUSAL("AllAccessDisabled", FAULT_PERSON,
	    "All access to bucket %B has been disabled by the provider."),
	REFUSAL("NotSignedUp", FAULT_PERSON,
	    "The account is not signed up for this service. %M"),
	REFUSAL("NoSuchBucket", FAULT_PERSON,
	    "There is no bucket %B: create it, or correct the name."),
	REFUSAL("InvalidBucketName", FAULT_PERSON,
	    "%B is no name for a bucket: correct it."),
	REFUSAL("PermanentRedirect", FAULT_PERSON,
	    "The bucket %B is in another region: correct the region. %M"),
	REFUSAL("TemporaryRedirect", FAULT_RETRY,
	    "The bucket %B is being moved, or is very new. %M"),
	REFUSAL("IllegalLocationConstraintException", FAULT_PERSON,
	    "The bucket %B is in another region: correct the region. %M"),
	REFUSAL("QuotaExceeded", FAULT_PERSON,
	    "The quota of bucket %B is used up: raise it. %M"),
	REFUSAL("XMinioStorageFull", FAULT_PERSON,
	    "The store has no space left: give it more. %M"),
	REFUSAL("XMinioAdminBucketQuotaExceeded", FAULT_PERSON,
	    "The quota of bucket %B is used up: raise it."),
	REFUSAL("InvalidStorageClass", FAULT_PERSON,
	    "The store does not know the storage class: correct it. %M"),
	REFUSAL("InvalidEncryptionAlgorithmError", FAULT_PERSON,
	    "The store does not know that encryption: correct it. %M"),
	REFUSAL("KMS.ThrottlingException", FAULT_RETRY,
	    "The key service asks for fewer requests.",
	    .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("KMS.KMSInternalException", FAULT_RETRY,
	    "The key service had an error inside. %M"),
	REFUSAL("KMS.DisabledException", FAULT_PERSON,
	    "The encryption key is disabled: enable it. %M"),
	REFUSAL("KMS.NotFoundException", FAULT_PERSON,
	    "The encryption key does not exist in the bucket's region. %M"),
	REFUSAL("KMS.KMSInvalidStateException", FAULT_PERSON,
	    "The encryption key is not usable. %M"),

	REFUSAL("SlowDown", FAULT_RETRY, "The store asks for fewer requests.",
	    .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("ServiceUnavailable", FAULT_RETRY,
	    "The store cannot answer at the moment."),
	REFUSAL("RequestLimitExceeded", FAULT_RETRY,
	    "The store asks for fewer requests.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("TooManyRequests", FAULT_RETRY,
	    "The store asks for fewer requests.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("Throttling", FAULT_RETRY, "The store asks for fewer requests.",
	    .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("ThrottlingException", FAULT_RETRY,
	    "The store asks for fewer requests.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL(
	    "InternalError", FAULT_RETRY, "The store had an error inside. %M"),
	REFUSAL("OperationAborted", FAULT_RETRY,
	    "Another change of the same thing is under way."),
	REFUSAL("ConditionalRequestConflict", FAULT_RETRY,
	    "Another change of the same key is under way."),
	REFUSAL("RequestTimeout", FAULT_RETRY,
	    "The store waited too long for the request's body."),
	REFUSAL("IncompleteBody", FAULT_RETRY,
	    "The store got fewer bytes than were sent."),
	REFUSAL("BadDigest", FAULT_RETRY,
	    "The bytes were changed on their way: the store's checksum "
	    "differs."),
	REFUSAL("XAmzContentSHA256Mismatch", FAULT_RETRY,
	    "The bytes were changed on their way: the store's checksum "
	    "differs."),
	REFUSAL("XAmzContentChecksumMismatch", FAULT_RETRY,
	    "The bytes were changed on their way: the store's checksum "
	    "differs."),

	REFUSAL("NoSuchKey", FAULT_MISSING, "There is no such object."),
	REFUSAL("NoSuchVersion", FAULT_MISSING, "There is no such version."),
	REFUSAL("NoSuchUpload", FAULT_MISSING, "There is no such upload."),
	REFUSAL("InvalidPart", FAULT_MISSING,
	    "A part of the upload is not there, or is another one."),
	REFUSAL("PreconditionFailed", FAULT_EXISTS,
	    "There is an object of that key."),

	REFUSAL("InvalidObjectState", FAULT_OBJECT,
	    "The object is in an archive class: restore it at the provider "
	    "first, which takes from minutes to two days.",
	    .flags = REFUSAL_ARCHIVED),
	REFUSAL("ObjectLocked", FAULT_OBJECT,
	    "The object is kept by a retention rule. %M"),
	REFUSAL("InvalidRetentionPeriod", FAULT_OBJECT,
	    "The object is kept by a retention rule. %M"),
	REFUSAL("MethodNotAllowed", FAULT_OBJECT,
	    "The store does not allow this change of the object; most often a "
	    "retention rule keeps it. %M"),
	REFUSAL("KeyTooLongError", FAULT_OBJECT,
	    "The key is too long for the store: configure a shorter path."),
	REFUSAL("KeyTooLong", FAULT_OBJECT,
	    "The key is too long for the store: configure a shorter path."),
	REFUSAL("XMinioInvalidObjectName", FAULT_OBJECT,
	    "The store cannot hold a key of that form."),
	REFUSAL("InvalidObjectName", FAULT_OBJECT,
	    "The store cannot hold a key of that form."),
	REFUSAL("EntityTooLarge", FAULT_OBJECT,
	    "The object is larger than the store takes. %M"),
	REFUSAL("MetadataTooLarge", FAULT_OBJECT,
	    "The store does not take that much metadata. %M"),
	REFUSAL("MetadataHeadersTooLarge", FAULT_OBJECT,
	    "The store does not take that much metadata. %M"),

	REFUSAL("", FAULT_PERSON,
	    "The store refuses access to bucket %B without saying why: check "
	    "the access key, and its permission %P.",
	    .status = 403),
	REFUSAL("", FAULT_MISSING, "There is no such object.", .status = 404),
	REFUSAL(NULL, FAULT_PERSON,
	    "The store sends requests elsewhere (status %S): correct the "
	    "region or the endpoint. %M",
	    .status = 3),
	REFUSAL(NULL, FAULT_NONE, "The store answered %S%D"),
};

static const char *const permissions[] = {
	[S3_GET] = "s3:GetObject",
	[S3_HEAD] = "s3:GetObject",
	[S3_PUT] = "s3:PutObject",
	[S3_DELETE] = "s3:DeleteObject",
	[S3_LIST] = "s3:ListBucket",
	[S3_MULTIPART] = "s3:PutObject",
	[S3_ABORT] = "s3:AbortMultipartUpload",
	[S3_GET_TAGS] = "s3:GetObjectTagging",
	[S3_PUT_TAGS] = "s3:PutObjectTagging",
	[S3_GET_VERSIONING] = "s3:GetBucketVersioning",
	[S3_GET_LIFECYCLE] = "s3:GetLifecycleConfiguration",
	[S3_GET_LOCK] = "s3:GetBucketObjectLockConfiguration",
	[S3_DELETE_VERSION] = "s3:DeleteObjectVersion",
	[S3_LIST_UPLOADS] = "s3:ListBucketMultipartUploads",
};

const char *
s3_permission(enum s3_op op)
{
	return permissions[op];
}

static int
refusal_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct refusal *r = arg;
	const char *name = strrchr(path, '/');

	if (name == NULL || text.at == NULL || strncmp(path, "Error", 5) != 0)
		return 0;
	name++;
	if (strcmp(name, "Code") == 0)
		refusal_take(r->code, sizeof(r->code), text);
	else if (strcmp(name, "Message") == 0)
		refusal_take(r->message, sizeof(r->message), text);
	else if (strcmp(name, "Region") == 0)
		refusal_take(r->region, sizeof(r->region), text);
	return 0;
}

/* "... the region 'us-east-1' is wrong; expecting 'eu-west-1'" */
static void
region_of_message(struct refusal *r)
{
	const char *at = strstr(r->message, "expecting '");
	size_t len;

	if (r->region[0] != '\0' || at == NULL ||
	    strcmp(r->code, "AuthorizationHeaderMalformed") != 0)
		return;
	at += strlen("expecting '");
	len = strcspn(at, "'");
	if (at[len] == '\'' && len < sizeof(r->region) &&
	    memchr(at, '/', len) == NULL)
		refusal_take(
		    r->region, sizeof(r->region), (struct slice){ at, len });
}

void
s3_refusal_read(struct slice body, struct refusal *r)
{
	size_t i;

	memset(r, 0, sizeof(*r));
	if (body.len == 0)
		return;
	xml_read(body, refusal_leaf, r);
	region_of_message(r);
	/* It goes into host names. */
	for (i = 0; r->region[i] != '\0'; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_",
			r->region[i]) == NULL)
			r->region[0] = '\0';
}

int
s3_refusal_fault(const struct s3_shared *s, enum s3_op op,
    const struct http_call *call, const struct refusal *r, struct fault *fault)
{
	/* AWS names the action that it refused; others do not. */
	static const char *const marks[] = { "not authorized to perform: ",
		NULL };
	char permission[64];
	struct refusal_names names = { .bucket = s->bucket,
		.permission = refusal_permission(r, marks, "", permissions[op],
		    permission, sizeof(permission)) };

	return refusal_fault(
	    refusal_find(rows, call->status, r), &names, call, r, fault);
}
