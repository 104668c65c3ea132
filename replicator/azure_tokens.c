#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/azure_private.h"
#include "replicator/fields.h"
#include "replicator/token_source.h"

/*
 * Tokens of Entra: for an application by its secret, for a workload by the
 * token that Kubernetes puts into a file, for a machine by its metadata
 * service.
 */

#define METADATA_ENDPOINT "http://169.254.169.254"
#define ASSERTION_MAX_BYTES (32U << 10)
#define FETCH_TIMEOUT_MS 30000

struct azure_identity {
	char *token_url; /* of Entra, or of the metadata service with query */
	char *client_id, *secret, *scope;
	char *assertion_file; /* read anew for each token */
	int metadata;
};

static void
identity_free(void *arg)
{
	struct azure_identity *id = arg;

	if (id->secret != NULL)
		bytes_wipe(id->secret, strlen(id->secret));
	free(id->token_url);
	free(id->client_id);
	free(id->secret);
	free(id->scope);
	free(id->assertion_file);
	free(id);
}

/* What Entra's codes mean and what to do. */
static const struct {
	const char *code, *sentence;
} reasons[] = {
	{ "AADSTS7000215",
	    "the client secret is wrong: enter the secret's "
	    "value, not its id" },
	{ "AADSTS7000222", "the client secret has expired: make a new one" },
	{ "AADSTS700016",
	    "the tenant has no application with this client id: "
	    "correct the client id or the tenant id" },
	{ "AADSTS7000112", "the application is disabled: enable it" },
	{ "AADSTS90002",
	    "there is no such tenant: correct the tenant id, or "
	    "the cloud's name" },
	{ "AADSTS900023", "there is no such tenant: correct the tenant id" },
	{ "AADSTS700027", "the client's assertion is not accepted" },
	{ "AADSTS700024",
	    "the workload's token is outside its time: is this "
	    "machine's clock right?" },
	{ "AADSTS700211",
	    "the application has no federated credential for "
	    "this cluster: its issuer does not match" },
	{ "AADSTS700212",
	    "the federated credential's audience does not "
	    "match" },
	{ "AADSTS700213",
	    "the application has no federated credential for "
	    "this service account: its subject does not match" },
	{ "AADSTS70021",
	    "the application has no federated credential for "
	    "this cluster and service account" },
	{ "AADSTS50076", "a policy asks for more than a secret" },
	{ "AADSTS53003", "a conditional access policy blocks it" },
	{ "AADSTS500011",
	    "the tenant does not know the storage service: is "
	    "the cloud's name right?" },
};

/* {"error": "invalid_client", "error_description": "AADSTS...: ..."} */
static int
entra_refusal(const struct azure_identity *id, const struct http_call *call,
    struct fault *fault)
{
	const char *error, *text, *why = NULL;
	enum fault_kind kind;
	json_error_t where;
	json_t *object;
	size_t i, len;

	*fault = call->fault;
	object = json_loadb(call->answer.at != NULL ? call->answer.at : "",
	    call->answer.len, 0, &where);
	error = json_string_value(json_object_get(object, "error"));
	text = json_string_value(json_object_get(object, "error_description"));
	text = text != NULL ? text : "";
	len = strcspn(text, "\r\n:");
	snprintf(fault->code, sizeof(fault->code), "%.*s",
	    (int)(len < sizeof(fault->code) ? len : 0), text);
	if (fault->code[0] == '\0' && error != NULL)
		snprintf(fault->code, sizeof(fault->code), "%s", error);
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(fault->code, reasons[i].code) == 0)
			why = reasons[i].sentence;
	kind = http_status_fault(call->status) == FAULT_RETRY ||
		(error != NULL && strcmp(error, "temporarily_unavailable") == 0)
	    ? FAULT_RETRY
	    : FAULT_PERSON;
	fault->slow_down = call->status == 429;
	if (why != NULL)
		fault_set(fault, kind, "Entra gives no token to %s: %s.",
		    id->client_id, why);
	else
		fault_set(fault, kind,
		    "%s gives no token%s%s (status %d). %.*s",
		    id->metadata ? "The machine's metadata service" : "Entra",
		    id->client_id != NULL ? " to " : "",
		    id->client_id != NULL ? id->client_id : "", call->status,
		    (int)strcspn(text, "\r\n"), text);
	json_decref(object);
	return -1;
}

static void
add_field(struct buffer *form, const char *name, const char *value)
{
	if (form->len > 0)
		buffer_add_u8(form, '&');
	buffer_printf(form, "%s=", name);
	if (buffer_reserve(form, 3 * strlen(value) + 1) == 0)
		form->len +=
		    uri_encode(value, strlen(value), 0, form->at + form->len);
}

