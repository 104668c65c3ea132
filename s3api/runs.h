#ifndef S3API_RUNS_H
#define S3API_RUNS_H

#include "s3api/operation.h"

/*
 * The operations, by the file that has them. Each is a step of a request
 * (s3api/operation.h): authenticated, and authorised by the right in its row.
 */

/* service.c */
s3_step run_list_buckets;

/* bucket.c */
s3_step run_create_bucket, run_head_bucket, run_delete_bucket, run_get_location,
    run_get_versioning, run_put_versioning;

/* bucket_none.c */
s3_step run_get_none, run_set_none, run_delete_none;

/* acl.c */
s3_step run_get_acl, run_put_acl;

/* tagging.c */
s3_step run_get_bucket_tagging, run_put_bucket_tagging,
    run_delete_bucket_tagging, run_get_tagging, run_put_tagging,
    run_delete_tagging;

/* list_objects.c, list_versions.c, list_uploads.c */
s3_step run_list_objects, run_list_objects_v2, run_list_versions,
    run_list_uploads;

/* get_object.c, put_object.c, delete_object.c, copy_object.c, attributes.c */
s3_step run_get_object, run_put_object, run_delete_object, run_delete_objects,
    run_copy_object, run_get_attributes;

/* multipart.c, complete.c, list_parts.c, copy_part.c */
s3_step run_create_upload, run_upload_part, run_complete_upload,
    run_abort_upload, run_list_parts, run_upload_part_copy;

#endif
