#include <string.h>

#include "base/checksum.h"
#include "replicator/google_private.h"
#include "replicator/side_object.h"

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
		atomic_store(&s->shared->sides, 1);
	json_decref(resource);
	buffer_free(&key);
	buffer_free(&whole);
	return rc;
}

struct clearing {
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

/* Most buckets never have one: then asking costs one listing a process. */
static int
may_have_sides(struct google_session *s)
{
	struct fault ignored = FAULT_INIT;
	int found = 0, expected = 0;

	if (atomic_load(&s->shared->sides) == 0) {
		if (google_list(s, SLICE_LITERAL("plugins/holdfast/meta/"),
			SLICE_NULL, any, &found, &ignored) != 0)
			return 0;
		atomic_compare_exchange_strong(
		    &s->shared->sides, &expected, found ? 1 : -1);
	}
	return atomic_load(&s->shared->sides) > 0;
}

void
google_side_clear(struct google_session *s, struct slice key, uint64_t keep)
{
	struct clearing c = { .keep = BUFFER_INIT };
	struct buffer prefix = BUFFER_INIT;
	struct fault ignored = FAULT_INIT;
	const char *at;

	if (slice_starts(key, GOOGLE_OWN_PREFIX) || !may_have_sides(s))
		return;
	side_object_prefix(key, &prefix);
	if (keep != 0)
		side_object_key(key, keep, &c.keep);
	if (google_list(s, buffer_slice(&prefix), SLICE_NULL, note, &c,
		&ignored) == 0 &&
	    !c.found.failed && c.found.len > 0)
		for (at = c.found.at; at < c.found.at + c.found.len;
		     at += strlen(at) + 1)
			(void)google_delete(s, slice_text(at), 0, &ignored);
	buffer_free(&prefix);
	buffer_free(&c.keep);
	buffer_free(&c.found);
}

int
google_side_read(struct google_session *s, struct slice key,
    struct remote_stat *st, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_GET, .method = "GET" };
	struct buffer name = BUFFER_INIT, pairs = BUFFER_INIT,
		      tags = BUFFER_INIT;
	size_t attributes_len;
	int rc;

	side_object_key(key, st->version, &name);
	google_url_object(s->shared, &req, buffer_slice(&name));
	google_query(&req, "alt", slice_text("media"));
	rc = google_send(s, &req, fault);
	if (rc != 0 && fault->kind == FAULT_MISSING)
		fault_set(fault, FAULT_OBJECT,
		    "The object's attributes are in %.*s, which is gone.",
		    (int)name.len, name.at);
	buffer_free(&name);
	if (rc != 0)
		return -1;
	if (side_object_decode(buffer_slice(&s->call.answer), &pairs, &tags) !=
	    0) {
		rc = fault_set(fault, FAULT_OBJECT,
		    "The object's side object cannot be read.");
		goto done;
	}
	attributes_len = pairs.len;
	buffer_add(&pairs, tags.at, tags.len);
	if (pairs.failed) {
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	buffer_free(&st->memory);
	st->memory = pairs;
	pairs = (struct buffer)BUFFER_INIT;
	st->attributes = (struct slice){ st->memory.at, attributes_len };
	st->tags = (struct slice){
		st->memory.at != NULL ? st->memory.at + attributes_len : NULL,
		st->memory.len - attributes_len
	};

done:
	buffer_free(&pairs);
	buffer_free(&tags);
	return rc;
}
