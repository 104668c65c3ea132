#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "replicator/aws_sign.h"
#include "store/record.h"

#define HEADERS_MAX 80

struct header {
	struct slice name, value;
};

static int
header_order(const void *a, const void *b)
{
	const struct header *x = a, *y = b;

	return slice_compare(x->name, y->name);
}

/* Blanks at the ends go, and several in a row become one. */
static void
add_value(struct buffer *out, struct slice value)
{
	size_t i;

	while (value.len > 0 && value.at[0] == ' ') {
		value.at++;
		value.len--;
	}
	while (value.len > 0 && value.at[value.len - 1] == ' ')
		value.len--;
	for (i = 0; i < value.len; i++)
		if (value.at[i] != ' ' || value.at[i - 1] != ' ')
			buffer_add_u8(out, (uint8_t)value.at[i]);
}

/* A parameter without a value is signed with an empty one. */
static void
add_query(struct buffer *out, const char *query)
{
	const char *at = query;
	size_t len;

	while (*at != '\0') {
		len = strcspn(at, "&");
		if (at != query)
			buffer_add_u8(out, '&');
		buffer_add(out, at, len);
		if (memchr(at, '=', len) == NULL)
			buffer_add_u8(out, '=');
		at += len;
		at += *at == '&';
	}
}

static void
canonical_request(const struct aws_request *req, const struct header *headers,
    size_t n, const char *names, struct buffer *out)
{
	size_t i;

	buffer_printf(out, "%s\n%s\n", req->method, req->path);
	add_query(out, req->query);
	buffer_add_u8(out, '\n');
	for (i = 0; i < n; i++) {
		buffer_add_slice(out, headers[i].name);
		buffer_add_u8(out, ':');
		add_value(out, headers[i].value);
		buffer_add_u8(out, '\n');
	}
	buffer_printf(out, "\n%s\n%s", names, req->payload);
}

/* The chain of HMACs from the secret to the key of a day, region and service.
 */
static void
signing_key(const struct aws_request *req, const char *secret, const char *date,
    uint8_t key[SHA256_BYTES])
{
	char first[sizeof(((struct aws_keys *)0)->secret) + 4];
	int len;

	len = snprintf(first, sizeof(first), "AWS4%s", secret);
	hmac_sha256(first, (size_t)len, date, 8, key);
	hmac_sha256(key, SHA256_BYTES, req->region, strlen(req->region), key);
	hmac_sha256(key, SHA256_BYTES, req->service, strlen(req->service), key);
	hmac_sha256(key, SHA256_BYTES, "aws4_request", 12, key);
	bytes_wipe(first, sizeof(first));
}

void
aws_sign(const struct aws_request *req, const struct aws_keys *keys,
    struct buffer *out)
{
	struct buffer canonical = BUFFER_INIT, names = BUFFER_INIT;
	struct buffer text = BUFFER_INIT;
	struct header headers[HEADERS_MAX];
	struct slice rest = req->headers;
	uint8_t digest[SHA256_BYTES], key[SHA256_BYTES];
	char time[CLOCK_TEXT_BYTES], hex[2 * SHA256_BYTES + 1];
	size_t n = 0, i;

	while (n < HEADERS_MAX &&
	    pairs_next(&rest, &headers[n].name, &headers[n].value) == 1)
		n++;
	qsort(headers, n, sizeof(headers[0]), header_order);
	for (i = 0; i < n; i++) {
		if (i > 0)
			buffer_add_u8(&names, ';');
		buffer_add_slice(&names, headers[i].name);
	}
	buffer_add_u8(&names, '\0');
	if (names.failed)
		goto done;

	clock_basic(req->wall_ms, time);
	canonical_request(req, headers, n, names.at, &canonical);
	digest_once(DIGEST_SHA256, canonical.at, canonical.len, digest);
	hex_encode(digest, SHA256_BYTES, hex);
	buffer_printf(&text,
	    "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", time, time,
	    req->region, req->service, hex);
	signing_key(req, keys->secret, time, key);
	hmac_sha256(key, SHA256_BYTES, text.at, text.len, digest);
	hex_encode(digest, SHA256_BYTES, hex);
	buffer_printf(out,
	    "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request, "
	    "SignedHeaders=%s, Signature=%s",
	    keys->access_key_id, time, req->region, req->service, names.at,
	    hex);
	bytes_wipe(key, sizeof(key));

done:
	if (canonical.failed || names.failed || text.failed)
		out->failed = 1;
	buffer_free(&canonical);
	buffer_free(&names);
	buffer_free(&text);
}
