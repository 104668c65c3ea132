#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "s3api/ids.h"
#include "s3api/s3own.h"
#include "s3api/xml.h"

/* How long a destination is away, or this server, is not known. */
#define RETRY_AFTER_SECONDS 5

/* How a request ends: its answer, its line in the access log, its figures. */

static void
standard_headers(struct s3_request *req)
{
	http_out_header_text(&req->headers, "x-amz-request-id", req->id);
	http_out_header_text(&req->headers, "x-amz-id-2", req->s3->owner_id);
}

/* What is known of the request goes to the log and the figures. */
static void
account(
    struct s3_request *req, int status, enum s3_code code, uint64_t bytes_out)
{
	struct slice agent = http_header_get(req->head, "user-agent");
	uint64_t us = clock_monotonic_us() - req->started_us;
	struct slice who = SLICE_NULL;
	size_t row = s3_operations_count;

	if (req->operation != NULL)
		row = (size_t)(req->operation - s3_operations);
	/* One that does not exist is told as the client sent it. */
	if (req->who != NULL)
		who = req->who->unknown ? req->sig.access_key
					: req->who->access_key;
	s3metrics_count(
	    &req->s3->metrics, row, code, us, req->body_bytes, bytes_out);
	const struct log_field fields[] = {
		LOG_T("request", req->id),
		LOG_T("peer", http_request_peer(req->http)),
		LOG_B("access_key", who.at, who.len),
		LOG_B("method", req->head->method.at, req->head->method.len),
		LOG_T("operation",
		    req->operation == NULL ? "" : req->operation->name),
		LOG_B("bucket", req->bucket.at, req->bucket.len),
		LOG_B("key", req->key.at, req->key.len),
		LOG_N("status", status),
		LOG_T("error", code == S3_OK ? "" : s3_code_name(code)),
		LOG_N("bytes_in", http_request_bytes_in(req->http)),
		LOG_N("bytes_out", bytes_out),
		LOG_N("microseconds", us),
		LOG_B("user_agent", agent.at, agent.len),
	};
	log_access(fields, sizeof(fields) / sizeof(fields[0]));
}

/* Answers, then lets the request go: http is not to be touched afterwards. */
static void
finish(struct s3_request *req, int status, enum s3_code code, const void *body,
    size_t len)
{
	struct s3_loop *loop = &req->s3->loops[http_request_loop(req->http)];

	standard_headers(req);
	if (req->headers.failed) {
		/* Half of the headers could be taken for an answer. */
		buffer_free(&req->headers);
		status = 503;
		len = 0;
	}
	account(req, status, code, len);
	http_respond(req->http, status, &req->headers, body, len);
	request_free(req, loop);
}

void
s3_respond_empty(struct s3_request *req, int status)
{
	finish(req, status, S3_OK, NULL, 0);
}

void
s3_respond_xml(struct s3_request *req)
{
	if (req->out.failed) {
		s3_fail_nomem(req);
		return;
	}
	http_out_header_text(&req->headers, "Content-Type", "application/xml");
	finish(req, 200, S3_OK, req->out.at, req->out.len);
}

void
s3_respond_bytes(
    struct s3_request *req, int status, const void *bytes, size_t len)
{
	finish(req, status, S3_OK, bytes, len);
}

void
s3_respond_head(struct s3_request *req, int status, uint64_t content_length)
{
	struct s3_loop *loop = &req->s3->loops[http_request_loop(req->http)];

	standard_headers(req);
	account(req, status, S3_OK, 0);
	http_respond_head(req->http, status, &req->headers, content_length);
	request_free(req, loop);
}

void
s3_begin(struct s3_request *req, int status, uint64_t content_length)
{
	standard_headers(req);
	http_begin(req->http, status, &req->headers, content_length);
}

void
s3_sent(struct s3_request *req, int status, enum s3_code code, uint64_t bytes)
{
	struct s3_loop *loop = &req->s3->loops[http_request_loop(req->http)];

	account(req, status, code, bytes);
	if (code != S3_OK)
		http_cut(req->http);
	else
		http_end(req->http);
	request_free(req, loop);
}

void
s3_gone(struct s3_request *req)
{
	struct s3_loop *loop = &req->s3->loops[http_request_loop(req->http)];

	account(req, 0, S3_REQUEST_TIMEOUT, 0);
	http_cut(req->http);
	request_free(req, loop);
}

/* ---- errors ---- */

/* The elements that AWS adds to say which thing the error is about. */
static void
add_details(struct s3_request *req, enum s3_code code, struct buffer *out)
{
	switch (code) {
	case S3_NO_SUCH_BUCKET:
	case S3_BUCKET_NOT_EMPTY:
	case S3_BUCKET_ALREADY_OWNED_BY_YOU:
	case S3_INVALID_BUCKET_NAME:
		xml_text(out, "BucketName", req->bucket);
		break;
	case S3_NO_SUCH_KEY:
		xml_text(out, "Key", req->key);
		break;
	case S3_NO_SUCH_VERSION:
		xml_text(out, "Key", req->key);
		xml_text(
		    out, "VersionId", target_get(&req->target, "versionId"));
		break;
	case S3_NO_SUCH_UPLOAD:
		xml_text(out, "UploadId", target_get(&req->target, "uploadId"));
		break;
	default:
		break;
	}
}

