#include <stdio.h>
#include <string.h>

#include "replicator/google_private.h"
#include "replicator/refusal.h"

/*
 * What Google answers, by the reason's name, then by the status.
 */

static const char *const changed[] = { "doesn't match calculated",
	"does not match calculated", NULL };
static const char *const keys[] = { "Cloud KMS", "cloudkms", "CryptoKey",
	"cryptoKey", NULL };

#define KEY_SENTENCE \
	"The encryption key cannot be used: the service agent of Cloud " \
	"Storage needs roles/cloudkms.cryptoKeyEncrypterDecrypter on it, and " \
	"it must be enabled and in the bucket's location. %M"

static const struct refusal_row rows[] = {
	/* What has no reason of its own, or one that says too little. */
	REFUSAL(NULL, FAULT_EXISTS,
	    "There is an object of that key, or it has changed.",
	    .status = 412),
	REFUSAL(NULL, FAULT_RETRY,
	    "The bytes were changed on their way: Google's checksum differs.",
	    .status = 400, .words = changed),
	REFUSAL(NULL, FAULT_PERSON, KEY_SENTENCE, .status = 400, .words = keys),
	REFUSAL(NULL, FAULT_PERSON, KEY_SENTENCE, .status = 403, .words = keys),

	REFUSAL("authError", FAULT_PERSON,
	    "Google does not accept the token of %W. %M"),
	REFUSAL("insufficientPermissions", FAULT_PERSON,
	    "The token of %W may not be used for storage: give the machine or "
	    "node pool the access scope storage-rw or cloud-platform. %M"),
	REFUSAL("accountDisabled", FAULT_PERSON,
	    "The account of the project is disabled: see to its billing. %M"),
	REFUSAL("billingDisabled", FAULT_PERSON,
	    "Billing is off for the project of bucket %B: turn it on. %M"),
	REFUSAL("accessNotConfigured", FAULT_PERSON,
	    "The Cloud Storage API is off for the project: enable it. %M"),
	REFUSAL("countryBlocked", FAULT_PERSON,
	    "Google does not serve this country. %M"),
	REFUSAL("userProjectMissing", FAULT_PERSON,
	    "The requester pays for bucket %B, which holdfast does not do: "
	    "turn that off. %M"),
	REFUSAL("UserProjectMissing", FAULT_PERSON,
	    "The requester pays for bucket %B, which holdfast does not do: "
	    "turn that off. %M"),
	REFUSAL("sslRequired", FAULT_PERSON,
	    "Google wants TLS: write the endpoint with https://."),
	REFUSAL("vpcServiceControls", FAULT_PERSON,
	    "VPC Service Controls keep this network from bucket %B: add an "
	    "ingress rule for %W. %M"),
	REFUSAL("forbidden", FAULT_PERSON,
	    "Permission %P is missing for %W on bucket %B: grant it a role "
	    "that has it, as roles/storage.objectAdmin. %M"),

	REFUSAL("retentionPolicyNotMet", FAULT_OBJECT,
	    "The bucket's retention policy keeps the object from being "
	    "overwritten or deleted. %M"),
	REFUSAL("objectUnderActiveHold", FAULT_OBJECT,
	    "A hold keeps the object from being overwritten or deleted: "
	    "release it. %M"),
	REFUSAL("uploadTooLarge", FAULT_OBJECT,
	    "The object is larger than Google takes. %M"),

	REFUSAL("rateLimitExceeded", FAULT_RETRY,
	    "Google asks for fewer requests.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("userRateLimitExceeded", FAULT_RETRY,
	    "Google asks for fewer requests.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("quotaExceeded", FAULT_RETRY,
	    "A quota is used up for now; if it lasts, raise it. %M"),
	REFUSAL(
	    "backendError", FAULT_RETRY, "Google cannot answer at the moment."),
	REFUSAL("internalError", FAULT_RETRY, "Google had an error inside. %M"),
	REFUSAL("conditionNotMet", FAULT_EXISTS,
	    "There is an object of that key, or it has changed."),

	REFUSAL(NULL, FAULT_PERSON,
	    "Google does not accept the token of %W. %M", .status = 401),
	REFUSAL(NULL, FAULT_PERSON,
	    "Google refuses %W access to bucket %B: check its permission %P. "
	    "%M",
	    .status = 403),
	REFUSAL(NULL, FAULT_PERSON,
	    "Requests are sent elsewhere (status %S): correct the endpoint, "
	    "and look at what stands between.",
	    .status = 3),
	REFUSAL(NULL, FAULT_NONE, "Google answered %S%D"),
};

