#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "replicator/azure_sign.h"
#include "store/record.h"

#define PAIRS_MAX 128

struct pair {
	struct slice name, value;
};

/* The headers whose values stand in the text, in this order, by position. */
static const char *const standard[] = { "content-encoding", "content-language",
	"content-length", "content-md5", "content-type", "date",
	"if-modified-since", "if-match", "if-none-match", "if-unmodified-since",
	"range" };

static int
by_name(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = slice_compare(x->name, y->name);

	return order != 0 ? order : slice_compare(x->value, y->value);
}

static size_t
sorted(struct slice pairs, const char *start, struct pair out[PAIRS_MAX])
{
	struct slice name, value;
	size_t n = 0;

	while (n < PAIRS_MAX && pairs_next(&pairs, &name, &value) == 1)
		if (slice_starts(name, start))
			out[n++] = (struct pair){ name, value };
	if (n > 0)
		qsort(out, n, sizeof(*out), by_name);
	return n;
}

void
azure_string_to_sign(const struct azure_signing *s, struct buffer *out)
{
	struct pair pairs[PAIRS_MAX];
	size_t i, n;

	buffer_add_text(out, s->method);
	for (i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
		buffer_add_u8(out, '\n');
		if (strcmp(standard[i], "content-length") != 0)
			buffer_add_slice(
			    out, pairs_get(s->headers, standard[i]));
		else if (s->content_length > 0)
			buffer_printf(out, "%" PRIu64, s->content_length);
	}
	buffer_add_u8(out, '\n');

	n = sorted(s->headers, "x-ms-", pairs);
	for (i = 0; i < n; i++) {
		buffer_add_slice(out, pairs[i].name);
		buffer_add_u8(out, ':');
		buffer_add_slice(out, pairs[i].value);
		buffer_add_u8(out, '\n');
	}

	buffer_printf(out, "/%s%s", s->account, s->path);
	n = sorted(s->query, "", pairs);
	for (i = 0; i < n; i++) {
		if (i > 0 && slice_equal(pairs[i - 1].name, pairs[i].name))
			buffer_add_u8(out, ',');
		else {
			buffer_add_u8(out, '\n');
			buffer_add_slice(out, pairs[i].name);
			buffer_add_u8(out, ':');
		}
		buffer_add_slice(out, pairs[i].value);
	}
}

void
azure_shared_key(const struct azure_signing *s, const void *key, size_t key_len,
    struct buffer *out)
{
	struct buffer text = BUFFER_INIT;
	uint8_t mac[SHA256_BYTES];
	char base64[BASE64_BYTES(SHA256_BYTES)];

	azure_string_to_sign(s, &text);
	if (text.failed) {
		out->failed = 1;
		buffer_free(&text);
		return;
	}
	hmac_sha256(key, key_len, text.at, text.len, mac);
	base64_encode(mac, sizeof(mac), base64);
	buffer_printf(out, "SharedKey %s:%s", s->account, base64);
	buffer_free(&text);
}
