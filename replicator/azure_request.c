#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/azure_private.h"
#include "replicator/azure_sign.h"
#include "store/record.h"

#define HEADER_LINES_MAX 120
/* A smaller difference of clocks is within what a Date header can say. */
#define CLOCK_OFFSET_LEAST_MS 5000
/* Azure takes signatures up to 15 minutes old. */
#define CLOCK_OFFSET_MENDS_MS (5 * 60 * 1000)

void
azure_query(struct azure_request *req, const char *name, const char *value)
{
	pairs_add(&req->query, slice_text(name), slice_text(value));
}

void
azure_header(struct azure_request *req, const char *name, const char *value)
{
	pairs_add(&req->headers, slice_text(name), slice_text(value));
}

void
azure_header_md5(
    struct azure_request *req, const char *name, const uint8_t md5[MD5_BYTES])
{
	char text[BASE64_BYTES(MD5_BYTES)];

	base64_encode(md5, MD5_BYTES, text);
	azure_header(req, name, text);
}

static void
add_encoded(struct buffer *out, struct slice text, int keep_slash)
{
	if (buffer_reserve(out, 3 * text.len + 1) == 0)
		out->len += uri_encode(text.at != NULL ? text.at : "", text.len,
		    keep_slash, out->at + out->len);
}

/* What of a request depends on nothing but itself. */
struct address {
	struct buffer path; /* encoded, NUL-terminated */
	struct buffer url;  /* the same */
};

static void
set_address(const struct azure_shared *s, const struct azure_request *req,
    struct address *a)
{
	struct slice rest = buffer_slice(&req->query), name, value;
	char separator = '?';

	buffer_printf(&a->path, "%s/%s", s->base, s->container);
	if (req->key.at != NULL) {
		buffer_add_u8(&a->path, '/');
		add_encoded(&a->path, slice_text(s->path), 1);
		add_encoded(&a->path, req->key, 1);
	}
	buffer_add_u8(&a->path, '\0');
	if (a->path.failed) {
		a->url.failed = 1;
		return;
	}
	buffer_printf(&a->url, "%s://%s%s", s->https ? "https" : "http",
	    s->host, a->path.at);
	while (pairs_next(&rest, &name, &value) == 1) {
		buffer_add_u8(&a->url, (uint8_t)separator);
		buffer_add_slice(&a->url, name);
		buffer_add_u8(&a->url, '=');
		add_encoded(&a->url, value, 0);
		separator = '&';
	}
	if (s->means == AZURE_BY_SAS)
		buffer_printf(&a->url, "%c%s", separator, s->sas);
	buffer_add_u8(&a->url, '\0');
}

/* How a try was authorized. */
struct tried {
	long long offset_ms;
	int by_key, by_token;
	uint64_t generation;   /* of the token */
	int clock, token, key; /* mended already */
};

static int
authorize(struct azure_session *s, const struct azure_signing *signing,
    struct buffer *line, struct tried *tried, struct fault *fault)
{
	struct azure_shared *shared = s->shared;
	uint8_t key[AZURE_KEY_MAX_BYTES];
	size_t key_len;

	tried->by_key = tried->by_token = 0;
	if (shared->means == AZURE_BY_SAS)
		return 0;
	buffer_add_text(line, "Authorization: ");
	if (shared->means == AZURE_BY_TOKEN && !atomic_load(&shared->listed)) {
		tried->by_token = 1;
		return token_get(
		    shared->tokens, s->http, line, &tried->generation, fault);
	}
	pthread_mutex_lock(&shared->lock);
	key_len = shared->key_len;
	memcpy(key, shared->key, key_len);
	pthread_mutex_unlock(&shared->lock);
	tried->by_key = 1;
	azure_shared_key(signing, key, key_len, line);
	bytes_wipe(key, sizeof(key));
	return 0;
}

