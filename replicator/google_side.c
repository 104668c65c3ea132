#include "base/checksum.h"
#include "replicator/google_private.h"
#include "replicator/side_keep.h"

int
google_side_put(struct google_session *s, const struct remote_object *o,
    const struct buffer *side, struct fault *fault)
{
	struct google_bytes b = { .at = side->at, .len = side->len };
	struct buffer key = BUFFER_INIT, whole = BUFFER_INIT;
	json_t *resource = NULL;
	int rc;

	side_object_key(o->key, o->version, &key);
	buffer_add_text(&whole, s->shared->path);
	buffer_add_slice(&whole, buffer_slice(&key));
	if (!side->failed && !key.failed && !whole.failed)
		resource = json_pack("{s:s% s:s}", "name", whole.at, whole.len,
		    "contentType", "application/json");
	if (resource == NULL)
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
	else {
		digest_once(DIGEST_MD5, b.at, b.len, b.md5);
		b.crc32c = crc32c(0, b.at, b.len);
		rc = google_insert(
		    s, buffer_slice(&key), resource, &b, 0, fault);
	}
	if (rc == 0)
		atomic_store(&s->shared->sides, SIDES_SOME);
	json_decref(resource);
	buffer_free(&key);
	buffer_free(&whole);
	return rc;
}

void
google_side_clear(struct google_session *s, struct slice key, uint64_t keep)
{
	side_keep_clear(&destination_google, s, &s->shared->sides, key, keep);
}

int
google_side_read(struct google_session *s, struct slice key,
    struct remote_stat *st, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_GET, .method = "GET" };
	struct buffer name = BUFFER_INIT;
	int rc;

	side_object_key(key, st->version, &name);
	google_url_object(s->shared, &req, buffer_slice(&name));
	google_query(&req, "alt", slice_text("media"));
	rc = google_send(s, &req, fault);
	buffer_free(&name);
	return side_keep_read(rc, buffer_slice(&s->call.answer), st, fault);
}
