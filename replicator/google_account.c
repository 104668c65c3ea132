#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "replicator/fields.h"
#include "replicator/google_tokens.h"

/* A service account by its key: a token that it signs buys one for storage. */

#define TOKEN_URI "https://oauth2.googleapis.com/token"
/* What Google forgives between its clock and that of a token. */
#define CLOCK_GRACE_MS 60000

struct account {
	EVP_PKEY *key;
	char *email, *key_id;
	char *audience; /* who the signed token is for */
	char *url;      /* where it is taken to */
	int64_t clock_offset_ms;
};

static void
account_free(void *arg)
{
	struct account *a = arg;

	EVP_PKEY_free(a->key); /* which wipes it */
	free(a->email);
	free(a->key_id);
	free(a->audience);
	free(a->url);
	free(a);
}

/* {"error": "invalid_grant", "error_description": "..."}. */
static int
refusal(
    const struct account *a, const struct http_call *call, struct fault *fault)
{
	const char *error, *text, *why = "";
	json_error_t where;
	json_t *object;
	enum fault_kind kind = http_status_fault(call->status);

	*fault = call->fault;
	fault->slow_down = call->status == 429;
	object = json_loadb(call->answer.at != NULL ? call->answer.at : "",
	    call->answer.len, 0, &where);
	error = google_member(object, "error");
	text = google_member(object, "error_description");
	text = text != NULL ? text : "";
	snprintf(
	    fault->code, sizeof(fault->code), "%s", error != NULL ? error : "");
	if (strstr(text, "Invalid JWT Signature") != NULL)
		why = "the key was deleted or disabled, or is another "
		      "account's: make a new one";
	else if (strstr(text, "short-lived") != NULL ||
	    strstr(text, "iat") != NULL)
		why = "this machine's clock is wrong: set it, best by NTP";
	else if (strstr(text, "account not found") != NULL)
		why = "the account does not exist any more";
	else if (strstr(text, "disabled") != NULL)
		why = "the account or its key is disabled: enable it";
	else if (error != NULL && strcmp(error, "invalid_grant") == 0)
		why = "its key was deleted or disabled, or this machine's "
		      "clock is wrong";
	if (kind != FAULT_RETRY)
		kind = FAULT_PERSON;
	if (why[0] != '\0')
		fault_set(fault, kind, "Google gives no token to %s: %s. (%s)",
		    a->email, why, text);
	else
		fault_set(fault, kind,
		    "Google gives no token to %s (status %d %s). %s", a->email,
		    call->status, fault->code, text);
	json_decref(object);
	return -1;
}

static int
ask(const struct account *a, struct http_client *http, struct http_call *call,
    struct fault *fault)
{
	struct google_jwt jwt = { .issuer = a->email,
		.key_id = a->key_id,
		.audience = a->audience,
		.scope = GOOGLE_SCOPE,
		.now_ms = clock_wall_ms() + a->clock_offset_ms };
	struct buffer form = BUFFER_INIT, assertion = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int rc;

	memset(call, 0, sizeof(*call));
	rc = google_jwt_make(&jwt, a->key, &assertion, &err);
	buffer_add_u8(&assertion, '\0');
	if (rc != 0 || assertion.failed)
		rc = fault_set(fault, FAULT_PERSON,
		    "No token can be signed for %s: %s", a->email, err.text);
	else {
		google_form_add(&form, "grant_type",
		    "urn:ietf:params:oauth:grant-type:jwt-bearer");
		google_form_add(&form, "assertion", assertion.at);
		rc = google_token_post(http, a->url,
		    "application/x-www-form-urlencoded", NULL, &form, call,
		    fault);
	}
	if (form.at != NULL)
		bytes_wipe(form.at, form.len);
	if (assertion.at != NULL)
		bytes_wipe(assertion.at, assertion.len);
	buffer_free(&form);
	buffer_free(&assertion);
	return rc;
}

/* Learns Google's clock from a refusal: 1 when ours may be why. */
static int
learn_clock(struct account *a, const struct http_call *call)
{
	int64_t differs = call->clock_offset_ms - a->clock_offset_ms;

	if (call->status != 400 || !call->has_clock ||
	    (differs < CLOCK_GRACE_MS && differs > -CLOCK_GRACE_MS))
		return 0;
	a->clock_offset_ms = call->clock_offset_ms;
	return 1;
}

static int
account_fetch(void *arg, struct http_client *http, struct token_answer *answer,
    struct fault *fault)
{
	struct account *a = arg;
	struct http_call call;
	int rc, tries;

	for (tries = 0;; tries++) {
		rc = ask(a, http, &call, fault);
		if (rc != 0 || tries > 0 || !learn_clock(a, &call))
			break;
		google_token_done(&call);
	}
	if (rc == 0 && call.status != 200)
		rc = refusal(a, &call, fault);
	else if (rc == 0)
		rc = token_answer_read(buffer_slice(&call.answer),
		    "Google's token endpoint", answer, fault);
	google_token_done(&call);
	return rc;
}

static const struct token_methods account_methods = {
	.fetch = account_fetch,
	.free = account_free,
};

struct token_source *
google_account_tokens(
    const struct destination_fields *f, const json_t *object, struct error *err)
{
	const char *email = google_member(object, "client_email");
	const char *pem = google_member(object, "private_key");
	const char *audience = google_member(object, "token_uri");
	const char *url = f->token_endpoint;
	struct account *a;

	if (audience == NULL)
		audience = TOKEN_URI;
	if (url == NULL || url[0] == '\0') {
		url = audience;
		if (!google_is_https(url)) {
			error_set(err, ERR_INVALID,
			    "service-account-json: its token_uri is not "
			    "https://");
			return NULL;
		}
	}
	if (email == NULL || pem == NULL) {
		error_set(err, ERR_INVALID,
		    "service-account-json: its %s is missing",
		    email == NULL ? "client_email" : "private_key");
		return NULL;
	}
	if ((a = calloc(1, sizeof(*a))) == NULL ||
	    field_copy(&a->email, email, err) != 0 ||
	    field_copy(&a->key_id, google_member(object, "private_key_id"),
		err) != 0 ||
	    field_copy(&a->audience, audience, err) != 0 ||
	    field_copy(&a->url, url, err) != 0) {
		error_nomem(err);
		goto fail;
	}
	if ((a->key = google_key_read(pem)) == NULL) {
		error_set(err, ERR_INVALID,
		    "service-account-json: its private_key is no RSA key in "
		    "PEM, or is damaged");
		goto fail;
	}
	return token_source_new(&account_methods, a, email, err);

fail:
	if (a != NULL)
		account_free(a);
	return NULL;
}
