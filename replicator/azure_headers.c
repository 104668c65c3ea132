#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/azure_names.h"
#include "replicator/azure_private.h"
#include "replicator/side_keep.h"
#include "store/record.h"

/*
 * What travels with an object, as a blob's properties and metadata. An object
 * of ours has these entries of metadata beside the user's, whose names and
 * values are encoded as azure_names.h says:
 *
 *     zholdfastversion   the store's version number
 *     zholdfastmtime     milliseconds since 1970
 *     zholdfastetag      as S3 clients see it
 *     zholdfastparts     sizes of parts (replicator/parts.h)
 *     zholdfasttags      NAME=VALUE&..., percent-encoded
 *     zholdfastattrNAME  a content header that no property can hold
 *     zholdfastnotype    1: it has no content type (a blob always has one)
 *     zholdfastside      1: there is a side object (side_object.h)
 *
 * Tags are not index tags of the blob: writing those needs a permission that
 * the usual role lacks, and their alphabet is narrower. Without
 * zholdfastversion the blob was written by others, and its metadata is read as
 * it stands.
 */

#define META "x-ms-meta-"
#define OWN "zholdfast"
/* Azure's limit is 8 KiB of names and values; headers around count too. */
#define METADATA_MAX_BYTES 7600
#define PROPERTY_MAX_BYTES 1024

static const struct {
	const char *attribute, *request, *answer;
} properties[] = {
	{ "content-type", "x-ms-blob-content-type", "content-type" },
	{ "content-encoding", "x-ms-blob-content-encoding",
	    "content-encoding" },
	{ "content-language", "x-ms-blob-content-language",
	    "content-language" },
	{ "cache-control", "x-ms-blob-cache-control", "cache-control" },
	{ "content-disposition", "x-ms-blob-content-disposition",
	    "content-disposition" },
};
#define PROPERTIES (sizeof(properties) / sizeof(properties[0]))

/* Comes back as it is sent. */
static int
is_plain(struct slice value)
{
	size_t i;

	if (value.len == 0 || value.len > PROPERTY_MAX_BYTES ||
	    value.at[0] == ' ' || value.at[value.len - 1] == ' ')
		return 0;
	for (i = 0; i < value.len; i++)
		if (value.at[i] < ' ' || value.at[i] > '~' ||
		    (value.at[i] == ' ' && value.at[i + 1] == ' '))
			return 0;
	return 1;
}

/* The property that holds the attribute, or NULL. */
static const char *
property_of(struct slice name, struct slice value)
{
	size_t i;

	for (i = 0; i < PROPERTIES; i++)
		if (slice_is(name, properties[i].attribute))
			return is_plain(value) ? properties[i].request : NULL;
	return NULL;
}

void
azure_object_properties(const struct remote_object *o, struct buffer *headers)
{
	struct slice rest = o->attributes, name, value;
	const char *property;

	while (pairs_next(&rest, &name, &value) == 1)
		if ((property = property_of(name, value)) != NULL)
			pairs_add(headers, slice_text(property), value);
}

static void
add_meta(struct buffer *headers, size_t *bytes, const char *start,
    struct slice name, struct slice value)
{
	struct buffer line = BUFFER_INIT, text = BUFFER_INIT;

	buffer_add_text(&line, META);
	buffer_add_text(&line, start);
	azure_name_encode(name, &line);
	azure_value_encode(value, &text);
	pairs_add(headers, buffer_slice(&line), buffer_slice(&text));
	*bytes += line.len - strlen(META) + text.len;
	if (line.failed || text.failed)
		headers->failed = 1;
	buffer_free(&line);
	buffer_free(&text);
}

static void
add_fact(
    struct buffer *headers, size_t *bytes, const char *name, const char *value)
{
	add_meta(headers, bytes, name, SLICE_NULL, slice_text(value));
}

static void
add_tags(const struct remote_object *o, struct buffer *headers, size_t *bytes)
{
	struct slice rest = o->tags, name, value;
	struct buffer text = BUFFER_INIT;

	while (pairs_next(&rest, &name, &value) == 1) {
		if (buffer_reserve(&text, 3 * (name.len + value.len) + 4) != 0)
			break;
		if (text.len > 0)
			buffer_add_u8(&text, '&');
		text.len += uri_encode(name.len > 0 ? name.at : "", name.len, 1,
		    text.at + text.len);
		buffer_add_u8(&text, '=');
		text.len += uri_encode(value.len > 0 ? value.at : "", value.len,
		    1, text.at + text.len);
	}
	if (text.len > 0)
		pairs_add(headers, SLICE_LITERAL(META OWN "tags"),
		    buffer_slice(&text));
	*bytes += text.len + strlen(OWN "tags");
	if (text.failed)
		headers->failed = 1;
	buffer_free(&text);
}

static void
add_user(const struct remote_object *o, struct buffer *headers, size_t *bytes)
{
	struct slice rest = o->attributes, name, value;

	while (pairs_next(&rest, &name, &value) == 1) {
		if (slice_starts(name, "x-amz-meta-")) {
			name.at += strlen("x-amz-meta-");
			name.len -= strlen("x-amz-meta-");
			add_meta(headers, bytes,
			    name.len > 0 ? "" : OWN "empty", name, value);
		} else if (property_of(name, value) == NULL)
			add_meta(headers, bytes, OWN "attr", name, value);
	}
	add_tags(o, headers, bytes);
}