/* One try. */
static int
send_once(struct azure_session *s, struct azure_request *req,
    const struct address *address, struct tried *tried, struct fault *fault)
{
	struct slice lines[HEADER_LINES_MAX], rest, name, value;
	struct buffer pairs = BUFFER_INIT, text = BUFFER_INIT;
	size_t ends[HEADER_LINES_MAX], n = 0, i, from;
	struct http_call *call = &s->call;
	struct azure_signing signing;
	char time[CLOCK_TEXT_BYTES];
	int64_t now_ms;
	int rc;

	now_ms = clock_wall_ms();
	tried->offset_ms = atomic_load(&s->shared->clock_offset_ms);
	if (llabs(tried->offset_ms) >= CLOCK_OFFSET_LEAST_MS)
		now_ms += tried->offset_ms;
	clock_http_date(now_ms, time);
	pairs_add(&pairs, SLICE_LITERAL("x-ms-date"), slice_text(time));
	pairs_add(&pairs, SLICE_LITERAL("x-ms-version"),
	    SLICE_LITERAL(AZURE_VERSION));
	buffer_add(&pairs, req->headers.at, req->headers.len);
	signing = (struct azure_signing){
		.method = req->method,
		.account = s->shared->account,
		.path = address->path.at,
		.query = buffer_slice(&req->query),
		.headers = buffer_slice(&pairs),
		.content_length =
		    req->payload != NULL ? req->payload->len : req->body_len,
	};
	if (pairs.failed || req->headers.failed || req->query.failed ||
	    address->url.failed) {
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	if ((rc = authorize(s, &signing, &text, tried, fault)) != 0)
		goto done;
	if (text.len > 0)
		ends[n++] = text.len;
	for (rest = buffer_slice(&pairs);
	     n < HEADER_LINES_MAX && pairs_next(&rest, &name, &value) == 1;) {
		buffer_add_slice(&text, name);
		buffer_add_text(&text, ": ");
		buffer_add_slice(&text, value);
		ends[n++] = text.len;
	}
	if (text.failed) {
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	for (i = 0, from = 0; i < n; from = ends[i++])
		lines[i] = (struct slice){ text.at + from, ends[i] - from };

	call->method = req->method;
	call->url = address->url.at;
	call->headers = lines;
	call->n_headers = n;
	call->body = req->body;
	call->body_len = signing.content_length;
	call->source = NULL;
	call->rewind = NULL;
	if (req->payload != NULL && req->payload->bytes != NULL)
		call->body = req->payload->bytes;
	else if (req->payload != NULL) {
		payload_rewind(req->payload);
		call->source = payload_give;
		call->rewind = payload_rewind;
		call->source_arg = req->payload;
	}
	call->sink = req->sink;
	call->sink_arg = req->sink_arg;
	call->stall_timeout_ms = req->stall_timeout_ms;
	call->yields = 1;
	rc = http_client_call(s->http, call);
	if (rc != 0)
		*fault = call->fault;
	/* What it points to ends here. */
	call->url = NULL;
	call->headers = NULL;
	call->body = NULL;

done:
	if (text.at != NULL)
		bytes_wipe(text.at, text.len);
	buffer_free(&text);
	buffer_free(&pairs);
	return rc;
}

static int
is_code(const struct refusal *r, const char *code)
{
	return strcmp(r->code, code) == 0;
}

/* 1 when another try is worthwhile; *fault says why not even that works. */
static int
mend(struct azure_session *s, const struct refusal *refusal,
    struct tried *tried, struct fault *fault)
{
	struct azure_shared *shared = s->shared;
	struct http_call *call = &s->call;

	if (tried->by_token && call->status == 401) {
		if (tried->token++ > 0)
			return 0;
		token_refused(shared->tokens, tried->generation);
		return 1;
	}
	if (call->status != 403)
		return 0;
	if (tried->by_token && shared->keys_url != NULL &&
	    is_code(refusal, "AuthorizationPermissionMismatch")) {
		if (azure_key_list(s, fault) != 0)
			return 0;
		atomic_store(&shared->listed, 1);
		return 1;
	}
	/* The account takes keys no longer: the next request tries the token
	 * again, which may have a role by then. */
	if (tried->by_key &&
	    is_code(refusal, "KeyBasedAuthenticationNotPermitted"))
		atomic_store(&shared->listed, 0);
	if (!is_code(refusal, "AuthenticationFailed"))
		return 0;
	if (call->has_clock && tried->clock++ == 0 &&
	    llabs(call->clock_offset_ms - tried->offset_ms) >
		CLOCK_OFFSET_MENDS_MS)
		return 1;
	if (tried->by_key && atomic_load(&shared->listed) && tried->key++ == 0)
		return azure_key_list(s, fault) == 0;
	return 0;
}

/* A page of something between, sent with a good status, is no success. */
static int
check_sender(const struct http_call *call, struct fault *fault)
{
	*fault = (struct fault)FAULT_INIT;
	if (http_call_header(call, "x-ms-request-id").len > 0)
		return 0;
	*fault = call->fault;
	fault->fate_unknown = strcmp(call->method, "GET") != 0 &&
	    strcmp(call->method, "HEAD") != 0;
	return fault_set(fault, FAULT_RETRY,
	    "The answer (status %d) is not Azure's: check the endpoint, and "
	    "what stands between.",
	    call->status);
}

int
azure_send(
    struct azure_session *s, struct azure_request *req, struct fault *fault)
{
	struct address address = { .path = BUFFER_INIT };
	struct tried tried = { 0 };
	struct refusal refusal;
	int rc;

	set_address(s->shared, req, &address);
	for (;;) {
		rc = send_once(s, req, &address, &tried, fault);
		if (rc != 0)
			break;
		if (s->call.has_clock)
			atomic_store(&s->shared->clock_offset_ms,
			    s->call.clock_offset_ms);
		if (s->call.status / 100 == 2) {
			rc = check_sender(&s->call, fault);
			break;
		}
		azure_refusal_read(&s->call, &refusal);
		rc = azure_refusal_fault(
		    s->shared, req->op, &s->call, &refusal, fault);
		if (!mend(s, &refusal, &tried, fault))
			break;
	}
	if (rc != 0 && req->payload != NULL &&
	    req->payload->fault.kind != FAULT_NONE)
		*fault = req->payload->fault;
	buffer_free(&address.path);
	buffer_free(&address.url);
	buffer_free(&req->query);
	buffer_free(&req->headers);
	return rc;
}

void
azure_knock(struct azure_session *s)
{
	const struct azure_shared *shared = s->shared;
	struct slice header = SLICE_LITERAL("x-ms-version: " AZURE_VERSION);
	struct http_call *call = &s->call;
	struct buffer url = BUFFER_INIT;

	buffer_printf(&url, "%s://%s%s/%s?restype=container",
	    shared->https ? "https" : "http", shared->host, shared->base,
	    shared->container);
	buffer_add_u8(&url, '\0');
	if (url.failed) {
		fault_set(&call->fault, FAULT_RETRY, "There is no memory.");
		return;
	}
	call->method = "HEAD";
	call->url = url.at;
	call->headers = &header;
	call->n_headers = 1;
	call->body = NULL;
	call->body_len = 0;
	call->source = NULL;
	call->sink = NULL;
	call->stall_timeout_ms = 0;
	http_client_call(s->http, call);
	if (call->has_clock)
		atomic_store(
		    &s->shared->clock_offset_ms, call->clock_offset_ms);
	call->url = NULL;
	call->headers = NULL;
	buffer_free(&url);
}
