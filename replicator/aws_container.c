#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/aws_sources.h"

#define TOKEN_MAX_BYTES 32768

/* Where credentials may come from in the clear: this machine, and the addresses
 * that the container services have. */
static const char *const clear_hosts[] = { "http://127.",
	"http://localhost:", "http://localhost/", "http://[::1]",
	"http://169.254.170.2/", "http://169.254.170.23/",
	"http://[fd00:ec2::23]" };

int
aws_keys_fill(struct aws_keys *keys, const struct http_call *call,
    const char *access_key_id, const char *secret, const char *token,
    const char *expiration, const char *what, struct fault *fault)
{
	if (access_key_id[0] == '\0' || secret[0] == '\0' ||
	    strlen(access_key_id) >= sizeof(keys->access_key_id) ||
	    strlen(secret) >= sizeof(keys->secret))
		return fault_set(fault, FAULT_RETRY,
		    "%s answered without credentials.", what);
	snprintf(keys->access_key_id, sizeof(keys->access_key_id), "%s",
	    access_key_id);
	snprintf(keys->secret, sizeof(keys->secret), "%s", secret);
	if (token[0] != '\0' && (keys->session_token = strdup(token)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	keys->expires_ms = 0;
	if (expiration[0] == '\0')
		return 0;
	if (clock_parse_iso8601(
		expiration, strlen(expiration), &keys->expires_ms) != 0)
		return fault_set(fault, FAULT_RETRY,
		    "%s gave credentials that expire at \"%.40s\", which is "
		    "no time.",
		    what, expiration);
	if (call->has_clock)
		keys->expires_ms -= call->clock_offset_ms;
	return 0;
}

static const char *
member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

int
aws_keys_of_json(const struct http_call *call, const char *what,
    struct aws_keys *keys, struct fault *fault)
{
	json_error_t where;
	json_t *object;
	int rc;

	object = json_loadb(call->answer.at != NULL ? call->answer.at : "",
	    call->answer.len, 0, &where);
	if (!json_is_object(object)) {
		json_decref(object);
		return fault_set(fault, FAULT_RETRY,
		    "%s answered something else than credentials.", what);
	}
	if (member(object, "Code")[0] != '\0' &&
	    strcmp(member(object, "Code"), "Success") != 0)
		rc = fault_set(fault, FAULT_PERSON,
		    "%s has no credentials: %s %s", what,
		    member(object, "Code"), member(object, "Message"));
	else {
		if (keys->principal[0] == '\0')
			snprintf(keys->principal, sizeof(keys->principal), "%s",
			    member(object, "RoleArn"));
		rc = aws_keys_fill(keys, call, member(object, "AccessKeyId"),
		    member(object, "SecretAccessKey"), member(object, "Token"),
		    member(object, "Expiration"), what, fault);
	}
	json_decref(object);
	return rc;
}

static int
may_be_asked(const char *uri)
{
	size_t i;

	if (strncmp(uri, "https://", 8) == 0)
		return 1;
	for (i = 0; i < sizeof(clear_hosts) / sizeof(clear_hosts[0]); i++)
		if (strncmp(uri, clear_hosts[i], strlen(clear_hosts[i])) == 0)
			return strchr(uri, '@') == NULL;
	return 0;
}

/* The Authorization header's line, from the file (which is replaced while we
 * run) or the variable; empty when there is neither. */
static int
authorization(
    const struct aws_role *role, struct buffer *line, struct fault *fault)
{
	struct error err = ERROR_INIT;
	char *text = NULL;
	const char *token = role->container_token;
	size_t len;

	if (role->container_token_file != NULL) {
		text = file_read(
		    role->container_token_file, TOKEN_MAX_BYTES, &len, &err);
		if (text == NULL)
			return fault_set(fault, FAULT_PERSON,
			    "The container's authorization token cannot be "
			    "read: %s",
			    err.text);
		text[strcspn(text, "\r\n")] = '\0';
		token = text;
	}
	if (token != NULL && strpbrk(token, "\r\n") == NULL)
		buffer_printf(line, "Authorization: %s", token);
	free(text);
	if (line->failed)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	return 0;
}

int
aws_fetch_container(const struct aws_role *role, struct http_client *http,
    struct aws_keys *keys, struct fault *fault)
{
	struct http_call call = { .method = "GET" };
	struct buffer line = BUFFER_INIT;
	struct slice header;
	int rc = -1;

	if (!may_be_asked(role->container_uri))
		return fault_set(fault, FAULT_PERSON,
		    "The container credentials' address %s is neither https "
		    "nor on this machine: correct it.",
		    role->container_uri);
	if (authorization(role, &line, fault) != 0)
		goto done;
	header = buffer_slice(&line);
	call.url = role->container_uri;
	call.headers = &header;
	call.n_headers = line.len > 0 ? 1 : 0;
	call.total_timeout_ms = 10000;
	if (http_client_call(http, &call) != 0) {
		*fault = call.fault;
		fault_add(fault, "container credentials");
	} else if (call.status != 200) {
		*fault = call.fault;
		fault_set(fault,
		    http_status_fault(call.status) == FAULT_RETRY
			? FAULT_RETRY
			: FAULT_PERSON,
		    "The container credentials' service refuses with status "
		    "%d: check the pod's identity association and its "
		    "authorization token.",
		    call.status);
	} else
		rc = aws_keys_of_json(
		    &call, "The container credentials' service", keys, fault);

done:
	if (line.at != NULL)
		bytes_wipe(line.at, line.len);
	buffer_free(&line);
	if (call.answer.at != NULL)
		bytes_wipe(call.answer.at, call.answer.len);
	http_call_clear(&call);
	return rc;
}
