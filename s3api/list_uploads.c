#include "s3api/checksums.h"
#include "s3api/ids.h"
#include "s3api/listing.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* ListMultipartUploads. */

struct uploads_listing {
	struct listing listing; /* first: it is the request's state */
	uint64_t last_nonce;
};

static int
visit(const struct list_entry *entry, void *arg)
{
	struct uploads_listing *self = arg;
	struct listing *listing = &self->listing;
	struct buffer *out = &listing->entries;
	const struct upload_record *upload = entry->upload_record;
	char id[UPLOAD_TEXT_BYTES];

	if (listing_full(listing, entry))
		return 1;
	if (entry->common_prefix) {
		listing_prefix(listing, entry->key);
		return 0;
	}
	listing->last_number = entry->upload;
	self->last_nonce = upload->nonce;
	upload_text(entry->upload, upload->nonce, id);
	xml_open(out, "Upload");
	listing_name(listing, out, "Key", entry->key);
	xml_string(out, "UploadId", id);
	xml_open(out, "Initiator");
	xml_text(out, "ID", upload->initiator);
	xml_text(out, "DisplayName", upload->initiator);
	xml_close(out, "Initiator");
	s3_owner_xml(listing->req, out, "Owner");
	xml_string(out, "StorageClass", "STANDARD");
	xml_time(out, "Initiated", upload->started_ms);
	if (upload->checksum_kind != CHECKSUM_NONE) {
		xml_string(out, "ChecksumAlgorithm",
		    checksum_name((enum checksum_kind)upload->checksum_kind));
		xml_string(out, "ChecksumType",
		    upload->checksum_composite ? "COMPOSITE" : "FULL_OBJECT");
	}
	xml_close(out, "Upload");
	return 0;
}

static void
walk(struct s3_request *req)
{
	struct uploads_listing *self = req->state;

	self->listing.failed = store_list_uploads(
	    req->store, &self->listing.query, visit, self, &self->listing.err);
}

static void
respond(struct s3_request *req)
{
	struct uploads_listing *self = req->state;
	struct listing *listing = &self->listing;
	struct buffer *out = &req->out;
	char id[UPLOAD_TEXT_BYTES];

	xml_begin(out, "ListMultipartUploadsResult");
	xml_text(out, "Bucket", listing->query.bucket);
	listing_name(listing, out, "KeyMarker", listing->query.after);
	xml_text(out, "UploadIdMarker",
	    target_get(&req->target, "upload-id-marker"));
	if (listing->truncated) {
		listing_name(listing, out, "NextKeyMarker",
		    buffer_slice(&listing->last));
		if (listing->last_number != 0) {
			upload_text(listing->last_number, self->last_nonce, id);
			xml_string(out, "NextUploadIdMarker", id);
		}
	}
	listing_name(listing, out, "Prefix", listing->query.prefix);
	if (listing->query.delimiter.len > 0)
		listing_name(
		    listing, out, "Delimiter", listing->query.delimiter);
	xml_u64(out, "MaxUploads", listing->max);
	if (listing->url)
		xml_string(out, "EncodingType", "url");
	xml_bool(out, "IsTruncated", listing->truncated);
	buffer_add_slice(out, buffer_slice(&listing->entries));
	buffer_add_slice(out, buffer_slice(&listing->prefixes));
	xml_close(out, "ListMultipartUploadsResult");
	listing_end(listing);
}

void
run_list_uploads(struct s3_request *req)
{
	struct uploads_listing *self;
	struct slice marker = target_get(&req->target, "upload-id-marker");
	uint64_t nonce;

	if ((self = s3_memory(req, sizeof(*self))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	if (listing_init(&self->listing, req, "max-uploads") != 0)
		return;
	self->listing.query.after = target_get(&req->target, "key-marker");
	/* AWS ignores an upload-id marker without a key marker. */
	if (marker.len > 0 && self->listing.query.after.len > 0 &&
	    upload_parse(marker, &self->listing.query.after_upload, &nonce) !=
		0) {
		s3_fail_code(
		    req, S3_INVALID_ARGUMENT, "Invalid uploadId marker");
		return;
	}
	listing_run(&self->listing, walk, respond);
}
