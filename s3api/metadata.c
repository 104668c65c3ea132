#include <string.h>
#include <strings.h>

#include "s3api/metadata.h"
#include "s3api/server.h"
#include "store/record.h"

#define META_PREFIX "x-amz-meta-"
#define CONTENT_TYPE_DEFAULT "binary/octet-stream"

static const struct {
	const char *name;     /* of the request, and as stored */
	const char *header;   /* of the answer */
	const char *response; /* the query parameter that overrides it */
} content_headers[] = {
	{ "content-type", "Content-Type", "response-content-type" },
	{ "cache-control", "Cache-Control", "response-cache-control" },
	{ "content-disposition", "Content-Disposition",
	    "response-content-disposition" },
	{ "content-encoding", "Content-Encoding", "response-content-encoding" },
	{ "content-language", "Content-Language", "response-content-language" },
	{ "expires", "Expires", "response-expires" },
};
#define CONTENT_HEADERS (sizeof(content_headers) / sizeof(content_headers[0]))

/* The value without the aws-chunked coding, which is the transfer's alone. */
static void
add_encoding(struct buffer *pairs, struct slice value)
{
	struct buffer rest = BUFFER_INIT;
	struct slice token;
	const char *comma;

	while (value.len > 0) {
		comma = memchr(value.at, ',', value.len);
		token.at = value.at;
		token.len =
		    comma == NULL ? value.len : (size_t)(comma - value.at);
		value.at += token.len + (comma != NULL);
		value.len -= token.len + (comma != NULL);
		while (token.len > 0 && token.at[0] == ' ') {
			token.at++;
			token.len--;
		}
		while (token.len > 0 && token.at[token.len - 1] == ' ')
			token.len--;
		if (token.len == 0 || slice_is_nocase(token, "aws-chunked"))
			continue;
		if (rest.len > 0)
			buffer_add_u8(&rest, ',');
		buffer_add_slice(&rest, token);
	}
	if (rest.len > 0)
		pairs_add(pairs, SLICE_LITERAL("content-encoding"),
		    buffer_slice(&rest));
	if (rest.failed)
		pairs->failed = 1;
	buffer_free(&rest);
}

/* A name that comes several times is one pair, its values joined by commas. */
static int
add_meta(const struct http_head *head, size_t first, struct buffer *pairs,
    size_t *total)
{
	struct buffer joined = BUFFER_INIT;
	struct slice name = head->headers[first].name;
	struct slice value = head->headers[first].value;
	size_t i, n = 0;

	for (i = 0; i < first; i++)
		if (slice_equal(head->headers[i].name, name))
			return 0;
	for (i = first; i < head->n_headers; i++) {
		if (!slice_equal(head->headers[i].name, name))
			continue;
		if (n++ > 0)
			buffer_add_u8(&joined, ',');
		buffer_add_slice(&joined, head->headers[i].value);
	}
	if (n > 1)
		value = buffer_slice(&joined);
	*total += name.len - strlen(META_PREFIX) + value.len;
	pairs_add(pairs, name, value);
	if (joined.failed)
		pairs->failed = 1;
	buffer_free(&joined);
	return *total > METADATA_MAX_BYTES ? -1 : 0;
}

int
metadata_of_request(
    const struct http_head *head, struct buffer *pairs, struct s3_error *s3err)
{
	struct slice value;
	size_t i, total = 0;

	for (i = 0; i < CONTENT_HEADERS; i++) {
		value = http_header_get(head, content_headers[i].name);
		if (value.len == 0)
			continue;
		if (strcmp(content_headers[i].name, "content-encoding") == 0)
			add_encoding(pairs, value);
		else
			pairs_add(
			    pairs, slice_text(content_headers[i].name), value);
	}
	for (i = 0; i < head->n_headers; i++) {
		if (!slice_starts(head->headers[i].name, META_PREFIX))
			continue;
		if (add_meta(head, i, pairs, &total) != 0)
			return s3_error_set(s3err, S3_METADATA_TOO_LARGE, NULL);
	}
	if (pairs->failed)
		return s3_error_set(s3err, S3_SLOW_DOWN,
		    "The server has no memory for this request: come again.");
	return 0;
}

