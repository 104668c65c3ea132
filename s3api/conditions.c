#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "s3api/conditions.h"

static int
date(const struct http_head *head, const char *name, int64_t *wall_ms)
{
	struct slice text = http_header_get(head, name);

	return text.len > 0 &&
	    clock_parse_http_date(text.at, text.len, wall_ms) == 0;
}

void
conditions_of_request(const struct http_head *head, struct conditions *c)
{
	c->match = http_header_get(head, "if-match");
	c->none_match = http_header_get(head, "if-none-match");
	c->has_modified_since =
	    date(head, "if-modified-since", &c->modified_since_ms);
	c->has_unmodified_since =
	    date(head, "if-unmodified-since", &c->unmodified_since_ms);
}

void
conditions_of_source(const struct http_head *head, struct conditions *c)
{
	c->match = http_header_get(head, "x-amz-copy-source-if-match");
	c->none_match =
	    http_header_get(head, "x-amz-copy-source-if-none-match");
	c->has_modified_since = date(
	    head, "x-amz-copy-source-if-modified-since", &c->modified_since_ms);
	c->has_unmodified_since = date(head,
	    "x-amz-copy-source-if-unmodified-since", &c->unmodified_since_ms);
}

int
conditions_any(const struct conditions *c)
{
	return c->match.len > 0 || c->none_match.len > 0 ||
	    c->has_modified_since || c->has_unmodified_since;
}

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

int
etag_list_has(struct slice header, const char *etag)
{
	struct slice tag;
	const char *comma;

	while (header.len > 0) {
		comma = memchr(header.at, ',', header.len);
		tag.at = header.at;
		tag.len =
		    comma == NULL ? header.len : (size_t)(comma - header.at);
		header.at += tag.len;
		header.len -= tag.len;
		if (comma != NULL) {
			header.at++;
			header.len--;
		}
		tag = trim(tag);
		if (slice_is(tag, "*"))
			return 1;
		if (slice_starts(tag, "W/")) {
			tag.at += 2;
			tag.len -= 2;
		}
		if (tag.len >= 2 && tag.at[0] == '"' &&
		    tag.at[tag.len - 1] == '"') {
			tag.at++;
			tag.len -= 2;
		}
		if (slice_is_nocase(tag, etag))
			return 1;
	}
	return 0;
}

/* Last-Modified has whole seconds, so that is what clients compare with. */
static int
modified_since(const struct object_record *object, int64_t since_ms)
{
	return object->mtime_ms / 1000 > since_ms / 1000;
}

enum s3_code
conditions_read(const struct conditions *c, const struct object_record *object)
{
	char etag[ETAG_BYTES];

	object_etag(object, etag);
	if (c->match.len > 0) {
		if (!etag_list_has(c->match, etag))
			return S3_PRECONDITION_FAILED;
	} else if (c->has_unmodified_since &&
	    modified_since(object, c->unmodified_since_ms)) {
		return S3_PRECONDITION_FAILED;
	}
	if (c->none_match.len > 0) {
		if (etag_list_has(c->none_match, etag))
			return S3_NOT_MODIFIED;
	} else if (c->has_modified_since &&
	    !modified_since(object, c->modified_since_ms)) {
		return S3_NOT_MODIFIED;
	}
	return S3_OK;
}

int
conditions_check_write(
    const struct object_record *current, void *arg, struct error *err)
{
	const struct conditions *c = arg;
	char etag[ETAG_BYTES];

	if (current == NULL) {
		if (c->match.len > 0)
			return error_set(err, ERR_NOT_FOUND,
			    "There is no object of this key that If-Match "
			    "could match.");
		return 0;
	}
	object_etag(current, etag);
	if (c->match.len > 0 && !etag_list_has(c->match, etag))
		return error_set(err, ERR_CONDITION,
		    "The object's ETag is not what If-Match names.");
	if (c->none_match.len > 0 && etag_list_has(c->none_match, etag))
		return error_set(err, ERR_CONDITION,
		    "If-None-Match does not hold: the object exists already.");
	return 0;
}

int
conditions_check_source(
    const struct object_record *current, void *arg, struct error *err)
{
	const struct conditions *c = arg;

	if (current == NULL)
		return 0;
	if (conditions_read(c, current) != S3_OK)
		return error_set(err, ERR_CONDITION,
		    "A precondition on the copy's source does not hold.");
	return 0;
}