/* kopia keeps the time of a blob under this name, in nanoseconds, and trusts
 * it more than the store's. */
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

void
azure_object_metadata(
    const struct remote_object *o, struct buffer *headers, struct buffer *side)
{
	struct buffer user = BUFFER_INIT;
	size_t bytes = 0;
	char number[32];

	snprintf(number, sizeof(number), "%" PRIu64, o->version);
	add_fact(headers, &bytes, OWN "version", number);
	snprintf(number, sizeof(number), "%" PRId64, o->mtime_ms);
	add_fact(headers, &bytes, OWN "mtime", number);
	if (o->has_crc32c) {
		snprintf(number, sizeof(number), "%08" PRIx32, o->crc32c);
		add_fact(headers, &bytes, OWN "crc32c", number);
	}
	if (o->etag[0] != '\0')
		add_fact(headers, &bytes, OWN "etag", o->etag);
	if (o->parts[0] != '\0')
		add_fact(headers, &bytes, OWN "parts", o->parts);
	if (pairs_get(o->attributes, "content-type").len == 0)
		add_fact(headers, &bytes, OWN "notype", "1");
	if (is_kopias(o->key) && o->mtime_ms > 0 &&
	    o->mtime_ms < INT64_MAX / 1000000) {
		snprintf(
		    number, sizeof(number), "%" PRId64 "000000", o->mtime_ms);
		add_fact(headers, &bytes, "kopiamtime", number);
	}

	add_user(o, &user, &bytes);
	if (user.failed)
		headers->failed = 1;
	if (bytes <= METADATA_MAX_BYTES) {
		buffer_add(headers, user.at, user.len);
		buffer_free(&user);
		return;
	}
	buffer_free(&user);
	add_fact(headers, &bytes, OWN "side", "1");
	side_object_encode(o, side);
}

static void
unquote(struct slice text, char *to, size_t room)
{
	if (text.len >= 2 && text.at[0] == '"' &&
	    text.at[text.len - 1] == '"') {
		text.at++;
		text.len -= 2;
	}
	snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
	    text.len > 0 ? text.at : "");
}

void
azure_answer_etag(const struct azure_session *s, char *text, size_t room)
{
	unquote(http_call_header(&s->call, "etag"), text, room);
}

int
azure_md5_text(struct slice text, uint8_t md5[MD5_BYTES])
{
	return text.len > 0 &&
	    base64_decode(text.at, text.len, md5, MD5_BYTES) == MD5_BYTES;
}

int
azure_answer_md5(
    const struct azure_session *s, const char *name, uint8_t md5[MD5_BYTES])
{
	return azure_md5_text(http_call_header(&s->call, name), md5);
}

/* The next line of metadata of the answer: 1 and its name in small letters
 * without the start, or 0. */
static int
next_meta(struct slice *rest, struct buffer *name, struct slice *value)
{
	const char *eol, *colon, *end = rest->at + rest->len;
	struct slice line;
	size_t i;

	while (rest->len > 0) {
		if ((eol = memmem(rest->at, rest->len, "\r\n", 2)) == NULL)
			return 0;
		line = (struct slice){ rest->at, (size_t)(eol - rest->at) };
		*rest = (struct slice){ eol + 2, (size_t)(end - eol) - 2 };
		colon = memchr(line.at, ':', line.len);
		if (colon == NULL || line.len < strlen(META) ||
		    !slice_is_nocase(
			(struct slice){ line.at, strlen(META) }, META))
			continue;
		buffer_clear(name);
		for (i = strlen(META); line.at + i < colon; i++)
			buffer_add_u8(
			    name, (uint8_t)tolower((unsigned char)line.at[i]));
		value->at = colon + 1;
		value->len = (size_t)(line.at + line.len - value->at);
		while (value->len > 0 && value->at[0] == ' ') {
			value->at++;
			value->len--;
		}
		return 1;
	}
	return 0;
}

struct reading {
	struct remote_stat *st;
	struct buffer attributes, tags;
	int ours, no_type, side, bad;
};

static void
read_tags(struct reading *r, struct slice text)
{
	const char *end = text.at + text.len, *amp, *equals;
	char *name, *value;
	long name_len, value_len;

	for (; text.at < end; text.at = amp + 1) {
		amp = memchr(text.at, '&', (size_t)(end - text.at));
		if (amp == NULL)
			amp = end;
		equals = memchr(text.at, '=', (size_t)(amp - text.at));
		if (equals == NULL) {
			r->bad = 1;
			return;
		}
		name = malloc((size_t)(amp - text.at) + 1);
		value = malloc((size_t)(amp - text.at) + 1);
		if (name == NULL || value == NULL) {
			r->tags.failed = 1;
			free(name);
			free(value);
			return;
		}
		name_len =
		    uri_decode(text.at, (size_t)(equals - text.at), 0, name);
		value_len = uri_decode(
		    equals + 1, (size_t)(amp - equals) - 1, 0, value);
		if (name_len < 0 || value_len < 0)
			r->bad = 1;
		else
			pairs_add(&r->tags,
			    (struct slice){ name, (size_t)name_len },
			    (struct slice){ value, (size_t)value_len });
		free(name);
		free(value);
		if (amp == end)
			return;
	}
}

