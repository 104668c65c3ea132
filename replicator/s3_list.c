#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/s3_private.h"
#include "store/record.h"

/*
 * Listing, a page at a time, by the newer request and where a store does not
 * know it by the older one. The pages after the first are asked for by the last
 * key that was seen, which all stores take, besides by the store's token.
 */

#define MAX_KEYS "1000"

struct page {
	struct s3_session *s;
	remote_visit *visit;
	void *visit_arg;
	struct slice after; /* whole keys up to it were seen */
	/* Of the element that is being read. */
	struct buffer key, etag, storage_class;
	uint64_t size;
	int64_t mtime_ms;
	/* Of the page. */
	int encoded, truncated, is_v2, is_listing, keys;
	struct buffer token, last;
	int stop, out_of_order;
};

static void
set(struct buffer *to, struct slice text)
{
	buffer_clear(to);
	buffer_add_slice(to, text);
}

/* Keys come with encoding-type=url only if the answer says so. */
static int
decode_key(struct page *p)
{
	long len;

	if (!p->encoded)
		return 0;
	len = uri_decode(p->key.at, p->key.len, 1, p->key.at);
	if (len < 0)
		return -1;
	p->key.len = (size_t)len;
	return 0;
}

static int
give_entry(struct page *p)
{
	struct remote_entry e = { .size = p->size, .mtime_ms = p->mtime_ms };
	size_t path_len = strlen(p->s->shared->path);
	struct slice etag = buffer_slice(&p->etag);

	p->keys++;
	if (decode_key(p) != 0 || p->key.failed)
		return -1;
	/* A store that ignores where to begin sends what was seen again. */
	if (p->after.len > 0 &&
	    slice_compare(buffer_slice(&p->key), p->after) <= 0)
		return 0;
	if (p->last.len > 0 &&
	    slice_compare(buffer_slice(&p->key), buffer_slice(&p->last)) <= 0)
		p->out_of_order = 1;
	set(&p->last, buffer_slice(&p->key));
	if (p->stop || p->key.len <= path_len ||
	    memcmp(p->key.at, p->s->shared->path, path_len) != 0)
		return 0;

	e.key = (struct slice){ p->key.at + path_len, p->key.len - path_len };
	if (etag.len >= 2 && etag.at[0] == '"')
		etag = (struct slice){ etag.at + 1, etag.len - 2 };
	snprintf(e.etag, sizeof(e.etag), "%.*s",
	    (int)(etag.len < 71 ? etag.len : 71),
	    etag.at != NULL ? etag.at : "");
	e.has_md5 = atomic_load(&p->s->shared->can->md5_etags) == S3_YES &&
	    !s3_encrypts_by_kms(p->s->shared) && s3_etag_md5(etag, e.md5);
	e.archived = s3_storage_archived(buffer_slice(&p->storage_class));
	if (p->visit(&e, p->visit_arg) != 0)
		p->stop = 1;
	return 0;
}

static int
page_element(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	static const char root[] = "ListBucketResult";
	struct page *p = arg;
	int64_t ms;

	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return 0;
	path += sizeof(root) - 1;
	p->is_listing = 1;
	if (strcmp(path, "/Contents") == 0) {
		int rc = give_entry(p);

		buffer_clear(&p->key);
		buffer_clear(&p->etag);
		buffer_clear(&p->storage_class);
		p->size = 0;
		p->mtime_ms = 0;
		return rc;
	}
	if (text.at == NULL)
		return 0;
	if (strcmp(path, "/Contents/Key") == 0)
		set(&p->key, text);
	else if (strcmp(path, "/Contents/ETag") == 0)
		set(&p->etag, text);
	else if (strcmp(path, "/Contents/StorageClass") == 0)
		set(&p->storage_class, text);
	else if (strcmp(path, "/Contents/Size") == 0)
		return parse_u64(text.at, text.len, 0, UINT64_MAX, &p->size);
	else if (strcmp(path, "/Contents/LastModified") == 0) {
		if (clock_parse_iso8601(text.at, text.len, &ms) == 0)
			p->mtime_ms = ms;
	} else if (strcmp(path, "/IsTruncated") == 0)
		p->truncated = slice_is(text, "true");
	else if (strcmp(path, "/NextContinuationToken") == 0) {
		set(&p->token, text);
		p->is_v2 = 1;
	} else if (strcmp(path, "/KeyCount") == 0)
		p->is_v2 = 1;
	return 0;
}

static void
add_parameter(struct buffer *query, const char *name, struct slice value)
{
	char *encoded;

	if (value.len == 0)
		return;
	if ((encoded = malloc(3 * value.len + 1)) == NULL) {
		query->failed = 1;
		return;
	}
	uri_encode(value.at, value.len, 0, encoded);
	buffer_printf(
	    query, "%s%s=%s", query->len > 0 ? "&" : "", name, encoded);
	free(encoded);
}