int
metadata_refuse_acl(const struct http_head *head, struct s3_error *s3err)
{
	static const char *const same[] = { "private", "bucket-owner-read",
		"bucket-owner-full-control" };
	struct slice acl = http_header_get(head, "x-amz-acl");
	size_t i;

	for (i = 0; i < head->n_headers; i++)
		if (slice_starts(head->headers[i].name, "x-amz-grant-"))
			return s3_error_set(s3err, S3_NOT_IMPLEMENTED,
			    "ACLs are not implemented by this server: leave "
			    "the x-amz-grant- headers out and use access keys "
			    "with rights per bucket.");
	if (acl.len == 0)
		return 0;
	/* All buckets and objects have one owner, so these mean the same. */
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (slice_is(acl, same[i]))
			return 0;
	return s3_error_set(s3err, S3_NOT_IMPLEMENTED,
	    "The ACL \"%.*s\" is not implemented by this server: everything "
	    "is private; use access keys with rights per bucket.",
	    (int)(acl.len > 64 ? 64 : acl.len), acl.at);
}

static int
refuse_storage_class(const struct http_head *head, struct s3_error *s3err)
{
	struct slice class = http_header_get(head, "x-amz-storage-class");

	if (class.len == 0 || slice_is(class, "STANDARD") ||
	    slice_is(class, "REDUCED_REDUNDANCY"))
		return 0;
	return s3_error_set(s3err, S3_INVALID_STORAGE_CLASS,
	    "The storage class \"%.*s\" is not one that this server has: it "
	    "keeps everything as STANDARD.",
	    (int)(class.len > 64 ? 64 : class.len), class.at);
}

int
metadata_refuse(const struct http_head *head, struct s3_error *s3err)
{
	struct slice name;
	size_t i;

	for (i = 0; i < head->n_headers; i++) {
		name = head->headers[i].name;
		if (!slice_starts(name, "x-amz-") ||
		    head->headers[i].value.len == 0)
			continue;
		if (slice_starts(name, "x-amz-server-side-encryption") ||
		    slice_starts(
			name, "x-amz-copy-source-server-side-encryption"))
			return s3_error_set(s3err, S3_NOT_IMPLEMENTED,
			    "Server-side encryption is not implemented by "
			    "this server, and it does not pretend: leave %.*s "
			    "out.",
			    (int)name.len, name.at);
		if (slice_starts(name, "x-amz-object-lock-"))
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "Bucket is missing Object Lock Configuration");
		if (slice_is(name, "x-amz-website-redirect-location"))
			return s3_error_set(s3err, S3_NOT_IMPLEMENTED,
			    "Website redirects are not implemented by this "
			    "server.");
		if (slice_is(name, "x-amz-write-offset-bytes"))
			return s3_error_set(s3err, S3_NOT_IMPLEMENTED,
			    "Appending to objects is not implemented by this "
			    "server.");
	}
	if (refuse_storage_class(head, s3err) != 0)
		return -1;
	return metadata_refuse_acl(head, s3err);
}

void
metadata_to_headers(
    struct buffer *headers, struct slice pairs, const struct target *target)
{
	struct slice rest = pairs, name, value;
	size_t i;

	for (i = 0; i < CONTENT_HEADERS; i++) {
		value = SLICE_NULL;
		if (target->n_params > 0)
			value = target_get(target, content_headers[i].response);
		if (value.len == 0)
			value = pairs_get(pairs, content_headers[i].name);
		if (value.len == 0 && i == 0)
			value = SLICE_LITERAL(CONTENT_TYPE_DEFAULT);
		if (value.len > 0)
			http_out_header(
			    headers, content_headers[i].header, value);
	}
	while (pairs_next(&rest, &name, &value) == 1) {
		char text[512];

		if (!slice_starts(name, META_PREFIX) ||
		    name.len >= sizeof(text))
			continue;
		memcpy(text, name.at, name.len);
		text[name.len] = '\0';
		http_out_header(headers, text, value);
	}
}
