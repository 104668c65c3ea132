#include <string.h>

#include "s3api/metadata.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/*
 * ACLs: everything belongs to one owner who has FULL_CONTROL, and that is what
 * a client is told. Setting exactly that is accepted, anything else refused.
 */

#define BODY_MAX_BYTES 65536

static int
subject_or_fail(struct s3_request *req)
{
	struct bucket_record bucket;
	struct object_record object;
	struct error err = ERROR_INIT;

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return -1;
	if (req->key.len == 0 ||
	    store_object(req->store, req->bucket, req->key, 0, &object,
		&req->memory, NULL, NULL, &err) == 0)
		return 0;
	s3_fail_store(req, &err);
	return -1;
}

void
run_get_acl(struct s3_request *req)
{
	struct buffer *out = &req->out;

	if (subject_or_fail(req) != 0)
		return;
	xml_begin(out, "AccessControlPolicy");
	s3_owner_xml(req, out, "Owner");
	xml_open(out, "AccessControlList");
	xml_open(out, "Grant");
	buffer_add_text(out,
	    "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
	    "xsi:type=\"CanonicalUser\">");
	xml_string(out, "ID", s3_owner_id(req->s3));
	xml_string(out, "DisplayName", "holdfast");
	buffer_add_text(out, "</Grantee>");
	xml_string(out, "Permission", "FULL_CONTROL");
	xml_close(out, "Grant");
	xml_close(out, "AccessControlList");
	xml_close(out, "AccessControlPolicy");
	s3_respond_xml(req);
}

struct acl_reader {
	const char *owner_id;
	int others;
};

static int
acl_leaf(
    void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct acl_reader *reader = context;
	const char *grant = "AccessControlPolicy/AccessControlList/Grant/";

	(void)s3err;
	if (strncmp(path, grant, strlen(grant)) != 0)
		return 0;
	path += strlen(grant);
	if (strcmp(path, "Grantee/ID") == 0)
		reader->others |= !slice_is(text, reader->owner_id);
	else if (strcmp(path, "Permission") == 0)
		reader->others |= !slice_is(text, "FULL_CONTROL");
	else if (strcmp(path, "Grantee/DisplayName") != 0)
		reader->others = 1; /* a group, or an address */
	return 0;
}

static void
set_acl(struct s3_request *req)
{
	struct acl_reader reader = { s3_owner_id(req->s3), 0 };
	struct xml_handler handler = { acl_leaf, NULL, &reader };
	struct s3_error s3err = S3_ERROR_INIT;

	if (req->out.len > 0 &&
	    xml_parse(req->out.at, req->out.len, &handler, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (reader.others) {
		s3_fail_code(req, S3_NOT_IMPLEMENTED,
		    "ACLs are not implemented by this server: everything is "
		    "private to one owner; use access keys with rights per "
		    "bucket.");
		return;
	}
	if (subject_or_fail(req) == 0)
		s3_respond_empty(req, 200);
}

void
run_put_acl(struct s3_request *req)
{
	struct s3_error s3err = S3_ERROR_INIT;

	if (metadata_refuse_acl(req->head, &s3err) != 0)
		s3_fail(req, &s3err);
	else
		s3_read_body(req, BODY_MAX_BYTES, 1, set_acl);
}
