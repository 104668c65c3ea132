#include <stdlib.h>
#include <string.h>

#include "s3api/sigv4.h"

/*
 * The input is a request's head. What is parsed lies within the head or the
 * signature's own text, and no signature can be right: the key is not known.
 */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_within(
    struct slice part, const struct sigv4 *sig, const char *bytes, size_t len)
{
	if (part.len == 0)
		return;
	if (part.at >= bytes && part.at + part.len <= bytes + len)
		return;
	if (part.at >= sig->text &&
	    part.at + part.len <= sig->text + sizeof(sig->text))
		return;
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head head;
	static struct sigv4 sig;
	struct sigv4_rules rules = { 1369353600000, 900000, SLICE_NULL };
	struct http_refusal refusal;
	struct sigv4_key key;
	struct s3_error s3err = S3_ERROR_INIT;
	char *bytes;

	if ((bytes = malloc(size + 1)) == NULL)
		return 0;
	memcpy(bytes, data, size);
	if (http_head_parse(bytes, size, &head, &refusal) <= 0)
		goto out;
	if (sigv4_parse(&head, &sig, &s3err) != 0) {
		if (s3err.code == S3_OK)
			abort();
		goto out;
	}
	if (sig.anonymous)
		goto out;
	check_within(sig.access_key, &sig, bytes, size);
	check_within(sig.region, &sig, bytes, size);
	check_within(sig.service, &sig, bytes, size);
	check_within(sig.signed_headers, &sig, bytes, size);

	/* Any time passes, so that all of the request is read. */
	rules.now_ms = sig.time_ms;
	sigv4_derive(SLICE_LITERAL("a secret that no input knows"), &sig, &key);
	if (sigv4_verify(&head, &sig, &key, &rules, &s3err) == 0)
		abort();
	if (s3err.code == S3_OK || s3err.message[0] == '\0')
		abort();
out:
	free(bytes);
	return 0;
}
