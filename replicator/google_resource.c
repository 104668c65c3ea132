#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/side_object.h"
#include "store/record.h"

/*
 * The resource that an object is stored with. User metadata keeps its names,
 * without x-amz-meta-; names and values may have 8 KiB together, and are text.
 * The rest goes to a side object.
 */

#define META_PREFIX "x-amz-meta-"
#define META_MAX_BYTES 8192
#define OWN_START "holdfast-"
#define KOPIA_MTIME "Kopia-Mtime" /* in nanoseconds */
#define CONTENT_MAX_BYTES 1024
#define CONTENT_TYPE_DEFAULT "binary/octet-stream"
/* Room kept for the entry that names a side object. */
#define SIDE_ENTRY_BYTES (sizeof(REMOTE_META_SIDE) + 1)

static const struct {
	const char *header, *member;
} contents[] = {
	{ "content-type", "contentType" },
	{ "cache-control", "cacheControl" },
	{ "content-disposition", "contentDisposition" },
	{ "content-encoding", "contentEncoding" },
	{ "content-language", "contentLanguage" },
};

struct writing {
	json_t *resource, *metadata;
	size_t bytes; /* of metadata */
	int fits, failed;
};

/* Text that comes back as it is: UTF-8 without control characters. */
static json_t *
text_of(struct slice value)
{
	size_t i;

	for (i = 0; i < value.len; i++)
		if ((unsigned char)value.at[i] < ' ' || value.at[i] == 0x7f)
			return NULL;
	return json_stringn(value.at != NULL ? value.at : "", value.len);
}

static void
set_member(struct writing *w, json_t *object, const char *name, json_t *value)
{
	if (value == NULL || json_object_set_new(object, name, value) != 0)
		w->failed = 1;
}

static void
add_fact(struct writing *w, const char *name, const char *value)
{
	w->bytes += strlen(name) + strlen(value);
	set_member(w, w->metadata, name, json_string(value));
}

/* kopia keeps the time of a blob under a name of its own, and trusts it more
 * than the store's. */
static int
is_kopias(struct slice key)
{
	const char *at = key.at, *end = key.at + key.len, *slash;

	for (; (slash = memchr(at, '/', (size_t)(end - at))) != NULL;
	     at = slash + 1)
		if (slice_is(
			(struct slice){ at, (size_t)(slash - at) }, "kopia"))
			return 1;
	return 0;
}

static void
add_facts(struct writing *w, const struct remote_object *o)
{
	char number[32];

	if (o->etag[0] != '\0')
		add_fact(w, REMOTE_META_ETAG, o->etag);
	snprintf(number, sizeof(number), "%" PRId64, o->mtime_ms);
	add_fact(w, REMOTE_META_MTIME, number);
	snprintf(number, sizeof(number), "%" PRIu64, o->version);
	add_fact(w, REMOTE_META_VERSION, number);
	if (o->parts[0] != '\0')
		add_fact(w, REMOTE_META_PARTS, o->parts);
	if (o->has_crc32c) {
		snprintf(number, sizeof(number), "%08" PRIx32, o->crc32c);
		add_fact(w, REMOTE_META_CRC32C, number);
	}
	if (is_kopias(o->key) && o->mtime_ms > 0 &&
	    o->mtime_ms < INT64_MAX / 1000000) {
		snprintf(
		    number, sizeof(number), "%" PRId64 "000000", o->mtime_ms);
		add_fact(w, KOPIA_MTIME, number);
	}
}

static void
add_query_text(struct buffer *out, struct slice text)
{
	if (buffer_reserve(out, 3 * text.len + 1) == 0)
		out->len +=
		    uri_encode(text.at, text.len, 0, out->at + out->len);
}

/* "name=value&name=value". */
static void
add_tags(struct writing *w, struct slice tags)
{
	struct buffer text = BUFFER_INIT;
	struct slice name, value;

	if (tags.len == 0)
		return;
	while (pairs_next(&tags, &name, &value) == 1) {
		if (text.len > 0)
			buffer_add_u8(&text, '&');
		add_query_text(&text, name);
		buffer_add_u8(&text, '=');
		add_query_text(&text, value);
	}
	buffer_add_u8(&text, '\0');
	if (text.failed)
		w->failed = 1;
	else if (w->bytes + sizeof(REMOTE_META_TAGS) + text.len +
		SIDE_ENTRY_BYTES <=
	    META_MAX_BYTES)
		add_fact(w, REMOTE_META_TAGS, text.at);
	else
		w->fits = 0;
	buffer_free(&text);
}

