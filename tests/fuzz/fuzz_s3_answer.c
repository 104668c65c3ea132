#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "replicator/s3_private.h"
#include "replicator/side_object.h"

/* What a hostile store could answer: an error, and a side object. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct slice body = { (const char *)bytes, len };
	struct buffer attributes = BUFFER_INIT, tags = BUFFER_INIT;
	struct s3_shared shared = { .bucket = (char *)"bucket" };
	struct http_call call = { .method = "PUT", .status = 400 };
	struct fault fault = FAULT_INIT;
	struct refusal refusal;

	s3_refusal_read(body, &refusal);
	s3_refusal_fault(&shared, S3_PUT, &call, &refusal, &fault);
	if (fault.kind == FAULT_NONE ||
	    memchr(fault.text, '\0', sizeof(fault.text)) == NULL)
		__builtin_trap();
	side_object_decode(body, &attributes, &tags);
	buffer_free(&attributes);
	buffer_free(&tags);
	return 0;
}
