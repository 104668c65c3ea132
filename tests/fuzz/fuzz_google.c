#include <stddef.h>
#include <stdint.h>

#include "answers.h"

/* Google's JSON, its headers, and the metadata server's tokens. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct destination_fields fields = { .provider = PROVIDER_GOOGLE,
		.endpoint = "http://127.0.0.1:1",
		.bucket = "bucket",
		.path = "p",
		.use_instance_role = 1,
		.metadata_endpoint = "http://127.0.0.1:2" };

	fuzz_operation(&destination_google, &fields, bytes, len);
	return 0;
}