static const char *const permissions[] = {
	[GOOGLE_CREATE] = "storage.objects.create",
	[GOOGLE_SESSION] = "storage.objects.create",
	[GOOGLE_GET] = "storage.objects.get",
	[GOOGLE_DELETE] = "storage.objects.delete",
	[GOOGLE_LIST] = "storage.objects.list",
	[GOOGLE_UPDATE] = "storage.objects.create",
	[GOOGLE_BUCKET] = "storage.buckets.get",
};

const char *
google_permission(enum google_op op)
{
	return permissions[op];
}

/* {"error": {"message": ..., "errors": [{"reason": ...}]}}, or for bytes of an
 * object plain text. */
static void
refusal_read(const struct http_call *call, struct refusal *r)
{
	struct slice body = buffer_slice(&call->answer);
	struct slice type = http_call_header(call, "content-type");
	json_t *root, *error, *first;
	const char *text;
	json_error_t where;

	memset(r, 0, sizeof(*r));
	if (body.len == 0)
		return;
	root = json_loadb(body.at, body.len, 0, &where);
	error = json_object_get(root, "error");
	first = json_array_get(json_object_get(error, "errors"), 0);
	if ((text = json_string_value(json_object_get(first, "reason"))) !=
	    NULL)
		refusal_take(r->code, sizeof(r->code), slice_text(text));
	if ((text = json_string_value(json_object_get(error, "message"))) !=
	    NULL)
		refusal_take(r->message, sizeof(r->message), slice_text(text));
	if (root == NULL && slice_starts(type, "text/plain"))
		refusal_take(r->message, sizeof(r->message), body);
	json_decref(root);
}

static int
not_found(const struct google_session *s, enum google_op op,
    const struct refusal *r, struct fault *fault)
{
	static const char *const words[] = { "bucket does not exist",
		"bucket not found", NULL };

	if (op == GOOGLE_SESSION)
		return fault_set(fault, FAULT_MISSING,
		    "The resumable upload is gone: Google keeps one for a "
		    "week.");
	if (op == GOOGLE_CREATE || op == GOOGLE_LIST || op == GOOGLE_BUCKET ||
	    refusal_speaks_of(r, words))
		return fault_set(fault, FAULT_PERSON,
		    "There is no bucket %s: create it, or correct the name.",
		    s->shared->bucket);
	return fault_set(fault, FAULT_MISSING, "There is no such object.");
}

int
google_refusal_fault(
    const struct google_session *s, enum google_op op, struct fault *fault)
{
	/* Google often names the permission that it missed. */
	static const char *const marks[] = { "does not have ", "Permission '",
		NULL };
	int status = s->call.status;
	char permission[64];
	struct refusal_names names = { .bucket = s->shared->bucket,
		.who = token_principal(s->shared->tokens) };
	struct refusal r;

	refusal_read(&s->call, &r);
	names.permission = refusal_permission(&r, marks, "storage.",
	    permissions[op], permission, sizeof(permission));
	refusal_fault(
	    refusal_find(rows, status, &r), &names, &s->call, &r, fault);
	if (status / 100 == 5)
		fault->slow_down = 1;
	/* Google's 503 says that it could not tell. */
	if (status == 503)
		fault->fate_unknown = http_status_fate(s->call.method, 502);
	if (status == 404 || status == 410)
		return not_found(s, op, &r, fault);
	return -1;
}
