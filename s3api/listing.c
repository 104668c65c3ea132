#include <stdlib.h>

#include "base/encode.h"
#include "s3api/listing.h"
#include "s3api/xml.h"

int
listing_init(
    struct listing *listing, struct s3_request *req, const char *number)
{
	struct s3_error s3err = S3_ERROR_INIT;
	struct slice encoding;

	req->state = listing;
	listing->req = req;
	listing->query.bucket = req->bucket;
	listing->query.prefix = target_get(&req->target, "prefix");
	listing->query.delimiter = target_get(&req->target, "delimiter");
	if (target_number(&req->target, number, LISTING_MAX, LISTING_MAX,
		&listing->max, &s3err) != 0)
		goto fail;
	encoding = target_get(&req->target, "encoding-type");
	if (encoding.len > 0 && !slice_is(encoding, "url")) {
		s3_error_set(&s3err, S3_INVALID_ARGUMENT,
		    "Invalid Encoding Method specified in Request");
		goto fail;
	}
	listing->url = encoding.len > 0;
	return 0;

fail:
	s3_fail(req, &s3err);
	return -1;
}

static void
free_buffers(struct listing *listing)
{
	buffer_free(&listing->entries);
	buffer_free(&listing->prefixes);
	buffer_free(&listing->last);
}

static void
walked(struct s3_request *req)
{
	struct listing *listing = req->state;
	s3_step *respond = listing->respond;

	if (listing->failed) {
		free_buffers(listing);
		s3_fail_store(req, &listing->err);
		return;
	}
	if (listing->entries.failed || listing->prefixes.failed ||
	    listing->last.failed) {
		free_buffers(listing);
		s3_fail_nomem(req);
		return;
	}
	respond(req);
}

void
listing_run(struct listing *listing, s3_step *walk, s3_step *respond)
{
	listing->respond = respond;
	s3_work(listing->req, walk, walked);
}

void
listing_end(struct listing *listing)
{
	free_buffers(listing);
	s3_respond_xml(listing->req);
}

int
listing_full(struct listing *listing, const struct list_entry *entry)
{
	if (listing->n == listing->max) {
		listing->truncated = listing->max > 0;
		return 1;
	}
	listing->n++;
	buffer_clear(&listing->last);
	buffer_add_slice(&listing->last, entry->key);
	listing->last_number = 0;
	return 0;
}

void
listing_name(const struct listing *listing, struct buffer *out,
    const char *name, struct slice text)
{
	char encoded[3 * KEY_MAX_BYTES + 1];
	struct slice shown = text;

	if (listing->url && text.len <= KEY_MAX_BYTES) {
		shown.at = encoded;
		shown.len = uri_encode(text.at, text.len, 1, encoded);
	}
	xml_text(out, name, shown);
}

void
listing_prefix(struct listing *listing, struct slice prefix)
{
	xml_open(&listing->prefixes, "CommonPrefixes");
	listing_name(listing, &listing->prefixes, "Prefix", prefix);
	xml_close(&listing->prefixes, "CommonPrefixes");
}
