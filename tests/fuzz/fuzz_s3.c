#include <stddef.h>
#include <stdint.h>

#include "answers.h"

/* The answers of stores that speak S3, by an access key ('k'); of the
 * instance's metadata service ('m'), a container's credentials ('c'). */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct destination_fields fields = { .provider = PROVIDER_S3,
		.endpoint = "http://127.0.0.1:1",
		.region = "us-east-1",
		.bucket = "bucket",
		.path = "p" };

	if (len > 1 && (bytes[1] == 'm' || bytes[1] == 'c')) {
		fields.use_instance_role = 1;
		fields.metadata_endpoint = "http://127.0.0.1:2";
		if (bytes[1] == 'c')
			fields.container_credentials_uri =
			    "http://127.0.0.1:3/c";
	} else {
		fields.access_key_id = "AKIDEXAMPLE";
		fields.secret_access_key = "secret";
	}
	fuzz_operation(&destination_s3, &fields, bytes, len);
	return 0;
}
