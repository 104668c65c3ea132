#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "s3api/tags.h"
#include "s3api/target.h"
#include "s3api/xml.h"
#include "store/record.h"

#define TAG_KEY_MAX_CHARS 128
#define TAG_VALUE_MAX_CHARS 256

static size_t
characters(struct slice text)
{
	size_t i, n = 0;

	for (i = 0; i < text.len; i++)
		if (((uint8_t)text.at[i] & 0xc0) != 0x80)
			n++;
	return n;
}

static int
add_tag(struct buffer *pairs, struct slice key, struct slice value, size_t max,
    struct s3_error *s3err)
{
	struct slice rest = buffer_slice(pairs), other, unused;
	size_t n = 0;

	if (key.len == 0 || characters(key) > TAG_KEY_MAX_CHARS ||
	    !utf8_valid(key))
		return s3_error_set(s3err, S3_INVALID_TAG,
		    "The TagKey you have provided is invalid");
	if (characters(value) > TAG_VALUE_MAX_CHARS || !utf8_valid(value))
		return s3_error_set(s3err, S3_INVALID_TAG,
		    "The TagValue you have provided is invalid");
	while (pairs_next(&rest, &other, &unused) == 1) {
		n++;
		if (slice_equal(other, key))
			return s3_error_set(s3err, S3_INVALID_TAG,
			    "Cannot provide multiple Tags with the same key");
	}
	if (n == max)
		return s3_error_set(s3err, S3_INVALID_TAG,
		    "Object tags cannot be greater than %zu", max);
	pairs_add(pairs, key, value);
	if (pairs->failed)
		return s3_error_set(s3err, S3_SLOW_DOWN, NULL);
	return 0;
}

int
tags_of_header(
    struct slice header, struct buffer *pairs, struct s3_error *s3err)
{
	char key[4 * TAG_KEY_MAX_CHARS * 3], value[4 * TAG_VALUE_MAX_CHARS * 3];
	struct slice pair, k, v;
	const char *end, *equals;
	long key_len, value_len;

	while (header.len > 0) {
		end = memchr(header.at, '&', header.len);
		pair.at = header.at;
		pair.len = end == NULL ? header.len : (size_t)(end - header.at);
		header.at += pair.len + (end != NULL);
		header.len -= pair.len + (end != NULL);
		if (pair.len == 0)
			continue;
		equals = memchr(pair.at, '=', pair.len);
		k = pair;
		v = SLICE_NULL;
		if (equals != NULL) {
			k.len = (size_t)(equals - pair.at);
			v.at = equals + 1;
			v.len = pair.len - k.len - 1;
		}
		if (k.len > sizeof(key) || v.len > sizeof(value))
			return s3_error_set(s3err, S3_INVALID_TAG, NULL);
		key_len = uri_decode(k.at, k.len, 1, key);
		value_len = v.len == 0 ? 0 : uri_decode(v.at, v.len, 1, value);
		if (key_len < 0 || value_len < 0)
			return s3_error_set(s3err, S3_INVALID_ARGUMENT,
			    "The header 'x-amz-tagging' shall be encoded as "
			    "UTF-8 then URLEncoded URL query parameters "
			    "without tag name duplicates.");
		k = (struct slice){ key, (size_t)key_len };
		v = (struct slice){ value, (size_t)value_len };
		if (add_tag(pairs, k, v, TAGS_MAX_OBJECT, s3err) != 0)
			return -1;
	}
	return 0;
}

struct tags_reader {
	struct buffer *pairs, key, value;
	size_t max;
	int has_set, has_key, has_value;
};

static int
tags_leaf(
    void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct tags_reader *reader = context;

	(void)s3err;
	if (strcmp(path, "Tagging/TagSet/Tag/Key") == 0) {
		buffer_clear(&reader->key);
		buffer_add_slice(&reader->key, text);
		reader->has_key++;
	} else if (strcmp(path, "Tagging/TagSet/Tag/Value") == 0) {
		buffer_clear(&reader->value);
		buffer_add_slice(&reader->value, text);
		reader->has_value++;
	} else if (strcmp(path, "Tagging/TagSet") == 0) {
		reader->has_set = 1;
	}
	return 0;
}

static int
tags_end(void *context, const char *path, struct s3_error *s3err)
{
	struct tags_reader *reader = context;

	if (strcmp(path, "Tagging/TagSet") == 0)
		reader->has_set = 1;
	if (strcmp(path, "Tagging/TagSet/Tag") != 0)
		return 0;
	if (reader->has_key != 1 || reader->has_value != 1)
		return s3_error_set(s3err, S3_MALFORMED_XML,
		    "A Tag has one Key and one Value.");
	reader->has_key = reader->has_value = 0;
	return add_tag(reader->pairs, buffer_slice(&reader->key),
	    buffer_slice(&reader->value), reader->max, s3err);
}

int
tags_of_xml(struct slice document, size_t max, struct buffer *pairs,
    struct s3_error *s3err)
{
	struct tags_reader reader = { pairs, BUFFER_INIT, BUFFER_INIT, max, 0,
		0, 0 };
	struct xml_handler handler = { tags_leaf, tags_end, &reader };
	int failed;

	failed = xml_parse(document.at, document.len, &handler, s3err);
	if (!failed && !reader.has_set)
		failed = s3_error_set(s3err, S3_MALFORMED_XML,
		    "A Tagging document has a TagSet.");
	buffer_free(&reader.key);
	buffer_free(&reader.value);
	return failed;
}

void
tags_to_xml(struct buffer *out, struct slice pairs)
{
	struct slice rest = pairs, key, value;

	xml_begin(out, "Tagging");
	xml_open(out, "TagSet");
	while (pairs_next(&rest, &key, &value) == 1) {
		xml_open(out, "Tag");
		xml_text(out, "Key", key);
		xml_text(out, "Value", value);
		xml_close(out, "Tag");
	}
	xml_close(out, "TagSet");
	xml_close(out, "Tagging");
}
