#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/s3_private.h"
#include "replicator/side_object.h"
#include "store/record.h"

/*
 * An object's headers. Metadata may have 2 KiB, names without their prefix and
 * values; a value travels only when every store gives back the same bytes:
 * printable ASCII, with single blanks inside. The rest goes to a side object.
 */

#define META_PREFIX "x-amz-meta-"
#define META_MAX_BYTES 2048
#define CONTENT_HEADER_MAX_BYTES 1024
#define TAGGING_MAX_BYTES 2048
/* Room kept for the entry that names a side object. */
#define SIDE_ENTRY_BYTES (sizeof(REMOTE_META_SIDE) + 1)
#define CONTENT_TYPE_DEFAULT "binary/octet-stream"

static int
travels(struct slice value)
{
	size_t i;

	if (value.len == 0 || value.at[0] == ' ' ||
	    value.at[value.len - 1] == ' ')
		return 0;
	for (i = 0; i < value.len; i++)
		if (value.at[i] < ' ' || value.at[i] > '~' ||
		    (value.at[i] == ' ' && value.at[i - 1] == ' '))
			return 0;
	return 1;
}

static void
add_fact(
    struct buffer *headers, const char *name, const char *value, size_t *used)
{
	char header[64];

	snprintf(header, sizeof(header), META_PREFIX "%s", name);
	pairs_add(headers, slice_text(header), slice_text(value));
	*used += strlen(name) + strlen(value);
}

static void
add_facts(const struct remote_object *o, struct buffer *headers, size_t *used)
{
	char number[32];

	if (o->etag[0] != '\0')
		add_fact(headers, REMOTE_META_ETAG, o->etag, used);
	snprintf(number, sizeof(number), "%" PRId64, o->mtime_ms);
	add_fact(headers, REMOTE_META_MTIME, number, used);
	snprintf(number, sizeof(number), "%" PRIu64, o->version);
	add_fact(headers, REMOTE_META_VERSION, number, used);
	if (o->parts[0] != '\0')
		add_fact(headers, REMOTE_META_PARTS, o->parts, used);
	if (o->has_crc32c) {
		snprintf(number, sizeof(number), "%08" PRIx32, o->crc32c);
		add_fact(headers, REMOTE_META_CRC32C, number, used);
	}
}

static void
add_query_text(struct buffer *out, struct slice text)
{
	char *encoded = malloc(3 * text.len + 1);

	if (encoded == NULL) {
		out->failed = 1;
		return;
	}
	uri_encode(text.at, text.len, 0, encoded);
	buffer_add_text(out, encoded);
	free(encoded);
}

/* "name=value&name=value", NUL-terminated. */
static void
tagging_text(struct slice tags, struct buffer *out)
{
	struct slice name, value;

	while (pairs_next(&tags, &name, &value) == 1) {
		if (out->len > 0)
			buffer_add_u8(out, '&');
		add_query_text(out, name);
		buffer_add_u8(out, '=');
		add_query_text(out, value);
	}
	buffer_add_u8(out, '\0');
}

/* Tags go to the store as tags, or else into the metadata. 0 when they found
 * no room. */
static int
add_tags(struct slice tags, int with_tags, struct buffer *headers, size_t *used)
{
	struct buffer text = BUFFER_INIT;
	int fits = 1;

	if (tags.len == 0)
		return 1;
	tagging_text(tags, &text);
	if (text.failed)
		headers->failed = 1;
	else if (with_tags)
		pairs_add(headers, SLICE_LITERAL("x-amz-tagging"),
		    slice_text(text.at));
	else if (*used + sizeof(REMOTE_META_TAGS) + text.len +
		SIDE_ENTRY_BYTES <=
	    META_MAX_BYTES)
		add_fact(headers, REMOTE_META_TAGS, text.at, used);
	else
		fits = 0;
	buffer_free(&text);
	return fits;
}

static int
add_attribute(
    struct slice name, struct slice value, struct buffer *headers, size_t *used)
{
	size_t bytes = name.len - strlen(META_PREFIX) + value.len;

	if (!slice_starts(name, META_PREFIX)) {
		if (!travels(value) || value.len > CONTENT_HEADER_MAX_BYTES)
			return 0;
	} else {
		if (!travels(value) ||
		    *used + bytes + SIDE_ENTRY_BYTES > META_MAX_BYTES)
			return 0;
		*used += bytes;
	}
	pairs_add(headers, name, value);
	return 1;
}

static void
add_storage(const struct s3_shared *s, struct buffer *headers)
{
	if (s->storage_class != NULL)
		pairs_add(headers, SLICE_LITERAL("x-amz-storage-class"),
		    slice_text(s->storage_class));
	if (s->sse != NULL)
		pairs_add(headers,
		    SLICE_LITERAL("x-amz-server-side-encryption"),
		    slice_text(s->sse));
	if (s->kms_key != NULL)
		pairs_add(headers,
		    SLICE_LITERAL(
			"x-amz-server-side-encryption-aws-kms-key-id"),
		    slice_text(s->kms_key));
	if (s->sse != NULL && s->bucket_key)
		pairs_add(headers,
		    SLICE_LITERAL(
			"x-amz-server-side-encryption-bucket-key-enabled"),
		    SLICE_LITERAL("true"));
}

void
s3_object_headers(const struct s3_shared *s, const struct remote_object *o,
    int with_tags, struct buffer *headers, struct buffer *side)
{
	struct slice rest = o->attributes, name, value;
	size_t used = 0;
	int fits, has_type = 0;

	add_facts(o, headers, &used);
	fits = add_tags(o->tags, with_tags, headers, &used);
	while (pairs_next(&rest, &name, &value) == 1) {
		if (!add_attribute(name, value, headers, &used))
			fits = 0;
		else if (slice_is(name, "content-type"))
			has_type = 1;
	}
	/* Stores make up types of their own for objects that have none. */
	if (!has_type)
		pairs_add(headers, SLICE_LITERAL("content-type"),
		    SLICE_LITERAL(CONTENT_TYPE_DEFAULT));
	if (!fits) {
		add_fact(headers, REMOTE_META_SIDE, "1", &used);
		side_object_encode(o, side);
	}
	add_storage(s, headers);
}
