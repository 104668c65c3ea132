#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/fields.h"
#include "replicator/google_tokens.h"

/*
 * Workload identity federation: a token that the cluster wrote into a file is
 * exchanged for one of Google's, and that, where an account is named, for one
 * of the account.
 */

#define STS "https://sts.googleapis.com/v1/token"
#define CLOUD_SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define SUBJECT_MAX_BYTES (64U << 10)

struct federation {
	char *audience, *subject_type, *url;
	char *impersonation; /* NULL: the identity itself may use storage */
	char *file, *field;  /* field: of JSON in the file; NULL: text */
};

static void
federation_free(void *arg)
{
	struct federation *w = arg;

	free(w->audience);
	free(w->subject_type);
	free(w->url);
	free(w->impersonation);
	free(w->file);
	free(w->field);
	free(w);
}

/* The subject's token, read anew each time: clusters renew it. */
static char *
read_subject(const struct federation *w, struct fault *fault)
{
	struct error err = ERROR_INIT;
	json_error_t where;
	const char *text;
	json_t *object;
	char *bytes, *token = NULL;
	size_t len;

	if ((bytes = file_read(w->file, SUBJECT_MAX_BYTES, &len, &err)) ==
	    NULL) {
		fault_set(fault, FAULT_PERSON,
		    "The workload's token cannot be read: %s", err.text);
		return NULL;
	}
	if (w->field == NULL) {
		bytes[strcspn(bytes, " \t\r\n")] = '\0';
		token = strdup(bytes);
	} else {
		object = json_loadb(bytes, len, 0, &where);
		text = google_member(object, w->field);
		token = text != NULL ? strdup(text) : NULL;
		json_decref(object);
	}
	bytes_wipe(bytes, len);
	free(bytes);
	if (token == NULL)
		fault_set(fault, FAULT_PERSON,
		    "There is no workload's token in %s.", w->file);
	return token;
}

static int
refusal(const struct http_call *call, const char *who, const char *hint,
    struct fault *fault)
{
	const char *text;
	json_error_t where;
	json_t *object, *error;

	*fault = call->fault;
	fault->slow_down = call->status == 429;
	object = json_loadb(call->answer.at != NULL ? call->answer.at : "",
	    call->answer.len, 0, &where);
	error = json_object_get(object, "error");
	text = google_member(object, "error_description");
	if (text == NULL)
		text = google_member(error, "message");
	snprintf(fault->code, sizeof(fault->code), "%s",
	    json_is_string(error) ? json_string_value(error) : "");
	fault_set(fault,
	    http_status_fault(call->status) == FAULT_RETRY ? FAULT_RETRY
							   : FAULT_PERSON,
	    "%s gives no token (status %d): %s. %s", who, call->status, hint,
	    text != NULL ? text : "");
	json_decref(object);
	return -1;
}

static int
exchange(const struct federation *w, struct http_client *http,
    struct token_answer *answer, struct fault *fault)
{
	struct buffer form = BUFFER_INIT;
	struct http_call call;
	char *subject;
	int rc;

	if ((subject = read_subject(w, fault)) == NULL)
		return -1;
	google_form_add(&form, "grant_type",
	    "urn:ietf:params:oauth:grant-type:token-exchange");
	google_form_add(&form, "audience", w->audience);
	google_form_add(&form, "scope",
	    w->impersonation != NULL ? CLOUD_SCOPE : GOOGLE_SCOPE);
	google_form_add(&form, "requested_token_type",
	    "urn:ietf:params:oauth:token-type:access_token");
	google_form_add(&form, "subject_token_type", w->subject_type);
	google_form_add(&form, "subject_token", subject);
	rc = google_token_post(http, w->url,
	    "application/x-www-form-urlencoded", NULL, &form, &call, fault);
	if (rc == 0 && call.status != 200)
		rc = refusal(&call, "Google's security token service",
		    "does the workload identity pool's provider know this "
		    "cluster's issuer and audience",
		    fault);
	else if (rc == 0)
		rc = token_answer_read(buffer_slice(&call.answer),
		    "Google's security token service", answer, fault);
	google_token_done(&call);
	bytes_wipe(subject, strlen(subject));
	free(subject);
	if (form.at != NULL)
		bytes_wipe(form.at, form.len);
	buffer_free(&form);
	return rc;
}

/* {"accessToken": "...", "expireTime": "2026-11-24T12:36:01Z"}. */
static int
read_impersonated(
    struct slice text, struct token_answer *answer, struct fault *fault)
{
	const char *token, *until;
	json_error_t where;
	json_t *object;
	int rc = 0;

	object =
	    json_loadb(text.at != NULL ? text.at : "", text.len, 0, &where);
	token = google_member(object, "accessToken");
	until = google_member(object, "expireTime");
	if (token == NULL || strpbrk(token, " \r\n") != NULL || until == NULL ||
	    clock_parse_iso8601(until, strlen(until), &answer->expires_ms) != 0)
		rc = fault_set(fault, FAULT_RETRY,
		    "Google answered with something that is no token.");
	else
		buffer_add_text(&answer->token, token);
	json_decref(object);
	return rc;
}

