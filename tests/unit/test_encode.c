#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/encode.h"

static void
hex_is_written_in_lower_case_and_read_in_both(void **state)
{
	uint8_t bytes[4];
	char text[9];

	(void)state;
	hex_encode("\x00\x9f\xab\xff", 4, text);
	assert_string_equal(text, "009fabff");
	assert_int_equal(hex_decode("009FaBFf", 8, bytes, 4), 0);
	assert_memory_equal(bytes, "\x00\x9f\xab\xff", 4);
	hex_encode("", 0, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode("", 0, bytes, 0), 0);
}

static void
hex_of_another_length_or_digit_is_refused(void **state)
{
	uint8_t bytes[4];

	(void)state;
	assert_int_equal(hex_decode("00", 2, bytes, 2), -1);
	assert_int_equal(hex_decode("000000", 6, bytes, 2), -1);
	assert_int_equal(hex_decode("000", 3, bytes, 1), -1);
	assert_int_equal(hex_decode("0g", 2, bytes, 1), -1);
	assert_int_equal(hex_decode(" 0", 2, bytes, 1), -1);
	assert_int_equal(hex_decode("0x", 2, bytes, 1), -1);
}

/* RFC 4648 section 10. */
static const struct {
	const char *bytes;
	const char *text;
} base64_vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "+/+/" },
};

static void
base64_is_that_of_rfc_4648(void **state)
{
	char text[BASE64_BYTES(6)], bytes[6];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(base64_vectors) / sizeof(base64_vectors[0]);
	     i++) {
		len = strlen(base64_vectors[i].bytes);
		base64_encode(base64_vectors[i].bytes, len, text);
		assert_string_equal(text, base64_vectors[i].text);
		assert_int_equal(
		    base64_decode(text, strlen(text), bytes, len), len);
		assert_memory_equal(bytes, base64_vectors[i].bytes, len);
		if (len > 0)
			assert_int_equal(
			    base64_decode(text, strlen(text), bytes, len - 1),
			    -1);
	}
}

static void
base64_that_is_not_exact_is_refused(void **state)
{
	static const char *const wrong[] = { "Zg", "Zg=", "Z===", "====", "=",
		"Zg==Zg==", "Zh==", "Zm9=", "Zm9v\n", "Zm 9v", " Zm9", "Zm-_",
		"Z=g=", "Zm9v=", "Zg==\n", "Zm9vYg=Y" };
	uint8_t bytes[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]),
				     bytes, sizeof(bytes)),
		    -1);
}

static void
uris_are_encoded_as_sigv4_asks(void **state)
{
	static const char plain[] = "AZaz09-._~";
	char text[64];

	(void)state;
	assert_int_equal(uri_encode(plain, 10, 0, text), 10);
	assert_string_equal(text, plain);
	assert_int_equal(uri_encode("a b/c+\xc3\xa4*", 9, 1, text), 19);
	assert_string_equal(text, "a%20b/c%2B%C3%A4%2A");
	uri_encode("a/b\0", 4, 0, text);
	assert_string_equal(text, "a%2Fb%00");
	assert_int_equal(uri_encode("", 0, 0, text), 0);
	assert_string_equal(text, "");
}

static void
uris_are_decoded_in_place(void **state)
{
	char text[] = "a%20b+%2b%C3%a4%00z";

	(void)state;
	assert_int_equal(uri_decode(text, strlen(text), 0, text), 9);
	assert_memory_equal(text, "a b++\xc3\xa4\0z", 9);
	assert_int_equal(uri_decode("a+b", 3, 1, text), 3);
	assert_memory_equal(text, "a b", 3);
	assert_int_equal(uri_decode("", 0, 1, text), 0);
}

static void
a_bad_escape_is_refused(void **state)
{
	char bytes[8];

	(void)state;
	assert_int_equal(uri_decode("%", 1, 0, bytes), -1);
	assert_int_equal(uri_decode("a%4", 3, 0, bytes), -1);
	assert_int_equal(uri_decode("%4g", 3, 0, bytes), -1);
	assert_int_equal(uri_decode("%%41", 4, 0, bytes), -1);
	assert_int_equal(uri_decode("%+1", 3, 1, bytes), -1);
}

