#include <stdlib.h>
#include <string.h>

#include "s3api/xml.h"

/*
 * The input is a document. The text of each leaf is written, read again, and
 * must be the same.
 */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct expected {
	struct slice text;
	int seen;
};

static int
leaf_again(
    void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct expected *expected = context;

	(void)s3err;
	if (strcmp(path, "Root/Text") != 0 ||
	    !slice_equal(text, expected->text))
		abort();
	expected->seen++;
	return 0;
}

static int
leaf(void *context, const char *path, struct slice text, struct s3_error *s3err)
{
	struct expected expected = { text, 0 };
	struct xml_handler handler = { leaf_again, NULL, &expected };
	struct s3_error again = S3_ERROR_INIT;
	struct buffer out = BUFFER_INIT;
	int *leaves = context;

	if (path[0] == '\0' || text.at[text.len] != '\0')
		abort();
	if (++*leaves > 1000)
		return s3_error_set(s3err, S3_INVALID_ARGUMENT, "Enough.");
	xml_begin(&out, "Root");
	xml_text(&out, "Text", text);
	xml_close(&out, "Root");
	if (out.failed || xml_parse(out.at, out.len, &handler, &again) != 0 ||
	    expected.seen != 1)
		abort();
	buffer_free(&out);
	return 0;
}

static int
end(void *context, const char *path, struct s3_error *s3err)
{
	(void)context;
	(void)s3err;
	if (path[0] == '\0')
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_error s3err = S3_ERROR_INIT;
	int leaves = 0;
	struct xml_handler handler = { leaf, end, &leaves };

	if (xml_parse(data, size, &handler, &s3err) != 0 &&
	    (s3err.code == S3_OK || s3err.message[0] == '\0'))
		abort();
	return 0;
}
