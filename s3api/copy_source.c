#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "s3api/copy_source.h"
#include "s3api/ids.h"

#define BUFFER_BYTES (4 * CONTENT_BLOCK_BYTES)

/* Splits "/bucket/key?versionId=v" (the first '/' is optional) and decodes it.
 * 0, or -1 and *s3err. */
static int
parse(struct s3_request *req, struct slice text, struct copy_source *source,
    struct s3_error *s3err)
{
	struct slice version = SLICE_NULL;
	const char *mark, *slash;
	char *decoded;
	long n;

	mark = memmem(text.at, text.len, "?versionId=", 11);
	if (mark != NULL) {
		version.at = mark + 11;
		version.len = text.len - (size_t)(mark - text.at) - 11;
		text.len = (size_t)(mark - text.at);
	}
	if (version_parse(version, &source->version, s3err) != 0)
		return -1;
	if (mark != NULL && source->version == 0)
		return s3_error_set(
		    s3err, S3_INVALID_ARGUMENT, "Invalid version id specified");
	if ((decoded = s3_memory(req, text.len + 1)) == NULL)
		return s3_error_set(s3err, S3_SLOW_DOWN, NULL);
	n = uri_decode(text.at, text.len, 0, decoded);
	if (n > 0 && decoded[0] == '/') {
		decoded++;
		n--;
	}
	if (n <= 0 || (slash = memchr(decoded, '/', (size_t)n)) == NULL)
		goto invalid;
	source->bucket.at = decoded;
	source->bucket.len = (size_t)(slash - decoded);
	source->key.at = slash + 1;
	source->key.len = (size_t)n - source->bucket.len - 1;
	if (source->bucket.len == 0 || source->key.len == 0 ||
	    !utf8_valid(source->key))
		goto invalid;
	if (source->key.len > KEY_MAX_BYTES)
		return s3_error_set(s3err, S3_KEY_TOO_LONG, NULL);
	return 0;

invalid:
	return s3_error_set(s3err, S3_INVALID_ARGUMENT,
	    "x-amz-copy-source is not a percent-encoded bucket/key.");
}

static int
look_up(struct s3_request *req, struct copy_source *source,
    struct source_reader *reader, struct s3_error *s3err)
{
	struct bucket_record bucket;
	struct error err = ERROR_INIT;

	if (store_bucket(
		req->store, source->bucket, &bucket, &req->memory, &err) != 0)
		return s3_error_from(s3err, &err);
	if (store_object(req->store, source->bucket, source->key,
		source->version, &source->object, &req->memory,
		reader == NULL ? NULL : &reader->inline_bytes,
		reader == NULL ? NULL : &reader->in_index, &err) != 0) {
		if (err.kind == ERR_DELETE_MARKER)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "The source of a copy request may not specifically "
			    "refer to a delete marker by version id.");
		return s3_error_from(s3err, &err);
	}
	source->version_text[0] = '\0';
	if (bucket.versioning != VERSIONING_OFF || !source->object.null_version)
		version_text(&source->object, source->version_text);
	if (conditions_read(&source->conditions, &source->object) != S3_OK)
		return s3_error_set(s3err, S3_PRECONDITION_FAILED,
		    "At least one of the pre-conditions you specified did not "
		    "hold");
	return 0;
}

int
copy_source_or_fail(struct s3_request *req, struct copy_source *source,
    struct source_reader *reader)
{
	struct s3_error s3err = S3_ERROR_INIT;
	struct slice text = http_header_get(req->head, "x-amz-copy-source");

	conditions_of_source(req->head, &source->conditions);
	if (parse(req, text, source, &s3err) != 0)
		goto fail;
	if (!access_allows(req->who, RIGHT_READ, source->bucket, source->key)) {
		s3_error_set(&s3err, S3_ACCESS_DENIED,
		    "The access key has no right to read the copy's source.");
		goto fail;
	}
	if (look_up(req, source, reader, &s3err) != 0)
		goto fail;
	return 0;

fail:
	if (reader != NULL)
		source_reader_free(reader);
	s3_fail(req, &s3err);
	return -1;
}

void
copy_source_header(struct s3_request *req, const struct copy_source *source)
{
	if (source->version_text[0] != '\0')
		http_out_header_text(&req->headers,
		    "x-amz-copy-source-version-id", source->version_text);
}

static int
open_content(struct s3_request *req, const struct copy_source *source,
    struct source_reader *reader, struct s3_error *s3err)
{
	struct error err = ERROR_INIT;

	if ((reader->memory = aligned_alloc(4096, BUFFER_BYTES)) == NULL)
		return s3_error_set(s3err, S3_SLOW_DOWN, NULL);
	reader->content = content_open(req->store, source->object.extent, &err);
	if (reader->content != NULL)
		return content_name(
			   reader->content, source->bucket, source->key) != 0
		    ? s3_error_set(s3err, S3_SLOW_DOWN, NULL)
		    : 0;
	if (err.kind == ERR_NOT_FOUND)
		return s3_error_set(s3err, S3_SLOW_DOWN,
		    "The source was replaced meanwhile: send the request "
		    "again.");
	return s3_error_from(s3err, &err);
}

long
source_read(struct s3_request *req, const struct copy_source *source,
    struct source_reader *reader, char **bytes, struct s3_error *s3err)
{
	struct error err = ERROR_INIT;
	const char *at;
	long n;

	if (reader->at == reader->end)
		return 0;
	if (reader->in_index) {
		*bytes = reader->inline_bytes.at + reader->at;
		n = (long)(reader->end - reader->at);
		reader->at = reader->end;
		return n;
	}
	if (reader->content == NULL &&
	    open_content(req, source, reader, s3err) != 0)
		return -1;
	n = content_read(reader->content, reader->at, reader->end,
	    reader->memory, BUFFER_BYTES, 0, &at, &err);
	if (n <= 0)
		return s3_error_from(s3err, &err);
	*bytes = reader->memory + (at - reader->memory);
	reader->at += (uint64_t)n;
	return n;
}

void
source_reader_free(struct source_reader *reader)
{
	content_close(reader->content);
	buffer_free(&reader->inline_bytes);
	free(reader->memory);
}
