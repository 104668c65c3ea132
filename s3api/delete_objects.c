#include <stdlib.h>
#include <string.h>

#include "s3api/conditions.h"
#include "s3api/ids.h"
#include "s3api/runs.h"
#include "s3api/xml.h"

/*
 * DeleteObjects: up to 1,000 keys, settled in one change, each with its own
 * right and its own outcome.
 */

#define KEYS_MAX 1000
#define BODY_MAX_BYTES (8 * 1024 * 1024)

struct entry {
	struct slice key, version;
	struct conditions conditions;
	enum s3_code refused; /* S3_OK: it is in items */
	size_t item;
};

struct delete_state {
	struct delete_objects change;
	struct delete_item items[KEYS_MAX];
	struct entry *entries; /* KEYS_MAX of them */
	size_t n;
	int quiet;
	struct s3_request *req;
};

/* ---- the body ---- */

static int
keep(struct s3_request *req, struct slice *to, struct slice text,
    struct s3_error *s3err)
{
	*to = s3_keep(req, text);
	return to->at != NULL ? 0 : s3_error_set(s3err, S3_SLOW_DOWN, NULL);
}

static int
leaf(void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct delete_state *state = context;
	struct entry *entry = &state->entries[state->n];

	if (strcmp(path, "Delete/Quiet") == 0) {
		state->quiet = slice_is_nocase(text, "true");
		return 0;
	}
	if (strncmp(path, "Delete/Object/", 14) != 0)
		return 0;
	if (state->n == KEYS_MAX)
		return s3_error_set(s3err, S3_MALFORMED_XML,
		    "One request deletes at most %d keys.", KEYS_MAX);
	path += 14;
	if (strcmp(path, "Key") == 0)
		return keep(state->req, &entry->key, text, s3err);
	if (strcmp(path, "VersionId") == 0)
		return keep(state->req, &entry->version, text, s3err);
	if (strcmp(path, "ETag") == 0)
		return keep(state->req, &entry->conditions.match, text, s3err);
	if (strcmp(path, "LastModifiedTime") == 0 || strcmp(path, "Size") == 0)
		return s3_error_set(s3err, S3_NOT_IMPLEMENTED,
		    "Of the conditions of a delete, this server has ETag "
		    "alone.");
	return 0;
}

static int
object_end(void *context, const char *path, struct s3_error *s3err)
{
	struct delete_state *state = context;

	if (strcmp(path, "Delete/Object") != 0)
		return 0;
	if (state->n == KEYS_MAX || state->entries[state->n].key.len == 0)
		return s3_error_set(s3err, S3_MALFORMED_XML,
		    "An Object has a Key, and there are at most %d of them.",
		    KEYS_MAX);
	state->n++;
	return 0;
}

/* ---- the answer ---- */

static void
entry_to_xml(struct buffer *out, const struct delete_state *state,
    const struct entry *entry)
{
	const struct delete_item *item = &state->items[entry->item];
	struct s3_error s3err = S3_ERROR_INIT;
	char version[VERSION_TEXT_BYTES];

	if (entry->refused != S3_OK)
		s3_error_set(&s3err, entry->refused, NULL);
	else if (item->err.kind != ERR_NONE)
		s3_error_from(&s3err, &item->err);
	if (s3err.code != S3_OK) {
		xml_open(out, "Error");
		xml_text(out, "Key", entry->key);
		if (entry->version.len > 0)
			xml_text(out, "VersionId", entry->version);
		xml_string(out, "Code", s3_code_name(s3err.code));
		xml_string(out, "Message", s3err.message);
		xml_close(out, "Error");
		return;
	}
	if (state->quiet)
		return;
	xml_open(out, "Deleted");
	xml_text(out, "Key", entry->key);
	if (entry->version.len > 0)
		xml_text(out, "VersionId", entry->version);
	if (item->made_marker || item->was_marker) {
		xml_bool(out, "DeleteMarker", 1);
		if (item->made_marker) {
			version_number_text(
			    item->new_version, item->null_version, version);
			xml_string(out, "DeleteMarkerVersionId", version);
		} else {
			xml_text(out, "DeleteMarkerVersionId", entry->version);
		}
	}
	xml_close(out, "Deleted");
}

static void
deleted(struct s3_request *req)
{
	struct delete_state *state = req->state;
	size_t i;

	if (state->change.change.failed) {
		s3_fail_store(req, &state->change.change.err);
		return;
	}
	buffer_clear(&req->out);
	xml_begin(&req->out, "DeleteResult");
	for (i = 0; i < state->n; i++)
		entry_to_xml(&req->out, state, &state->entries[i]);
	xml_close(&req->out, "DeleteResult");
	s3_respond_xml(req);
}

/* Refuses an entry or makes it an item. */
static void
admit(struct s3_request *req, struct delete_state *state, struct entry *entry)
{
	struct delete_item *item = &state->items[state->change.n_items];
	struct s3_error s3err = S3_ERROR_INIT;

	if (entry->key.len > KEY_MAX_BYTES) {
		entry->refused = S3_KEY_TOO_LONG;
		return;
	}
	if (!access_allows(req->who, RIGHT_DELETE, req->bucket, entry->key)) {
		entry->refused = S3_ACCESS_DENIED;
		return;
	}
	if (entry->version.len > 0 &&
	    version_parse(entry->version, &item->version, &s3err) != 0) {
		entry->refused = s3err.code;
		return;
	}
	item->key = entry->key;
	if (entry->conditions.match.len > 0) {
		item->check = conditions_check_write;
		item->check_arg = &entry->conditions;
	}
	entry->item = state->change.n_items++;
}

static void
have_body(struct s3_request *req)
{
	struct delete_state *state = req->state;
	struct xml_handler handler = { leaf, object_end, state };
	struct s3_error s3err = S3_ERROR_INIT;
	struct bucket_record bucket;
	size_t i;

	if (xml_parse(req->out.at, req->out.len, &handler, &s3err) != 0) {
		s3_fail(req, &s3err);
		return;
	}
	if (state->n == 0) {
		s3_fail_code(req, S3_MALFORMED_XML,
		    "The body names no object to delete.");
		return;
	}
	for (i = 0; i < state->n; i++)
		admit(req, state, &state->entries[i]);
	if (state->change.n_items == 0) {
		if (s3_bucket_or_fail(req, &bucket) == 0)
			deleted(req);
		return;
	}
	state->change.bucket = req->bucket;
	state->change.items = state->items;
	s3_prepare(req, &state->change.change, deleted);
	store_delete_objects(req->store, &state->change);
}

void
run_delete_objects(struct s3_request *req)
{
	struct delete_state *state;

	if (!access_sees_bucket(req->who, req->bucket)) {
		s3_fail_code(req, S3_ACCESS_DENIED, NULL);
		return;
	}
	if ((state = s3_memory(req, sizeof(*state))) == NULL ||
	    (state->entries = s3_memory(
		 req, (KEYS_MAX + 1) * sizeof(*state->entries))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	req->state = state;
	state->req = req;
	s3_read_body(req, BODY_MAX_BYTES, 1, have_body);
}
