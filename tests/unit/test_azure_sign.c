#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/encode.h"
#include "replicator/azure_sign.h"
#include "store/record.h"

static struct buffer query, headers, out;

static int
setup(void **state)
{
	(void)state;
	buffer_clear(&query);
	buffer_clear(&headers);
	buffer_clear(&out);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buffer_free(&query);
	buffer_free(&headers);
	buffer_free(&out);
	query = headers = out = (struct buffer)BUFFER_INIT;
	return 0;
}

static void
ask(const char *name, const char *value)
{
	pairs_add(&query, slice_text(name), slice_text(value));
}

static void
head(const char *name, const char *value)
{
	pairs_add(&headers, slice_text(name), slice_text(value));
}

static struct azure_signing
signing(const char *method, const char *path, uint64_t content_length)
{
	return (struct azure_signing){ .method = method,
		.account = "myaccount",
		.path = path,
		.query = buffer_slice(&query),
		.headers = buffer_slice(&headers),
		.content_length = content_length };
}

static const char *
text_of(const struct azure_signing *s)
{
	azure_string_to_sign(s, &out);
	buffer_add_u8(&out, '\0');
	assert_false(out.failed);
	return out.at;
}

/* The example of "Authorize with Shared Key". */
static void
the_published_example_is_signed_as_written(void **state)
{
	struct azure_signing s;

	(void)state;
	ask("restype", "container");
	ask("comp", "metadata");
	ask("timeout", "20");
	head("x-ms-version", "2015-02-21");
	head("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
	s = signing("GET", "/mycontainer", 0);
	assert_string_equal(text_of(&s),
	    "GET\n\n\n\n\n\n\n\n\n\n\n\n"
	    "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
	    "x-ms-version:2015-02-21\n"
	    "/myaccount/mycontainer\n"
	    "comp:metadata\nrestype:container\ntimeout:20");
}

static void
each_standard_header_has_its_line(void **state)
{
	struct azure_signing s;

	(void)state;
	head("x-ms-meta-b", "2");
	head("range", "bytes=0-9");
	head("content-type", "text/plain");
	head("content-md5", "bWQ1");
	head("x-ms-meta-a", "1");
	head("if-none-match", "*");
	head("accept", "not signed");
	s = signing("PUT", "/c/blob%20name", 65);
	assert_string_equal(text_of(&s),
	    "PUT\n\n\n65\nbWQ1\ntext/plain\n\n\n\n*\n\nbytes=0-9\n"
	    "x-ms-meta-a:1\nx-ms-meta-b:2\n"
	    "/myaccount/c/blob%20name");
}

static void
values_of_one_parameter_are_joined_in_order(void **state)
{
	struct azure_signing s;

	(void)state;
	ask("include", "snapshots");
	ask("comp", "list");
	ask("include", "metadata");
	s = signing("GET", "/c", 0);
	assert_non_null(
	    strstr(text_of(&s), "\ncomp:list\ninclude:metadata,snapshots"));
}

/* Computed apart, by Python's hmac. */
static void
the_signature_is_of_that_text(void **state)
{
	static const char key64[] =
	    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
	    "K1SZFPTOtr/KBHBeksoGMGw==";
	struct azure_signing s;
	uint8_t key[64];

	(void)state;
	assert_int_equal(
	    base64_decode(key64, strlen(key64), key, sizeof(key)), 64);
	ask("restype", "container");
	ask("comp", "metadata");
	ask("timeout", "20");
	head("x-ms-version", "2015-02-21");
	head("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
	s = signing("GET", "/mycontainer", 0);
	azure_shared_key(&s, key, sizeof(key), &out);
	buffer_add_u8(&out, '\0');
	assert_string_equal(out.at,
	    "SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_published_example_is_signed_as_written, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    each_standard_header_has_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    values_of_one_parameter_are_joined_in_order, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    the_signature_is_of_that_text, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
