#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "replicator/aws_sources.h"

/*
 * The instance metadata service, version 2 only: a PUT gives a token, with
 * which the role's name and then its credentials are read.
 */

#define ENDPOINT "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"

static int
no_token(struct http_call *call, struct fault *fault)
{
	*fault = call->fault;
	fault->fate_unknown = 0;
	if (call->status != 0)
		return fault_set(fault,
		    http_status_fault(call->status) == FAULT_RETRY
			? FAULT_RETRY
			: FAULT_PERSON,
		    "The instance metadata service gives no token (status "
		    "%d): switch version 2 of it on for this machine.",
		    call->status);
	if (fault->kind == FAULT_STOPPED)
		return -1;
	if (call->peer[0] != '\0')
		return fault_set(fault, FAULT_PERSON,
		    "The instance metadata service takes requests but its "
		    "answers do not arrive: in a container, raise the "
		    "machine's hop limit to 2 (aws ec2 "
		    "modify-instance-metadata-options "
		    "--http-put-response-hop-limit 2), or give the pod a "
		    "role.");
	return fault_set(fault, FAULT_PERSON,
	    "No instance role was found: there is no web identity token, no "
	    "container credentials' service and no instance metadata service "
	    "here. Give an access key instead, or attach a role.");
}

/* GET of a path with the token. */
static int
read_path(const struct aws_role *role, struct http_client *http,
    const char *path, const char *token, struct http_call *call)
{
	char url[512], line[256];
	struct slice header;
	int rc;

	snprintf(url, sizeof(url), "%s%s",
	    role->metadata_endpoint != NULL ? role->metadata_endpoint
					    : ENDPOINT,
	    path);
	snprintf(line, sizeof(line), "X-aws-ec2-metadata-token: %s", token);
	header = slice_text(line);
	call->method = "GET";
	call->url = url;
	call->headers = &header;
	call->n_headers = 1;
	call->total_timeout_ms = 10000;
	rc = http_client_call(http, call);
	call->url = NULL;
	call->headers = NULL;
	bytes_wipe(line, sizeof(line));
	return rc;
}

static int
fetch_token(const struct aws_role *role, struct http_client *http, char *token,
    size_t room, struct fault *fault)
{
	static const struct slice ttl =
	    SLICE_LITERAL("X-aws-ec2-metadata-token-ttl-seconds: 300");
	struct http_call call = { .method = "PUT" };
	char url[512];
	int rc = -1;

	snprintf(url, sizeof(url), "%s/latest/api/token",
	    role->metadata_endpoint != NULL ? role->metadata_endpoint
					    : ENDPOINT);
	call.url = url;
	call.headers = &ttl;
	call.n_headers = 1;
	call.total_timeout_ms = 10000;
	if (http_client_call(http, &call) != 0 || call.status != 200 ||
	    call.answer.len == 0 || call.answer.len >= room)
		no_token(&call, fault);
	else {
		memcpy(token, call.answer.at, call.answer.len);
		token[call.answer.len] = '\0';
		token[strcspn(token, "\r\n")] = '\0';
		rc = 0;
	}
	http_call_clear(&call);
	return rc;
}

int
aws_fetch_metadata(const struct aws_role *role, struct http_client *http,
    struct aws_keys *keys, struct fault *fault)
{
	struct http_call call = { .method = "GET" };
	char token[200], name[128], path[256];
	int rc = -1;

	if (fetch_token(role, http, token, sizeof(token), fault) != 0)
		return -1;
	if (read_path(role, http, ROLES, token, &call) != 0) {
		*fault = call.fault;
		goto done;
	}
	if (call.status == 404 ||
	    (call.status == 200 && call.answer.len == 0)) {
		fault_set(fault, FAULT_PERSON,
		    "This machine has no instance role: attach one, or give "
		    "an access key.");
		goto done;
	}
	snprintf(name, sizeof(name), "%.*s",
	    (int)(call.answer.len < 127 ? call.answer.len : 127),
	    call.answer.at != NULL ? call.answer.at : "");
	name[strcspn(name, " \r\n")] = '\0';
	if (call.status == 200) {
		snprintf(path, sizeof(path), "%s%s", ROLES, name);
		if (read_path(role, http, path, token, &call) != 0) {
			*fault = call.fault;
			goto done;
		}
	}
	if (call.status != 200) {
		*fault = call.fault;
		fault_set(fault, FAULT_RETRY,
		    "The instance metadata service answered status %d.",
		    call.status);
		goto done;
	}
	snprintf(keys->principal, sizeof(keys->principal), "%s", name);
	rc = aws_keys_of_json(
	    &call, "The instance metadata service", keys, fault);

done:
	bytes_wipe(token, sizeof(token));
	if (call.answer.at != NULL)
		bytes_wipe(call.answer.at, call.answer.len);
	http_call_clear(&call);
	return rc;
}
