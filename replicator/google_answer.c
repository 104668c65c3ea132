#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/side_keep.h"
#include "store/record.h"

/* What Google says of objects. */

json_t *
google_answer(struct google_session *s, struct fault *fault)
{
	struct slice body = buffer_slice(&s->call.answer);
	json_error_t where;
	json_t *root;

	root = json_loadb(
	    body.at != NULL ? body.at : "", body.len, JSON_ALLOW_NUL, &where);
	if (!json_is_object(root)) {
		json_decref(root);
		fault_set(fault, FAULT_RETRY,
		    "Google's answer cannot be read: look at what stands "
		    "between.");
		return NULL;
	}
	return root;
}

/* Numbers of 64 bits come as text. */
static int
number_of(const json_t *resource, const char *member, uint64_t *number)
{
	const json_t *value = json_object_get(resource, member);
	const char *text = json_string_value(value);

	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*number = (uint64_t)json_integer_value(value);
		return 0;
	}
	return text == NULL
	    ? -1
	    : parse_u64(text, strlen(text), 0, UINT64_MAX, number);
}

static int
digest_of(
    const json_t *resource, const char *member, uint8_t *bytes, size_t len)
{
	const char *text = json_string_value(json_object_get(resource, member));

	return text != NULL &&
	    base64_decode(text, strlen(text), bytes, len) == (int)len;
}

int
google_object_read(const json_t *resource, struct google_object *o)
{
	uint8_t crc[4];

	memset(o, 0, sizeof(*o));
	if (number_of(resource, "size", &o->size) != 0)
		return -1;
	if (number_of(resource, "generation", &o->generation) != 0)
		o->generation = 0;
	o->has_md5 = digest_of(resource, "md5Hash", o->md5, MD5_BYTES);
	o->has_crc32c = digest_of(resource, "crc32c", crc, sizeof(crc));
	if (o->has_crc32c)
		o->crc32c = be32_get(crc);
	return 0;
}

static int64_t
time_of(const json_t *resource)
{
	const char *text =
	    json_string_value(json_object_get(resource, "timeCreated"));
	char cut[CLOCK_TEXT_BYTES];
	size_t len;
	int64_t ms;

	if (text == NULL)
		text = json_string_value(json_object_get(resource, "updated"));
	if (text == NULL)
		return 0;
	/* Of fractions, three digits. */
	len = strcspn(text, ".Z");
	if (text[len] == '.')
		snprintf(cut, sizeof(cut), "%.*s.%.*sZ",
		    (int)(len < 20 ? len : 20), text,
		    (int)(strspn(text + len + 1, "0123456789") < 3
			    ? strspn(text + len + 1, "0123456789")
			    : 3),
		    text + len + 1);
	else
		snprintf(cut, sizeof(cut), "%s", text);
	return clock_parse_iso8601(cut, strlen(cut), &ms) == 0 ? ms : 0;
}

static void
take(char *to, size_t room, const char *text)
{
	snprintf(to, room, "%s", text != NULL ? text : "");
}

int
google_entry_read(const json_t *resource, struct remote_entry *e)
{
	struct google_object o;

	if (google_object_read(resource, &o) != 0)
		return -1;
	e->size = o.size;
	e->mtime_ms = time_of(resource);
	take(e->etag, sizeof(e->etag),
	    json_string_value(json_object_get(resource, "etag")));
	e->has_md5 = o.has_md5;
	memcpy(e->md5, o.md5, MD5_BYTES);
	e->has_crc32c = o.has_crc32c;
	e->crc32c = o.crc32c;
	return 0;
}

/* ---- metadata ---- */

struct reading {
	struct remote_stat *st;
	struct buffer attributes, tags;
	int side;
};

/* "name=value&name=value" to pairs. */
static void
read_tagging(const char *text, struct buffer *tags)
{
	char *copy = strdup(text), *at, *next, *equals;
	long name_len, value_len;

	if (copy == NULL) {
		tags->failed = 1;
		return;
	}
	for (at = copy; at != NULL && *at != '\0'; at = next) {
		if ((next = strchr(at, '&')) != NULL)
			*next++ = '\0';
		if ((equals = strchr(at, '=')) == NULL)
			continue;
		*equals++ = '\0';
		name_len = uri_decode(at, strlen(at), 0, at);
		value_len = uri_decode(equals, strlen(equals), 0, equals);
		if (name_len >= 0 && value_len >= 0)
			pairs_add(tags, (struct slice){ at, (size_t)name_len },
			    (struct slice){ equals, (size_t)value_len });
	}
	free(copy);
}