/* Parameters in the order that the signature asks for. */
static void
write_query(struct page *p, struct slice prefix, int v2, struct buffer *query)
{
	buffer_clear(query);
	if (v2)
		add_parameter(
		    query, "continuation-token", buffer_slice(&p->token));
	if (atomic_load(&p->s->shared->can->encodes) != S3_NO)
		add_parameter(query, "encoding-type", slice_text("url"));
	if (v2)
		add_parameter(query, "list-type", slice_text("2"));
	else
		add_parameter(query, "marker", p->after);
	add_parameter(query, "max-keys", slice_text(MAX_KEYS));
	add_parameter(query, "prefix", prefix);
	if (v2 && p->token.len == 0)
		add_parameter(query, "start-after", p->after);
	buffer_add_u8(query, '\0');
}

/* What a store does not know may be left out: 1 when there is something. */
static int
learn_refused(struct s3_session *s, const struct fault *f)
{
	struct s3_shared *shared = s->shared;

	if (f->status != 400 && f->status != 501)
		return 0;
	if (atomic_load(&shared->can->encodes) == S3_UNKNOWN) {
		atomic_store(&shared->can->encodes, S3_NO);
		return 1;
	}
	if (atomic_load(&shared->can->lists_v2) == S3_UNKNOWN) {
		atomic_store(&shared->can->lists_v2, S3_NO);
		return 1;
	}
	return 0;
}

/* Some stores say behind the keys that they are encoded. In a key there is no
 * '<'. */
static int
says_encoded(struct slice body)
{
	static const char mark[] = "EncodingType>url</";

	return body.len > 0 &&
	    memmem(body.at, body.len, mark, sizeof(mark) - 1) != NULL;
}

/* Fetches and visits one page. */
static int
read_page(struct page *p, struct slice prefix, struct fault *fault)
{
	struct s3_session *s = p->s;
	struct s3_request req = { .op = S3_LIST, .method = "GET" };
	struct buffer query = BUFFER_INIT;
	int v2 = atomic_load(&s->shared->can->lists_v2) != S3_NO;
	int rc;

	write_query(p, prefix, v2, &query);
	if (query.failed || p->last.failed) {
		buffer_free(&query);
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	}
	req.query = query.at;
	rc = s3_send(s, &req, fault);
	buffer_free(&query);
	if (rc != 0)
		return -1;

	p->truncated = p->is_v2 = p->is_listing = p->keys = 0;
	p->encoded = says_encoded(buffer_slice(&s->call.answer));
	buffer_clear(&p->token);
	if (xml_read(buffer_slice(&s->call.answer), page_element, p) != 0 ||
	    !p->is_listing)
		return fault_set(
		    fault, FAULT_RETRY, "The store's listing cannot be read.");
	if (p->out_of_order)
		return fault_set(fault, FAULT_PERSON,
		    "The store lists keys out of order: it cannot be a "
		    "destination.");
	if (p->encoded)
		atomic_store(&s->shared->can->encodes, S3_YES);
	if (v2)
		atomic_store(&s->shared->can->lists_v2,
		    p->is_v2 || !p->truncated
			? atomic_load(&s->shared->can->lists_v2)
			: S3_NO);
	return 0;
}

int
s3_list(void *session, struct slice prefix, struct slice after,
    remote_visit *visit, void *arg, struct fault *fault)
{
	struct s3_session *s = session;
	struct page p = { .s = s, .visit = visit, .visit_arg = arg };
	struct buffer whole_prefix = BUFFER_INIT, seen = BUFFER_INIT;
	int rc;

	buffer_add_text(&whole_prefix, s->shared->path);
	buffer_add_slice(&whole_prefix, prefix);
	if (after.len > 0) {
		buffer_add_text(&seen, s->shared->path);
		buffer_add_slice(&seen, after);
	}
	do {
		p.after = buffer_slice(&seen);
		buffer_clear(&p.last);
		*fault = (struct fault)FAULT_INIT;
		rc = read_page(&p, buffer_slice(&whole_prefix), fault);
		if (rc != 0) {
			if (p.last.len == 0 && learn_refused(s, fault))
				p.truncated = 1;
			else
				break;
			rc = 0;
			continue;
		}
		if (p.truncated && p.last.len == 0 && p.token.len == 0) {
			rc = fault_set(fault, FAULT_RETRY,
			    "The store's listing does not go on.");
			break;
		}
		if (p.last.len > 0)
			set(&seen, buffer_slice(&p.last));
	} while (p.truncated && !p.stop);

	buffer_free(&whole_prefix);
	buffer_free(&seen);
	buffer_free(&p.key);
	buffer_free(&p.etag);
	buffer_free(&p.storage_class);
	buffer_free(&p.token);
	buffer_free(&p.last);
	return rc;
}
