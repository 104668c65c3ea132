#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "s3api/operation.h"

static struct target target;
static struct http_head head;

static const char *
find(enum s3_method method, enum s3_resource on, const char *params)
{
	const struct s3_operation *row;
	struct s3_error s3err = S3_ERROR_INIT;
	struct slice rest = slice_text(params), one;
	const char *comma;

	target.n_params = 0;
	while (rest.len > 0) {
		comma = memchr(rest.at, ',', rest.len);
		one = rest;
		if (comma != NULL)
			one.len = (size_t)(comma - rest.at);
		rest.at += one.len + (comma != NULL);
		rest.len -= one.len + (comma != NULL);
		target.params[target.n_params++] =
		    (struct target_param){ one, SLICE_NULL };
	}
	row = s3_operation_find(method, on, &target, &head, &s3err);
	return row != NULL ? row->name : s3_code_name(s3err.code);
}

static void
plain_requests_find_their_operation(void **state)
{
	(void)state;
	assert_string_equal(find(M_GET, ON_SERVICE, ""), "ListBuckets");
	assert_string_equal(find(M_GET, ON_BUCKET, ""), "ListObjects");
	assert_string_equal(
	    find(M_GET, ON_BUCKET, "list-type"), "ListObjectsV2");
	assert_string_equal(find(M_PUT, ON_BUCKET, ""), "CreateBucket");
	assert_string_equal(find(M_PUT, ON_OBJECT, ""), "PutObject");
	assert_string_equal(find(M_HEAD, ON_OBJECT, ""), "HeadObject");
	assert_string_equal(
	    find(M_GET, ON_OBJECT, "x-id,versionId"), "GetObject");
	assert_string_equal(find(M_GET, ON_OBJECT, "partNumber"), "GetObject");
}

static void
a_subresource_finds_its_own(void **state)
{
	(void)state;
	assert_string_equal(
	    find(M_PUT, ON_OBJECT, "partNumber,uploadId"), "UploadPart");
	assert_string_equal(find(M_GET, ON_OBJECT, "uploadId"), "ListParts");
	assert_string_equal(
	    find(M_POST, ON_OBJECT, "uploads"), "CreateMultipartUpload");
	assert_string_equal(find(M_POST, ON_BUCKET, "delete"), "DeleteObjects");
	assert_string_equal(
	    find(M_GET, ON_BUCKET, "versions,prefix"), "ListObjectVersions");
	assert_string_equal(find(M_PUT, ON_OBJECT, "acl"), "PutObjectAcl");
}

static void
a_header_makes_a_copy(void **state)
{
	(void)state;
	head.headers[0] =
	    (struct http_header){ SLICE_LITERAL("x-amz-copy-source"),
		    SLICE_LITERAL("/b/k") };
	head.n_headers = 1;
	assert_string_equal(find(M_PUT, ON_OBJECT, ""), "CopyObject");
	assert_string_equal(
	    find(M_PUT, ON_OBJECT, "uploadId,partNumber"), "UploadPartCopy");
	head.n_headers = 0;
}

static void
a_subresource_never_falls_back_to_the_plain_operation(void **state)
{
	(void)state;
	assert_string_equal(
	    find(M_DELETE, ON_BUCKET, "acl"), "MethodNotAllowed");
	assert_string_equal(
	    find(M_DELETE, ON_OBJECT, "attributes"), "MethodNotAllowed");
	assert_string_equal(
	    find(M_PUT, ON_BUCKET, "versions"), "MethodNotAllowed");
	assert_string_equal(
	    find(M_PUT, ON_OBJECT, "restore"), "MethodNotAllowed");
	assert_string_equal(find(M_OTHER, ON_OBJECT, ""), "MethodNotAllowed");
	assert_string_equal(find(M_PUT, ON_SERVICE, ""), "MethodNotAllowed");
}

static void
an_unknown_subresource_changes_nothing(void **state)
{
	(void)state;
	assert_string_equal(
	    find(M_DELETE, ON_BUCKET, "metadataTable"), "NotImplemented");
	assert_string_equal(find(M_PUT, ON_OBJECT, "later"), "NotImplemented");
	assert_string_equal(
	    find(M_DELETE, ON_OBJECT, "versionId"), "DeleteObject");
	assert_string_equal(find(M_GET, ON_BUCKET, "later"), "ListObjects");
}

static void
each_row_has_name_and_function(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < s3_operations_count; i++) {
		assert_non_null(s3_operations[i].name);
		assert_true(s3_operations[i].run != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_requests_find_their_operation),
		cmocka_unit_test(a_subresource_finds_its_own),
		cmocka_unit_test(a_header_makes_a_copy),
		cmocka_unit_test(
		    a_subresource_never_falls_back_to_the_plain_operation),
		cmocka_unit_test(an_unknown_subresource_changes_nothing),
		cmocka_unit_test(each_row_has_name_and_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
