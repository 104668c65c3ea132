#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/tags.h"
#include "store/record.h"

static struct buffer pairs;

static int
of_header(const char *header)
{
	struct s3_error s3err = S3_ERROR_INIT;

	buffer_clear(&pairs);
	if (tags_of_header(slice_text(header), &pairs, &s3err) == 0)
		return S3_OK;
	return (int)s3err.code;
}

static int
of_xml(const char *document, size_t max)
{
	struct s3_error s3err = S3_ERROR_INIT;

	buffer_clear(&pairs);
	if (tags_of_xml(slice_text(document), max, &pairs, &s3err) == 0)
		return S3_OK;
	return (int)s3err.code;
}

static void
a_header_is_a_query(void **state)
{
	(void)state;
	assert_int_equal(of_header(""), S3_OK);
	assert_int_equal(pairs_count(buffer_slice(&pairs)), 0);
	assert_int_equal(of_header("a=1&b%20c=%C3%A9+x&d"), S3_OK);
	assert_int_equal(pairs_count(buffer_slice(&pairs)), 3);
	assert_true(
	    slice_is(pairs_get(buffer_slice(&pairs), "b c"), "\xc3\xa9 x"));
	assert_int_equal(of_header("a=%zz"), S3_INVALID_ARGUMENT);
	assert_int_equal(of_header("a=1&a=2"), S3_INVALID_TAG);
	assert_int_equal(of_header("=1"), S3_INVALID_TAG);
	buffer_free(&pairs);
}

static void
there_are_at_most_so_many(void **state)
{
	(void)state;
	assert_int_equal(of_header("a=&b=&c=&d=&e=&f=&g=&h=&i=&j="), S3_OK);
	assert_int_equal(
	    of_header("a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k="), S3_INVALID_TAG);
	buffer_free(&pairs);
}

static void
keys_and_values_are_limited_in_characters(void **state)
{
	char text[1200];
	size_t i;

	(void)state;
	for (i = 0; i < 128; i++)
		memcpy(text + 6 * i, "%C3%A9", 6);
	text[6 * 128] = '\0';
	assert_int_equal(of_header(text), S3_OK);
	memcpy(text + 6 * 128, "x", 2);
	assert_int_equal(of_header(text), S3_INVALID_TAG);
	text[0] = 'k';
	text[1] = '=';
	memset(text + 2, 'v', 256);
	text[258] = '\0';
	assert_int_equal(of_header(text), S3_OK);
	text[258] = 'v';
	text[259] = '\0';
	assert_int_equal(of_header(text), S3_INVALID_TAG);
	buffer_free(&pairs);
}

static void
xml_goes_there_and_back(void **state)
{
	struct buffer out = BUFFER_INIT;

	(void)state;
	assert_int_equal(
	    of_xml("<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value/></Tag>"
		   "<Tag><Key>c</Key><Value>d</Value></Tag></TagSet></Tagging>",
		10),
	    S3_OK);
	assert_int_equal(pairs_count(buffer_slice(&pairs)), 2);
	tags_to_xml(&out, buffer_slice(&pairs));
	buffer_add_u8(&out, '\0');
	assert_non_null(strstr(out.at, "<Key>a&amp;b</Key><Value></Value>"));
	assert_int_equal(of_xml(out.at, 10), S3_OK);
	assert_int_equal(pairs_count(buffer_slice(&pairs)), 2);
	buffer_free(&out);
	buffer_free(&pairs);
}

static void
other_documents_are_refused(void **state)
{
	(void)state;
	assert_int_equal(of_xml("<Tagging/>", 10), S3_MALFORMED_XML);
	assert_int_equal(of_xml("<Tagging><TagSet/></Tagging>", 10), S3_OK);
	assert_int_equal(
	    of_xml("<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet>"
		   "</Tagging>",
		10),
	    S3_MALFORMED_XML);
	assert_int_equal(
	    of_xml("<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>"
		   "<Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>",
		10),
	    S3_INVALID_TAG);
	buffer_free(&pairs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_a_query),
		cmocka_unit_test(there_are_at_most_so_many),
		cmocka_unit_test(keys_and_values_are_limited_in_characters),
		cmocka_unit_test(xml_goes_there_and_back),
		cmocka_unit_test(other_documents_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
