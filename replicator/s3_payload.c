#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/s3_private.h"

#define STEP_BYTES (256U << 10)

/* Reads all bytes once through room, which holds them all or step by step. */
static int
digest_all(struct s3_payload *p, char *room, size_t step, struct fault *fault)
{
	struct digest *md5 = digest_new(DIGEST_MD5);
	struct digest *sha = digest_new(DIGEST_SHA256);
	uint8_t sum[SHA256_BYTES];
	uint64_t at;
	size_t len;
	int rc = -1;

	if (md5 == NULL || sha == NULL) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	for (at = 0; at < p->len; at += len) {
		len = p->len - at < step ? (size_t)(p->len - at) : step;
		if (p->source->read(
			p->source->arg, p->offset + at, room, len, fault) != 0)
			goto done;
		digest_update(md5, room, len);
		digest_update(sha, room, len);
	}
	digest_final(md5, p->md5);
	digest_final(sha, sum);
	hex_encode(sum, sizeof(sum), p->sha256);
	rc = 0;

done:
	digest_free(md5);
	digest_free(sha);
	return rc;
}

int
s3_payload_open(struct s3_payload *p, const struct remote_source *source,
    uint64_t offset, uint64_t len, struct fault *fault)
{
	int whole = len <= S3_MEMORY_BYTES;
	size_t room = whole ? (size_t)len : STEP_BYTES;
	char *bytes;

	memset(p, 0, sizeof(*p));
	p->source = source;
	p->offset = offset;
	p->len = len;
	if ((bytes = malloc(room + 1)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	if (digest_all(p, bytes, room + (room == 0), fault) != 0) {
		free(bytes);
		return -1;
	}
	if (whole)
		p->bytes = bytes;
	else
		free(bytes);
	return 0;
}

void
s3_payload_close(struct s3_payload *p)
{
	free(p->bytes);
	p->bytes = NULL;
}

static long
give(void *arg, char *room, size_t len)
{
	struct s3_payload *p = arg;

	if (len > p->len - p->at)
		len = (size_t)(p->len - p->at);
	if (len > 0 &&
	    p->source->read(
		p->source->arg, p->offset + p->at, room, len, &p->fault) != 0)
		return -1;
	p->at += len;
	return (long)len;
}

static int
start_again(void *arg)
{
	struct s3_payload *p = arg;

	p->at = 0;
	return 0;
}

void
s3_payload_attach(
    struct s3_session *s, struct s3_payload *p, struct s3_request *req)
{
	char md5[BASE64_BYTES(MD5_BYTES)];

	req->payload = p->sha256;
	req->body_len = p->len;
	if (p->bytes != NULL)
		req->body = p->bytes;
	else {
		req->source = give;
		req->rewind = start_again;
		req->source_arg = p;
	}
	if (atomic_load(&s->shared->content_md5) == S3_NO)
		return;
	base64_encode(p->md5, MD5_BYTES, md5);
	s3_header(req, "content-md5", md5);
}

int
s3_payload_send(struct s3_session *s, struct s3_payload *p,
    struct s3_request *req, struct fault *fault)
{
	p->at = 0;
	p->fault = (struct fault)FAULT_INIT;
	if (s3_send(s, req, fault) == 0)
		return 0;
	if (p->fault.kind != FAULT_NONE)
		*fault = p->fault;
	return -1;
}
