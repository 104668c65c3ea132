#include "s3api/checksums.h"
#include "s3api/ids.h"
#include "s3api/listing.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* ListObjects, versions 1 and 2: the same page with another frame. */

struct objects_listing {
	struct listing listing; /* first: it is the request's state */
	int owners;
};

static int
visit(const struct list_entry *entry, void *arg)
{
	struct objects_listing *self = arg;
	struct listing *listing = &self->listing;
	struct buffer *out = &listing->entries;
	const struct object_record *object = entry->object;
	char etag[ETAG_QUOTED_BYTES];

	if (listing_full(listing, entry))
		return 1;
	if (entry->common_prefix) {
		listing_prefix(listing, entry->key);
		return 0;
	}
	etag_quoted(object, etag);
	xml_open(out, "Contents");
	listing_name(listing, out, "Key", entry->key);
	xml_time(out, "LastModified", object->mtime_ms);
	xml_string(out, "ETag", etag);
	if (object->checksum.kind != CHECKSUM_NONE) {
		xml_string(out, "ChecksumAlgorithm",
		    checksum_name((enum checksum_kind)object->checksum.kind));
		xml_string(
		    out, "ChecksumType", checksum_type(&object->checksum));
	}
	xml_u64(out, "Size", object->size);
	if (self->owners)
		s3_owner_xml(listing->req, out, "Owner");
	xml_string(out, "StorageClass", "STANDARD");
	xml_close(out, "Contents");
	return 0;
}

static void
walk(struct s3_request *req)
{
	struct objects_listing *self = req->state;

	self->listing.failed = store_list_objects(
	    req->store, &self->listing.query, visit, self, &self->listing.err);
}

static void
common(struct objects_listing *self, struct buffer *out)
{
	struct listing *listing = &self->listing;

	xml_text(out, "Name", listing->query.bucket);
	listing_name(listing, out, "Prefix", listing->query.prefix);
	if (listing->query.delimiter.len > 0)
		listing_name(
		    listing, out, "Delimiter", listing->query.delimiter);
	xml_u64(out, "MaxKeys", listing->max);
	if (listing->url)
		xml_string(out, "EncodingType", "url");
	xml_bool(out, "IsTruncated", listing->truncated);
}

static void
end(struct objects_listing *self, struct buffer *out)
{
	buffer_add_slice(out, buffer_slice(&self->listing.entries));
	buffer_add_slice(out, buffer_slice(&self->listing.prefixes));
	xml_close(out, "ListBucketResult");
	listing_end(&self->listing);
}

static struct objects_listing *
begin(struct s3_request *req)
{
	struct objects_listing *self;

	/* The listing is the first member: room for all of it. */
	if ((self = s3_memory(req, sizeof(*self))) == NULL) {
		s3_fail_nomem(req);
		return NULL;
	}
	return listing_init(&self->listing, req, "max-keys") == 0 ? self : NULL;
}

static void
respond_v1(struct s3_request *req)
{
	struct objects_listing *self = req->state;
	struct listing *listing = &self->listing;
	struct buffer *out = &req->out;

	xml_begin(out, "ListBucketResult");
	listing_name(listing, out, "Marker", listing->query.after);
	/* Without a delimiter the last key is the marker, as on AWS. */
	if (listing->truncated && listing->query.delimiter.len > 0)
		listing_name(
		    listing, out, "NextMarker", buffer_slice(&listing->last));
	common(self, out);
	end(self, out);
}

void
run_list_objects(struct s3_request *req)
{
	struct objects_listing *self;

	if ((self = begin(req)) == NULL)
		return;
	self->owners = 1;
	self->listing.query.after = target_get(&req->target, "marker");
	listing_run(&self->listing, walk, respond_v1);
}

static void
respond_v2(struct s3_request *req)
{
	struct objects_listing *self = req->state;
	struct listing *listing = &self->listing;
	struct buffer *out = &req->out;
	struct slice token, start_after;

	token = target_get(&req->target, "continuation-token");
	start_after = target_get(&req->target, "start-after");
	xml_begin(out, "ListBucketResult");
	common(self, out);
	xml_u64(out, "KeyCount", listing->n);
	if (token.len > 0)
		xml_text(out, "ContinuationToken", token);
	if (listing->truncated) {
		xml_open(out, "NextContinuationToken");
		token_add(out, buffer_slice(&listing->last));
		xml_close(out, "NextContinuationToken");
	}
	if (start_after.len > 0)
		listing_name(listing, out, "StartAfter", start_after);
	end(self, out);
}

void
run_list_objects_v2(struct s3_request *req)
{
	struct objects_listing *self;
	struct slice token;

	if (!slice_is(target_get(&req->target, "list-type"), "2")) {
		s3_fail_code(
		    req, S3_INVALID_ARGUMENT, "list-type is 2, or left out.");
		return;
	}
	if ((self = begin(req)) == NULL)
		return;
	self->owners =
	    slice_is_nocase(target_get(&req->target, "fetch-owner"), "true");
	self->listing.query.after = target_get(&req->target, "start-after");
	token = target_get(&req->target, "continuation-token");
	if (token.len > 0) {
		if (token_parse(token, &req->memory) != 0) {
			s3_fail_code(req, S3_INVALID_ARGUMENT,
			    "The continuation token provided is incorrect");
			return;
		}
		self->listing.query.after = buffer_slice(&req->memory);
	}
	listing_run(&self->listing, walk, respond_v2);
}
