#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "s3api/ids.h"

#define TOKEN_TAG 'k'

void
version_number_text(
    uint64_t version, int null_version, char text[VERSION_TEXT_BYTES])
{
	uint8_t bytes[8];

	if (null_version) {
		memcpy(text, "null", 5);
		return;
	}
	be64_put(bytes, version);
	hex_encode(bytes, sizeof(bytes), text);
}

void
version_text(const struct object_record *object, char text[VERSION_TEXT_BYTES])
{
	version_number_text(object->version, object->null_version, text);
}

int
version_parse(struct slice text, uint64_t *version, struct s3_error *s3err)
{
	uint8_t bytes[8];

	*version = 0;
	if (text.at == NULL)
		return 0;
	if (text.len == 0)
		return s3_error_set(s3err, S3_INVALID_ARGUMENT,
		    "Version id cannot be the empty string");
	if (slice_is(text, "null")) {
		*version = VERSION_NULL;
		return 0;
	}
	if (hex_decode(text.at, text.len, bytes, sizeof(bytes)) != 0 ||
	    be64_get(bytes) == 0 || be64_get(bytes) == VERSION_NULL)
		return s3_error_set(
		    s3err, S3_INVALID_ARGUMENT, "Invalid version id specified");
	*version = be64_get(bytes);
	return 0;
}

void
upload_text(uint64_t upload, uint64_t nonce, char text[UPLOAD_TEXT_BYTES])
{
	uint8_t bytes[16];

	be64_put(bytes, upload);
	be64_put(bytes + 8, nonce);
	hex_encode(bytes, sizeof(bytes), text);
}

int
upload_parse(struct slice text, uint64_t *upload, uint64_t *nonce)
{
	uint8_t bytes[16];

	if (hex_decode(text.at, text.len, bytes, sizeof(bytes)) != 0)
		return -1;
	*upload = be64_get(bytes);
	*nonce = be64_get(bytes + 8);
	return 0;
}

void
token_add(struct buffer *out, struct slice key)
{
	char raw[KEY_MAX_BYTES + 1], text[BASE64_BYTES(KEY_MAX_BYTES + 1)];

	if (key.len > KEY_MAX_BYTES)
		key.len = KEY_MAX_BYTES;
	raw[0] = TOKEN_TAG;
	if (key.len > 0)
		memcpy(raw + 1, key.at, key.len);
	base64_encode(raw, key.len + 1, text);
	buffer_add_text(out, text);
}

int
token_parse(struct slice token, struct buffer *key)
{
	char raw[KEY_MAX_BYTES + 1];
	int n;

	n = base64_decode(token.at, token.len, raw, sizeof(raw));
	if (n < 1 || raw[0] != TOKEN_TAG)
		return -1;
	buffer_add(key, raw + 1, (size_t)n - 1);
	return 0;
}

void
etag_quoted(const struct object_record *object, char text[ETAG_QUOTED_BYTES])
{
	char etag[ETAG_BYTES];

	object_etag(object, etag);
	snprintf(text, ETAG_QUOTED_BYTES, "\"%s\"", etag);
}
