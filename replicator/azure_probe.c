#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/azure_private.h"
#include "replicator/probe_steps.h"

/* What is Azure's own about the Test button. */

static struct http_call *
call(void *session)
{
	return &((struct azure_session *)session)->call;
}

static int
knock(void *session)
{
	struct azure_session *s = session;

	azure_knock(s);
	return s->shared->https;
}

/* Tokens come from elsewhere, and may not come at all. */
static int
credentials(void *session, struct fault *fault)
{
	struct azure_session *s = session;
	struct buffer header = BUFFER_INIT;
	int rc;

	if (s->shared->means != AZURE_BY_TOKEN)
		return 0;
	rc = token_get(s->shared->tokens, s->http, &header, NULL, fault);
	if (header.at != NULL)
		bytes_wipe(header.at, header.len);
	buffer_free(&header);
	return rc;
}

static int
is_of_authentication(const struct fault *f)
{
	static const char *const codes[] = { "AuthenticationFailed",
		"InvalidAuthenticationInfo", "NoAuthenticationInformation",
		"KeyBasedAuthenticationNotPermitted", "AccountIsDisabled",
		"PublicAccessNotPermitted" };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(f->code, codes[i]) == 0)
			return 1;
	/* Entra's own, or a cut connection to it. */
	return f->status == 401 || strncmp(f->code, "AADSTS", 6) == 0 ||
	    f->status == 0;
}

static int
is_list_denied(const struct fault *f)
{
	return f->status == 403 && strcmp(f->code, "AuthorizationFailure") != 0;
}

/* Also whom the token names. */
static void
identity(void *session, char *text, size_t room)
{
	struct azure_session *s = session;
	struct azure_shared *shared = s->shared;
	struct buffer header = BUFFER_INIT;
	struct fault ignored = FAULT_INIT;
	char named[200] = "";

	if (shared->means == AZURE_BY_TOKEN &&
	    token_get(shared->tokens, s->http, &header, NULL, &ignored) == 0)
		azure_token_identity(
		    buffer_slice(&header), named, sizeof(named));
	if (header.at != NULL)
		bytes_wipe(header.at, header.len);
	buffer_free(&header);
	snprintf(text, room, "As %s%s%s%s%s.", shared->principal,
	    named[0] != '\0' ? " (" : "", named, named[0] != '\0' ? ")" : "",
	    atomic_load(&shared->listed)
		? ", by the account's key, which it may list (it has no role "
		  "on the blobs)"
		: "");
}

static void
bucket_row(void *session, struct probe_writer *rows)
{
	struct azure_shared *shared = ((struct azure_session *)session)->shared;

	probe_ok(rows, "bucket", "Container %s of account %s.",
	    shared->container, shared->account);
}

static const char *
put_text(void *session)
{
	(void)session;
	return "Azure's checksum was compared.";
}

static int
header_is_true(const struct azure_session *s, const char *name)
{
	return slice_is_nocase(http_call_header(&s->call, name), "true");
}

/* What will bite later, as far as it can be seen from here. */
static int
rules(void *session, struct probe_writer *rows)
{
	struct azure_session *s = session;
	struct azure_request req = { .op = AZURE_CONTAINER, .method = "HEAD" };
	struct fault ignored = FAULT_INIT;
	int kept = 0;

	probe_start(rows);
	azure_query(&req, "restype", "container");
	if (azure_send(s, &req, &ignored) == 0 &&
	    (header_is_true(s, "x-ms-has-immutability-policy") ||
		header_is_true(s, "x-ms-has-legal-hold"))) {
		kept = 1;
		probe_warn(rows, "lock",
		    "The container has an immutability policy or a legal hold: "
		    "what is there can neither be replaced nor deleted before "
		    "it ends, so that the copy keeps what was deleted here.");
	}

	probe_start(rows);
	req = (struct azure_request){ .op = AZURE_CONTAINER, .method = "HEAD" };
	azure_query(&req, "comp", "properties");
	azure_query(&req, "restype", "account");
	if (azure_send(s, &req, &ignored) == 0 &&
	    header_is_true(s, "x-ms-is-hns-enabled"))
		probe_warn(rows, "bucket",
		    "The account has a hierarchical namespace: its listings "
		    "are in another order and it has folders, so that a copy "
		    "cannot be restored from it. Use an account without one.");
	return kept;
}

static int
version(void *session, char *name, size_t room)
{
	struct azure_session *s = session;
	struct slice id = http_call_header(&s->call, "x-ms-version-id");

	if (s->call.status / 100 != 2 || id.len == 0 || id.len >= room)
		return 0;
	snprintf(name, room, "%.*s", (int)id.len, id.at);
	return 1;
}

static int
remove_version(
    void *session, struct slice key, const char *name, struct fault *fault)
{
	struct azure_request req = {
		.op = AZURE_DELETE, .method = "DELETE", .key = key
	};

	azure_query(&req, "versionid", name);
	return azure_send(session, &req, fault);
}

int
azure_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	static const struct probe_protocol protocol = {
		.table = &destination_azure,
		.call = call,
		.knock = knock,
		.credentials = credentials,
		.is_of_authentication = is_of_authentication,
		.is_list_denied = is_list_denied,
		.list_permission =
		    "the permission to list "
		    "(Microsoft.Storage/storageAccounts/blobServices/"
		    "containers/blobs/read)",
		.identity = identity,
		.bucket = bucket_row,
		.put = put_text,
		.multipart = "A blob was put together from blocks.",
		.rules = rules,
		.version = version,
		.remove_version = remove_version,
	};

	return probe_steps(&protocol, session,
	    ((struct azure_session *)session)->shared, visit, arg, fault);
}
