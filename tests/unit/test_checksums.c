#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "s3api/checksums.h"

static struct checksum checksum;

static void
make(enum checksum_kind kind, int composite)
{
	memset(&checksum, 0, sizeof(checksum));
	checksum.kind = (uint8_t)kind;
	checksum.composite = (uint8_t)composite;
	memset(checksum.value, 0xab, checksum_bytes(kind));
}

static void
a_composite_one_tells_its_parts(void **state)
{
	char text[CHECKSUM_SHOWN_BYTES];

	(void)state;
	make(CHECKSUM_CRC32, 0);
	checksum_show(&checksum, 3, text);
	assert_string_equal(text, "q6urqw==");
	make(CHECKSUM_CRC32, 1);
	checksum_show(&checksum, 3, text);
	assert_string_equal(text, "q6urqw==-3");
	make(CHECKSUM_SHA256, 1);
	checksum_show(&checksum, 10000, text);
	assert_string_equal(
	    text, "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=-10000");
}

static void
both_forms_are_read(void **state)
{
	struct checksum read;

	(void)state;
	make(CHECKSUM_CRC32C, 0);
	assert_int_equal(
	    checksum_read(CHECKSUM_CRC32C, slice_text("q6urqw=="), &read), 0);
	assert_false(read.composite);
	assert_memory_equal(read.value, checksum.value, 4);
	assert_int_equal(
	    checksum_read(CHECKSUM_CRC32C, slice_text("q6urqw==-2"), &read), 0);
	assert_true(read.composite);
	assert_int_equal(
	    checksum_read(CHECKSUM_CRC32C, slice_text("q6ur"), &read), -1);
	assert_int_equal(checksum_read(CHECKSUM_CRC32C, SLICE_NULL, &read), -1);
}

static void
answers_name_value_and_type(void **state)
{
	struct buffer out = BUFFER_INIT;

	(void)state;
	make(CHECKSUM_NONE, 0);
	checksum_to_headers(&out, &checksum, 0);
	checksum_to_xml(&out, &checksum, 0, 1);
	assert_int_equal(out.len, 0);
	make(CHECKSUM_CRC64NVME, 0);
	checksum_to_headers(&out, &checksum, 0);
	checksum_to_xml(&out, &checksum, 0, 1);
	buffer_add_u8(&out, '\0');
	assert_string_equal(out.at,
	    "x-amz-checksum-crc64nvme: q6urq6urq6s=\r\n"
	    "x-amz-checksum-type: FULL_OBJECT\r\n"
	    "<ChecksumCRC64NVME>q6urq6urq6s=</ChecksumCRC64NVME>"
	    "<ChecksumType>FULL_OBJECT</ChecksumType>");
	buffer_free(&out);
}

static void
elements_name_their_algorithm(void **state)
{
	(void)state;
	assert_int_equal(
	    checksum_by_element(slice_text("ChecksumCRC32")), CHECKSUM_CRC32);
	assert_int_equal(
	    checksum_by_element(slice_text("ChecksumSHA256")), CHECKSUM_SHA256);
	assert_int_equal(
	    checksum_by_element(slice_text("ETag")), CHECKSUM_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_composite_one_tells_its_parts),
		cmocka_unit_test(both_forms_are_read),
		cmocka_unit_test(answers_name_value_and_type),
		cmocka_unit_test(elements_name_their_algorithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