static int
write_form(
    const struct azure_identity *id, struct buffer *form, struct fault *fault)
{
	struct error err = ERROR_INIT;
	char *assertion;
	size_t len;

	add_field(form, "grant_type", "client_credentials");
	add_field(form, "client_id", id->client_id);
	add_field(form, "scope", id->scope);
	if (id->assertion_file == NULL) {
		add_field(form, "client_secret", id->secret);
		return 0;
	}
	assertion =
	    file_read(id->assertion_file, ASSERTION_MAX_BYTES, &len, &err);
	if (assertion == NULL)
		return fault_set(fault, FAULT_PERSON,
		    "The workload's token cannot be read: %s. Is the service "
		    "account's webhook for workload identity installed?",
		    err.text);
	while (len > 0 &&
	    (assertion[len - 1] == '\n' || assertion[len - 1] == '\r'))
		assertion[--len] = '\0';
	add_field(form, "client_assertion_type",
	    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	add_field(form, "client_assertion", assertion);
	bytes_wipe(assertion, len);
	free(assertion);
	return 0;
}

static int
no_answer(const struct azure_identity *id, const struct http_call *call,
    struct fault *fault)
{
	*fault = call->fault;
	fault->fate_unknown = 0;
	if (!id->metadata || fault->kind == FAULT_STOPPED)
		return -1;
	return fault_set(fault, FAULT_PERSON,
	    "No identity was found: there is no token of a workload identity "
	    "and no metadata service here. Give a client id and secret "
	    "instead, or attach an identity.");
}

static int
identity_fetch(void *arg, struct http_client *http, struct token_answer *answer,
    struct fault *fault)
{
	const struct azure_identity *id = arg;
	struct slice header =
	    SLICE_LITERAL("Content-Type: application/x-www-form-urlencoded");
	struct http_call call = { .url = id->token_url,
		.headers = &header,
		.n_headers = 1,
		.total_timeout_ms = FETCH_TIMEOUT_MS };
	struct buffer form = BUFFER_INIT;
	int rc;

	if (id->metadata) {
		header = SLICE_LITERAL("Metadata: true");
		call.method = "GET";
	} else {
		call.method = "POST";
		if ((rc = write_form(id, &form, fault)) != 0)
			goto done;
		call.body = form.at;
		call.body_len = form.len;
	}
	if (form.failed)
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
	else if ((rc = http_client_call(http, &call)) != 0)
		no_answer(id, &call, fault);
	else if (call.status != 200)
		rc = entra_refusal(id, &call, fault);
	else
		rc = token_answer_read(buffer_slice(&call.answer),
		    id->metadata ? "The metadata service" : "Entra", answer,
		    fault);
	if (call.answer.at != NULL)
		bytes_wipe(call.answer.at, call.answer.len);

done:
	if (form.at != NULL)
		bytes_wipe(form.at, form.len);
	buffer_free(&form);
	http_call_clear(&call);
	return rc;
}

static const struct token_methods identity_methods = {
	.fetch = identity_fetch,
	.free = identity_free,
};

/* The field, or what the environment says, or NULL. */
static const char *
or_environment(const char *field, const char *variable)
{
	if (field_is_set(field))
		return field;
	field = getenv(variable);
	return field_is_set(field) ? field : NULL;
}

static char *
entra_url(const struct destination_fields *f, const char *tenant)
{
	const struct azure_cloud *cloud = azure_cloud_of(f->cloud_name);
	const char *login =
	    field_is_set(f->token_endpoint) ? f->token_endpoint : NULL;
	struct buffer url = BUFFER_INIT;
	size_t len;

	if (login == NULL && f->use_instance_role)
		login = getenv("AZURE_AUTHORITY_HOST");
	if (!field_is_set(login))
		login = cloud->login;
	len = strlen(login);
	while (len > 0 && login[len - 1] == '/')
		len--;
	buffer_add(&url, login, len);
	buffer_printf(&url, "/%s/oauth2/v2.0/token", tenant);
	buffer_add_u8(&url, '\0');
	if (!url.failed)
		return url.at;
	buffer_free(&url);
	return NULL;
}

static char *
metadata_url(const struct destination_fields *f, const char *scope)
{
	struct buffer url = BUFFER_INIT;
	size_t len = strlen(scope);
	char resource[160];

	/* The scope without its ".default". */
	if (len > strlen(".default"))
		len -= strlen(".default");
	snprintf(resource, sizeof(resource), "%.*s", (int)len, scope);
	buffer_printf(&url,
	    "%s/metadata/identity/oauth2/token?api-version=2018-02-01&",
	    field_is_set(f->metadata_endpoint) ? f->metadata_endpoint
					       : METADATA_ENDPOINT);
	buffer_add_text(&url, "resource=");
	if (buffer_reserve(&url, sizeof(resource) * 3) == 0)
		url.len +=
		    uri_encode(resource, strlen(resource), 0, url.at + url.len);
	if (field_is_set(f->client_id))
		add_field(&url, "client_id", f->client_id);
	buffer_add_u8(&url, '\0');
	if (!url.failed)
		return url.at;
	buffer_free(&url);
	return NULL;
}

/* Who asks, and by which of the ways. */
struct who {
	const char *tenant, *client_id, *secret, *assertion_file;
	char principal[300];
};

static int
find_who(const struct destination_fields *f, struct who *w, struct error *err)
{
	w->tenant = field_is_set(f->tenant_id) ? f->tenant_id : NULL;
	w->client_id = field_is_set(f->client_id) ? f->client_id : NULL;
	if (f->use_instance_role || field_is_set(f->web_identity_token_file)) {
		w->assertion_file = or_environment(
		    f->web_identity_token_file, "AZURE_FEDERATED_TOKEN_FILE");
		if (w->assertion_file == NULL) {
			snprintf(w->principal, sizeof(w->principal),
			    "the managed identity of this machine%s%.100s",
			    w->client_id != NULL ? " with client id " : "",
			    w->client_id != NULL ? w->client_id : "");
			return 0;
		}
		w->tenant = or_environment(f->tenant_id, "AZURE_TENANT_ID");
		w->client_id = or_environment(f->client_id, "AZURE_CLIENT_ID");
	} else
		w->secret =
		    field_is_set(f->client_secret) ? f->client_secret : NULL;
	if (w->tenant == NULL)
		return error_set(err, ERR_INVALID,
		    "tenant-id: give the id of the directory (tenant) of the "
		    "application");
	if (strlen(w->tenant) > 128 ||
	    strspn(w->tenant,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789.-") != strlen(w->tenant))
		return error_set(err, ERR_INVALID,
		    "tenant-id: it looks like "
		    "00000000-0000-0000-0000-000000000000");
	if (w->client_id == NULL)
		return error_set(err, ERR_INVALID,
		    "client-id: give the id of the application (client)");
	if (w->assertion_file == NULL && w->secret == NULL)
		return error_set(
		    err, ERR_INVALID, "client-secret: give the secret's value");
	snprintf(w->principal, sizeof(w->principal),
	    "%s %.100s in tenant %.128s",
	    w->assertion_file != NULL ? "the workload identity"
				      : "the application",
	    w->client_id, w->tenant);
	return 0;
}

struct token_source *
azure_tokens_new(
    const struct destination_fields *f, const char *scope, struct error *err)
{
	struct azure_identity *id;
	struct who w = { .tenant = NULL };

	if (find_who(f, &w, err) != 0)
		return NULL;
	if ((id = calloc(1, sizeof(*id))) == NULL)
		goto no_memory;
	id->metadata = w.assertion_file == NULL && w.secret == NULL;
	id->token_url =
	    id->metadata ? metadata_url(f, scope) : entra_url(f, w.tenant);
	if (id->token_url == NULL ||
	    field_copy(&id->client_id, w.client_id, err) != 0 ||
	    field_copy(&id->secret, w.secret, err) != 0 ||
	    field_copy(&id->scope, scope, err) != 0 ||
	    field_copy(&id->assertion_file, w.assertion_file, err) != 0)
		goto no_memory;
	return token_source_new(&identity_methods, id, w.principal, err);

no_memory:
	if (id != NULL)
		identity_free(id);
	error_nomem(err);
	return NULL;
}

/* The claims of a JWT, not verified: for people to read. NULL: it is none. */
static json_t *
token_claims(struct slice header)
{
	const char *dot, *end;
	char *text, *bytes;
	json_t *claims = NULL;
	json_error_t where;
	size_t len, i;
	int n;

	if ((dot = memchr(header.at, '.', header.len)) == NULL)
		return NULL;
	dot++;
	end = memchr(dot, '.', (size_t)(header.at + header.len - dot));
	if (end == NULL)
		return NULL;
	len = (size_t)(end - dot);
	text = malloc(len + 4);
	bytes = malloc(len + 1);
	if (text != NULL && bytes != NULL) {
		for (i = 0; i < len; i++)
			text[i] = dot[i] == '-' ? '+'
			    : dot[i] == '_'     ? '/'
						: dot[i];
		while (len % 4 != 0)
			text[len++] = '=';
		n = base64_decode(text, len, bytes, len);
		if (n > 0)
			claims = json_loadb(bytes, (size_t)n, 0, &where);
	}
	free(text);
	free(bytes);
	return claims;
}

void
azure_token_identity(struct slice header, char *text, size_t room)
{
	const char *application, *object;
	json_t *claims;

	text[0] = '\0';
	if (header.len == 0 || (claims = token_claims(header)) == NULL)
		return;
	application = json_string_value(json_object_get(claims, "appid"));
	object = json_string_value(json_object_get(claims, "oid"));
	if (application != NULL && object != NULL)
		snprintf(text, room, "application %.80s, object %.80s",
		    application, object);
	json_decref(claims);
}
