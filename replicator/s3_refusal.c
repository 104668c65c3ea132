#include <stdio.h>
#include <string.h>

#include "replicator/s3_private.h"

/*
 * Sorting of refusals: by the code's name, then by the status. In a sentence %B
 * is the bucket, %P the permission, %M the store's own message.
 */

static const struct {
	const char *code;
	enum fault_kind kind;
	const char *sentence;
} codes[] = {
	{ "InvalidAccessKeyId", FAULT_PERSON,
	    "The store does not know this access key id: it is mistyped, "
	    "deleted or disabled, or belongs to another provider." },
	{ "InactiveAccessKey", FAULT_PERSON,
	    "The access key is disabled: enable it, or give another." },
	{ "SignatureDoesNotMatch", FAULT_PERSON,
	    "The secret access key does not fit the access key id: enter it "
	    "again. (If it is right, something between changes requests.)" },
	{ "RequestTimeTooSkewed", FAULT_PERSON,
	    "This machine's clock and the store's differ too much: set the "
	    "clock, best by NTP." },
	{ "ExpiredToken", FAULT_PERSON,
	    "The credentials have expired: get new ones." },
	{ "TokenRefreshRequired", FAULT_PERSON,
	    "The credentials have expired: get new ones." },
	{ "InvalidToken", FAULT_PERSON,
	    "The session token is not accepted: get new credentials." },
	{ "AuthorizationHeaderMalformed", FAULT_PERSON,
	    "The store refuses the signature's form; most often the region is "
	    "wrong. It says: %M" },
	{ "AccessDenied", FAULT_PERSON,
	    "Permission %P is missing for bucket "
	    "%B. %M" },
	{ "AccountProblem", FAULT_PERSON,
	    "There is a problem with the account: ask the provider. %M" },
	{ "AllAccessDisabled", FAULT_PERSON,
	    "All access to bucket %B has been disabled by the provider." },
	{ "NotSignedUp", FAULT_PERSON,
	    "The account is not signed up for this service. %M" },
	{ "NoSuchBucket", FAULT_PERSON,
	    "There is no bucket %B: create it, or correct the name." },
	{ "InvalidBucketName", FAULT_PERSON,
	    "%B is no name for a bucket: correct it." },
	{ "PermanentRedirect", FAULT_PERSON,
	    "The bucket %B is in another region: correct the region. %M" },
	{ "TemporaryRedirect", FAULT_RETRY,
	    "The bucket %B is being moved, or is very new. %M" },
	{ "IllegalLocationConstraintException", FAULT_PERSON,
	    "The bucket %B is in another region: correct the region. %M" },
	{ "QuotaExceeded", FAULT_PERSON,
	    "The quota of bucket %B is used up: raise it. %M" },
	{ "XMinioStorageFull", FAULT_PERSON,
	    "The store has no space left: give it more. %M" },
	{ "XMinioAdminBucketQuotaExceeded", FAULT_PERSON,
	    "The quota of bucket %B is used up: raise it." },
	{ "InvalidStorageClass", FAULT_PERSON,
	    "The store does not know the storage class: correct it. %M" },
	{ "InvalidEncryptionAlgorithmError", FAULT_PERSON,
	    "The store does not know that encryption: correct it. %M" },
	{ "KMS.ThrottlingException", FAULT_RETRY,
	    "The key service asks for fewer requests." },
	{ "KMS.KMSInternalException", FAULT_RETRY,
	    "The key service had an error inside. %M" },
	{ "KMS.DisabledException", FAULT_PERSON,
	    "The encryption key is disabled: enable it. %M" },
	{ "KMS.NotFoundException", FAULT_PERSON,
	    "The encryption key does not exist in the bucket's region. %M" },
	{ "KMS.KMSInvalidStateException", FAULT_PERSON,
	    "The encryption key is not usable. %M" },

	{ "SlowDown", FAULT_RETRY, "The store asks for fewer requests." },
	{ "ServiceUnavailable", FAULT_RETRY,
	    "The store cannot answer at the moment." },
	{ "RequestLimitExceeded", FAULT_RETRY,
	    "The store asks for fewer requests." },
	{ "TooManyRequests", FAULT_RETRY,
	    "The store asks for fewer requests." },
	{ "Throttling", FAULT_RETRY, "The store asks for fewer requests." },
	{ "ThrottlingException", FAULT_RETRY,
	    "The store asks for fewer requests." },
	{ "InternalError", FAULT_RETRY, "The store had an error inside. %M" },
	{ "OperationAborted", FAULT_RETRY,
	    "Another change of the same thing is under way." },
	{ "ConditionalRequestConflict", FAULT_RETRY,
	    "Another change of the same key is under way." },
	{ "RequestTimeout", FAULT_RETRY,
	    "The store waited too long for the request's body." },
	{ "IncompleteBody", FAULT_RETRY,
	    "The store got fewer bytes than were sent." },
	{ "BadDigest", FAULT_RETRY,
	    "The bytes were changed on their way: the store's checksum "
	    "differs." },
	{ "XAmzContentSHA256Mismatch", FAULT_RETRY,
	    "The bytes were changed on their way: the store's checksum "
	    "differs." },
	{ "XAmzContentChecksumMismatch", FAULT_RETRY,
	    "The bytes were changed on their way: the store's checksum "
	    "differs." },

	{ "NoSuchKey", FAULT_MISSING, "There is no such object." },
	{ "NoSuchVersion", FAULT_MISSING, "There is no such version." },
	{ "NoSuchUpload", FAULT_MISSING, "There is no such upload." },
	{ "InvalidPart", FAULT_MISSING,
	    "A part of the upload is not there, or is another one." },
	{ "PreconditionFailed", FAULT_EXISTS,
	    "There is an object of that key." },

	{ "InvalidObjectState", FAULT_OBJECT,
	    "The object is in an archive class: restore it at the provider "
	    "first, which takes from minutes to two days." },
	{ "ObjectLocked", FAULT_OBJECT,
	    "The object is kept by a retention rule. %M" },
	{ "InvalidRetentionPeriod", FAULT_OBJECT,
	    "The object is kept by a retention rule. %M" },
	{ "MethodNotAllowed", FAULT_OBJECT,
	    "The store does not allow this change of the object; most often a "
	    "retention rule keeps it. %M" },
	{ "KeyTooLongError", FAULT_OBJECT,
	    "The key is too long for the store: configure a shorter path." },
	{ "KeyTooLong", FAULT_OBJECT,
	    "The key is too long for the store: configure a shorter path." },
	{ "XMinioInvalidObjectName", FAULT_OBJECT,
	    "The store cannot hold a key of that form." },
	{ "InvalidObjectName", FAULT_OBJECT,
	    "The store cannot hold a key of that form." },
	{ "EntityTooLarge", FAULT_OBJECT,
	    "The object is larger than the store takes. %M" },
	{ "MetadataTooLarge", FAULT_OBJECT,
	    "The store does not take that much metadata. %M" },
	{ "MetadataHeadersTooLarge", FAULT_OBJECT,
	    "The store does not take that much metadata. %M" },
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
};

