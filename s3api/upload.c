#include <stdlib.h>
#include <string.h>

#include "s3api/checksum_alg.h"
#include "s3api/upload_stream.h"

/* Up to here a body is read into memory and handled on the loop. */
#define SMALL_BYTES (64 * 1024)
/* What an aws-chunked envelope may add to it. */
#define SMALL_WIRE_BYTES (SMALL_BYTES + 16 * 1024)

static void
drop(struct upload *up)
{
	content_drop(up->content);
	up->content = NULL;
	payload_free(&up->payload);
	if (up->dropped != NULL)
		up->dropped(up->req);
}

static void
fail(struct upload *up)
{
	drop(up);
	s3_fail(up->req, &up->s3err);
}

void
upload_done(struct upload *up)
{
	if (up->failed) {
		fail(up);
		return;
	}
	payload_free(&up->payload);
	up->ready(up->req);
}

int
upload_digest(struct upload *up, char *bytes, size_t len, size_t *n,
    struct s3_error *s3err)
{
	if (payload_feed(&up->payload, bytes, len, n, s3err) != 0)
		return -1;
	up->req->body_bytes += *n;
	return 0;
}

int
upload_write(
    struct upload *up, const char *bytes, size_t n, struct s3_error *s3err)
{
	struct error err = ERROR_INIT;

	if (n > 0 && content_write(up->content, bytes, n, &err) != 0)
		return s3_error_from(s3err, &err);
	return 0;
}

int
upload_seal(struct upload *up, struct s3_error *s3err)
{
	struct content_owner owner;
	struct buffer record = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int failed;

	if (!content_blocks(up->content)) {
		if (content_seal(up->content, NULL, &err) != 0)
			return s3_error_from(s3err, &err);
		return 0;
	}
	up->describe(up, &record);
	memset(&owner, 0, sizeof(owner));
	owner.bucket = up->req->bucket;
	owner.key = up->req->key;
	owner.upload = up->owner_upload;
	owner.part = up->owner_part;
	owner.record = buffer_slice(&record);
	failed = record.failed ? error_nomem(&err)
			       : content_seal(up->content, &owner, &err);
	buffer_free(&record);
	return failed ? s3_error_from(s3err, &err) : 0;
}

/* ---- small ---- */

static void small_read(struct http_request *, long n, int end, void *arg);

static void
read_small(struct upload *up)
{
	http_body_read(up->req->http, up->memory + up->filled,
	    up->room - up->filled, small_read, up);
}

static void
small_read(struct http_request *http, long n, int end, void *arg)
{
	struct upload *up = arg;
	size_t len;

	(void)http;
	if (n < 0) {
		drop(up);
		s3_gone(up->req);
		return;
	}
	up->filled += (size_t)n;
	if (!end && up->filled < up->room) {
		read_small(up);
		return;
	}
	up->failed =
	    upload_digest(up, up->memory, up->filled, &len, &up->s3err) != 0 ||
	    upload_write(up, up->memory, len, &up->s3err) != 0 ||
	    payload_finish(&up->payload, &up->s3err) != 0 ||
	    upload_seal(up, &up->s3err) != 0;
	upload_done(up);
}

void
upload_start(struct upload *up)
{
	struct s3_request *req = up->req;
	const struct http_head *head = req->head;
	struct error err = ERROR_INIT;
	uint64_t size;

	if (payload_init(&up->payload, head, &req->sig, &req->sig_key,
		&up->s3err) != 0) {
		fail(up);
		return;
	}
	payload_want(&up->payload, up->checksum_kind);
	if (up->checksum_kind != CHECKSUM_NONE &&
	    up->payload.checksum.kind != up->checksum_kind) {
		s3_error_set(&up->s3err, S3_INVALID_REQUEST,
		    "Checksum Type mismatch occurred, expected checksum Type: "
		    "%s, actual checksum Type: %s",
		    checksum_name(up->checksum_kind),
		    checksum_name(
			(enum checksum_kind)up->payload.checksum.kind));
		fail(up);
		return;
	}
	size = up->payload.length;
	if (size > SMALL_BYTES || !head->has_length ||
	    head->content_length > SMALL_WIRE_BYTES) {
		upload_stream_start(up, size);
		return;
	}
	up->content = content_begin(req->store, size, &err);
	if (up->content == NULL) {
		s3_error_from(&up->s3err, &err);
		fail(up);
		return;
	}
	if (content_blocks(up->content)) {
		upload_stream_start(up, size);
		return;
	}
	/* One more than the length, so that the end is seen with the bytes. */
	up->room = (size_t)head->content_length + 1;
	if (buffer_reserve(&req->out, up->room) != 0) {
		s3_error_set(&up->s3err, S3_SLOW_DOWN, NULL);
		fail(up);
		return;
	}
	up->memory = req->out.at;
	read_small(up);
}
