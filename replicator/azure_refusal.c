#include <stdio.h>
#include <string.h>

#include "replicator/azure_private.h"
#include "replicator/xml_read.h"

/*
 * What Azure answers, by the code's name, then by the status.
 */

#define ROLE "Storage Blob Data Contributor"

static const char *const changed[] = { "contentMD5 doesn't match", NULL };

static const struct refusal_row rows[] = {
	REFUSAL("AuthenticationFailed", FAULT_PERSON,
	    "Azure does not accept the credentials for account %A: the key is "
	    "mistyped or was rotated, the SAS token has expired, or this "
	    "machine's clock is wrong. %M"),
	REFUSAL("InvalidAuthenticationInfo", FAULT_PERSON,
	    "Azure does not accept the token: the tenant is not that of "
	    "account %A, or the cloud's name is wrong. %M"),
	REFUSAL("NoAuthenticationInformation", FAULT_PERSON,
	    "Account %A wants other credentials than were sent. %M"),
	REFUSAL("AuthorizationPermissionMismatch", FAULT_PERSON,
	    "Permission %P is missing on container %B: give the identity the "
	    "role \"" ROLE
	    "\" there (which works after up to ten minutes), or the "
	    "SAS token that permission."),
	REFUSAL("InsufficientAccountPermissions", FAULT_PERSON,
	    "Permission %P is missing on account %A: give the identity the "
	    "role \"" ROLE "\"."),
	REFUSAL("AuthorizationFailure", FAULT_PERSON,
	    "Account %A refuses this machine's network: its firewall (or "
	    "private endpoint) must allow this address. If that is so "
	    "already, permission %P is missing."),
	REFUSAL("PublicAccessNotPermitted", FAULT_PERSON,
	    "Account %A takes no requests without credentials. %M"),
	REFUSAL("AuthorizationSourceIPMismatch", FAULT_PERSON,
	    "The SAS token is for another network address. %M"),
	REFUSAL("AuthorizationProtocolMismatch", FAULT_PERSON,
	    "The SAS token is for https only: write https:// in the "
	    "endpoint."),
	REFUSAL("AuthorizationServiceMismatch", FAULT_PERSON,
	    "The SAS token is not for blobs: make one for the Blob service."),
	REFUSAL("AuthorizationResourceTypeMismatch", FAULT_PERSON,
	    "The SAS token is not for containers and objects: make one with "
	    "both."),
	REFUSAL("AccountRequiresHttps", FAULT_PERSON,
	    "Account %A takes https only: write https:// in the endpoint."),
	REFUSAL("KeyBasedAuthenticationNotPermitted", FAULT_PERSON,
	    "Account %A does not allow account keys: give the identity the "
	    "role \"" ROLE "\" on container %B, which is used without a key."),
	REFUSAL("AccountIsDisabled", FAULT_PERSON,
	    "Account %A is disabled: its subscription may have ended. Enable "
	    "it."),
	REFUSAL(
	    "AccountBeingCreated", FAULT_RETRY, "Account %A is being created."),
	REFUSAL("ContainerNotFound", FAULT_PERSON,
	    "There is no container %B in account %A: create it, or correct the "
	    "name."),
	REFUSAL("ResourceNotFound", FAULT_PERSON,
	    "There is no container %B in account %A: create it, or correct the "
	    "name."),
	REFUSAL("ContainerDisabled", FAULT_PERSON,
	    "The container %B is disabled: enable it. %M"),
	REFUSAL("InvalidResourceName", FAULT_OBJECT,
	    "Azure cannot hold a name of that form. %M"),
	REFUSAL("InvalidUri", FAULT_OBJECT,
	    "Azure cannot hold a name of that form. %M"),
	REFUSAL("FeatureVersionMismatch", FAULT_PERSON,
	    "Account %A is of a kind that cannot do this. %M"),
	REFUSAL("BlobOverwriteNotAllowed", FAULT_OBJECT,
	    "The container does not allow that the blob is replaced. %M"),

	REFUSAL("ContainerBeingDeleted", FAULT_RETRY,
	    "The container %B is being deleted; if that is not wanted, wait a "
	    "minute and create it again."),
	REFUSAL("ServerBusy", FAULT_RETRY, "Azure asks for fewer requests.",
	    .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("OperationTimedOut", FAULT_RETRY,
	    "Azure did not finish the operation in its time.",
	    .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("InternalError", FAULT_RETRY, "Azure had an error inside."),
	REFUSAL("ResourceTypeMismatch", FAULT_OBJECT,
	    "There is something else of that name. %M"),
	REFUSAL("AccountIngressLimitExceeded", FAULT_RETRY,
	    "Account %A takes no more bytes at the moment.",
	    .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("Md5Mismatch", FAULT_RETRY,
	    "The bytes were changed on their way: Azure's checksum differs."),
	REFUSAL("Crc64Mismatch", FAULT_RETRY,
	    "The bytes were changed on their way: Azure's checksum differs."),
	REFUSAL("InvalidOperation", FAULT_RETRY,
	    "The bytes were changed on their way: Azure's checksum differs.",
	    .status = 400, .words = changed),
	REFUSAL("UnauthorizedBlobOverwrite", FAULT_PERSON,
	    "The SAS token does not allow that a blob is replaced: it needs "
	    "the permission to write (w)."),

	REFUSAL("BlobNotFound", FAULT_MISSING, "There is no such blob."),
	REFUSAL("InvalidBlockList", FAULT_MISSING,
	    "Blocks that were sent are gone: Azure keeps them for a week, and "
	    "until the blob is written by another request."),
	REFUSAL("InvalidBlobOrBlock", FAULT_MISSING,
	    "There are unfinished blocks of another upload under this name, "
	    "with ids of another length."),
	REFUSAL("BlockCountExceedsLimit", FAULT_OBJECT,
	    "There are too many unfinished blocks under this name; Azure "
	    "forgets them after a week."),
	REFUSAL(
	    "BlobAlreadyExists", FAULT_EXISTS, "There is a blob of that name."),
	REFUSAL("ConditionNotMet", FAULT_EXISTS,
	    "The blob is there, or was changed by another request."),
	REFUSAL("TargetConditionNotMet", FAULT_EXISTS,
	    "The blob is there, or was changed by another request."),

	REFUSAL("BlobImmutableDueToPolicy", FAULT_OBJECT,
	    "The blob is kept by an immutability policy or a legal hold on "
	    "container %B; it cannot be replaced or deleted before that "
	    "ends."),
	REFUSAL("ContainerImmutableDueToPolicy", FAULT_OBJECT,
	    "The blob is kept by an immutability policy on container %B."),
	REFUSAL("LeaseIdMissing", FAULT_OBJECT,
	    "The blob has a lease of another program, which must end it: "
	    "\"Break lease\" in the portal."),
	REFUSAL("LeaseLost", FAULT_OBJECT, "The blob had a lease. %M"),
	REFUSAL("LeaseIdMismatchWithBlobOperation", FAULT_OBJECT,
	    "The blob has a lease of another program, which must end it."),
	REFUSAL("SnapshotsPresent", FAULT_OBJECT,
	    "The blob has snapshots that the identity may not delete: delete "
	    "them, or give the role \"" ROLE "\"."),
	REFUSAL("SnapshotOperationRateExceeded", FAULT_RETRY,
	    "Azure asks for fewer requests.", .flags = REFUSAL_SLOW_DOWN),
	REFUSAL("BlobArchived", FAULT_OBJECT,
	    "The blob is in the archive tier: set its tier to hot or cool, "
	    "which takes up to 15 hours.",
	    .flags = REFUSAL_ARCHIVED),
	REFUSAL("BlobBeingRehydrated", FAULT_OBJECT,
	    "The blob is on its way out of the archive tier, which takes up "
	    "to 15 hours.",
	    .flags = REFUSAL_ARCHIVED),
	REFUSAL("BlobTierInadequateForContentLength", FAULT_OBJECT,
	    "The blob is too large for its tier. %M"),
	REFUSAL("InvalidBlobType", FAULT_OBJECT,
	    "The blob of that name is not a block blob: delete it there."),
	REFUSAL("RequestBodyTooLarge", FAULT_OBJECT,
	    "The blob is larger than Azure takes. %M"),
	REFUSAL("MetadataTooLarge", FAULT_OBJECT,
	    "Azure does not take that much metadata."),
	REFUSAL("EmptyMetadataKey", FAULT_OBJECT,
	    "Azure does not take such metadata. %M"),
	REFUSAL("InvalidMetadata", FAULT_OBJECT,
	    "Azure does not take such metadata. %M"),

	REFUSAL("", FAULT_PERSON,
	    "Access to container %B is refused without saying why: check the "
	    "credentials, and the permission %P.",
	    .status = 403),
	REFUSAL("", FAULT_MISSING, "There is no such blob.", .status = 404),
	REFUSAL(NULL, FAULT_PERSON,
	    "Requests are sent elsewhere (status %S): correct the endpoint.",
	    .status = 3),
	REFUSAL(NULL, FAULT_NONE, "Azure answered %S%D"),
};

/* Only Azure itself may say that a blob is not there. */
static const struct refusal_row not_azure = REFUSAL(NULL, FAULT_PERSON,
    "Something that is not Azure answers for container %B (status %S): "
    "check the endpoint, and what stands between.");

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

static int
refusal_element(const struct xml_element *e, void *arg)
{
	struct refusal *r = arg;

	if (e->text.at == NULL)
		return 0;
	if (strcmp(e->path, "Error/Code") == 0 && r->code[0] == '\0')
		refusal_take(r->code, sizeof(r->code), e->text);
	else if (strcmp(e->path, "Error/Message") == 0)
		refusal_take(r->message, sizeof(r->message), e->text);
	return 0;
}

void
azure_refusal_read(const struct http_call *call, struct refusal *r)
{
	struct slice code = http_call_header(call, "x-ms-error-code");
	struct slice body = buffer_slice(&call->answer);
	char *at;

	memset(r, 0, sizeof(*r));
	if (code.len > 0)
		refusal_take(r->code, sizeof(r->code), code);
	if (body.len > 3 && memcmp(body.at, "\xef\xbb\xbf", 3) == 0) {
		body.at += 3;
		body.len -= 3;
	}
	if (body.len > 0)
		xml_read(body, refusal_element, r);
	/* What follows it names the request, which stands beside it. */
	if ((at = strstr(r->message, "RequestId:")) != NULL)
		*at = '\0';
	at = r->message + strlen(r->message);
	while (at > r->message && at[-1] == ' ')
		*--at = '\0';
}

static int
is_azures(const struct http_call *call)
{
	return (call->status != 401 && call->status != 403 &&
		   call->status != 404 && call->status != 410) ||
	    http_call_header(call, "x-ms-request-id").len > 0;
}

int
azure_refusal_fault(const struct azure_shared *s, enum azure_op op,
    const struct http_call *call, const struct refusal *r, struct fault *fault)
{
	const struct refusal_row *row = refusal_find(rows, call->status, r);
	struct refusal_names names = { .bucket = s->container,
		.account = s->account,
		.permission = permissions[op] };

	if ((row->code == NULL || row->code[0] == '\0') && !is_azures(call))
		row = &not_azure;
	return refusal_fault(row, &names, call, r, fault);
}
