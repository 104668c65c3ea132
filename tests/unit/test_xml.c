#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3api/xml.h"

static struct buffer out;
static struct s3_error s3err;

static const char *
text_of(struct buffer *b)
{
	buffer_add(b, "", 1);
	assert_false(b->failed);
	return b->at;
}

static const char *
written(const char *bytes, size_t len)
{
	buffer_clear(&out);
	xml_text(&out, "K", (struct slice){ bytes, len });
	return text_of(&out);
}

static void
a_document_is_written_as_aws_writes_it(void **state)
{
	(void)state;
	buffer_clear(&out);
	xml_begin(&out, "ListBucketResult");
	xml_string(&out, "Name", "b");
	xml_u64(&out, "MaxKeys", UINT64_MAX);
	xml_bool(&out, "IsTruncated", 0);
	xml_open(&out, "Contents");
	xml_time(&out, "LastModified", 1369353600123);
	xml_close(&out, "Contents");
	xml_text(&out, "Empty", SLICE_NULL);
	xml_close(&out, "ListBucketResult");
	assert_string_equal(text_of(&out),
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
	    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
	    "<MaxKeys>18446744073709551615</MaxKeys>"
	    "<IsTruncated>false</IsTruncated><Contents>"
	    "<LastModified>2013-05-24T00:00:00.123Z</LastModified></Contents>"
	    "<Empty></Empty></ListBucketResult>");
}

static void
text_is_escaped(void **state)
{
	(void)state;
	assert_string_equal(written("a&b<c>d\"e\rf\tg\n", 14),
	    "<K>a&amp;b&lt;c&gt;d&quot;e&#13;f\tg\n</K>");
	assert_string_equal(written("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9),
	    "<K>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</K>");
}

static void
what_xml_cannot_carry_is_replaced(void **state)
{
	static const char *const bad[] = { "\x01", "\x1f", "\xff", "\xc0\xaf",
		"\xed\xa0\x80", "\xef\xbf\xbf", "\xf4\x90\x80\x80", "\xe2\x82",
		"\x80", "\xf8\x88\x80\x80\x80" };
	size_t i, len;
	const char *text;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		text = written(bad[i], strlen(bad[i]));
		len = strlen(text);
		assert_int_equal(len, 7 + 3 * strlen(bad[i]));
		assert_memory_equal(text + 3, "\xef\xbf\xbd", 3);
	}
	assert_string_equal(written("\0", 1), "<K>\xef\xbf\xbd</K>");
}

/* Writes down what the reader is told. */
static int
on_leaf(
    void *context, const char *path, struct slice text, struct s3_error *error)
{
	struct buffer *seen = context;

	assert_int_equal(text.at[text.len], '\0');
	buffer_printf(seen, "%s=%s;", path, text.at);
	if (slice_is(text, "stop"))
		return s3_error_set(error, S3_INVALID_ARGUMENT, "stopped");
	return 0;
}

static int
on_end(void *context, const char *path, struct s3_error *error)
{
	(void)error;
	buffer_printf(context, "/%s;", path);
	return 0;
}

static int
parse(const char *text, size_t len)
{
	struct xml_handler handler = { on_leaf, on_end, &out };

	buffer_clear(&out);
	s3err.code = S3_OK;
	s3err.message[0] = '\0';
	return xml_parse(text, len, &handler, &s3err);
}

static void
a_document_is_read_leaf_by_leaf(void **state)
{
	const char *text =
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
	    "  <Object><Key>a&amp;b<![CDATA[<c>]]>&#233;</Key>"
	    "<VersionId/></Object>\n"
	    "  <!-- aside --><x:Quiet xmlns:x=\"u\">true</x:Quiet>\n"
	    "</Delete>\n";

	(void)state;
	assert_int_equal(parse(text, strlen(text)), 0);
	assert_string_equal(text_of(&out),
	    "Delete/Object/Key=a&b<c>\xc3\xa9;Delete/Object/VersionId=;"
	    "/Delete/Object;Delete/Quiet=true;/Delete;");
}

static void
a_handler_can_stop_with_its_own_error(void **state)
{
	const char *text = "<a><b>1</b><b>stop</b><b>2</b><c/></a>";

	(void)state;
	assert_int_equal(parse(text, strlen(text)), -1);
	assert_int_equal(s3err.code, S3_INVALID_ARGUMENT);
	assert_string_equal(text_of(&out), "a/b=1;a/b=stop;");
}

static void
hostile_and_broken_documents_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"text",
		"<a>",
		"<a></b>",
		"<a/><b/>",
		"<a>&nbsp;</a>",
		"<a>&#1;</a>",
		"<a>\x01</a>",
		"<a>\xff</a>",
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
		"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
		"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>",
		"\xff\xfe<\0a\0/\0>\0",
		"<1><2><3><4><5><6><7><8/></7></6></5></4></3></2></1>",
		"<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i], strlen(bad[i])), -1);
		assert_int_equal(s3err.code, S3_MALFORMED_XML);
		assert_true(strlen(s3err.message) > 10);
	}
	assert_int_equal(
	    parse("<a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>", 53),
	    0);
}

static void
ten_thousand_parts_with_checksums_fit(void **state)
{
	struct buffer text = BUFFER_INIT;
	char *large;
	int i;

	(void)state;
	xml_begin(&text, "CompleteMultipartUpload");
	for (i = 1; i <= 10000; i++)
		buffer_printf(&text,
		    "\n  <Part>\n    <ETag>&quot;%032x&quot;</ETag>\n    "
		    "<ChecksumSHA256>%044x</ChecksumSHA256>\n    "
		    "<PartNumber>%d</PartNumber>\n  </Part>",
		    i, i, i);
	xml_close(&text, "CompleteMultipartUpload");
	assert_int_equal(parse(text.at, text.len), 0);
	buffer_free(&text);

	large = malloc(4 * 1024 * 1024 + 1);
	memset(large, ' ', 4 * 1024 * 1024 + 1);
	assert_int_equal(parse(large, 4 * 1024 * 1024 + 1), -1);
	assert_int_equal(s3err.code, S3_MALFORMED_XML);
	free(large);
}

static int
teardown(void **state)
{
	(void)state;
	buffer_free(&out);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_is_written_as_aws_writes_it),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(what_xml_cannot_carry_is_replaced),
		cmocka_unit_test(a_document_is_read_leaf_by_leaf),
		cmocka_unit_test(a_handler_can_stop_with_its_own_error),
		cmocka_unit_test(hostile_and_broken_documents_are_refused),
		cmocka_unit_test(ten_thousand_parts_with_checksums_fit),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
