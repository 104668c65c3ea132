#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/aws_sign.h"
#include "replicator/s3_private.h"
#include "store/record.h"

#define EMPTY_SHA256 \
	"e3b0c44298fc1c149afbf4c8996fb924" \
	"27ae41e4649b934ca495991b7852b855"
#define HEADER_LINES_MAX 80
#define URL_KEY_BYTES (3 * (KEY_MAX_BYTES + 16) + 1)
/* A smaller difference of clocks is within what a Date header can say. */
#define CLOCK_OFFSET_LEAST_MS 5000

/* Where AWS's partitions differ in their hosts' ends. */
static const struct {
	const char *region_start, *host_end;
} partitions[] = {
	{ "cn-", "amazonaws.com.cn" },
	{ "us-iso-", "c2s.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk" },
	{ "us-isof-", "csp.hci.ic.gov" },
	{ "", "amazonaws.com" },
};

const char *
aws_host_end(const char *region)
{
	size_t i = 0;

	while (strncmp(region, partitions[i].region_start,
		   strlen(partitions[i].region_start)) != 0)
		i++;
	return partitions[i].host_end;
}

/* What of a request depends on nothing but itself and the region. */
struct address {
	char region[64];
	char host[400];
	struct buffer path; /* encoded, NUL-terminated */
	struct buffer url;  /* the same */
};

static void
set_address(
    const struct s3_shared *s, const struct s3_request *req, struct address *a)
{
	char encoded[URL_KEY_BYTES], host[300];
	size_t len;

	buffer_clear(&a->path);
	buffer_clear(&a->url);
	if (s->by_region)
		snprintf(host, sizeof(host), "s3.%s.%s", a->region,
		    aws_host_end(a->region));
	else
		snprintf(host, sizeof(host), "%s", s->host);
	if (s->virtual_host)
		snprintf(a->host, sizeof(a->host), "%.63s.%s", s->bucket, host);
	else
		snprintf(a->host, sizeof(a->host), "%s", host);

	buffer_add_text(&a->path, s->base);
	if (!s->virtual_host)
		buffer_printf(&a->path, "/%s", s->bucket);
	if (req->key.at != NULL || s->virtual_host)
		buffer_add_u8(&a->path, '/');
	if (req->key.at != NULL) {
		len = uri_encode(s->path, strlen(s->path), 1, encoded);
		buffer_add(&a->path, encoded, len);
		len = uri_encode(req->key.at, req->key.len, 1, encoded);
		buffer_add(&a->path, encoded, len);
	}
	buffer_add_u8(&a->path, '\0');
	buffer_printf(&a->url, "%s://%s%s%s%s", s->https ? "https" : "http",
	    a->host, a->path.failed ? "" : a->path.at,
	    req->query != NULL ? "?" : "",
	    req->query != NULL ? req->query : "");
	buffer_add_u8(&a->url, '\0');
}

static void
current_region(struct s3_shared *s, char region[64])
{
	pthread_mutex_lock(&s->lock);
	memcpy(region, s->region, sizeof(s->region));
	pthread_mutex_unlock(&s->lock);
}

/* It becomes part of a host's name, so it must look like a region. */
static void
set_region(struct s3_shared *s, const char *region)
{
	if (region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-_")] !=
	    '\0')
		return;
	pthread_mutex_lock(&s->lock);
	snprintf(s->region, sizeof(s->region), "%s", region);
	pthread_mutex_unlock(&s->lock);
}

void
s3_header(struct s3_request *req, const char *name, const char *value)
{
	pairs_add(&req->headers, slice_text(name), slice_text(value));
}

