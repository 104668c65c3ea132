#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/payload.h"

#define STEP_BYTES (256U << 10)

/* Reads all bytes once through room, which holds them all or step by step. */
static int
digest_all(
    struct payload *p, char *room, int whole, int sha256, struct fault *fault)
{
	struct digest *md5 = digest_new(DIGEST_MD5), *sha = NULL;
	uint8_t sum[SHA256_BYTES];
	uint64_t at;
	size_t len;
	char *to;
	int rc = -1;

	if (md5 == NULL ||
	    (sha256 && (sha = digest_new(DIGEST_SHA256)) == NULL)) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	for (at = 0; at < p->len; at += len) {
		len = p->len - at < STEP_BYTES ? (size_t)(p->len - at)
					       : STEP_BYTES;
		to = whole ? room + at : room;
		if (p->source->read(
			p->source->arg, p->offset + at, to, len, fault) != 0)
			goto done;
		digest_update(md5, to, len);
		if (sha != NULL)
			digest_update(sha, to, len);
	}
	digest_final(md5, p->md5);
	if (sha != NULL) {
		digest_final(sha, sum);
		hex_encode(sum, sizeof(sum), p->sha256);
	}
	rc = 0;

done:
	digest_free(md5);
	digest_free(sha);
	return rc;
}

static int
open_payload(struct payload *p, const struct remote_source *source,
    uint64_t offset, uint64_t len, int sha256, struct fault *fault)
{
	int whole = len <= PAYLOAD_MEMORY_BYTES;
	char *bytes;

	memset(p, 0, sizeof(*p));
	p->source = source;
	p->offset = offset;
	p->len = len;
	if ((bytes = malloc(whole ? (size_t)len + 1 : STEP_BYTES)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	if (digest_all(p, bytes, whole, sha256, fault) != 0) {
		free(bytes);
		return -1;
	}
	if (whole)
		p->bytes = bytes;
	else
		free(bytes);
	return 0;
}

int
payload_open(struct payload *p, const struct remote_source *source,
    uint64_t offset, uint64_t len, struct fault *fault)
{
	return open_payload(p, source, offset, len, 0, fault);
}

int
payload_open_sha256(struct payload *p, const struct remote_source *source,
    uint64_t offset, uint64_t len, struct fault *fault)
{
	return open_payload(p, source, offset, len, 1, fault);
}

void
payload_close(struct payload *p)
{
	free(p->bytes);
	p->bytes = NULL;
}

long
payload_give(void *payload, char *room, size_t len)
{
	struct payload *p = payload;

	if (len > p->len - p->at)
		len = (size_t)(p->len - p->at);
	if (len > 0 &&
	    p->source->read(
		p->source->arg, p->offset + p->at, room, len, &p->fault) != 0)
		return -1;
	p->at += len;
	return (long)len;
}

int
payload_rewind(void *payload)
{
	struct payload *p = payload;

	p->at = 0;
	return 0;
}
