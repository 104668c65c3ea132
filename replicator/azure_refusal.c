#include <stdio.h>
#include <string.h>

#include "replicator/azure_private.h"
#include "replicator/xml_read.h"

/*
 * Sorting of refusals: by the code's name, then by the status. A sentence's
 * %C is the container, %A the account, %P the permission, %R the role that
 * has it, %M Azure's own message.
 */

#define ROLE "Storage Blob Data Contributor"

static const struct {
	const char *code;
	enum fault_kind kind;
	int slow_down;
	const char *sentence;
} codes[] = {
	{ "AuthenticationFailed", FAULT_PERSON, 0,
	    "Azure does not accept the credentials for account %A: the key is "
	    "mistyped or was rotated, the SAS token has expired, or this "
	    "machine's clock is wrong. %M" },
	{ "InvalidAuthenticationInfo", FAULT_PERSON, 0,
	    "Azure does not accept the token: the tenant is not that of "
	    "account %A, or the cloud's name is wrong. %M" },
	{ "NoAuthenticationInformation", FAULT_PERSON, 0,
	    "Account %A wants other credentials than were sent. %M" },
	{ "AuthorizationPermissionMismatch", FAULT_PERSON, 0,
	    "Permission %P is missing on container %C: give the identity the "
	    "role \"%R\" there (which works after up to ten minutes), or the "
	    "SAS token that permission." },
	{ "InsufficientAccountPermissions", FAULT_PERSON, 0,
	    "Permission %P is missing on account %A: give the identity the "
	    "role \"%R\"." },
	{ "AuthorizationFailure", FAULT_PERSON, 0,
	    "Account %A refuses this machine's network: its firewall (or "
	    "private endpoint) must allow this address. If that is so "
	    "already, permission %P is missing." },
	{ "PublicAccessNotPermitted", FAULT_PERSON, 0,
	    "Account %A takes no requests without credentials. %M" },
	{ "AuthorizationSourceIPMismatch", FAULT_PERSON, 0,
	    "The SAS token is for another network address. %M" },
	{ "AuthorizationProtocolMismatch", FAULT_PERSON, 0,
	    "The SAS token is for https only: write https:// in the "
	    "endpoint." },
	{ "AuthorizationServiceMismatch", FAULT_PERSON, 0,
	    "The SAS token is not for blobs: make one for the Blob service." },
	{ "AuthorizationResourceTypeMismatch", FAULT_PERSON, 0,
	    "The SAS token is not for containers and objects: make one with "
	    "both." },
	{ "AccountRequiresHttps", FAULT_PERSON, 0,
	    "Account %A takes https only: write https:// in the endpoint." },
	{ "KeyBasedAuthenticationNotPermitted", FAULT_PERSON, 0,
	    "Account %A does not allow account keys: give the identity the "
	    "role \"%R\" on container %C, which is used without a key." },
	{ "AccountIsDisabled", FAULT_PERSON, 0,
	    "Account %A is disabled: its subscription may have ended. Enable "
	    "it." },
	{ "AccountBeingCreated", FAULT_RETRY, 0,
	    "Account %A is being created." },
	{ "ContainerNotFound", FAULT_PERSON, 0,
	    "There is no container %C in account %A: create it, or correct the "
	    "name." },
	{ "ResourceNotFound", FAULT_PERSON, 0,
	    "There is no container %C in account %A: create it, or correct the "
	    "name." },
	{ "ContainerDisabled", FAULT_PERSON, 0,
	    "The container %C is disabled: enable it. %M" },
	{ "InvalidResourceName", FAULT_OBJECT, 0,
	    "Azure cannot hold a name of that form. %M" },
	{ "InvalidUri", FAULT_OBJECT, 0,
	    "Azure cannot hold a name of that form. %M" },
	{ "FeatureVersionMismatch", FAULT_PERSON, 0,
	    "Account %A is of a kind that cannot do this. %M" },
	{ "BlobOverwriteNotAllowed", FAULT_OBJECT, 0,
	    "The container does not allow that the blob is replaced. %M" },

	{ "ContainerBeingDeleted", FAULT_RETRY, 0,
	    "The container %C is being deleted; if that is not wanted, wait a "
	    "minute and create it again." },
	{ "ServerBusy", FAULT_RETRY, 1, "Azure asks for fewer requests." },
	{ "OperationTimedOut", FAULT_RETRY, 1,
	    "Azure did not finish the operation in its time." },
	{ "InternalError", FAULT_RETRY, 0, "Azure had an error inside." },
	{ "ResourceTypeMismatch", FAULT_OBJECT, 0,
	    "There is something else of that name. %M" },
	{ "AccountIngressLimitExceeded", FAULT_RETRY, 1,
	    "Account %A takes no more bytes at the moment." },
	{ "Md5Mismatch", FAULT_RETRY, 0,
	    "The bytes were changed on their way: Azure's checksum differs." },
	{ "Crc64Mismatch", FAULT_RETRY, 0,
	    "The bytes were changed on their way: Azure's checksum differs." },
	{ "UnauthorizedBlobOverwrite", FAULT_PERSON, 0,
	    "The SAS token does not allow that a blob is replaced: it needs "
	    "the permission to write (w)." },

	{ "BlobNotFound", FAULT_MISSING, 0, "There is no such blob." },
	{ "InvalidBlockList", FAULT_MISSING, 0,
	    "Blocks that were sent are gone: Azure keeps them for a week, and "
	    "until the blob is written by another request." },
	{ "InvalidBlobOrBlock", FAULT_MISSING, 0,
	    "There are unfinished blocks of another upload under this name, "
	    "with ids of another length." },
	{ "BlockCountExceedsLimit", FAULT_OBJECT, 0,
	    "There are too many unfinished blocks under this name; Azure "
	    "forgets them after a week." },
	{ "BlobAlreadyExists", FAULT_EXISTS, 0,
	    "There is a blob of that name." },
	{ "ConditionNotMet", FAULT_EXISTS, 0,
	    "The blob is there, or was changed by another request." },
	{ "TargetConditionNotMet", FAULT_EXISTS, 0,
	    "The blob is there, or was changed by another request." },

	{ "BlobImmutableDueToPolicy", FAULT_OBJECT, 0,
	    "The blob is kept by an immutability policy or a legal hold on "
	    "container %C; it cannot be replaced or deleted before that "
	    "ends." },
	{ "ContainerImmutableDueToPolicy", FAULT_OBJECT, 0,
	    "The blob is kept by an immutability policy on container %C." },
	{ "LeaseIdMissing", FAULT_OBJECT, 0,
	    "The blob has a lease of another program, which must end it: "
	    "\"Break lease\" in the portal." },
	{ "LeaseLost", FAULT_OBJECT, 0, "The blob had a lease. %M" },
	{ "LeaseIdMismatchWithBlobOperation", FAULT_OBJECT, 0,
	    "The blob has a lease of another program, which must end it." },
	{ "SnapshotsPresent", FAULT_OBJECT, 0,
	    "The blob has snapshots that the identity may not delete: delete "
	    "them, or give the role \"%R\"." },
	{ "SnapshotOperationRateExceeded", FAULT_RETRY, 1,
	    "Azure asks for fewer requests." },
	{ "BlobArchived", FAULT_OBJECT, 0,
	    "The blob is in the archive tier: set its tier to hot or cool, "
	    "which takes up to 15 hours." },
	{ "BlobBeingRehydrated", FAULT_OBJECT, 0,
	    "The blob is on its way out of the archive tier, which takes up "
	    "to 15 hours." },
	{ "BlobTierInadequateForContentLength", FAULT_OBJECT, 0,
	    "The blob is too large for its tier. %M" },
	{ "InvalidBlobType", FAULT_OBJECT, 0,
	    "The blob of that name is not a block blob: delete it there." },
	{ "RequestBodyTooLarge", FAULT_OBJECT, 0,
	    "The blob is larger than Azure takes. %M" },
	{ "MetadataTooLarge", FAULT_OBJECT, 0,
	    "Azure does not take that much metadata." },
	{ "EmptyMetadataKey", FAULT_OBJECT, 0,
	    "Azure does not take such metadata. %M" },
	{ "InvalidMetadata", FAULT_OBJECT, 0,
	    "Azure does not take such metadata. %M" },
};

