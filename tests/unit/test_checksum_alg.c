#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "s3api/checksum_alg.h"

static void
names_lead_back_to_their_algorithm(void **state)
{
	enum checksum_kind kind;

	(void)state;
	for (kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++) {
		assert_int_equal(
		    checksum_by_name(slice_text(checksum_name(kind))), kind);
		assert_int_equal(
		    checksum_by_header(slice_text(checksum_header(kind))),
		    kind);
		assert_true(checksum_may_be_composite(kind) ||
		    checksum_may_be_full(kind));
	}
	assert_int_equal(
	    checksum_by_name(SLICE_LITERAL("crc64nvme")), CHECKSUM_CRC64NVME);
	assert_int_equal(checksum_by_name(SLICE_LITERAL("")), CHECKSUM_NONE);
	assert_int_equal(checksum_by_name(SLICE_LITERAL("MD5")), CHECKSUM_NONE);
	assert_int_equal(checksum_by_header(SLICE_LITERAL("x-amz-checksum-")),
	    CHECKSUM_NONE);
	assert_string_equal(
	    checksum_element(CHECKSUM_SHA256), "ChecksumSHA256");
	assert_false(checksum_may_be_full(CHECKSUM_SHA1));
	assert_false(checksum_may_be_composite(CHECKSUM_CRC64NVME));
}

static void
values_are_base64_of_the_right_length(void **state)
{
	struct checksum sum;
	char text[CHECKSUM_TEXT_BYTES];

	(void)state;
	assert_int_equal(
	    checksum_decode(CHECKSUM_CRC32, SLICE_LITERAL("DUoRhQ=="), &sum),
	    0);
	assert_int_equal(sum.kind, CHECKSUM_CRC32);
	assert_memory_equal(sum.value, "\x0d\x4a\x11\x85", 4);
	checksum_encode(&sum, text);
	assert_string_equal(text, "DUoRhQ==");
	assert_int_equal(checksum_decode(CHECKSUM_CRC64NVME,
			     SLICE_LITERAL("DUoRhQ=="), &sum),
	    -1);
	assert_int_equal(
	    checksum_decode(CHECKSUM_CRC32, SLICE_LITERAL("DUoRhQ"), &sum), -1);
	assert_int_equal(
	    checksum_decode(CHECKSUM_CRC32, SLICE_LITERAL(""), &sum), -1);
	assert_int_equal(
	    checksum_decode(CHECKSUM_SHA256,
		SLICE_LITERAL("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
		&sum),
	    0);
	checksum_encode(&sum, text);
	assert_string_equal(
	    text, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_back_to_their_algorithm),
		cmocka_unit_test(values_are_base64_of_the_right_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