static int
impersonate(const struct federation *w, struct http_client *http,
    struct token_answer *answer, struct fault *fault)
{
	struct buffer first = answer->token, body = BUFFER_INIT;
	struct http_call call;
	int rc;

	answer->token = (struct buffer)BUFFER_INIT;
	buffer_add_u8(&first, '\0');
	buffer_add_text(
	    &body, "{\"scope\":[\"" GOOGLE_SCOPE "\"],\"lifetime\":\"3600s\"}");
	if (first.failed)
		body.failed = 1;
	rc = google_token_post(http, w->impersonation,
	    "application/json; charset=UTF-8", first.at, &body, &call, fault);
	if (rc == 0 && call.status != 200)
		rc = refusal(&call, "Google's IAM",
		    "may the workload act as the service account "
		    "(roles/iam.workloadIdentityUser)",
		    fault);
	else if (rc == 0)
		rc = read_impersonated(
		    buffer_slice(&call.answer), answer, fault);
	google_token_done(&call);
	if (first.at != NULL)
		bytes_wipe(first.at, first.len);
	buffer_free(&first);
	buffer_free(&body);
	return rc;
}

static int
federation_fetch(void *arg, struct http_client *http,
    struct token_answer *answer, struct fault *fault)
{
	const struct federation *w = arg;

	if (exchange(w, http, answer, fault) != 0)
		return -1;
	return w->impersonation != NULL ? impersonate(w, http, answer, fault)
					: 0;
}

static const struct token_methods federation_methods = {
	.fetch = federation_fetch,
	.free = federation_free,
};

/* The subject's token goes there, and nowhere but to Google. */
static int
is_googles(const char *url)
{
	static const char end[] = ".googleapis.com";
	size_t host;

	if (!google_is_https(url))
		return 0;
	host = strcspn(url + 8, "/:?#@");
	return url[8 + host] == '/' && host > sizeof(end) - 1 &&
	    memcmp(url + 8 + host - (sizeof(end) - 1), end, sizeof(end) - 1) ==
	    0;
}

/* "https://.../serviceAccounts/NAME:generateAccessToken" */
static void
name_principal(const struct federation *w, char *text, size_t room)
{
	const char *at = w->impersonation != NULL
	    ? strstr(w->impersonation, "/serviceAccounts/")
	    : NULL;

	if (at != NULL) {
		at += strlen("/serviceAccounts/");
		snprintf(text, room, "%.*s", (int)strcspn(at, ":/?"), at);
	} else
		snprintf(
		    text, room, "the workload identity of %.150s", w->audience);
}

static int
check(
    const struct destination_fields *f, const json_t *object, struct error *err)
{
	const char *sts = google_member(object, "token_url");
	const char *other =
	    google_member(object, "service_account_impersonation_url");
	const json_t *from = json_object_get(object, "credential_source");
	int ours = f->sts_endpoint != NULL && f->sts_endpoint[0] != '\0';

	if (google_member(object, "audience") == NULL ||
	    google_member(object, "subject_token_type") == NULL)
		return error_set(err, ERR_INVALID,
		    "service-account-json: its audience or "
		    "subject_token_type is missing");
	if (google_member(from, "file") == NULL)
		return error_set(err, ERR_INVALID,
		    "service-account-json: of workload identity federation "
		    "only tokens in a file can be used (credential_source "
		    "with file)");
	if (!ours &&
	    ((sts != NULL && !is_googles(sts)) ||
		(other != NULL && !is_googles(other))))
		return error_set(err, ERR_INVALID,
		    "service-account-json: its addresses are not Google's");
	return 0;
}

struct token_source *
google_federated_tokens(
    const struct destination_fields *f, const json_t *object, struct error *err)
{
	const json_t *from = json_object_get(object, "credential_source");
	const json_t *format = json_object_get(from, "format");
	const char *type = google_member(format, "type");
	const char *url = google_member(object, "token_url");
	struct federation *w;
	char principal[256];

	if (check(f, object, err) != 0)
		return NULL;
	if (f->sts_endpoint != NULL && f->sts_endpoint[0] != '\0')
		url = f->sts_endpoint;
	if ((w = calloc(1, sizeof(*w))) == NULL ||
	    field_copy(&w->audience, google_member(object, "audience"), err) !=
		0 ||
	    field_copy(&w->subject_type,
		google_member(object, "subject_token_type"), err) != 0 ||
	    field_copy(&w->url, url != NULL ? url : STS, err) != 0 ||
	    field_copy(&w->impersonation,
		google_member(object, "service_account_impersonation_url"),
		err) != 0 ||
	    field_copy(&w->file, google_member(from, "file"), err) != 0 ||
	    (type != NULL && strcmp(type, "json") == 0 &&
		field_copy(&w->field,
		    google_member(format, "subject_token_field_name"),
		    err) != 0)) {
		if (w != NULL)
			federation_free(w);
		error_nomem(err);
		return NULL;
	}
	name_principal(w, principal, sizeof(principal));
	return token_source_new(&federation_methods, w, principal, err);
}
