#include "base/encode.h"
#include "s3api/checksums.h"
#include "s3api/ids.h"
#include "s3api/multipart.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* ListParts. */

#define PARTS_PAGE_MAX 1000

struct parts_page {
	struct buffer parts; /* XML */
	uint64_t max, n;
	uint16_t last;
	int truncated;
};

static int
visit(uint16_t number, const struct part_record *part, void *arg)
{
	struct parts_page *page = arg;
	struct buffer *out = &page->parts;
	char etag[2 * sizeof(part->md5) + 3];

	if (page->n == page->max) {
		page->truncated = page->max > 0;
		return 1;
	}
	page->n++;
	page->last = number;
	etag[0] = '"';
	hex_encode(part->md5, sizeof(part->md5), etag + 1);
	etag[sizeof(etag) - 2] = '"';
	etag[sizeof(etag) - 1] = '\0';
	xml_open(out, "Part");
	xml_u64(out, "PartNumber", number);
	xml_time(out, "LastModified", part->mtime_ms);
	xml_string(out, "ETag", etag);
	xml_u64(out, "Size", part->size);
	checksum_to_xml(out, &part->checksum, 0, 0);
	xml_close(out, "Part");
	return 0;
}

static void
write_page(struct s3_request *req, const struct multipart *multipart,
    const struct parts_page *page, uint64_t after)
{
	const struct upload_record *upload = &multipart->record;
	struct buffer *out = &req->out;

	xml_begin(out, "ListPartsResult");
	xml_text(out, "Bucket", req->bucket);
	xml_text(out, "Key", req->key);
	xml_text(out, "UploadId", target_get(&req->target, "uploadId"));
	xml_open(out, "Initiator");
	xml_text(out, "ID", upload->initiator);
	xml_text(out, "DisplayName", upload->initiator);
	xml_close(out, "Initiator");
	s3_owner_xml(req, out, "Owner");
	xml_string(out, "StorageClass", "STANDARD");
	xml_u64(out, "PartNumberMarker", after);
	xml_u64(out, "NextPartNumberMarker", page->last);
	xml_u64(out, "MaxParts", page->max);
	xml_bool(out, "IsTruncated", page->truncated);
	if (upload->checksum_kind != CHECKSUM_NONE) {
		xml_string(out, "ChecksumAlgorithm",
		    checksum_name((enum checksum_kind)upload->checksum_kind));
		xml_string(out, "ChecksumType",
		    upload->checksum_composite ? "COMPOSITE" : "FULL_OBJECT");
	}
	buffer_add_slice(out, buffer_slice(&page->parts));
	xml_close(out, "ListPartsResult");
}

void
run_list_parts(struct s3_request *req)
{
	struct parts_page page = { .parts = BUFFER_INIT };
	struct multipart multipart;
	struct s3_error s3err = S3_ERROR_INIT;
	struct error err = ERROR_INIT;
	uint64_t after;

	if (target_number(&req->target, "max-parts", PARTS_PAGE_MAX,
		PARTS_PAGE_MAX, &page.max, &s3err) != 0 ||
	    target_number(&req->target, "part-number-marker", 0, UINT16_MAX,
		&after, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (multipart_or_fail(req, &multipart) != 0)
		return;
	if (store_parts(req->store, req->bucket, req->key, multipart.upload,
		(uint16_t)after, visit, &page, &err) != 0) {
		buffer_free(&page.parts);
		s3_fail_store(req, &err);
		return;
	}
	write_page(req, &multipart, &page, after);
	if (page.parts.failed)
		req->out.failed = 1;
	buffer_free(&page.parts);
	s3_respond_xml(req);
}
