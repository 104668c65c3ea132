#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/google_private.h"
#include "store/record.h"

#define HEADER_LINES_MAX 16

static void
add_encoded(struct buffer *url, struct slice text)
{
	if (buffer_reserve(url, 3 * text.len + 1) == 0)
		url->len +=
		    uri_encode(text.at, text.len, 0, url->at + url->len);
}

void
google_url_bucket(const struct google_shared *s, struct google_request *req,
    const char *behind)
{
	buffer_printf(&req->url, "%s/storage/v1/b/%s%s", s->origin,
	    s->bucket_encoded, behind);
}

void
google_url_object(
    const struct google_shared *s, struct google_request *req, struct slice key)
{
	google_url_bucket(s, req, "/o/");
	add_encoded(&req->url, slice_text(s->path));
	add_encoded(&req->url, key);
}

void
google_url_rewrite_to(
    const struct google_shared *s, struct google_request *req, struct slice key)
{
	buffer_printf(&req->url, "/rewriteTo/b/%s/o/", s->bucket_encoded);
	add_encoded(&req->url, slice_text(s->path));
	add_encoded(&req->url, key);
}

void
google_url_upload(
    const struct google_shared *s, struct google_request *req, const char *type)
{
	buffer_printf(&req->url, "%s/upload/storage/v1/b/%s/o", s->origin,
	    s->bucket_encoded);
	google_query(req, "uploadType", slice_text(type));
	if (s->kms_key != NULL)
		google_query(req, "kmsKeyName", slice_text(s->kms_key));
}

void
google_query(struct google_request *req, const char *name, struct slice value)
{
	int first = req->url.at == NULL ||
	    memchr(req->url.at, '?', req->url.len) == NULL;

	buffer_printf(&req->url, "%c%s=", first ? '?' : '&', name);
	add_encoded(&req->url, value);
}

void
google_query_number(
    struct google_request *req, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	google_query(req, name, slice_text(text));
}

void
google_header(struct google_request *req, const char *name, const char *value)
{
	pairs_add(&req->headers, slice_text(name), slice_text(value));
}

/* One try. */
static int
send_once(struct google_session *s, const struct google_request *req,
    struct fault *fault)
{
	struct slice lines[HEADER_LINES_MAX], rest, name, value;
	size_t ends[HEADER_LINES_MAX], n = 0, i, from;
	struct http_call *call = &s->call;
	struct buffer text = BUFFER_INIT;
	int rc;

	/* The token's own request goes through the same client. */
	buffer_add_text(&text, "Authorization: ");
	if (token_get(s->shared->tokens, s->http, &text, &s->token_generation,
		fault) != 0) {
		buffer_free(&text);
		return -1;
	}
	ends[n++] = text.len;
	for (rest = buffer_slice(&req->headers);
	     n < HEADER_LINES_MAX && pairs_next(&rest, &name, &value) == 1;) {
		buffer_add_slice(&text, name);
		buffer_add_text(&text, ": ");
		buffer_add_slice(&text, value);
		ends[n++] = text.len;
	}
	if (text.failed || req->headers.failed || req->url.failed) {
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	for (i = 0, from = 0; i < n; from = ends[i++])
		lines[i] = (struct slice){ text.at + from, ends[i] - from };

	call->method = req->method;
	call->url = req->url.at;
	call->headers = lines;
	call->n_headers = n;
	call->body = req->body;
	call->body_len = req->body_len;
	call->source = req->source;
	call->rewind = req->rewind;
	call->source_arg = req->source_arg;
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

done:
	if (text.at != NULL)
		bytes_wipe(text.at, text.len);
	buffer_free(&text);
	return rc;
}

static int
is_answered(const struct google_session *s, const struct google_request *req)
{
	return s->call.status / 100 == 2 ||
	    (req->op == GOOGLE_SESSION && s->call.status == 308);
}

int
google_send(
    struct google_session *s, struct google_request *req, struct fault *fault)
{
	int rc, tries;

	buffer_add_u8(&req->url, '\0');
	for (tries = 0;; tries++) {
		rc = send_once(s, req, fault);
		if (rc != 0)
			break;
		if (s->call.has_clock)
			atomic_store(&s->shared->clock_offset_ms,
			    s->call.clock_offset_ms);
		if (is_answered(s, req))
			break;
		rc = google_refusal_fault(s, req->op, fault);
		if (s->call.status != 401 || tries > 0 ||
		    (req->source != NULL && req->rewind(req->source_arg) != 0))
			break;
		token_refused(s->shared->tokens, s->token_generation);
		*fault = (struct fault)FAULT_INIT;
	}
	buffer_free(&req->url);
	buffer_free(&req->headers);
	return rc;
}
