#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/s3_private.h"
#include "replicator/side_keep.h"
#include "store/record.h"

#define META_PREFIX "x-amz-meta-"

struct slice
s3_answer_etag(const struct s3_session *s)
{
	struct slice etag = http_call_header(&s->call, "etag");

	if (etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"')
		etag = (struct slice){ etag.at + 1, etag.len - 2 };
	return etag;
}

int
s3_etag_md5(struct slice etag, uint8_t md5[MD5_BYTES])
{
	return etag.len == 2 * MD5_BYTES &&
	    hex_decode(etag.at, etag.len, md5, MD5_BYTES) == 0;
}

int
s3_encrypts_by_kms(const struct s3_shared *s)
{
	return s->sse != NULL && strncmp(s->sse, "aws:kms", 7) == 0;
}

int
s3_answer_opaque(const struct s3_session *s)
{
	return s3_encrypts_by_kms(s->shared) ||
	    slice_starts(
		http_call_header(&s->call, "x-amz-server-side-encryption"),
		"aws:kms");
}

/* Intelligent tiering has archive tiers too, but says so elsewhere. */
int
s3_storage_archived(struct slice storage_class)
{
	return slice_is(storage_class, "GLACIER") ||
	    slice_is(storage_class, "DEEP_ARCHIVE");
}

/* Takes the next header line off *lines. 0 at the end. */
static int
next_line(struct slice *lines, struct slice *name, struct slice *value)
{
	const char *eol, *colon;
	size_t len;

	while (lines->len > 0) {
		eol = memmem(lines->at, lines->len, "\r\n", 2);
		len = eol != NULL ? (size_t)(eol - lines->at) : lines->len;
		colon = memchr(lines->at, ':', len);
		*name = (struct slice){ lines->at,
			colon != NULL ? (size_t)(colon - lines->at) : 0 };
		if (colon != NULL)
			*value =
			    (struct slice){ colon + 1, len - name->len - 1 };
		lines->at += eol != NULL ? len + 2 : len;
		lines->len -= eol != NULL ? len + 2 : len;
		if (colon == NULL)
			continue;
		while (value->len > 0 && value->at[0] == ' ') {
			value->at++;
			value->len--;
		}
		while (value->len > 0 && value->at[value->len - 1] == ' ')
			value->len--;
		return 1;
	}
	return 0;
}

static int64_t
number_of(struct slice text)
{
	uint64_t value;

	if (parse_u64(text.at, text.len, 0, INT64_MAX, &value) != 0)
		return 0;
	return (int64_t)value;
}

/* "name=value&name=value" to pairs. */
static void
read_tagging(struct slice text, struct buffer *tags)
{
	char *copy = slice_copy(text), *at, *next, *equals;
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

struct parsing {
	struct remote_stat *st;
	struct buffer attributes, tags;
	int side;
};

/* One of ours: it is taken out. */
static int
take_fact(struct parsing *p, struct slice name, struct slice value)
{
	if (slice_is_nocase(name, REMOTE_META_ETAG))
		snprintf(p->st->original_etag, sizeof(p->st->original_etag),
		    "%.*s", (int)(value.len < 39 ? value.len : 39), value.at);
	else if (slice_is_nocase(name, REMOTE_META_MTIME))
		p->st->original_mtime_ms = number_of(value);
	else if (slice_is_nocase(name, REMOTE_META_VERSION))
		p->st->version = (uint64_t)number_of(value);
	else if (slice_is_nocase(name, REMOTE_META_PARTS))
		snprintf(p->st->parts, sizeof(p->st->parts), "%.*s",
		    (int)(value.len < REMOTE_PARTS_BYTES ? value.len : 0),
		    value.at);
	else if (slice_is_nocase(name, REMOTE_META_CRC32C))
		p->st->has_original_crc32c =
		    remote_crc32c_parse(value, &p->st->original_crc32c) == 0;
	else if (slice_is_nocase(name, REMOTE_META_SIDE))
		p->side = 1;
	else if (slice_is_nocase(name, REMOTE_META_TAGS))
		read_tagging(value, &p->tags);
	else
		return 0;
	return 1;
}

static void
take_header(struct parsing *p, struct slice name, struct slice value)
{
	static const char *const content[] = { "content-type", "cache-control",
		"content-disposition", "content-encoding", "content-language",
		"expires" };
	char lower[256];
	size_t i;

	for (i = 0; i < sizeof(content) / sizeof(content[0]); i++)
		if (slice_is_nocase(name, content[i]))
			pairs_add(
			    &p->attributes, slice_text(content[i]), value);
	if (name.len <= strlen(META_PREFIX) || name.len >= sizeof(lower))
		return;
	for (i = 0; i < name.len; i++)
		lower[i] = name.at[i] >= 'A' && name.at[i] <= 'Z'
		    ? (char)(name.at[i] + 'a' - 'A')
		    : name.at[i];
	if (strncmp(lower, META_PREFIX, strlen(META_PREFIX)) != 0)
		return;
	name.at += strlen(META_PREFIX);
	name.len -= strlen(META_PREFIX);
	if (!take_fact(p, name, value))
		pairs_add(&p->attributes,
		    (struct slice){ lower, name.len + strlen(META_PREFIX) },
		    value);
}

/* Moves the pairs into the memory that the caller frees. */
int
s3_stat_read(struct s3_session *s, struct remote_stat *st, int *side,
    int *tag_count, struct fault *fault)
{
	struct parsing p = { .st = st };
	struct slice lines = buffer_slice(&s->call.headers_out), name, value;
	struct slice text = http_call_header(&s->call, "content-length");
	int rc;

	if (parse_u64(text.at, text.len, 0, UINT64_MAX, &st->size) != 0)
		return fault_set(fault, FAULT_RETRY,
		    "The store does not say how large the object is.");
	text = http_call_header(&s->call, "last-modified");
	if (clock_parse_http_date(text.at, text.len, &st->mtime_ms) != 0)
		st->mtime_ms = 0;
	text = s3_answer_etag(s);
	snprintf(st->etag, sizeof(st->etag), "%.*s",
	    (int)(text.len < 71 ? text.len : 71),
	    text.at != NULL ? text.at : "");
	st->has_md5 = atomic_load(&s->shared->can->md5_etags) == S3_YES &&
	    !s3_answer_opaque(s) && s3_etag_md5(text, st->md5);
	text = http_call_header(&s->call, "x-amz-storage-class");
	snprintf(st->storage_class, sizeof(st->storage_class), "%.*s",
	    (int)(text.len < 23 ? text.len : 23),
	    text.at != NULL ? text.at : "");
	value = http_call_header(&s->call, "x-amz-restore");
	st->archived = s3_storage_archived(text) &&
	    (value.len == 0 || memmem(value.at, value.len, "false", 5) == NULL);
	text = http_call_header(&s->call, "x-amz-tagging-count");
	*tag_count = text.len > 0 ? (int)number_of(text) : 0;

	while (next_line(&lines, &name, &value))
		take_header(&p, name, value);
	*side = p.side;
	/* The tags in the metadata are of the same put; the store's own may
	 * have come by other ways. */
	if (p.tags.len > 0)
		*tag_count = 0;
	rc = side_keep_pairs(st, &p.attributes, &p.tags, fault);
	buffer_free(&p.attributes);
	buffer_free(&p.tags);
	return rc;
}

struct tag_reading {
	struct buffer *tags;
	struct buffer name;
};

static int
tag_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct tag_reading *r = arg;
	const char *end = strrchr(path, '/');

	if (end == NULL || text.at == NULL)
		return 0;
	if (strcmp(end, "/Key") == 0) {
		buffer_clear(&r->name);
		buffer_add_slice(&r->name, text);
	} else if (strcmp(end, "/Value") == 0)
		pairs_add(r->tags, buffer_slice(&r->name), text);
	return 0;
}

/* The store's own tags of an object; none when they may not be read. */
static int
fetch_tags(struct s3_session *s, struct slice key, struct remote_stat *st,
    struct fault *fault)
{
	struct s3_request req = { .op = S3_GET_TAGS,
		.method = "GET",
		.key = key,
		.query = "tagging" };
	struct buffer attributes = BUFFER_INIT, tags = BUFFER_INIT;
	struct tag_reading reading = { &tags, BUFFER_INIT };
	int rc = 0;

	if (s3_send(s, &req, fault) != 0)
		return fault->kind == FAULT_PERSON ? 0 : -1;
	xml_read(buffer_slice(&s->call.answer), tag_leaf, &reading);
	buffer_add_slice(&attributes, st->attributes);
	rc = side_keep_pairs(st, &attributes, &tags, fault);
	buffer_free(&attributes);
	buffer_free(&tags);
	buffer_free(&reading.name);
	return rc;
}

static int
fetch_side(struct s3_session *s, struct slice key, struct remote_stat *st,
    struct fault *fault)
{
	struct s3_request req = { .op = S3_GET, .method = "GET" };
	struct buffer name = BUFFER_INIT;
	int rc;

	side_object_key(key, st->version, &name);
	req.key = buffer_slice(&name);
	rc = s3_send(s, &req, fault);
	buffer_free(&name);
	return side_keep_read(rc, buffer_slice(&s->call.answer), st, fault);
}

/* A refusal of HEAD has no body that says why: a GET of one byte does. */
static int
ask_why(struct s3_session *s, struct slice key, struct fault *fault)
{
	struct s3_request req = { .op = S3_GET, .method = "GET", .key = key };
	struct fault why = FAULT_INIT;

	s3_header(&req, "range", "bytes=0-0");
	if (s3_send(s, &req, &why) != 0 && why.kind != FAULT_NONE &&
	    why.code[0] != '\0' && why.status != 416)
		*fault = why;
	return -1;
}

int
s3_stat(void *session, struct slice key, struct remote_stat *st,
    struct fault *fault)
{
	struct s3_request req = { .op = S3_HEAD, .method = "HEAD", .key = key };
	struct s3_session *s = session;
	int side, tag_count;

	memset(st, 0, sizeof(*st));
	if (s3_send(s, &req, fault) != 0)
		return fault->status / 100 == 4 ? ask_why(s, key, fault) : -1;
	if (s3_stat_read(s, st, &side, &tag_count, fault) != 0)
		goto fail;
	if (tag_count > 0 && !side && fetch_tags(s, key, st, fault) != 0)
		goto fail;
	if (side && fetch_side(s, key, st, fault) != 0)
		goto fail;
	return 0;

fail:
	buffer_free(&st->memory);
	return -1;
}
