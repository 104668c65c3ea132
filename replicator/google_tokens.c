#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/fields.h"
#include "replicator/google_tokens.h"

/* Where tokens come from, and what the sources share. */

#define CREDENTIALS_MAX_BYTES (64U << 10)

const char *
google_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return field_is_set(text) ? text : NULL;
}

int
google_is_https(const char *url)
{
	return url != NULL && strncmp(url, "https://", 8) == 0 &&
	    url[8] != '\0' && strpbrk(url, " \t\r\n\"") == NULL;
}

int
google_token_post(struct http_client *http, const char *url, const char *type,
    const char *authorization, const struct buffer *body,
    struct http_call *call, struct fault *fault)
{
	struct buffer lines[2] = { BUFFER_INIT, BUFFER_INIT };
	struct slice headers[2];
	int rc;

	memset(call, 0, sizeof(*call));
	buffer_printf(&lines[0], "Content-Type: %s", type);
	if (authorization != NULL) {
		buffer_add_text(&lines[1], "Authorization: Bearer ");
		buffer_add_text(&lines[1], authorization);
	}
	headers[0] = buffer_slice(&lines[0]);
	headers[1] = buffer_slice(&lines[1]);
	call->method = "POST";
	call->url = url;
	call->headers = headers;
	call->n_headers = authorization != NULL ? 2 : 1;
	call->body = body->at;
	call->body_len = body->len;
	call->total_timeout_ms = GOOGLE_TOKEN_TIMEOUT_MS;
	if (body->failed || lines[0].failed || lines[1].failed)
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
	else if ((rc = http_client_call(http, call)) != 0) {
		*fault = call->fault;
		/* Asking for a token changes nothing. */
		fault->fate_unknown = 0;
	}
	call->url = NULL;
	call->headers = NULL;
	if (lines[1].at != NULL)
		bytes_wipe(lines[1].at, lines[1].len);
	buffer_free(&lines[0]);
	buffer_free(&lines[1]);
	return rc;
}

void
google_token_done(struct http_call *call)
{
	if (call->answer.at != NULL)
		bytes_wipe(call->answer.at, call->answer.len);
	http_call_clear(call);
}

void
google_form_add(struct buffer *form, const char *name, const char *value)
{
	if (form->len > 0)
		buffer_add_u8(form, '&');
	buffer_printf(form, "%s=", name);
	if (buffer_reserve(form, 3 * strlen(value) + 1) == 0)
		form->len +=
		    uri_encode(value, strlen(value), 0, form->at + form->len);
}

static struct token_source *
of_json(const struct destination_fields *f, const char *text, struct error *err)
{
	struct token_source *source = NULL;
	json_error_t where;
	const char *type, *secret;
	json_t *object;

	object = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	type = google_member(object, "type");
	if (!json_is_object(object))
		error_set(err, ERR_INVALID,
		    "service-account-json: it is no JSON: give the whole "
		    "contents of the key file that Google made");
	else if (type != NULL && strcmp(type, "service_account") == 0)
		source = google_account_tokens(f, object, err);
	else if (type != NULL && strcmp(type, "external_account") == 0)
		source = google_federated_tokens(f, object, err);
	else if (type != NULL && strcmp(type, "authorized_user") == 0)
		error_set(err, ERR_INVALID,
		    "service-account-json: these are a person's credentials: "
		    "make a key for a service account");
	else
		error_set(err, ERR_INVALID,
		    "service-account-json: its type is neither "
		    "service_account nor external_account");
	/* Not constant: it is the parser's own memory. */
	secret = google_member(object, "private_key");
	if (secret != NULL)
		bytes_wipe((void *)(uintptr_t)secret, strlen(secret));
	json_decref(object);
	return source;
}

/* Where a workload's federation is set up, this variable names its file. */
static struct token_source *
of_file(const struct destination_fields *f, const char *path, struct error *err)
{
	struct token_source *source;
	char *text;
	size_t len;

	if ((text = file_read(path, CREDENTIALS_MAX_BYTES, &len, err)) ==
	    NULL) {
		error_add(err, "GOOGLE_APPLICATION_CREDENTIALS");
		return NULL;
	}
	source = of_json(f, text, err);
	bytes_wipe(text, len);
	free(text);
	return source;
}

struct token_source *
google_tokens_new(const struct destination_fields *f, struct error *err)
{
	const char *path = getenv("GOOGLE_APPLICATION_CREDENTIALS");

	if (!f->use_instance_role && field_is_set(f->service_account_json))
		return of_json(f, f->service_account_json, err);
	if (f->use_instance_role)
		return field_is_set(path) && !field_is_set(f->metadata_endpoint)
		    ? of_file(f, path, err)
		    : google_metadata_tokens(f, err);
	error_set(err, ERR_INVALID,
	    "service-account-json: give the key file of a service account, or "
	    "use the instance role");
	return NULL;
}