/* One try: signs and sends. */
static int
send_once(struct s3_session *s, struct s3_request *req,
    const struct address *address, struct fault *fault)
{
	struct slice lines[HEADER_LINES_MAX], rest, name, value;
	struct buffer pairs = BUFFER_INIT, text = BUFFER_INIT;
	size_t ends[HEADER_LINES_MAX], n = 0, i, from;
	struct aws_keys keys = { .expires_ms = 0 };
	struct http_call *call = &s->call;
	char time[CLOCK_TEXT_BYTES];
	struct aws_request sign;
	long long offset_ms;
	int64_t now_ms;
	int rc;

	/* The credentials' own requests go through the same client. */
	if (aws_credentials_get(
		s->shared->credentials, s->http, &keys, fault) != 0)
		return -1;
	s->keys_generation = keys.generation;

	offset_ms = atomic_load(&s->shared->clock_offset_ms);
	now_ms = clock_wall_ms();
	if (llabs(offset_ms) >= CLOCK_OFFSET_LEAST_MS)
		now_ms += offset_ms;
	clock_basic(now_ms, time);
	pairs_add(&pairs, SLICE_LITERAL("host"), slice_text(address->host));
	pairs_add(&pairs, SLICE_LITERAL("x-amz-date"), slice_text(time));
	pairs_add(&pairs, SLICE_LITERAL("x-amz-content-sha256"),
	    slice_text(req->payload != NULL ? req->payload : EMPTY_SHA256));
	if (keys.session_token != NULL)
		pairs_add(&pairs, SLICE_LITERAL("x-amz-security-token"),
		    slice_text(keys.session_token));
	buffer_add(&pairs, req->headers.at, req->headers.len);

	sign = (struct aws_request){
		.method = req->method,
		.path = address->path.at,
		.query = req->query != NULL ? req->query : "",
		.headers = buffer_slice(&pairs),
		.payload = req->payload != NULL ? req->payload : EMPTY_SHA256,
		.region = address->region,
		.service = "s3",
		.wall_ms = now_ms,
	};
	if (pairs.failed || req->headers.failed || address->path.failed ||
	    address->url.failed) {
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	buffer_add_text(&text, "Authorization: ");
	aws_sign(&sign, &keys, &text);
	ends[n++] = text.len;
	for (rest = buffer_slice(&pairs);
	     n < HEADER_LINES_MAX && pairs_next(&rest, &name, &value) == 1;) {
		/* libcurl writes Host itself, from the URL. */
		if (slice_is(name, "host"))
			continue;
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
	buffer_free(&pairs);
	aws_keys_clear(&keys);
	return rc;
}

/* Which of the things that a second try mends the answer speaks of. */
struct mended {
	int clock, region, keys;
};

/* 1 when another try is worthwhile. */
static int
mend(struct s3_session *s, const struct address *address,
    const struct refusal *refusal, struct mended *done)
{
	static const char *const stale[] = { "ExpiredToken",
		"TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId",
		"SignatureDoesNotMatch" };
	struct http_call *call = &s->call;
	struct slice hint = http_call_header(call, "x-amz-bucket-region");
	char region[64];
	size_t i;

	if (strcmp(refusal->code, "RequestTimeTooSkewed") == 0) {
		if (done->clock++ > 0 || !call->has_clock)
			return 0;
		atomic_store(
		    &s->shared->clock_offset_ms, call->clock_offset_ms);
		return 1;
	}

	snprintf(region, sizeof(region), "%s", refusal->region);
	if (hint.len > 0 && hint.len < sizeof(region))
		snprintf(
		    region, sizeof(region), "%.*s", (int)hint.len, hint.at);
	if (region[0] != '\0' && strcmp(region, address->region) != 0 &&
	    call->status != 404) {
		if (done->region++ > 1)
			return 0;
		set_region(s->shared, region);
		return 1;
	}

	for (i = 0; i < sizeof(stale) / sizeof(stale[0]); i++)
		if (strcmp(refusal->code, stale[i]) == 0) {
			if (done->keys++ > 0)
				return 0;
			return aws_credentials_refused(
			    s->shared->credentials, s->keys_generation);
		}
	return 0;
}

int
s3_knock(struct s3_session *s)
{
	struct address address = { .path = BUFFER_INIT };
	struct s3_request req = { .method = "HEAD" };
	struct http_call *call = &s->call;
	struct slice region;
	char text[64];
	int rc;

	current_region(s->shared, address.region);
	set_address(s->shared, &req, &address);
	call->method = req.method;
	call->url = address.url.failed ? "" : address.url.at;
	call->n_headers = 0;
	call->body = NULL;
	call->body_len = 0;
	call->source = NULL;
	call->sink = NULL;
	rc = http_client_call(s->http, call);
	call->url = NULL;
	buffer_free(&address.path);
	buffer_free(&address.url);
	if (rc != 0)
		return -1;
	if (call->has_clock)
		atomic_store(
		    &s->shared->clock_offset_ms, call->clock_offset_ms);
	region = http_call_header(call, "x-amz-bucket-region");
	if (region.len > 0 && region.len < sizeof(text)) {
		snprintf(
		    text, sizeof(text), "%.*s", (int)region.len, region.at);
		set_region(s->shared, text);
	}
	return 0;
}

int
s3_send(struct s3_session *s, struct s3_request *req, struct fault *fault)
{
	struct address address = { .path = BUFFER_INIT };
	struct mended done = { 0 };
	struct refusal refusal;
	int rc;

	for (;;) {
		current_region(s->shared, address.region);
		set_address(s->shared, req, &address);
		rc = send_once(s, req, &address, fault);
		if (rc != 0)
			break;
		if (s->call.has_clock)
			atomic_store(&s->shared->clock_offset_ms,
			    s->call.clock_offset_ms);
		if (s->call.status / 100 == 2)
			break;
		s3_refusal_read(buffer_slice(&s->call.answer), &refusal);
		rc = s3_refusal_fault(
		    s->shared, req->op, &s->call, &refusal, fault);
		if (!mend(s, &address, &refusal, &done) ||
		    (req->source != NULL && req->rewind(req->source_arg) != 0))
			break;
	}
	buffer_free(&address.path);
	buffer_free(&address.url);
	buffer_free(&req->headers);
	return rc;
}