/* A type is part of header lines, too. */
static int
is_ascii(struct slice value)
{
	size_t i;

	for (i = 0; i < value.len; i++)
		if ((unsigned char)value.at[i] > '~')
			return 0;
	return 1;
}

static int
add_content(struct writing *w, struct slice name, struct slice value)
{
	json_t *text;
	size_t i, n = sizeof(contents) / sizeof(contents[0]);

	for (i = 0; i < n && !slice_is(name, contents[i].header); i++)
		;
	if (i == 0 && !is_ascii(value))
		return 0;
	if (i == n || value.len == 0 || value.len > CONTENT_MAX_BYTES ||
	    value.at[0] == ' ' || value.at[value.len - 1] == ' ' ||
	    (text = text_of(value)) == NULL)
		return 0;
	set_member(w, w->resource, contents[i].member, text);
	return 1;
}

static int
add_user(struct writing *w, struct slice name, struct slice value)
{
	size_t prefix = strlen(META_PREFIX), bytes;
	json_t *text;
	char *own;
	int rc = 0;

	bytes = name.len - prefix + value.len;
	if (w->bytes + bytes + SIDE_ENTRY_BYTES > META_MAX_BYTES)
		return 0;
	own = slice_copy((struct slice){ name.at + prefix, name.len - prefix });
	if (own == NULL) {
		w->failed = 1;
		return 0;
	}
	if (strncmp(own, OWN_START, strlen(OWN_START)) != 0 &&
	    slice_is_nocase(slice_text(own), KOPIA_MTIME) == 0 &&
	    (text = text_of(value)) != NULL) {
		/* Fails for a name that is not UTF-8. */
		rc = json_object_set_new(w->metadata, own, text) == 0;
		w->bytes += bytes;
	}
	free(own);
	return rc;
}

json_t *
google_resource(const struct google_shared *s, const struct remote_object *o,
    struct buffer *side)
{
	struct writing w = { json_object(), json_object(), 0, 1, 0 };
	struct slice rest = o->attributes, name, value;
	struct buffer whole = BUFFER_INIT;

	buffer_add_text(&whole, s->path);
	buffer_add_slice(&whole, o->key);
	w.failed = whole.failed || w.resource == NULL || w.metadata == NULL;
	if (!w.failed)
		set_member(
		    &w, w.resource, "name", json_stringn(whole.at, whole.len));
	buffer_free(&whole);

	add_facts(&w, o);
	add_tags(&w, o->tags);
	while (pairs_next(&rest, &name, &value) == 1)
		if (slice_starts(name, META_PREFIX)
			? !add_user(&w, name, value)
			: !add_content(&w, name, value))
			w.fits = 0;
	if (json_object_get(w.resource, "contentType") == NULL)
		set_member(&w, w.resource, "contentType",
		    json_string(CONTENT_TYPE_DEFAULT));
	if (!w.fits) {
		add_fact(&w, REMOTE_META_SIDE, "1");
		side_object_encode(o, side);
	}
	if (s->storage_class != NULL)
		set_member(&w, w.resource, "storageClass",
		    json_string(s->storage_class));
	set_member(&w, w.resource, "metadata", w.metadata);
	if (!w.failed)
		return w.resource;
	json_decref(w.resource);
	return NULL;
}

static int
add_json(const char *bytes, size_t len, void *arg)
{
	buffer_add(arg, bytes, len);
	return 0;
}

void
google_resource_text(const json_t *resource, struct buffer *out)
{
	if (json_dump_callback(resource, add_json, out, JSON_COMPACT) != 0)
		out->failed = 1;
}

void
google_set_crc32c(json_t *resource, uint32_t sum)
{
	char text[BASE64_BYTES(4)];
	uint8_t bytes[4];

	be32_put(bytes, sum);
	base64_encode(bytes, sizeof(bytes), text);
	json_object_set_new(resource, "crc32c", json_string(text));
}

void
google_set_md5(json_t *resource, const uint8_t md5[MD5_BYTES])
{
	char text[BASE64_BYTES(MD5_BYTES)];

	base64_encode(md5, MD5_BYTES, text);
	json_object_set_new(resource, "md5Hash", json_string(text));
}
