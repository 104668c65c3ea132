#include <stdlib.h>
#include <string.h>

#include "replicator/payload.h"

#define STEP_BYTES (256U << 10)

/* Reads all bytes once through room, which holds them all or step by step. */
static int
digest_all(struct payload *p, char *room, size_t step, struct fault *fault)
{
	int whole = step >= p->len;
	struct digest *md5;
	uint64_t at;
	size_t len;

	if ((md5 = digest_new(DIGEST_MD5)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	for (at = 0; at < p->len; at += len) {
		len = p->len - at < STEP_BYTES ? (size_t)(p->len - at)
					       : STEP_BYTES;
		if (p->source->read(p->source->arg, p->offset + at,
			whole ? room + at : room, len, fault) != 0) {
			digest_free(md5);
			return -1;
		}
		digest_update(md5, whole ? room + at : room, len);
	}
	digest_final(md5, p->md5);
	digest_free(md5);
	return 0;
}

int
payload_open(struct payload *p, const struct remote_source *source,
    uint64_t offset, uint64_t len, struct fault *fault)
{
	int whole = len <= PAYLOAD_MEMORY_BYTES;
	size_t room = whole ? (size_t)len : STEP_BYTES;
	char *bytes;

	memset(p, 0, sizeof(*p));
	p->source = source;
	p->offset = offset;
	p->len = len;
	if ((bytes = malloc(room + 1)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	if (digest_all(p, bytes, room, fault) != 0) {
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