static void
every_byte_survives_encoding_and_decoding(void **state)
{
	uint8_t bytes[256], back[256];
	char text[3 * 256 + 1];
	size_t i, len;

	(void)state;
	for (i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	len = uri_encode(bytes, 256, 0, text);
	assert_int_equal(uri_decode(text, len, 1, text), 256);
	assert_memory_equal(text, bytes, 256);
	hex_encode(bytes, 256, text);
	assert_int_equal(hex_decode(text, 512, back, 256), 0);
	assert_memory_equal(back, bytes, 256);
	base64_encode(bytes, 256, text);
	assert_int_equal(base64_decode(text, strlen(text), back, 256), 256);
	assert_memory_equal(back, bytes, 256);
}

static void
integers_are_big_endian(void **state)
{
	uint8_t p[8];

	(void)state;
	be64_put(p, UINT64_C(0x0102030405060708));
	assert_memory_equal(p, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(be64_get(p), UINT64_C(0x0102030405060708));
	assert_int_equal(be32_get(p), 0x01020304);
	assert_int_equal(be16_get(p), 0x0102);
	memset(p, 0xff, sizeof(p));
	assert_int_equal(be16_get(p), UINT16_MAX);
	assert_int_equal(be32_get(p), UINT32_MAX);
	assert_int_equal(be64_get(p), UINT64_MAX);
}

static int
parse(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	return parse_u64(text, strlen(text), min, max, value);
}

static void
an_integer_is_digits_within_its_range(void **state)
{
	static const char *const wrong[] = { "", "+1", "-1", " 1", "1 ", "1a",
		"0x1", "1.0", "18446744073709551616", "99999999999999999999" };
	uint64_t v;
	size_t i;

	(void)state;
	assert_int_equal(parse("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, UINT64_MAX);
	assert_int_equal(parse("0", 0, 0, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(parse("007", 1, 10, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(parse("10", 1, 10, &v), 0);
	assert_int_equal(parse("0", 1, 10, &v), -1);
	assert_int_equal(parse("11", 1, 10, &v), -1);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse(wrong[i], 0, UINT64_MAX, &v), -1);
}

static void
sizes_are_binary_whatever_their_spelling(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "512B", 512 },
		{ "1k", 1024 },
		{ "1K", 1024 },
		{ "1Ki", 1024 },
		{ "64KiB", 65536 },
		{ "3M", 3145728 },
		{ "3Mi", 3145728 },
		{ "5GiB", UINT64_C(5368709120) },
		{ "2T", UINT64_C(2199023255552) },
		{ "16777215TiB", UINT64_C(16777215) << 40 },
	};
	static const char *const wrong[] = { "", "B", "k", "1 k", "1kB", "1.5G",
		"-1", "1KIB", "1P", "16777216TiB", "18446744073709551616",
		"1KiBx" };
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse_size(rows[i].text, &bytes), 0);
		assert_int_equal(bytes, rows[i].bytes);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse_size(wrong[i], &bytes), -1);
}

static void
durations_name_their_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {
		{ "0s", 0 },
		{ "250ms", 250 },
		{ "90s", 90000 },
		{ "15m", 900000 },
		{ "24h", 86400000 },
		{ "7d", 604800000 },
	};
	static const char *const wrong[] = { "", "7", "s", "1w", "1.5h", "-1s",
		"1 s", "1sec", "1M", "213503982335d" };
	uint64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse_duration(rows[i].text, &ms), 0);
		assert_int_equal(ms, rows[i].ms);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse_duration(wrong[i], &ms), -1);
}

static void
sizes_are_written_for_people(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 1536, "1.5 KiB" },
		{ 65536, "64 KiB" },
		{ 1048575, "1023.9 KiB" },
		{ UINT64_C(1610612736), "1.5 GiB" },
		{ UINT64_C(5) << 40, "5 TiB" },
		{ UINT64_MAX, "15.9 EiB" },
	};
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		format_size(rows[i].bytes, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_is_written_in_lower_case_and_read_in_both),
		cmocka_unit_test(hex_of_another_length_or_digit_is_refused),
		cmocka_unit_test(base64_is_that_of_rfc_4648),
		cmocka_unit_test(base64_that_is_not_exact_is_refused),
		cmocka_unit_test(uris_are_encoded_as_sigv4_asks),
		cmocka_unit_test(uris_are_decoded_in_place),
		cmocka_unit_test(a_bad_escape_is_refused),
		cmocka_unit_test(every_byte_survives_encoding_and_decoding),
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(an_integer_is_digits_within_its_range),
		cmocka_unit_test(sizes_are_binary_whatever_their_spelling),
		cmocka_unit_test(durations_name_their_unit),
		cmocka_unit_test(sizes_are_written_for_people),
	};

	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
