#include <string.h>

#include "replicator/s3_private.h"
#include "replicator/side_keep.h"

static int
read_buffer(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	const struct buffer *b = arg;

	(void)fault;
	memcpy(bytes, b->at + offset, len);
	return 0;
}

int
s3_side_put(struct s3_session *s, const struct remote_object *o,
    const struct buffer *side, struct fault *fault)
{
	struct s3_request req = { .op = S3_PUT, .method = "PUT" };
	struct buffer contents = *side, key = BUFFER_INIT;
	struct remote_source source = { read_buffer, &contents };
	struct payload p;
	int rc;

	if (side->failed)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	if (payload_open_sha256(&p, &source, 0, side->len, fault) != 0)
		return -1;
	side_object_key(o->key, o->version, &key);
	req.key = buffer_slice(&key);
	s3_header(&req, "content-type", "application/json");
	s3_payload_attach(s, &p, &req);
	rc = s3_payload_send(s, &p, &req, fault);
	if (rc == 0)
		atomic_store(&s->shared->sides, SIDES_SOME);
	payload_close(&p);
	buffer_free(&key);
	return rc;
}

void
s3_side_clear(struct s3_session *s, struct slice key, uint64_t keep)
{
	side_keep_clear(&destination_s3, s, &s->shared->sides, key, keep);
}
