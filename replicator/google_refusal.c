#include <stdio.h>
#include <string.h>

#include "replicator/google_private.h"

/*
 * Sorting of refusals: by the reason's name, then by the status. A sentence's
 * %B is the bucket, %P the permission, %W who asks, %M Google's own message.
 */

struct refusal {
	char reason[64];
	char message[400];
};

static const struct {
	const char *reason;
	enum fault_kind kind;
	const char *sentence;
} reasons[] = {
	{ "authError", FAULT_PERSON,
	    "Google does not accept the token of %W. %M" },
	{ "insufficientPermissions", FAULT_PERSON,
	    "The token of %W may not be used for storage: give the machine or "
	    "node pool the access scope storage-rw or cloud-platform. %M" },
	{ "accountDisabled", FAULT_PERSON,
	    "The account of the project is disabled: see to its billing. %M" },
	{ "billingDisabled", FAULT_PERSON,
	    "Billing is off for the project of bucket %B: turn it on. %M" },
	{ "accessNotConfigured", FAULT_PERSON,
	    "The Cloud Storage API is off for the project: enable it. %M" },
	{ "countryBlocked", FAULT_PERSON,
	    "Google does not serve this country. %M" },
	{ "userProjectMissing", FAULT_PERSON,
	    "The requester pays for bucket %B, which holdfast does not do: "
	    "turn that off. %M" },
	{ "UserProjectMissing", FAULT_PERSON,
	    "The requester pays for bucket %B, which holdfast does not do: "
	    "turn that off. %M" },
	{ "sslRequired", FAULT_PERSON,
	    "Google wants TLS: write the endpoint with https://." },
	{ "vpcServiceControls", FAULT_PERSON,
	    "VPC Service Controls keep this network from bucket %B: add an "
	    "ingress rule for %W. %M" },
	{ "forbidden", FAULT_PERSON,
	    "Permission %P is missing for %W on bucket %B: grant it a role "
	    "that has it, as roles/storage.objectAdmin. %M" },

	{ "retentionPolicyNotMet", FAULT_OBJECT,
	    "The bucket's retention policy keeps the object from being "
	    "overwritten or deleted. %M" },
	{ "objectUnderActiveHold", FAULT_OBJECT,
	    "A hold keeps the object from being overwritten or deleted: "
	    "release it. %M" },
	{ "uploadTooLarge", FAULT_OBJECT,
	    "The object is larger than Google takes. %M" },

	{ "rateLimitExceeded", FAULT_RETRY, "Google asks for fewer requests." },
	{ "userRateLimitExceeded", FAULT_RETRY,
	    "Google asks for fewer requests." },
	{ "quotaExceeded", FAULT_RETRY,
	    "A quota is used up for now; if it lasts, raise it. %M" },
	{ "backendError", FAULT_RETRY, "Google cannot answer at the moment." },
	{ "internalError", FAULT_RETRY, "Google had an error inside. %M" },
	{ "conditionNotMet", FAULT_EXISTS,
	    "There is an object of that key, or it has changed." },
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

static void
take(char *to, size_t room, const char *text)
{
	size_t i;

	snprintf(to, room, "%s", text != NULL ? text : "");
	for (i = 0; to[i] != '\0'; i++)
		if ((unsigned char)to[i] < ' ')
			to[i] = ' ';
}

/* {"error": {"message": ..., "errors": [{"reason": ...}]}}, or for bytes of an
 * object plain text. */
static void
refusal_read(const struct http_call *call, struct refusal *r)
{
	struct slice body = buffer_slice(&call->answer);
	struct slice type = http_call_header(call, "content-type");
	json_t *root, *error, *first;
	json_error_t where;

	memset(r, 0, sizeof(*r));
	if (body.len == 0)
		return;
	root = json_loadb(body.at, body.len, 0, &where);
	error = json_object_get(root, "error");
	first = json_array_get(json_object_get(error, "errors"), 0);
	take(r->reason, sizeof(r->reason),
	    json_string_value(json_object_get(first, "reason")));
	take(r->message, sizeof(r->message),
	    json_string_value(json_object_get(error, "message")));
	if (root == NULL && slice_starts(type, "text/plain")) {
		char text[sizeof(r->message)];

		snprintf(text, sizeof(text), "%.*s",
		    (int)(body.len < sizeof(text) ? body.len
						  : sizeof(text) - 1),
		    body.at);
		take(r->message, sizeof(r->message), text);
	}
	json_decref(root);
}

/* Google often names the permission that it missed. */
static void
permission_of(
    enum google_op op, const struct refusal *r, char *text, size_t room)
{
	static const char *const marks[] = { "Permission '", "does not have " };
	const char *at;
	size_t i, len;

	snprintf(text, room, "%s", permissions[op]);
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if ((at = strstr(r->message, marks[i])) == NULL)
			continue;
		at += strlen(marks[i]);
		len = strspn(at,
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.");
		if (len > 0 && len < room && strncmp(at, "storage.", 8) == 0)
			snprintf(text, room, "%.*s", (int)len, at);
	}
}

static void
add_text(char *out, size_t room, const char *text)
{
	size_t len = strlen(out);

	snprintf(out + len, room - len, "%s", text);
}

static void
write_sentence(const struct google_session *s, enum google_op op,
    const struct refusal *r, const char *form, char *out, size_t room)
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
		    *form == 'B'       ? s->shared->bucket
			: *form == 'P' ? permission
			: *form == 'W' ? token_principal(s->shared->tokens)
				       : r->message);
	}
}

