#include "s3api/checksums.h"
#include "s3api/ids.h"
#include "s3api/listing.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* ListObjectVersions: versions and delete markers, newest of a key first. */

static int
visit(const struct list_entry *entry, void *arg)
{
	struct listing *listing = arg;
	struct buffer *out = &listing->entries;
	const struct object_record *object = entry->object;
	const char *element;
	char etag[ETAG_QUOTED_BYTES], version[VERSION_TEXT_BYTES];

	if (listing_full(listing, entry))
		return 1;
	if (entry->common_prefix) {
		listing_prefix(listing, entry->key);
		return 0;
	}
	listing->last_number = object->version;
	listing->last_null = object->null_version;
	version_text(object, version);
	element = object->delete_marker ? "DeleteMarker" : "Version";
	xml_open(out, element);
	listing_name(listing, out, "Key", entry->key);
	xml_string(out, "VersionId", version);
	xml_bool(out, "IsLatest", entry->is_latest);
	xml_time(out, "LastModified", object->mtime_ms);
	if (!object->delete_marker) {
		etag_quoted(object, etag);
		xml_string(out, "ETag", etag);
		if (object->checksum.kind != CHECKSUM_NONE) {
			xml_string(out, "ChecksumAlgorithm",
			    checksum_name(
				(enum checksum_kind)object->checksum.kind));
			xml_string(out, "ChecksumType",
			    checksum_type(&object->checksum));
		}
		xml_u64(out, "Size", object->size);
		xml_string(out, "StorageClass", "STANDARD");
	}
	s3_owner_xml(listing->req, out, "Owner");
	xml_close(out, element);
	return 0;
}

static void
walk(struct s3_request *req)
{
	struct listing *listing = req->state;

	listing->failed = store_list_versions(
	    req->store, &listing->query, visit, listing, &listing->err);
}

static void
respond(struct s3_request *req)
{
	struct listing *listing = req->state;
	struct buffer *out = &req->out;
	struct slice marker = target_get(&req->target, "version-id-marker");
	char version[VERSION_TEXT_BYTES];

	xml_begin(out, "ListVersionsResult");
	xml_text(out, "Name", listing->query.bucket);
	listing_name(listing, out, "Prefix", listing->query.prefix);
	listing_name(listing, out, "KeyMarker", listing->query.after);
	xml_text(out, "VersionIdMarker", marker);
	if (listing->truncated) {
		listing_name(listing, out, "NextKeyMarker",
		    buffer_slice(&listing->last));
		if (listing->last_number != 0) {
			/* "null" alone does not say where to go on. */
			version_number_text(listing->last_number, 0, version);
			xml_string(out, "NextVersionIdMarker", version);
		}
	}
	xml_u64(out, "MaxKeys", listing->max);
	if (listing->query.delimiter.len > 0)
		listing_name(
		    listing, out, "Delimiter", listing->query.delimiter);
	if (listing->url)
		xml_string(out, "EncodingType", "url");
	xml_bool(out, "IsTruncated", listing->truncated);
	buffer_add_slice(out, buffer_slice(&listing->entries));
	buffer_add_slice(out, buffer_slice(&listing->prefixes));
	xml_close(out, "ListVersionsResult");
	listing_end(listing);
}

void
run_list_versions(struct s3_request *req)
{
	struct listing *listing;
	struct s3_error s3err = S3_ERROR_INIT;
	struct slice marker = target_get(&req->target, "version-id-marker");

	if ((listing = s3_memory(req, sizeof(*listing))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	if (listing_init(listing, req, "max-keys") != 0)
		return;
	listing->query.after = target_get(&req->target, "key-marker");
	if (marker.len > 0 && listing->query.after.len == 0) {
		s3_fail_code(req, S3_INVALID_ARGUMENT,
		    "A version-id marker cannot be specified without a key "
		    "marker.");
		return;
	}
	if (marker.len > 0 &&
	    version_parse(marker, &listing->query.after_version, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	listing_run(listing, walk, respond);
}
