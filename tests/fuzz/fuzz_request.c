#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "s3api/conditions.h"
#include "s3api/ids.h"
#include "s3api/metadata.h"
#include "s3api/operation.h"
#include "s3api/range.h"
#include "s3api/tags.h"

/*
 * What is read of a request before and after it is authenticated: its target,
 * the row of the table, ranges, conditions, metadata and tags. What is accepted
 * lies within S3's limits, and tokens and tags survive the way there and back.
 */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int holds)
{
	if (!holds)
		abort();
}

static void
look_at_target(const struct http_head *head, const struct target *target)
{
	const struct s3_operation *row;
	struct s3_error s3err = S3_ERROR_INIT;
	enum s3_method method;
	enum s3_resource on;
	uint64_t value;

	require(target->key.len <= KEY_MAX_BYTES);
	require(utf8_valid(target->key));
	require(target->n_params <= TARGET_PARAMS_MAX);
	for (method = M_GET; method <= M_OTHER; method++)
		for (on = ON_SERVICE; on <= ON_OBJECT; on++) {
			row =
			    s3_operation_find(method, on, target, head, &s3err);
			require(row == NULL ||
			    (row->method == method && row->on == on));
			require(row == NULL || row->subresource == NULL ||
			    target_has(target, row->subresource));
		}
	if (target_number(target, "max-keys", 7, 1000, &value, &s3err) == 0)
		require(value <= 1000);
}

static void
look_at_ranges(const struct http_head *head)
{
	struct slice text = http_header_get(head, "range");
	uint64_t first, end, sizes[] = { 0, 1, 10, UINT64_MAX };
	size_t i;

	for (i = 0; i < 4; i++) {
		if (range_parse(text, sizes[i], &first, &end) == RANGE_PART)
			require(first < end && end <= sizes[i]);
		if (range_parse_copy(text, sizes[i], &first, &end) == 0)
			require(first < end && end <= sizes[i]);
	}
}

static void
look_at_metadata(const struct http_head *head, const struct target *target)
{
	struct buffer pairs = BUFFER_INIT, headers = BUFFER_INIT;
	struct conditions conditions;
	struct object_record object;
	struct s3_error s3err = S3_ERROR_INIT;

	if (metadata_of_request(head, &pairs, &s3err) == 0)
		metadata_to_headers(&headers, buffer_slice(&pairs), target);
	(void)metadata_refuse(head, &s3err);
	memset(&object, 0, sizeof(object));
	conditions_of_request(head, &conditions);
	(void)conditions_read(&conditions, &object);
	conditions_of_source(head, &conditions);
	(void)conditions_read(&conditions, &object);
	buffer_free(&headers);
	buffer_free(&pairs);
}

static void
look_at_tags(struct slice text)
{
	struct buffer pairs = BUFFER_INIT, again = BUFFER_INIT;
	struct buffer document = BUFFER_INIT;
	struct s3_error s3err = S3_ERROR_INIT;

	if (tags_of_header(text, &pairs, &s3err) == 0) {
		tags_to_xml(&document, buffer_slice(&pairs));
		require(pairs_count(buffer_slice(&pairs)) <= TAGS_MAX_OBJECT);
		/* What XML cannot carry may make two keys the same. */
		(void)tags_of_xml(
		    buffer_slice(&document), TAGS_MAX_OBJECT, &again, &s3err);
	}
	buffer_free(&document);
	buffer_free(&again);
	buffer_free(&pairs);
}

static void
look_at_ids(const struct target *target)
{
	struct buffer token = BUFFER_INIT, key = BUFFER_INIT;
	struct s3_error s3err = S3_ERROR_INIT;
	char text[UPLOAD_TEXT_BYTES];
	uint64_t a, b;
	struct slice id = target_get(target, "uploadId");

	token_add(&token, target->key);
	require(token_parse(buffer_slice(&token), &key) == 0);
	require(slice_equal(buffer_slice(&key), target->key));
	(void)token_parse(target_get(target, "continuation-token"), &key);
	(void)version_parse(target_get(target, "versionId"), &a, &s3err);
	if (upload_parse(id, &a, &b) == 0) {
		upload_text(a, b, text);
		require(slice_is_nocase(id, text));
	}
	buffer_free(&token);
	buffer_free(&key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct http_head head;
	static struct target target;
	struct buffer memory = BUFFER_INIT;
	struct http_refusal refusal;
	struct s3_error s3err = S3_ERROR_INIT;
	char *copy;

	if ((copy = malloc(len + 1)) == NULL)
		return 0;
	memcpy(copy, data, len);
	if (http_head_parse(copy, len, &head, &refusal) > 0 &&
	    target_parse(&head, "s3.test", &memory, &target, &s3err) == 0) {
		look_at_target(&head, &target);
		look_at_ranges(&head);
		look_at_metadata(&head, &target);
		look_at_tags(http_header_get(&head, "x-amz-tagging"));
		look_at_ids(&target);
	}
	buffer_free(&memory);
	free(copy);
	return 0;
}
