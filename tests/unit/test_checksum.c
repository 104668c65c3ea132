#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/checksum.h"
#include "base/crc64_nvme.h"

#define BYTES 4608
#define ALIGNMENTS 16

static const char digits[] = "123456789";
static uint8_t noise[BYTES + ALIGNMENTS];

/* Reflected, all ones before and after: the definition, bit by bit. */
static uint64_t
by_definition(uint64_t polynomial, uint64_t ones, uint64_t crc,
    const uint8_t *p, size_t len)
{
	int bit;

	crc ^= ones;
	for (; len > 0; len--, p++) {
		crc ^= *p;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
	}
	return crc ^ ones;
}

static uint64_t
iso_by_definition(uint64_t crc, const uint8_t *p, size_t len)
{
	return by_definition(0xedb88320, UINT32_MAX, crc, p, len);
}

static uint64_t
castagnoli_by_definition(uint64_t crc, const uint8_t *p, size_t len)
{
	return by_definition(0x82f63b78, UINT32_MAX, crc, p, len);
}

static uint64_t
nvme_by_definition(uint64_t crc, const uint8_t *p, size_t len)
{
	return by_definition(
	    UINT64_C(0x9a6c9329ac4bc9b5), UINT64_MAX, crc, p, len);
}

static uint64_t
iso(uint64_t crc, const void *p, size_t len)
{
	return crc32_iso((uint32_t)crc, p, len);
}

static uint64_t
castagnoli(uint64_t crc, const void *p, size_t len)
{
	return crc32c((uint32_t)crc, p, len);
}

static int
fill_noise(void **state)
{
	uint64_t x;
	size_t i;

	(void)state;
	x = 88172645463325252u;
	for (i = 0; i < sizeof(noise); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = (uint8_t)(x >> 32);
	}
	return 0;
}

/* Every length up to 700 at every alignment, and some longer ones. */
static void
assert_same(uint64_t (*fast)(uint64_t, const void *, size_t),
    uint64_t (*definition)(uint64_t, const uint8_t *, size_t))
{
	uint64_t expected;
	size_t len, at;

	for (at = 0; at < ALIGNMENTS; at++) {
		expected = 0;
		for (len = 0; len <= 700; len++) {
			assert_int_equal(fast(0, noise + at, len), expected);
			expected = definition(expected, noise + at + len, 1);
		}
		for (len = 701 + at; len <= BYTES; len += 97) {
			expected = definition(0, noise + at, len);
			assert_int_equal(fast(0, noise + at, len), expected);
		}
	}
}

/* Split anywhere, the sum of the first is where the second continues. */
static void
assert_chains(uint64_t (*fast)(uint64_t, const void *, size_t))
{
	uint64_t whole;
	size_t cut;

	whole = fast(0, noise, BYTES);
	for (cut = 0; cut <= BYTES; cut += 7)
		assert_int_equal(
		    fast(fast(0, noise, cut), noise + cut, BYTES - cut), whole);
}

static void
check_values_are_those_of_the_standards(void **state)
{
	const struct crc64_nvme_way *way;

	(void)state;
	assert_int_equal(crc32_iso(0, digits, 9), 0xcbf43926);
	assert_int_equal(crc32c(0, digits, 9), 0xe3069283);
	assert_int_equal(
	    crc64_nvme(0, digits, 9), UINT64_C(0xae8b14860a799888));
	for (way = crc64_nvme_ways; way->name != NULL; way++) {
		if (way->usable())
			assert_int_equal(way->run(0, digits, 9),
			    UINT64_C(0xae8b14860a799888));
	}
}

static void
nothing_sums_to_zero_and_changes_no_sum(void **state)
{
	(void)state;
	assert_int_equal(crc32_iso(0, "", 0), 0);
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc64_nvme(0, "", 0), 0);
	assert_int_equal(crc32_iso(0x12345678, "", 0), 0x12345678);
	assert_int_equal(crc32c(0x12345678, "", 0), 0x12345678);
	assert_int_equal(crc64_nvme(0x12345678, "", 0), 0x12345678);
}