const char *
s3_permission(enum s3_op op)
{
	return permissions[op];
}

static void
take(char *to, size_t room, struct slice text)
{
	snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
	    text.at);
}

static int
refusal_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct s3_refusal *r = arg;
	const char *name = strrchr(path, '/');

	if (name == NULL || text.at == NULL || strncmp(path, "Error", 5) != 0)
		return 0;
	name++;
	if (strcmp(name, "Code") == 0)
		take(r->code, sizeof(r->code), text);
	else if (strcmp(name, "Message") == 0)
		take(r->message, sizeof(r->message), text);
	else if (strcmp(name, "Region") == 0)
		take(r->region, sizeof(r->region), text);
	return 0;
}

/* "... the region 'us-east-1' is wrong; expecting 'eu-west-1'" */
static void
region_of_message(struct s3_refusal *r)
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
		take(r->region, sizeof(r->region), (struct slice){ at, len });
}

void
s3_refusal_read(struct slice body, struct s3_refusal *r)
{
	size_t i;

	memset(r, 0, sizeof(*r));
	if (body.len == 0)
		return;
	xml_read(body, refusal_leaf, r);
	region_of_message(r);
	/* They go into sentences and host names. */
	for (i = 0; r->message[i] != '\0'; i++)
		if ((unsigned char)r->message[i] < ' ')
			r->message[i] = ' ';
	for (i = 0; r->region[i] != '\0'; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_",
			r->region[i]) == NULL)
			r->region[0] = '\0';
}

