#include <string.h>

#include "s3api/operation.h"
#include "s3api/payload.h"

/*
 * Reading a whole small body, an XML document mostly, through the same checks
 * that an object's bytes pass.
 */

#define STEP_BYTES 16384

struct body {
	struct payload payload;
	size_t max_bytes;
	s3_step *resume;
};

static void step(struct s3_request *);

/* Lets the body's own go, then goes on or fails. */
static void
end(struct s3_request *req, struct body *body, const struct s3_error *s3err)
{
	s3_step *resume = body->resume;

	payload_free(&body->payload);
	if (s3err != NULL)
		s3_fail(req, s3err);
	else
		resume(req);
}

static void
have(struct http_request *http, long n, int ended, void *arg)
{
	struct s3_request *req = arg;
	struct body *body = req->body;
	struct s3_error s3err = S3_ERROR_INIT;
	size_t len;

	(void)http;
	if (n < 0) {
		payload_free(&body->payload);
		s3_gone(req);
		return;
	}
	if (payload_feed(&body->payload, req->out.at + req->out.len, (size_t)n,
		&len, &s3err) != 0) {
		end(req, body, &s3err);
		return;
	}
	req->out.len += len;
	req->body_bytes += len;
	if (req->out.len > body->max_bytes) {
		s3_error_set(&s3err, S3_MALFORMED_XML,
		    "The body is larger than the %zu bytes that this operation "
		    "takes.",
		    body->max_bytes);
		end(req, body, &s3err);
		return;
	}
	if (!ended) {
		step(req);
		return;
	}
	if (payload_finish(&body->payload, &s3err) != 0)
		end(req, body, &s3err);
	else
		end(req, body, NULL);
}

static void
step(struct s3_request *req)
{
	struct body *body = req->body;
	struct s3_error s3err = S3_ERROR_INIT;

	if (buffer_reserve(&req->out, STEP_BYTES) != 0) {
		s3_error_set(&s3err, S3_SLOW_DOWN, NULL);
		end(req, body, &s3err);
		return;
	}
	http_body_read(
	    req->http, req->out.at + req->out.len, STEP_BYTES, have, req);
}

/* The head without what names the object's checksum rather than the body's. */
static void
without_checksums(const struct http_head *head, struct http_head *plain)
{
	size_t i;

	*plain = *head;
	plain->n_headers = 0;
	for (i = 0; i < head->n_headers; i++)
		if (!slice_starts(head->headers[i].name, "x-amz-checksum-") &&
		    !slice_is(
			head->headers[i].name, "x-amz-sdk-checksum-algorithm"))
			plain->headers[plain->n_headers++] = head->headers[i];
}

void
s3_read_body(
    struct s3_request *req, size_t max_bytes, int checksums, s3_step *resume)
{
	struct http_head plain;
	struct body *body;
	struct s3_error s3err = S3_ERROR_INIT;
	int failed;

	buffer_clear(&req->out);
	if (!req->head->has_length && !req->head->chunked) {
		resume(req);
		return;
	}
	if ((body = s3_memory(req, sizeof(*body))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->body = body;
	body->max_bytes = max_bytes;
	body->resume = resume;
	if (checksums) {
		failed = payload_init(&body->payload, req->head, &req->sig,
		    &req->sig_key, &s3err);
	} else {
		without_checksums(req->head, &plain);
		failed = payload_init(
		    &body->payload, &plain, &req->sig, &req->sig_key, &s3err);
	}
	if (failed)
		end(req, body, &s3err);
	else
		step(req);
}
