#include <string.h>

#include "replicator/s3_private.h"
#include "replicator/side_object.h"

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
		atomic_store(&s->shared->sides, S3_YES);
	payload_close(&p);
	buffer_free(&key);
	return rc;
}

struct clearing {
	struct s3_session *s;
	struct buffer keep;
	struct buffer found; /* keys, NUL-terminated, one behind another */
};

static int
note(const struct remote_entry *e, void *arg)
{
	struct clearing *c = arg;

	if (!slice_equal(e->key, buffer_slice(&c->keep))) {
		buffer_add_slice(&c->found, e->key);
		buffer_add_u8(&c->found, '\0');
	}
	return 0;
}

static int
any(const struct remote_entry *e, void *arg)
{
	(void)e;
	*(int *)arg = 1;
	return 1;
}

void
s3_side_clear(struct s3_session *s, struct slice key, uint64_t keep)
{
	struct clearing c = { .s = s };
	struct buffer prefix = BUFFER_INIT;
	struct fault ignored = FAULT_INIT;
	struct s3_request req;
	const char *at;
	int found = 0;

	if (slice_starts(key, S3_OWN_PREFIX))
		return;
	/* Most stores never have one: then this costs one listing a process. */
	if (atomic_load(&s->shared->sides) == S3_UNKNOWN) {
		if (s3_list(s, SLICE_LITERAL("plugins/holdfast/meta/"),
			SLICE_NULL, any, &found, &ignored) != 0)
			return;
		if (!found) {
			int expected = S3_UNKNOWN;

			atomic_compare_exchange_strong(
			    &s->shared->sides, &expected, S3_NO);
		} else
			atomic_store(&s->shared->sides, S3_YES);
	}
	if (atomic_load(&s->shared->sides) != S3_YES)
		return;

	side_object_prefix(key, &prefix);
	if (keep != 0)
		side_object_key(key, keep, &c.keep);
	if (s3_list(s, buffer_slice(&prefix), SLICE_NULL, note, &c, &ignored) ==
		0 &&
	    c.found.len > 0 && !c.found.failed)
		for (at = c.found.at; at < c.found.at + c.found.len;
		     at += strlen(at) + 1) {
			req = (struct s3_request){ .op = S3_DELETE,
				.method = "DELETE",
				.key = slice_text(at) };
			s3_send(s, &req, &ignored);
		}
	buffer_free(&prefix);
	buffer_free(&c.keep);
	buffer_free(&c.found);
}