/* An entry of the user's, or one of our own that holds an attribute. */
static void
read_attribute(
    struct reading *r, const char *start, struct slice name, struct slice value)
{
	struct buffer whole = BUFFER_INIT, text = BUFFER_INIT;

	buffer_add_text(&whole, start);
	if (!r->ours) {
		buffer_add_slice(&whole, name);
		buffer_add_slice(&text, value);
	} else if (azure_name_decode(name, &whole) != 0 ||
	    azure_value_decode(value, &text) != 0)
		r->bad = 1;
	pairs_add(&r->attributes, buffer_slice(&whole), buffer_slice(&text));
	if (whole.failed || text.failed)
		r->attributes.failed = 1;
	buffer_free(&whole);
	buffer_free(&text);
}

static struct slice
behind(struct slice name, const char *start)
{
	size_t len = strlen(start);

	return (struct slice){ name.at + len, name.len - len };
}

static void
read_meta(struct reading *r, struct slice name, struct slice value)
{
	struct remote_stat *st = r->st;
	uint64_t number;

	if (!r->ours)
		read_attribute(r, "x-amz-meta-", name, value);
	else if (slice_is(name, OWN "version"))
		parse_u64(value.at, value.len, 0, UINT64_MAX, &st->version);
	else if (slice_is(name, OWN "mtime")) {
		if (parse_u64(value.at, value.len, 0, INT64_MAX, &number) == 0)
			st->original_mtime_ms = (int64_t)number;
	} else if (slice_is(name, OWN "etag"))
		unquote(value, st->original_etag, sizeof(st->original_etag));
	else if (slice_is(name, OWN "parts"))
		unquote(value, st->parts, sizeof(st->parts));
	else if (slice_is(name, OWN "crc32c"))
		st->has_original_crc32c =
		    remote_crc32c_parse(value, &st->original_crc32c) == 0;
	else if (slice_is(name, OWN "notype"))
		r->no_type = 1;
	else if (slice_is(name, OWN "side"))
		r->side = 1;
	else if (slice_is(name, OWN "tags"))
		read_tags(r, value);
	else if (slice_is(name, OWN "empty"))
		read_attribute(r, "x-amz-meta-", SLICE_NULL, value);
	else if (slice_starts(name, OWN "attr"))
		read_attribute(r, "", behind(name, OWN "attr"), value);
	else if (!slice_is(name, "kopiamtime") && !slice_starts(name, "zh"))
		read_attribute(r, "x-amz-meta-", name, value);
}

static void
read_properties(struct reading *r, const struct http_call *call)
{
	struct slice value;
	size_t i;

	for (i = 0; i < PROPERTIES; i++) {
		value = http_call_header(call, properties[i].answer);
		if (value.len > 0 && !(i == 0 && r->no_type))
			pairs_add(&r->attributes,
			    slice_text(properties[i].attribute), value);
	}
}

int
azure_stat_read(struct azure_session *s, struct remote_stat *st, int *side,
    struct fault *fault)
{
	const struct http_call *call = &s->call;
	struct slice text, rest, value;
	struct reading r = { .st = st };
	struct buffer name = BUFFER_INIT;
	int rc;

	memset(st, 0, sizeof(*st));
	text = http_call_header(call, "content-length");
	if (parse_u64(text.len > 0 ? text.at : "", text.len, 0, INT64_MAX,
		&st->size) != 0)
		return fault_set(fault, FAULT_RETRY,
		    "The answer does not say how large the blob is.");
	text = http_call_header(call, "last-modified");
	if (text.len > 0)
		clock_parse_http_date(text.at, text.len, &st->mtime_ms);
	azure_answer_etag(s, st->etag, sizeof(st->etag));
	st->has_md5 = azure_answer_md5(s, "content-md5", st->md5);
	text = http_call_header(call, "x-ms-access-tier");
	st->archived = slice_is_nocase(text, "Archive");
	snprintf(st->storage_class, sizeof(st->storage_class), "%.*s",
	    (int)(text.len < 23 ? text.len : 23), text.len > 0 ? text.at : "");

	r.ours = http_call_header(call, META OWN "version").len > 0;
	for (rest = buffer_slice(&call->headers_out);
	     next_meta(&rest, &name, &value) == 1;)
		read_meta(&r, buffer_slice(&name), value);
	read_properties(&r, call);
	r.attributes.failed |= name.failed;
	buffer_free(&name);
	rc = r.bad ? fault_set(fault, FAULT_OBJECT,
			 "The blob's metadata was changed by another program "
			 "and cannot be read.")
		   : side_keep_pairs(st, &r.attributes, &r.tags, fault);
	buffer_free(&r.attributes);
	buffer_free(&r.tags);
	*side = r.side;
	return rc;
}
