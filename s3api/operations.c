#include <string.h>

#include "s3api/operation.h"
#include "s3api/runs.h"

/*
 * What the server can do, read from the top: the first row that fits is the
 * operation. A row without a subresource stands behind those that have one.
 */
const struct s3_operation s3_operations[] = {
	/* method, on, subresource, header, right, name, run */
	{ M_GET, ON_SERVICE, NULL, NULL, RIGHT_SELF, "ListBuckets",
	    run_list_buckets },

	{ M_GET, ON_BUCKET, "location", NULL, RIGHT_ANY, "GetBucketLocation",
	    run_get_location },
	{ M_GET, ON_BUCKET, "versioning", NULL, RIGHT_ANY,
	    "GetBucketVersioning", run_get_versioning },
	{ M_PUT, ON_BUCKET, "versioning", NULL, RIGHT_ADMIN,
	    "PutBucketVersioning", run_put_versioning },
	{ M_GET, ON_BUCKET, "tagging", NULL, RIGHT_ANY, "GetBucketTagging",
	    run_get_bucket_tagging },
	{ M_PUT, ON_BUCKET, "tagging", NULL, RIGHT_ADMIN, "PutBucketTagging",
	    run_put_bucket_tagging },
	{ M_DELETE, ON_BUCKET, "tagging", NULL, RIGHT_ADMIN,
	    "DeleteBucketTagging", run_delete_bucket_tagging },
	{ M_GET, ON_BUCKET, "versions", NULL, RIGHT_LIST, "ListObjectVersions",
	    run_list_versions },
	{ M_GET, ON_BUCKET, "uploads", NULL, RIGHT_LIST, "ListMultipartUploads",
	    run_list_uploads },
	{ M_POST, ON_BUCKET, "delete", NULL, RIGHT_SELF, "DeleteObjects",
	    run_delete_objects },

	/* What clients ask and nobody can have set: bucket_none.c. */
	{ M_GET, ON_BUCKET, "acl", NULL, RIGHT_ANY, "GetBucketAcl",
	    run_get_acl },
	{ M_PUT, ON_BUCKET, "acl", NULL, RIGHT_ADMIN, "PutBucketAcl",
	    run_put_acl },
	{ M_GET, ON_BUCKET, "policyStatus", NULL, RIGHT_ANY,
	    "GetBucketPolicyStatus", run_get_none },
	{ M_GET, ON_BUCKET, "policy", NULL, RIGHT_ANY, "GetBucketPolicy",
	    run_get_none },
	{ M_PUT, ON_BUCKET, "policy", NULL, RIGHT_ADMIN, "PutBucketPolicy",
	    run_set_none },
	{ M_DELETE, ON_BUCKET, "policy", NULL, RIGHT_ADMIN,
	    "DeleteBucketPolicy", run_delete_none },
	{ M_GET, ON_BUCKET, "object-lock", NULL, RIGHT_ANY,
	    "GetObjectLockConfiguration", run_get_none },
	{ M_PUT, ON_BUCKET, "object-lock", NULL, RIGHT_ADMIN,
	    "PutObjectLockConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "encryption", NULL, RIGHT_ANY,
	    "GetBucketEncryption", run_get_none },
	{ M_PUT, ON_BUCKET, "encryption", NULL, RIGHT_ADMIN,
	    "PutBucketEncryption", run_set_none },
	{ M_DELETE, ON_BUCKET, "encryption", NULL, RIGHT_ADMIN,
	    "DeleteBucketEncryption", run_delete_none },
	{ M_GET, ON_BUCKET, "cors", NULL, RIGHT_ANY, "GetBucketCors",
	    run_get_none },
	{ M_PUT, ON_BUCKET, "cors", NULL, RIGHT_ADMIN, "PutBucketCors",
	    run_set_none },
	{ M_DELETE, ON_BUCKET, "cors", NULL, RIGHT_ADMIN, "DeleteBucketCors",
	    run_delete_none },
	{ M_GET, ON_BUCKET, "lifecycle", NULL, RIGHT_ANY,
	    "GetBucketLifecycleConfiguration", run_get_none },
	{ M_PUT, ON_BUCKET, "lifecycle", NULL, RIGHT_ADMIN,
	    "PutBucketLifecycleConfiguration", run_set_none },
	{ M_DELETE, ON_BUCKET, "lifecycle", NULL, RIGHT_ADMIN,
	    "DeleteBucketLifecycle", run_delete_none },
	{ M_GET, ON_BUCKET, "publicAccessBlock", NULL, RIGHT_ANY,
	    "GetPublicAccessBlock", run_get_none },
	{ M_PUT, ON_BUCKET, "publicAccessBlock", NULL, RIGHT_ADMIN,
	    "PutPublicAccessBlock", run_set_none },
	{ M_DELETE, ON_BUCKET, "publicAccessBlock", NULL, RIGHT_ADMIN,
	    "DeletePublicAccessBlock", run_delete_none },
	{ M_GET, ON_BUCKET, "ownershipControls", NULL, RIGHT_ANY,
	    "GetBucketOwnershipControls", run_get_none },
	{ M_PUT, ON_BUCKET, "ownershipControls", NULL, RIGHT_ADMIN,
	    "PutBucketOwnershipControls", run_set_none },
	{ M_DELETE, ON_BUCKET, "ownershipControls", NULL, RIGHT_ADMIN,
	    "DeleteBucketOwnershipControls", run_delete_none },
	{ M_GET, ON_BUCKET, "website", NULL, RIGHT_ANY, "GetBucketWebsite",
	    run_get_none },
	{ M_PUT, ON_BUCKET, "website", NULL, RIGHT_ADMIN, "PutBucketWebsite",
	    run_set_none },
	{ M_DELETE, ON_BUCKET, "website", NULL, RIGHT_ADMIN,
	    "DeleteBucketWebsite", run_delete_none },
	{ M_GET, ON_BUCKET, "logging", NULL, RIGHT_ANY, "GetBucketLogging",
	    run_get_none },
	{ M_PUT, ON_BUCKET, "logging", NULL, RIGHT_ADMIN, "PutBucketLogging",
	    run_set_none },
	{ M_GET, ON_BUCKET, "notification", NULL, RIGHT_ANY,
	    "GetBucketNotificationConfiguration", run_get_none },
	{ M_PUT, ON_BUCKET, "notification", NULL, RIGHT_ADMIN,
	    "PutBucketNotificationConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "requestPayment", NULL, RIGHT_ANY,
	    "GetBucketRequestPayment", run_get_none },
	{ M_PUT, ON_BUCKET, "requestPayment", NULL, RIGHT_ADMIN,
	    "PutBucketRequestPayment", run_set_none },
	{ M_GET, ON_BUCKET, "accelerate", NULL, RIGHT_ANY,
	    "GetBucketAccelerateConfiguration", run_get_none },
	{ M_PUT, ON_BUCKET, "accelerate", NULL, RIGHT_ADMIN,
	    "PutBucketAccelerateConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "replication", NULL, RIGHT_ANY,
	    "GetBucketReplication", run_get_none },
	{ M_PUT, ON_BUCKET, "replication", NULL, RIGHT_ADMIN,
	    "PutBucketReplication", run_set_none },
	{ M_DELETE, ON_BUCKET, "replication", NULL, RIGHT_ADMIN,
	    "DeleteBucketReplication", run_delete_none },
	{ M_GET, ON_BUCKET, "inventory", NULL, RIGHT_ANY,
	    "ListBucketInventoryConfigurations", run_get_none },
	{ M_PUT, ON_BUCKET, "inventory", NULL, RIGHT_ADMIN,
	    "PutBucketInventoryConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "analytics", NULL, RIGHT_ANY,
	    "ListBucketAnalyticsConfigurations", run_get_none },
	{ M_PUT, ON_BUCKET, "analytics", NULL, RIGHT_ADMIN,
	    "PutBucketAnalyticsConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "metrics", NULL, RIGHT_ANY,
	    "ListBucketMetricsConfigurations", run_get_none },
	{ M_PUT, ON_BUCKET, "metrics", NULL, RIGHT_ADMIN,
	    "PutBucketMetricsConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "intelligent-tiering", NULL, RIGHT_ANY,
	    "ListBucketIntelligentTieringConfigurations", run_get_none },
	{ M_PUT, ON_BUCKET, "intelligent-tiering", NULL, RIGHT_ADMIN,
	    "PutBucketIntelligentTieringConfiguration", run_set_none },
	{ M_GET, ON_BUCKET, "session", NULL, RIGHT_ANY, "CreateSession",
	    run_set_none },

	{ M_GET, ON_BUCKET, "list-type", NULL, RIGHT_LIST, "ListObjectsV2",
	    run_list_objects_v2 },
	{ M_GET, ON_BUCKET, NULL, NULL, RIGHT_LIST, "ListObjects",
	    run_list_objects },
	{ M_HEAD, ON_BUCKET, NULL, NULL, RIGHT_ANY, "HeadBucket",
	    run_head_bucket },
	{ M_PUT, ON_BUCKET, NULL, NULL, RIGHT_ADMIN, "CreateBucket",
	    run_create_bucket },
	{ M_DELETE, ON_BUCKET, NULL, NULL, RIGHT_ADMIN, "DeleteBucket",
	    run_delete_bucket },
	{ M_POST, ON_BUCKET, NULL, NULL, RIGHT_ANY, "PostObject",
	    run_set_none },

	{ M_GET, ON_OBJECT, "acl", NULL, RIGHT_READ, "GetObjectAcl",
	    run_get_acl },
	{ M_PUT, ON_OBJECT, "acl", NULL, RIGHT_WRITE, "PutObjectAcl",
	    run_put_acl },
	{ M_GET, ON_OBJECT, "tagging", NULL, RIGHT_READ, "GetObjectTagging",
	    run_get_tagging },
	{ M_PUT, ON_OBJECT, "tagging", NULL, RIGHT_WRITE, "PutObjectTagging",
	    run_put_tagging },
	{ M_DELETE, ON_OBJECT, "tagging", NULL, RIGHT_WRITE,
	    "DeleteObjectTagging", run_delete_tagging },
	{ M_GET, ON_OBJECT, "attributes", NULL, RIGHT_READ,
	    "GetObjectAttributes", run_get_attributes },
	{ M_GET, ON_OBJECT, "retention", NULL, RIGHT_READ, "GetObjectRetention",
	    run_get_none },
	{ M_PUT, ON_OBJECT, "retention", NULL, RIGHT_WRITE,
	    "PutObjectRetention", run_set_none },
	{ M_GET, ON_OBJECT, "legal-hold", NULL, RIGHT_READ,
	    "GetObjectLegalHold", run_get_none },
	{ M_PUT, ON_OBJECT, "legal-hold", NULL, RIGHT_WRITE,
	    "PutObjectLegalHold", run_set_none },
	{ M_GET, ON_OBJECT, "torrent", NULL, RIGHT_READ, "GetObjectTorrent",
	    run_set_none },
	{ M_POST, ON_OBJECT, "restore", NULL, RIGHT_WRITE, "RestoreObject",
	    run_set_none },
	{ M_POST, ON_OBJECT, "select", NULL, RIGHT_READ, "SelectObjectContent",
	    run_set_none },
	{ M_PUT, ON_OBJECT, "renameObject", NULL, RIGHT_WRITE, "RenameObject",
	    run_set_none },

	{ M_POST, ON_OBJECT, "uploads", NULL, RIGHT_WRITE,
	    "CreateMultipartUpload", run_create_upload },
	{ M_PUT, ON_OBJECT, "uploadId", "x-amz-copy-source", RIGHT_WRITE,
	    "UploadPartCopy", run_upload_part_copy },
	{ M_PUT, ON_OBJECT, "uploadId", NULL, RIGHT_WRITE, "UploadPart",
	    run_upload_part },
	{ M_POST, ON_OBJECT, "uploadId", NULL, RIGHT_WRITE,
	    "CompleteMultipartUpload", run_complete_upload },
	{ M_DELETE, ON_OBJECT, "uploadId", NULL, RIGHT_WRITE,
	    "AbortMultipartUpload", run_abort_upload },
	{ M_GET, ON_OBJECT, "uploadId", NULL, RIGHT_WRITE, "ListParts",
	    run_list_parts },

	{ M_GET, ON_OBJECT, NULL, NULL, RIGHT_READ, "GetObject",
	    run_get_object },
	{ M_HEAD, ON_OBJECT, NULL, NULL, RIGHT_READ, "HeadObject",
	    run_get_object },
	{ M_PUT, ON_OBJECT, NULL, "x-amz-copy-source", RIGHT_WRITE,
	    "CopyObject", run_copy_object },
	{ M_PUT, ON_OBJECT, NULL, NULL, RIGHT_WRITE, "PutObject",
	    run_put_object },
	{ M_DELETE, ON_OBJECT, NULL, NULL, RIGHT_DELETE, "DeleteObject",
	    run_delete_object },
};

