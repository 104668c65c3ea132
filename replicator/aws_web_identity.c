#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/aws_sources.h"
#include "replicator/xml_read.h"

#define TOKEN_MAX_BYTES 32768

/* The answer of AssumeRoleWithWebIdentity, or its error. */
struct sts_answer {
	char access_key_id[160], secret[160], expiration[64], arn[256];
	struct buffer token;
	char code[64], message[300];
};

static void
take(char *to, size_t room, struct slice text)
{
	snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
	    text.at);
}

static int
sts_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct sts_answer *a = arg;
	const char *name = strrchr(path, '/');

	if (name == NULL || text.at == NULL)
		return 0;
	name++;
	if (strcmp(name, "AccessKeyId") == 0)
		take(a->access_key_id, sizeof(a->access_key_id), text);
	else if (strcmp(name, "SecretAccessKey") == 0)
		take(a->secret, sizeof(a->secret), text);
	else if (strcmp(name, "Expiration") == 0)
		take(a->expiration, sizeof(a->expiration), text);
	else if (strcmp(name, "Arn") == 0)
		take(a->arn, sizeof(a->arn), text);
	else if (strcmp(name, "Code") == 0)
		take(a->code, sizeof(a->code), text);
	else if (strcmp(name, "Message") == 0)
		take(a->message, sizeof(a->message), text);
	else if (strcmp(name, "SessionToken") == 0) {
		buffer_clear(&a->token);
		buffer_add_slice(&a->token, text);
		buffer_add_u8(&a->token, '\0');
	}
	return 0;
}

static void
add_parameter(struct buffer *body, const char *name, const char *value)
{
	char *encoded = malloc(3 * strlen(value) + 1);

	if (encoded == NULL) {
		body->failed = 1;
		return;
	}
	uri_encode(value, strlen(value), 0, encoded);
	buffer_printf(body, "%s%s=%s", body->len > 0 ? "&" : "", name, encoded);
	bytes_wipe(encoded, strlen(encoded));
	free(encoded);
}

static int
refusal(const struct aws_role *role, const struct http_call *call,
    const struct sts_answer *a, struct fault *fault)
{
	*fault = call->fault;
	snprintf(fault->code, sizeof(fault->code), "%s", a->code);
	if (strcmp(a->code, "AccessDenied") == 0)
		return fault_set(fault, FAULT_PERSON,
		    "The role %s may not be assumed by this service account "
		    "(sts:AssumeRoleWithWebIdentity): correct the role's trust "
		    "policy. %s",
		    role->role_arn, a->message);
	if (strcmp(a->code, "ExpiredTokenException") == 0 ||
	    strcmp(a->code, "InvalidIdentityToken") == 0)
		return fault_set(fault, FAULT_PERSON,
		    "The web identity token in %s is not accepted: %s",
		    role->token_file, a->message);
	if (strcmp(a->code, "IDPCommunicationError") == 0 ||
	    strcmp(a->code, "Throttling") == 0)
		return fault_set(fault, FAULT_RETRY, "STS: %s", a->message);
	return fault_set(fault,
	    http_status_fault(call->status) == FAULT_RETRY ? FAULT_RETRY
							   : FAULT_PERSON,
	    "STS refuses the web identity with status %d %s: %s", call->status,
	    a->code, a->message);
}

int
aws_fetch_web_identity(const struct aws_role *role, struct http_client *http,
    struct aws_keys *keys, struct fault *fault)
{
	static const struct slice type =
	    SLICE_LITERAL("Content-Type: application/x-www-form-urlencoded");
	struct http_call call = { .method = "POST" };
	struct sts_answer answer = { .token = BUFFER_INIT };
	struct buffer body = BUFFER_INIT;
	struct error err = ERROR_INIT;
	const char *region;
	char url[512], *token;
	size_t len;
	int rc = -1;

	/* Kubernetes writes a new token long before the old one expires. */
	if ((token = file_read(
		 role->token_file, TOKEN_MAX_BYTES, &len, &err)) == NULL)
		return fault_set(fault, FAULT_PERSON,
		    "The web identity token cannot be read: %s", err.text);
	token[strcspn(token, " \t\r\n")] = '\0';

	region = role->region != NULL ? role->region : "us-east-1";
	if (role->sts_endpoint != NULL)
		snprintf(url, sizeof(url), "%s/", role->sts_endpoint);
	else
		snprintf(url, sizeof(url), "https://sts.%s.%s/", region,
		    aws_host_end(region));
	add_parameter(&body, "Action", "AssumeRoleWithWebIdentity");
	add_parameter(&body, "Version", "2011-06-15");
	add_parameter(&body, "RoleArn", role->role_arn);
	add_parameter(&body, "RoleSessionName",
	    role->session_name != NULL ? role->session_name : "holdfast");
	add_parameter(&body, "WebIdentityToken", token);
	if (body.failed) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}

	call.url = url;
	call.headers = &type;
	call.n_headers = 1;
	call.body = body.at;
	call.body_len = body.len;
	call.total_timeout_ms = 20000;
	if (http_client_call(http, &call) != 0) {
		*fault = call.fault;
		fault->fate_unknown = 0;
		goto done;
	}
	xml_read(buffer_slice(&call.answer), sts_leaf, &answer);
	if (call.status != 200) {
		refusal(role, &call, &answer, fault);
		goto done;
	}
	snprintf(keys->principal, sizeof(keys->principal), "%s", answer.arn);
	rc = aws_keys_fill(keys, &call, answer.access_key_id, answer.secret,
	    answer.token.failed || answer.token.at == NULL ? ""
							   : answer.token.at,
	    answer.expiration, "STS", fault);

done:
	if (body.at != NULL)
		bytes_wipe(body.at, body.len);
	bytes_wipe(token, len);
	free(token);
	buffer_free(&body);
	if (answer.token.at != NULL)
		bytes_wipe(answer.token.at, answer.token.len);
	buffer_free(&answer.token);
	bytes_wipe(&answer, sizeof(answer));
	if (call.answer.at != NULL)
		bytes_wipe(call.answer.at, call.answer.len);
	http_call_clear(&call);
	return rc;
}