/* One of ours: it is taken out. */
static int
take_fact(struct reading *r, const char *name, const char *value)
{
	uint64_t number = 0;

	(void)parse_u64(value, strlen(value), 0, INT64_MAX, &number);
	if (strcmp(name, REMOTE_META_ETAG) == 0)
		take(r->st->original_etag, sizeof(r->st->original_etag), value);
	else if (strcmp(name, REMOTE_META_MTIME) == 0)
		r->st->original_mtime_ms = (int64_t)number;
	else if (strcmp(name, REMOTE_META_VERSION) == 0)
		r->st->version = number;
	else if (strcmp(name, REMOTE_META_PARTS) == 0)
		take(r->st->parts, sizeof(r->st->parts), value);
	else if (strcmp(name, REMOTE_META_CRC32C) == 0)
		r->st->has_original_crc32c =
		    remote_crc32c_parse(
			slice_text(value), &r->st->original_crc32c) == 0;
	else if (strcmp(name, REMOTE_META_SIDE) == 0)
		r->side = 1;
	else if (strcmp(name, REMOTE_META_TAGS) == 0)
		read_tagging(value, &r->tags);
	else
		return strcmp(name, "Kopia-Mtime") == 0;
	return 1;
}

static void
read_metadata(struct reading *r, json_t *metadata)
{
	struct buffer own = BUFFER_INIT;
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach(metadata, name, value)
	{
		if (!json_is_string(value) ||
		    take_fact(r, name, json_string_value(value)))
			continue;
		buffer_clear(&own);
		buffer_add_text(&own, "x-amz-meta-");
		buffer_add_text(&own, name);
		for (i = 0; i < own.len; i++)
			if (own.at[i] >= 'A' && own.at[i] <= 'Z')
				own.at[i] = (char)(own.at[i] - 'A' + 'a');
		pairs_add(&r->attributes, buffer_slice(&own),
		    (struct slice){
			json_string_value(value), json_string_length(value) });
	}
	if (own.failed)
		r->attributes.failed = 1;
	buffer_free(&own);
}

static void
read_contents(struct reading *r, const json_t *resource)
{
	static const char *const names[][2] = {
		{ "content-type", "contentType" },
		{ "cache-control", "cacheControl" },
		{ "content-disposition", "contentDisposition" },
		{ "content-encoding", "contentEncoding" },
		{ "content-language", "contentLanguage" },
	};
	const char *text;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text =
		    json_string_value(json_object_get(resource, names[i][1]));
		if (text != NULL && text[0] != '\0')
			pairs_add(&r->attributes, slice_text(names[i][0]),
			    slice_text(text));
	}
}

int
google_stat_read(const json_t *resource, struct remote_stat *st, int *side,
    struct fault *fault)
{
	struct reading r = { .st = st };
	struct google_object o;
	int rc = 0;

	if (google_object_read(resource, &o) != 0)
		return fault_set(fault, FAULT_RETRY,
		    "Google does not say how large the object is.");
	st->size = o.size;
	st->mtime_ms = time_of(resource);
	take(st->etag, sizeof(st->etag),
	    json_string_value(json_object_get(resource, "etag")));
	st->has_md5 = o.has_md5;
	memcpy(st->md5, o.md5, MD5_BYTES);
	st->has_crc32c = o.has_crc32c;
	st->crc32c = o.crc32c;

	read_contents(&r, resource);
	read_metadata(&r, json_object_get(resource, "metadata"));
	*side = r.side;
	rc = side_keep_pairs(st, &r.attributes, &r.tags, fault);
	buffer_free(&r.attributes);
	buffer_free(&r.tags);
	return rc;
}

int
google_verify(struct google_session *s, struct slice key, uint64_t size,
    uint32_t crc32c, const uint8_t *md5, struct fault *fault)
{
	struct fault ignored = FAULT_INIT;
	struct google_object o;
	json_t *resource;
	int rc;

	if ((resource = google_answer(s, fault)) == NULL) {
		/* It may be there, under this name or another's. */
		fault->fate_unknown = 1;
		return -1;
	}
	rc = google_object_read(resource, &o);
	json_decref(resource);
	if (rc != 0 || (!o.has_crc32c && !o.has_md5)) {
		fault->fate_unknown = 1;
		return fault_set(fault, FAULT_RETRY,
		    "Google took the bytes without naming their checksum.");
	}
	s->generation = o.generation;
	if (o.size == size && (!o.has_crc32c || o.crc32c == crc32c) &&
	    (!o.has_md5 || md5 == NULL || memcmp(o.md5, md5, MD5_BYTES) == 0))
		return 0;
	if (o.generation != 0)
		(void)google_delete(s, key, o.generation, &ignored);
	return fault_set(fault, FAULT_RETRY,
	    "Google stored other bytes than were sent, and they were removed "
	    "again.");
}
