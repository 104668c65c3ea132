#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/google_tokens.h"

/* The account of a machine, node pool or pod, by the metadata server. */

#define ENDPOINT "http://metadata.google.internal"
#define ACCOUNTS "/computeMetadata/v1/instance/service-accounts/"
#define TIMEOUT_MS 10000

struct machine {
	char url[600]; /* of the account, with a slash at its end */
	int named;
};

/* Only the real one says that it is one. */
static int
is_metadata(const struct http_call *call)
{
	return slice_is_nocase(
	    http_call_header(call, "metadata-flavor"), "Google");
}

static int
get(const struct machine *m, struct http_client *http, const char *what,
    struct http_call *call)
{
	static const struct slice flavor =
	    SLICE_LITERAL("Metadata-Flavor: Google");
	char url[700];
	int rc;

	memset(call, 0, sizeof(*call));
	snprintf(url, sizeof(url), "%s%s", m->url, what);
	call->method = "GET";
	call->url = url;
	call->headers = &flavor;
	call->n_headers = 1;
	call->total_timeout_ms = TIMEOUT_MS;
	rc = http_client_call(http, call);
	call->url = NULL;
	call->headers = NULL;
	return rc;
}

static int
refusal(
    const struct machine *m, const struct http_call *call, struct fault *fault)
{
	*fault = call->fault;
	fault->slow_down = call->status == 429;
	if (call->status == 404 && is_metadata(call))
		return fault_set(fault, FAULT_PERSON,
		    m->named ? "This machine may not use that service "
			       "account: attach it, or leave its name empty."
			     : "This machine has no service account: attach "
			       "one, or give a key file.");
	return fault_set(fault,
	    http_status_fault(call->status) == FAULT_RETRY ? FAULT_RETRY
							   : FAULT_PERSON,
	    "The metadata server gives no token (status %d): does the service "
	    "account exist, and may this workload use it "
	    "(roles/iam.workloadIdentityUser)?",
	    call->status);
}

static void
learn_principal(const struct machine *m, struct http_client *http,
    struct token_answer *answer)
{
	struct http_call call;
	struct slice text;
	size_t i;

	if (get(m, http, "email", &call) == 0 && call.status == 200 &&
	    is_metadata(&call)) {
		text = buffer_slice(&call.answer);
		for (i = 0; i < text.len && text.at[i] > ' ' &&
		     text.at[i] <= '~' && i < sizeof(answer->principal) - 1;
		     i++)
			answer->principal[i] = text.at[i];
		answer->principal[i] = '\0';
	}
	google_token_done(&call);
}

static int
machine_fetch(void *arg, struct http_client *http, struct token_answer *answer,
    struct fault *fault)
{
	const struct machine *m = arg;
	struct http_call call;
	int rc;

	rc = get(m, http, "token", &call);
	if (rc != 0) {
		*fault = call.fault;
		if (fault->kind != FAULT_STOPPED)
			fault_set(fault, FAULT_PERSON,
			    "No instance role was found: there is no metadata "
			    "server of Google's here. Give a key file "
			    "instead, or run on a machine with a service "
			    "account.");
	} else if (call.status != 200)
		rc = refusal(m, &call, fault);
	else if (!is_metadata(&call))
		rc = fault_set(fault, FAULT_PERSON,
		    "What answers as metadata server is not Google's: its "
		    "answer lacks Metadata-Flavor.");
	else
		rc = token_answer_read(buffer_slice(&call.answer),
		    "The metadata server", answer, fault);
	google_token_done(&call);
	if (rc == 0)
		learn_principal(m, http, answer);
	return rc;
}

static const struct token_methods machine_methods = {
	.fetch = machine_fetch,
	.free = free,
};

struct token_source *
google_metadata_tokens(const struct destination_fields *f, struct error *err)
{
	const char *account = f->service_account;
	const char *endpoint = f->metadata_endpoint;
	struct machine *m;

	if (account == NULL || account[0] == '\0')
		account = "default";
	if (endpoint == NULL || endpoint[0] == '\0')
		endpoint = ENDPOINT;
	if (strspn(account, "abcdefghijklmnopqrstuvwxyz0123456789.@-") !=
		strlen(account) ||
	    strlen(account) > 128 || strlen(endpoint) > 256) {
		error_set(err, ERR_INVALID,
		    "service-account: it looks like "
		    "name@project.iam.gserviceaccount.com");
		return NULL;
	}
	if ((m = calloc(1, sizeof(*m))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	m->named = strcmp(account, "default") != 0;
	snprintf(
	    m->url, sizeof(m->url), "%s" ACCOUNTS "%s/", endpoint, account);
	return token_source_new(&machine_methods, m,
	    m->named ? account : "the machine's service account", err);
}