static int
speaks_of(const struct refusal *r, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strstr(r->message, words[i]) != NULL)
			return 1;
	return 0;
}

/* What has no reason of its own, or one that says too little. */
static int
sort_by_message(const struct google_session *s, const struct refusal *r,
    struct fault *fault)
{
	static const char *const changed[] = { "doesn't match calculated",
		"does not match calculated" };
	static const char *const keys[] = { "Cloud KMS", "cloudkms",
		"CryptoKey", "cryptoKey" };

	if (s->call.status == 400 && speaks_of(r, changed, 2))
		return fault_set(fault, FAULT_RETRY,
		    "The bytes were changed on their way: Google's checksum "
		    "differs.");
	if ((s->call.status == 400 || s->call.status == 403) &&
	    speaks_of(r, keys, 4))
		return fault_set(fault, FAULT_PERSON,
		    "The encryption key cannot be used: the service agent of "
		    "Cloud Storage needs "
		    "roles/cloudkms.cryptoKeyEncrypterDecrypter on it, and it "
		    "must be enabled and in the bucket's location. %s",
		    r->message);
	return 0;
}

static int
not_found(const struct google_session *s, enum google_op op,
    const struct refusal *r, struct fault *fault)
{
	static const char *const words[] = { "bucket does not exist",
		"bucket not found" };

	if (op == GOOGLE_SESSION)
		return fault_set(fault, FAULT_MISSING,
		    "The resumable upload is gone: Google keeps one for a "
		    "week.");
	if (op == GOOGLE_CREATE || op == GOOGLE_LIST || op == GOOGLE_BUCKET ||
	    speaks_of(r, words, 2))
		return fault_set(fault, FAULT_PERSON,
		    "There is no bucket %s: create it, or correct the name.",
		    s->shared->bucket);
	return fault_set(fault, FAULT_MISSING, "There is no such object.");
}

int
google_refusal_fault(
    const struct google_session *s, enum google_op op, struct fault *fault)
{
	char sentence[sizeof(fault->text)];
	struct refusal r;
	int status = s->call.status;
	size_t i;

	refusal_read(&s->call, &r);
	*fault = s->call.fault;
	snprintf(fault->code, sizeof(fault->code), "%s", r.reason);
	fault->slow_down = status == 429 || status / 100 == 5;
	if (status == 404 || status == 410)
		return not_found(s, op, &r, fault);
	if (status == 412)
		return fault_set(fault, FAULT_EXISTS,
		    "There is an object of that key, or it has changed.");
	if (sort_by_message(s, &r, fault) != 0)
		return -1;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcmp(reasons[i].reason, r.reason) != 0)
			continue;
		if (strstr(reasons[i].sentence, "fewer requests") != NULL)
			fault->slow_down = 1;
		write_sentence(
		    s, op, &r, reasons[i].sentence, sentence, sizeof(sentence));
		return fault_set(fault, reasons[i].kind, "%s", sentence);
	}
	if (status == 401)
		return fault_set(fault, FAULT_PERSON,
		    "Google does not accept the token of %s. %s",
		    token_principal(s->shared->tokens), r.message);
	if (status == 403) {
		write_sentence(s, op, &r,
		    "Google refuses %W access to bucket %B: check its "
		    "permission %P. %M",
		    sentence, sizeof(sentence));
		return fault_set(fault, FAULT_PERSON, "%s", sentence);
	}
	if (status / 100 == 3)
		return fault_set(fault, FAULT_PERSON,
		    "Requests are sent elsewhere (status %d): correct the "
		    "endpoint, and look at what stands between.",
		    status);
	return fault_set(fault, http_status_fault(status),
	    "Google answered %d%s%s%s%s", status,
	    r.reason[0] != '\0' ? " " : "", r.reason,
	    r.message[0] != '\0' ? ": " : ".", r.message);
}
