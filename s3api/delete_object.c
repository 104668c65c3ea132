#include "s3api/conditions.h"
#include "s3api/ids.h"
#include "s3api/runs.h"

/* DeleteObject. */

struct delete_state {
	struct delete_objects change;
	struct delete_item item;
	struct conditions conditions;
};

static void
deleted(struct s3_request *req)
{
	struct delete_state *state = req->state;
	struct delete_item *item = &state->item;
	char version[VERSION_TEXT_BYTES];

	if (state->change.change.failed) {
		s3_fail_store(req, &state->change.change.err);
		return;
	}
	if (item->err.kind != ERR_NONE) {
		s3_fail_store(req, &item->err);
		return;
	}
	if (item->made_marker || item->was_marker)
		http_out_header_text(
		    &req->headers, "x-amz-delete-marker", "true");
	if (item->made_marker) {
		version_number_text(
		    item->new_version, item->null_version, version);
		http_out_header_text(
		    &req->headers, "x-amz-version-id", version);
	} else if (item->version != 0) {
		version_number_text(
		    item->version, item->version == VERSION_NULL, version);
		http_out_header_text(
		    &req->headers, "x-amz-version-id", version);
	}
	s3_respond_empty(req, 204);
}

void
run_delete_object(struct s3_request *req)
{
	struct delete_state *state;
	struct s3_error s3err = S3_ERROR_INIT;

	if ((state = s3_memory(req, sizeof(*state))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	if (version_parse(target_get(&req->target, "versionId"),
		&state->item.version, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (http_header_get(req->head, "x-amz-if-match-size").at != NULL ||
	    http_header_get(req->head, "x-amz-if-match-last-modified-time")
		    .at != NULL) {
		s3_fail_code(req, S3_NOT_IMPLEMENTED,
		    "Of the conditions of a delete, this server has If-Match "
		    "alone.");
		return;
	}
	conditions_of_request(req->head, &state->conditions);
	state->item.key = req->key;
	if (state->conditions.match.len > 0) {
		state->item.check = conditions_check_write;
		state->item.check_arg = &state->conditions;
	}
	state->change.bucket = req->bucket;
	state->change.items = &state->item;
	state->change.n_items = 1;
	s3_prepare(req, &state->change.change, deleted);
	store_delete_objects(req->store, &state->change);
}
