#include <stdlib.h>
#include <string.h>

#include "s3api/awschunked.h"

/*
 * The first byte chooses the kind and how the rest, an envelope, is cut into
 * runs. Decoding it in those runs and in one must come to the same.
 */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct outcome {
	int failed;
	enum s3_code code;
	size_t len; /* of the payload that came before the end or the failure */
	char *payload;
};

static struct outcome
decode(enum payload_kind kind, const uint8_t *data, size_t size, size_t run)
{
	struct outcome result = { 0, S3_OK, 0, NULL };
	struct s3_error s3err = S3_ERROR_INIT;
	struct sigv4 sig;
	struct sigv4_key key;
	struct aws_chunked *c;
	size_t at, n, out;

	memset(&sig, 0, sizeof(sig));
	memset(&key, 7, sizeof(key));
	sig.date = SLICE_LITERAL("20130524");
	sig.region = SLICE_LITERAL("us-east-1");
	sig.service = SLICE_LITERAL("s3");
	c = aws_chunked_new(kind, &sig, &key, UINT64_MAX,
	    SLICE_LITERAL("x-amz-checksum-crc32"));
	result.payload = malloc(size + 1);
	if (c == NULL || result.payload == NULL)
		abort();
	for (at = 0; at < size && !result.failed; at += n) {
		n = size - at < run ? size - at : run;
		memcpy(result.payload + result.len, data + at, n);
		result.failed =
		    aws_chunked_decode(
			c, result.payload + result.len, n, &out, &s3err) < 0;
		if (out > n)
			abort();
		result.len += out;
	}
	if (!result.failed)
		result.failed = aws_chunked_ended(c, &s3err) != 0;
	if (!result.failed && kind != PAYLOAD_CHUNKED_SIGNED &&
	    aws_chunked_trailer(c, "x-amz-checksum-crc32").at == NULL)
		abort();
	result.code = s3err.code;
	aws_chunked_free(c);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum payload_kind kinds[] = { PAYLOAD_CHUNKED_SIGNED,
		PAYLOAD_CHUNKED_SIGNED_TRAILER,
		PAYLOAD_CHUNKED_UNSIGNED_TRAILER };
	struct outcome whole, cut;
	enum payload_kind kind;
	size_t run;

	if (size < 1)
		return 0;
	kind = kinds[data[0] % 3];
	run = 1 + data[0] / 3;
	whole = decode(kind, data + 1, size - 1, size);
	cut = decode(kind, data + 1, size - 1, run);
	if (whole.failed != cut.failed || whole.code != cut.code)
		abort();
	if (!whole.failed &&
	    (whole.len != cut.len ||
		memcmp(whole.payload, cut.payload, cut.len) != 0))
		abort();
	free(whole.payload);
	free(cut.payload);
	return 0;
}