static const char *const permissions[] = {
	[AZURE_READ] =
	    "Microsoft.Storage/storageAccounts/blobServices/containers/"
	    "blobs/read",
	[AZURE_WRITE] =
	    "Microsoft.Storage/storageAccounts/blobServices/containers/"
	    "blobs/write",
	[AZURE_DELETE] =
	    "Microsoft.Storage/storageAccounts/blobServices/containers/"
	    "blobs/delete",
	[AZURE_LIST] =
	    "Microsoft.Storage/storageAccounts/blobServices/containers/"
	    "blobs/read",
	[AZURE_CONTAINER] =
	    "Microsoft.Storage/storageAccounts/blobServices/containers/read",
};

const char *
azure_permission(enum azure_op op)
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
refusal_element(const struct xml_element *e, void *arg)
{
	struct azure_refusal *r = arg;

	if (e->text.at == NULL)
		return 0;
	if (strcmp(e->path, "Error/Code") == 0 && r->code[0] == '\0')
		take(r->code, sizeof(r->code), e->text);
	else if (strcmp(e->path, "Error/Message") == 0)
		take(r->message, sizeof(r->message), e->text);
	return 0;
}

void
azure_refusal_read(const struct http_call *call, struct azure_refusal *r)
{
	struct slice code = http_call_header(call, "x-ms-error-code");
	struct slice body = buffer_slice(&call->answer);
	char *at;

	memset(r, 0, sizeof(*r));
	if (code.len > 0)
		take(r->code, sizeof(r->code), code);
	if (body.len > 3 && memcmp(body.at, "\xef\xbb\xbf", 3) == 0) {
		body.at += 3;
		body.len -= 3;
	}
	if (body.len > 0)
		xml_read(body, refusal_element, r);
	/* What follows it names the request, which stands beside it. */
	if ((at = strstr(r->message, "RequestId:")) != NULL)
		*at = '\0';
	for (at = r->message; *at != '\0'; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	while (at > r->message && at[-1] == ' ')
		*--at = '\0';
}

static void
add_text(char *out, size_t room, const char *text)
{
	size_t len = strlen(out);

	snprintf(out + len, room - len, "%s", text);
}

static void
write_sentence(const struct azure_shared *s, enum azure_op op,
    const struct azure_refusal *r, const char *form, char *out, size_t room)
{
	char one[2] = "";

	out[0] = '\0';
	for (; *form != '\0'; form++) {
		if (form[0] != '%') {
			one[0] = form[0];
			add_text(out, room, one);
			continue;
		}
		form++;
		add_text(out, room,
		    *form == 'C'       ? s->container
			: *form == 'A' ? s->account
			: *form == 'P' ? permissions[op]
			: *form == 'R' ? ROLE
				       : r->message);
	}
}

int
azure_refusal_fault(const struct azure_shared *s, enum azure_op op,
    const struct http_call *call, const struct azure_refusal *r,
    struct fault *fault)
{
	char sentence[sizeof(fault->text)];
	size_t i;

	*fault = call->fault;
	snprintf(fault->code, sizeof(fault->code), "%s", r->code);
	fault->slow_down = call->status == 429 || call->status == 503;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].code, r->code) != 0)
			continue;
		fault->archived = strcmp(r->code, "BlobArchived") == 0 ||
		    strcmp(r->code, "BlobBeingRehydrated") == 0;
		if (codes[i].slow_down)
			fault->slow_down = 1;
		write_sentence(
		    s, op, r, codes[i].sentence, sentence, sizeof(sentence));
		return fault_set(fault, codes[i].kind, "%s", sentence);
	}

	/* Only Azure itself may say that a blob is not there. */
	if ((call->status == 401 || call->status == 403 ||
		call->status == 404 || call->status == 410) &&
	    http_call_header(call, "x-ms-request-id").len == 0)
		return fault_set(fault, FAULT_PERSON,
		    "Something that is not Azure answers for container %s "
		    "(status %d): check the endpoint, and what stands between.",
		    s->container, call->status);
	if (call->status == 403 && r->code[0] == '\0')
		return fault_set(fault, FAULT_PERSON,
		    "Access to container %s is refused without saying why: "
		    "check the credentials, and the permission %s.",
		    s->container, permissions[op]);
	if (call->status == 404 && r->code[0] == '\0')
		return fault_set(
		    fault, FAULT_MISSING, "There is no such blob.");
	if (call->status / 100 == 3)
		return fault_set(fault, FAULT_PERSON,
		    "Requests are sent elsewhere (status %d): correct the "
		    "endpoint.",
		    call->status);
	return fault_set(fault, http_status_fault(call->status),
	    "Azure answered %d%s%s%s%s", call->status,
	    r->code[0] != '\0' ? " " : "", r->code,
	    r->message[0] != '\0' ? ": " : ".", r->message);
}