/* AWS names the action that it refused; others do not. */
static void
permission_of(
    enum s3_op op, const struct s3_refusal *r, char *text, size_t room)
{
	static const char mark[] = "not authorized to perform: ";
	const char *at = strstr(r->message, mark);
	size_t len;

	snprintf(text, room, "%s", permissions[op]);
	if (at == NULL)
		return;
	at += sizeof(mark) - 1;
	len = strcspn(at, " ");
	if (len > 0 && len < room)
		snprintf(text, room, "%.*s", (int)len, at);
}

static void
add_text(char *out, size_t room, const char *text)
{
	size_t len = strlen(out);

	snprintf(out + len, room - len, "%s", text);
}

static void
write_sentence(const struct s3_shared *s, enum s3_op op,
    const struct s3_refusal *r, const char *form, char *out, size_t room)
{
	char permission[64], one[2] = "";

	out[0] = '\0';
	permission_of(op, r, permission, sizeof(permission));
	for (; *form != '\0'; form++) {
		if (form[0] != '%') {
			one[0] = form[0];
			add_text(out, room, one);
			continue;
		}
		form++;
		add_text(out, room,
		    *form == 'B'       ? s->bucket
			: *form == 'P' ? permission
				       : r->message);
	}
}

/* A denied delete or overwrite may be a retention rule's doing: that is the
 * object's matter, and not a missing permission. */
static int
speaks_of_retention(const struct s3_refusal *r)
{
	static const char *const words[] = { "object lock", "Object Lock",
		"WORM", "retention", "Retention", "legal hold",
		"is protected" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(r->message, words[i]) != NULL)
			return 1;
	return 0;
}

int
s3_refusal_fault(const struct s3_shared *s, enum s3_op op,
    const struct http_call *call, const struct s3_refusal *r,
    struct fault *fault)
{
	char sentence[sizeof(fault->text)];
	size_t i;

	*fault = call->fault;
	snprintf(fault->code, sizeof(fault->code), "%s", r->code);
	fault->slow_down = call->status == 429 || call->status == 503;
	/* Something in between gave up, or the store on its way. */
	fault->fate_unknown = strcmp(call->method, "GET") != 0 &&
	    strcmp(call->method, "HEAD") != 0 &&
	    (call->status == 500 || call->status == 502 || call->status == 504);
	if (strcmp(r->code, "AccessDenied") == 0 && speaks_of_retention(r))
		return fault_set(fault, FAULT_OBJECT,
		    "The object is kept by a retention rule. %s", r->message);
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].code, r->code) != 0)
			continue;
		fault->archived = strcmp(r->code, "InvalidObjectState") == 0;
		if (codes[i].kind == FAULT_RETRY &&
		    strstr(codes[i].sentence, "fewer requests") != NULL)
			fault->slow_down = 1;
		write_sentence(
		    s, op, r, codes[i].sentence, sentence, sizeof(sentence));
		return fault_set(fault, codes[i].kind, "%s", sentence);
	}

	if (call->status == 403 && r->code[0] == '\0')
		return fault_set(fault, FAULT_PERSON,
		    "The store refuses access to bucket %s without saying "
		    "why: check the access key, and its permission %s.",
		    s->bucket, permissions[op]);
	if (call->status == 404 && r->code[0] == '\0')
		return fault_set(
		    fault, FAULT_MISSING, "There is no such object.");
	if (call->status / 100 == 3)
		return fault_set(fault, FAULT_PERSON,
		    "The store sends requests elsewhere (status %d): correct "
		    "the region or the endpoint. %s",
		    call->status, r->message);
	return fault_set(fault, http_status_fault(call->status),
	    "The store answered %d%s%s%s%s", call->status,
	    r->code[0] != '\0' ? " " : "", r->code,
	    r->message[0] != '\0' ? ": " : ".", r->message);
}
