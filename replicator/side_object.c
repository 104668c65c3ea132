#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "replicator/side_object.h"
#include "store/record.h"

#define FORMAT 1

void
side_object_prefix(struct slice key, struct buffer *out)
{
	uint8_t sum[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];

	digest_once(DIGEST_SHA256, key.at, key.len, sum);
	hex_encode(sum, sizeof(sum), hex);
	buffer_printf(out, "plugins/holdfast/meta/%s/", hex);
}

void
side_object_key(struct slice key, uint64_t version, struct buffer *out)
{
	side_object_prefix(key, out);
	buffer_printf(out, "%" PRIu64 ".json", version);
}

static json_t *
encode_text(struct slice text)
{
	const char *at = text.at != NULL ? text.at : "";
	json_t *string = json_stringn(at, text.len);
	char *base64;

	if (string != NULL)
		return string;
	if ((base64 = malloc(BASE64_BYTES(text.len))) == NULL)
		return NULL;
	base64_encode(at, text.len, base64);
	string = json_pack("{s:s}", "base64", base64);
	free(base64);
	return string;
}

static json_t *
encode_pairs(struct slice pairs)
{
	json_t *array = json_array();
	struct slice name, value;

	while (pairs_next(&pairs, &name, &value) == 1)
		json_array_append_new(array,
		    json_pack("[o, o]", encode_text(name), encode_text(value)));
	return array;
}

void
side_object_encode(const struct remote_object *o, struct buffer *out)
{
	json_t *object;
	char *text = NULL;

	object = json_pack("{s:i, s:o, s:I, s:o, s:o}", "format", FORMAT, "key",
	    encode_text(o->key), "version", (json_int_t)o->version,
	    "attributes", encode_pairs(o->attributes), "tags",
	    encode_pairs(o->tags));
	if (object != NULL)
		text = json_dumps(object, JSON_COMPACT);
	if (text != NULL)
		buffer_add_text(out, text);
	else
		out->failed = 1;
	free(text);
	json_decref(object);
}

/* The text's bytes, which *own holds when they had to be decoded. */
static int
decode_text(const json_t *text, struct slice *bytes, char **own)
{
	const char *base64;
	long len;

	*own = NULL;
	if (json_is_string(text)) {
		bytes->at = json_string_value(text);
		bytes->len = json_string_length(text);
		return 0;
	}
	base64 = json_string_value(json_object_get(text, "base64"));
	if (base64 == NULL || (*own = malloc(strlen(base64) + 1)) == NULL)
		return -1;
	len = base64_decode(base64, strlen(base64), *own, strlen(base64));
	if (len < 0) {
		free(*own);
		return -1;
	}
	*bytes = (struct slice){ *own, (size_t)len };
	return 0;
}

static int
decode_pairs(const json_t *array, struct buffer *pairs)
{
	char *own_name, *own_value;
	struct slice name, value;
	const json_t *pair;
	size_t i;

	for (i = 0; i < json_array_size(array); i++) {
		pair = json_array_get(array, i);
		if (decode_text(json_array_get(pair, 0), &name, &own_name) != 0)
			return -1;
		if (decode_text(json_array_get(pair, 1), &value, &own_value) !=
		    0) {
			free(own_name);
			return -1;
		}
		if (name.len <= UINT16_MAX && value.len <= UINT16_MAX)
			pairs_add(pairs, name, value);
		free(own_name);
		free(own_value);
	}
	return pairs->failed ? -1 : 0;
}

int
side_object_decode(
    struct slice contents, struct buffer *attributes, struct buffer *tags)
{
	json_error_t where;
	json_t *object;
	int rc = -1;

	object = json_loadb(contents.at != NULL ? contents.at : "",
	    contents.len, JSON_ALLOW_NUL, &where);
	if (json_is_object(object) &&
	    json_integer_value(json_object_get(object, "format")) == FORMAT)
		rc = decode_pairs(
			 json_object_get(object, "attributes"), attributes) |
		    decode_pairs(json_object_get(object, "tags"), tags);
	json_decref(object);
	return rc;
}