static void
thirty_two_zero_bytes_have_the_crc32c_of_rfc_3720(void **state)
{
	uint8_t bytes[32] = { 0 };

	(void)state;
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
}

static void
crc32_equals_its_definition_at_every_length_and_alignment(void **state)
{
	(void)state;
	assert_same(iso, iso_by_definition);
}

static void
crc32c_equals_its_definition_at_every_length_and_alignment(void **state)
{
	(void)state;
	assert_same(castagnoli, castagnoli_by_definition);
}

static void
crc64_equals_its_definition_by_every_way(void **state)
{
	const struct crc64_nvme_way *way;

	(void)state;
	assert_same(crc64_nvme, nvme_by_definition);
	for (way = crc64_nvme_ways; way->name != NULL; way++) {
		if (way->usable())
			assert_same(way->run, nvme_by_definition);
	}
}

static void
a_sum_continues_from_any_cut(void **state)
{
	const struct crc64_nvme_way *way;

	(void)state;
	assert_chains(iso);
	assert_chains(castagnoli);
	for (way = crc64_nvme_ways; way->name != NULL; way++) {
		if (way->usable())
			assert_chains(way->run);
	}
}

static void
combined_sums_equal_the_sum_of_the_whole(void **state)
{
	size_t cut, len;

	(void)state;
	for (cut = 0; cut <= BYTES; cut += 13) {
		len = BYTES - cut;
		assert_int_equal(crc32_iso_combine(crc32_iso(0, noise, cut),
				     crc32_iso(0, noise + cut, len), len),
		    crc32_iso(0, noise, BYTES));
		assert_int_equal(crc32c_combine(crc32c(0, noise, cut),
				     crc32c(0, noise + cut, len), len),
		    crc32c(0, noise, BYTES));
		assert_int_equal(crc64_nvme_combine(crc64_nvme(0, noise, cut),
				     crc64_nvme(0, noise + cut, len), len),
		    crc64_nvme(0, noise, BYTES));
	}
}

/* Doubling a message of zeros by combination reaches lengths that no test
 * can hash: combining in another grouping must give the same. */
static void
combining_terabytes_is_associative(void **state)
{
	const uint64_t part = UINT64_C(5) << 30;
	uint32_t a32, left32, right32;
	uint64_t a, left, right;
	size_t i;

	(void)state;
	a = crc64_nvme(0, digits, 9);
	a32 = crc32_iso(0, digits, 9);
	left = a;
	left32 = a32;
	for (i = 0; i < 1023; i++) {
		left = crc64_nvme_combine(left, a, part);
		left32 = crc32_iso_combine(left32, a32, part);
	}
	right = a;
	right32 = a32;
	for (i = 0; i < 10; i++) {
		right = crc64_nvme_combine(right, right, part << i);
		right32 = crc32_iso_combine(right32, right32, part << i);
	}
	assert_int_equal(left, right);
	assert_int_equal(left32, right32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_values_are_those_of_the_standards),
		cmocka_unit_test(nothing_sums_to_zero_and_changes_no_sum),
		cmocka_unit_test(
		    thirty_two_zero_bytes_have_the_crc32c_of_rfc_3720),
		cmocka_unit_test(
		    crc32_equals_its_definition_at_every_length_and_alignment),
		cmocka_unit_test(
		    crc32c_equals_its_definition_at_every_length_and_alignment),
		cmocka_unit_test(crc64_equals_its_definition_by_every_way),
		cmocka_unit_test(a_sum_continues_from_any_cut),
		cmocka_unit_test(combined_sums_equal_the_sum_of_the_whole),
		cmocka_unit_test(combining_terabytes_is_associative),
	};

	return cmocka_run_group_tests_name("checksum", tests, fill_noise, NULL);
}