/* The error document in req->out. */
static void
write_error(struct s3_request *req, const struct s3_error *s3err)
{
	struct slice resource = req->head->path;
	struct buffer *details = &req->scratch;

	buffer_clear(&req->out);
	buffer_clear(details);
	add_details(req, s3err->code, details);
	if (req->bucket.len > 0) {
		buffer_clear(&req->memory);
		buffer_add_u8(&req->memory, '/');
		buffer_add_slice(&req->memory, req->bucket);
		if (req->key.len > 0)
			buffer_add_u8(&req->memory, '/');
		buffer_add_slice(&req->memory, req->key);
		resource = buffer_slice(&req->memory);
	}
	s3_error_xml(
	    &req->out, s3err, buffer_slice(details), resource, req->id);
}

void
s3_fail(struct s3_request *req, const struct s3_error *s3err)
{
	int status = s3_code_status(s3err->code);

	if (s3err->code == S3_INTERNAL_ERROR) {
		const struct log_field fields[] = {
			LOG_T("request", req->id),
			LOG_T("operation",
			    req->operation == NULL ? "" : req->operation->name),
			LOG_B("bucket", req->bucket.at, req->bucket.len),
			LOG_B("key", req->key.at, req->key.len),
		};
		log_fields(LOG_ERROR, "s3.internal", s3err->message, fields,
		    sizeof(fields) / sizeof(fields[0]));
	}
	buffer_clear(&req->out);
	if (s3err->code == S3_SERVICE_UNAVAILABLE)
		http_out_header_u64(
		    &req->headers, "Retry-After", RETRY_AFTER_SECONDS);
	if (status != 304) {
		http_out_header_text(
		    &req->headers, "Content-Type", "application/xml");
		write_error(req, s3err);
	}
	finish(req, status, s3err->code, req->out.at,
	    req->out.failed ? 0 : req->out.len);
}

void
s3_fail_code(struct s3_request *req, enum s3_code code, const char *fmt, ...)
{
	struct s3_error s3err = S3_ERROR_INIT;
	va_list ap;

	if (fmt == NULL) {
		s3_error_set(&s3err, code, NULL);
	} else {
		s3err.code = code;
		va_start(ap, fmt);
		vsnprintf(s3err.message, sizeof(s3err.message), fmt, ap);
		va_end(ap);
	}
	s3_fail(req, &s3err);
}

void
s3_fail_store(struct s3_request *req, const struct error *err)
{
	struct s3_error s3err = S3_ERROR_INIT;

	s3_error_from(&s3err, err);
	s3_fail(req, &s3err);
}

void
s3_fail_nomem(struct s3_request *req)
{
	s3_fail_code(req, S3_SLOW_DOWN,
	    "The server has no memory for this request: come again.");
}

/* ---- small helps ---- */

int
s3_bucket_or_fail(struct s3_request *req, struct bucket_record *bucket)
{
	struct error err = ERROR_INIT;

	if (store_bucket(req->store, req->bucket, bucket, &req->memory, &err) ==
	    0)
		return 0;
	s3_fail_store(req, &err);
	return -1;
}

/* The payload's declared length; 0 when it is not known. */
static uint64_t
declared_length(const struct http_head *head)
{
	struct slice text =
	    http_header_get(head, "x-amz-decoded-content-length");
	uint64_t length;

	if (text.len > 0 &&
	    parse_u64(text.at, text.len, 0, UINT64_MAX, &length) == 0)
		return length;
	return head->content_length;
}

int
s3_writable_or_fail(struct s3_request *req)
{
	struct bucket_record bucket;
	struct object_record object;
	struct error err = ERROR_INIT;
	uint64_t used, length, quota, replaced = 0;

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return -1;
	if ((quota = bucket.quota_bytes) == 0)
		return 0;
	length = declared_length(req->head);
	used = bucket.object_bytes + bucket.version_bytes + bucket.upload_bytes;
	if (used <= quota && length <= quota - used)
		return 0;
	/* What it takes the place of makes room. */
	if (bucket.versioning == VERSIONING_OFF &&
	    store_object(req->store, req->bucket, req->key, 0, &object,
		&req->memory, NULL, NULL, &err) == 0)
		replaced = object.size;
	if (length <= quota && used - replaced <= quota - length)
		return 0;
	s3_fail_code(req, S3_QUOTA_EXCEEDED, NULL);
	return -1;
}

void
s3_version_header(struct s3_request *req, enum bucket_versioning versioning,
    const struct object_record *object)
{
	char text[VERSION_TEXT_BYTES];

	if (versioning == VERSIONING_OFF && object->null_version)
		return;
	version_text(object, text);
	http_out_header_text(&req->headers, "x-amz-version-id", text);
}

void
s3_owner_xml(
    const struct s3_request *req, struct buffer *out, const char *element)
{
	xml_open(out, element);
	xml_string(out, "ID", req->s3->owner_id);
	xml_string(out, "DisplayName", "holdfast");
	xml_close(out, element);
}

const char *
s3_region(const struct s3 *s3)
{
	return s3->region;
}

const char *
s3_owner_id(const struct s3 *s3)
{
	return s3->owner_id;
}