const size_t s3_operations_count =
    sizeof(s3_operations) / sizeof(s3_operations[0]);

/* A parameter that names a subresource which no row of that method serves: the
 * plain operation must not be done in its place. */
static const char *
other_subresource(enum s3_resource on, const struct target *target)
{
	const struct s3_operation *row;
	size_t i;

	for (i = 0; i < s3_operations_count; i++) {
		row = &s3_operations[i];
		if (row->on == on && row->subresource != NULL &&
		    target_has(target, row->subresource))
			return row->subresource;
	}
	return NULL;
}

/* A parameter without a value that no row knows: a subresource of a later S3.
 * To change the bucket or object itself would be worse than to refuse. */
static const struct target_param *
unknown_subresource(const struct target *target)
{
	const struct target_param *param;
	size_t i;

	for (i = 0; i < target->n_params; i++) {
		param = &target->params[i];
		if (param->value.len == 0 &&
		    !slice_is(param->name, "versionId"))
			return param;
	}
	return NULL;
}

const struct s3_operation *
s3_operation_find(enum s3_method method, enum s3_resource on,
    const struct target *target, const struct http_head *head,
    struct s3_error *s3err)
{
	const struct s3_operation *row;
	const struct target_param *unknown;
	const char *other = NULL;
	size_t i;

	if (target->n_params > 0)
		other = other_subresource(on, target);
	if (other == NULL && method != M_GET && method != M_HEAD &&
	    (unknown = unknown_subresource(target)) != NULL) {
		s3_error_set(s3err, S3_NOT_IMPLEMENTED,
		    "?%.*s is not implemented by this server.",
		    (int)(unknown->name.len > 64 ? 64 : unknown->name.len),
		    unknown->name.at);
		return NULL;
	}
	for (i = 0; i < s3_operations_count; i++) {
		row = &s3_operations[i];
		if (row->method != method || row->on != on)
			continue;
		if (row->subresource == NULL && other != NULL)
			break;
		if (row->subresource != NULL &&
		    (other == NULL || !target_has(target, row->subresource)))
			continue;
		if (row->header != NULL &&
		    http_header_get(head, row->header).at == NULL)
			continue;
		return row;
	}
	if (other != NULL)
		s3_error_set(s3err, S3_METHOD_NOT_ALLOWED,
		    "The method is not allowed on ?%s.", other);
	else
		s3_error_set(s3err, S3_METHOD_NOT_ALLOWED, NULL);
	return NULL;
}
