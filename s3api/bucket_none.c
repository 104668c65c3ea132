#include <string.h>

#include "s3api/runs.h"
#include "s3api/xml.h"

/*
 * What clients ask about a bucket or object and nobody can have set here: AWS's
 * own answer for "none". What would set it is refused by name, and removing
 * what is not there succeeds, as on AWS.
 */
static const struct {
	const char *subresource;
	enum s3_code code; /* S3_OK: 200 with a document */
	const char *root;
	const char *inside; /* of the document */
} none[] = {
	{ "policy", S3_NO_SUCH_BUCKET_POLICY, NULL, NULL },
	{ "policyStatus", S3_NO_SUCH_BUCKET_POLICY, NULL, NULL },
	{ "object-lock", S3_OBJECT_LOCK_CONFIGURATION_NOT_FOUND, NULL, NULL },
	{ "encryption", S3_SERVER_SIDE_ENCRYPTION_CONFIGURATION_NOT_FOUND, NULL,
	    NULL },
	{ "cors", S3_NO_SUCH_CORS_CONFIGURATION, NULL, NULL },
	{ "lifecycle", S3_NO_SUCH_LIFECYCLE_CONFIGURATION, NULL, NULL },
	{ "publicAccessBlock", S3_NO_SUCH_PUBLIC_ACCESS_BLOCK, NULL, NULL },
	{ "ownershipControls", S3_OWNERSHIP_CONTROLS_NOT_FOUND, NULL, NULL },
	{ "website", S3_NO_SUCH_WEBSITE_CONFIGURATION, NULL, NULL },
	{ "replication", S3_REPLICATION_CONFIGURATION_NOT_FOUND, NULL, NULL },
	{ "retention", S3_NO_SUCH_OBJECT_LOCK_CONFIGURATION, NULL, NULL },
	{ "legal-hold", S3_NO_SUCH_OBJECT_LOCK_CONFIGURATION, NULL, NULL },
	{ "logging", S3_OK, "BucketLoggingStatus", "" },
	{ "notification", S3_OK, "NotificationConfiguration", "" },
	{ "accelerate", S3_OK, "AccelerateConfiguration", "" },
	{ "requestPayment", S3_OK, "RequestPaymentConfiguration",
	    "<Payer>BucketOwner</Payer>" },
	{ "inventory", S3_OK, "ListInventoryConfigurationsResult",
	    "<IsTruncated>false</IsTruncated>" },
	{ "analytics", S3_OK, "ListBucketAnalyticsConfigurationResult",
	    "<IsTruncated>false</IsTruncated>" },
	{ "metrics", S3_OK, "ListMetricsConfigurationsResult",
	    "<IsTruncated>false</IsTruncated>" },
	{ "intelligent-tiering", S3_OK,
	    "ListBucketIntelligentTieringConfigurationsOutput",
	    "<IsTruncated>false</IsTruncated>" },
};

/* 0, or -1 having failed the request, unless what it is about exists. */
static int
subject_or_fail(struct s3_request *req)
{
	struct bucket_record bucket;
	struct object_record object;
	struct error err = ERROR_INIT;

	if (s3_bucket_or_fail(req, &bucket) != 0)
		return -1;
	if (req->key.len > 0 &&
	    store_object(req->store, req->bucket, req->key, 0, &object,
		&req->memory, NULL, NULL, &err) != 0) {
		s3_fail_store(req, &err);
		return -1;
	}
	return 0;
}

void
run_get_none(struct s3_request *req)
{
	size_t i;

	if (subject_or_fail(req) != 0)
		return;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (strcmp(none[i].subresource, req->operation->subresource) ==
		    0)
			break;
	if (i == sizeof(none) / sizeof(none[0])) {
		run_set_none(req);
		return;
	}
	if (none[i].code != S3_OK) {
		s3_fail_code(req, none[i].code, NULL);
		return;
	}
	if (target_has(&req->target, "id")) {
		s3_fail_code(req, S3_NO_SUCH_CONFIGURATION, NULL);
		return;
	}
	xml_begin(&req->out, none[i].root);
	buffer_add_text(&req->out, none[i].inside);
	xml_close(&req->out, none[i].root);
	s3_respond_xml(req);
}

void
run_set_none(struct s3_request *req)
{
	s3_fail_code(req, S3_NOT_IMPLEMENTED,
	    "%s is not implemented by this server.", req->operation->name);
}

void
run_delete_none(struct s3_request *req)
{
	struct bucket_record bucket;

	if (s3_bucket_or_fail(req, &bucket) == 0)
		s3_respond_empty(req, 204);
}
