#include "s3api/ids.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/* ListBuckets: those that the access key may see. */

#define BUCKETS_MAX 10000

struct buckets_page {
	struct s3_request *req;
	struct slice prefix;
	uint64_t max, n;
	int truncated;
	struct buffer last;
};

static int
visit(struct slice name, const struct bucket_record *bucket, void *arg)
{
	struct buckets_page *page = arg;
	struct buffer *out = &page->req->out;

	if (!access_sees_bucket(page->req->who, name))
		return 0;
	if (name.len < page->prefix.len ||
	    slice_compare(
		(struct slice){ name.at, page->prefix.len }, page->prefix) != 0)
		return 0;
	if (page->n == page->max) {
		page->truncated = 1;
		return 1;
	}
	page->n++;
	buffer_clear(&page->last);
	buffer_add_slice(&page->last, name);
	xml_open(out, "Bucket");
	xml_text(out, "Name", name);
	xml_time(out, "CreationDate", bucket->created_ms);
	if (s3_region(page->req->s3) != NULL)
		xml_string(out, "BucketRegion", s3_region(page->req->s3));
	xml_close(out, "Bucket");
	return 0;
}

void
run_list_buckets(struct s3_request *req)
{
	struct buckets_page page = { .req = req };
	struct slice after = SLICE_NULL, token;
	struct s3_error s3err = S3_ERROR_INIT;
	struct error err = ERROR_INIT;

	if (target_number(&req->target, "max-buckets", BUCKETS_MAX, BUCKETS_MAX,
		&page.max, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (page.max == 0) {
		s3_fail_code(req, S3_INVALID_ARGUMENT,
		    "max-buckets is a number from 1 to 10000.");
		return;
	}
	page.prefix = target_get(&req->target, "prefix");
	token = target_get(&req->target, "continuation-token");
	if (token.len > 0) {
		if (token_parse(token, &req->memory) != 0) {
			s3_fail_code(req, S3_INVALID_ARGUMENT,
			    "The continuation token provided is incorrect");
			return;
		}
		after = buffer_slice(&req->memory);
	}

	xml_begin(&req->out, "ListAllMyBucketsResult");
	s3_owner_xml(req, &req->out, "Owner");
	xml_open(&req->out, "Buckets");
	if (store_buckets(req->store, after, visit, &page, &err) != 0) {
		buffer_free(&page.last);
		s3_fail_store(req, &err);
		return;
	}
	xml_close(&req->out, "Buckets");
	if (page.truncated) {
		xml_open(&req->out, "ContinuationToken");
		token_add(&req->out, buffer_slice(&page.last));
		xml_close(&req->out, "ContinuationToken");
	}
	if (page.prefix.len > 0)
		xml_text(&req->out, "Prefix", page.prefix);
	xml_close(&req->out, "ListAllMyBucketsResult");
	buffer_free(&page.last);
	s3_respond_xml(req);
}
