#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "base/encode.h"

/* RFC 1321 appendix A.5; FIPS 180-2 appendices A and B. */
static const struct {
	enum digest_kind kind;
	const char *text;
	const char *hex;
} vectors[] = {
	{ DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
	{ DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72" },
	{ DIGEST_MD5,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
	    "d174ab98d277d9f5a5611c2c9f419d9f" },
	{ DIGEST_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
	{ DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ DIGEST_SHA1,
	    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	{ DIGEST_SHA256, "",
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
	    "5" },
	{ DIGEST_SHA256, "abc",
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"
	    "d" },
	{ DIGEST_SHA256,
	    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c"
	    "1" },
};

#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

static void
assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	char text[2 * SHA256_BYTES + 1];

	hex_encode(bytes, len, text);
	assert_string_equal(text, hex);
}

static void
digests_are_those_of_the_standards(void **state)
{
	uint8_t out[SHA256_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < VECTORS; i++) {
		digest_once(vectors[i].kind, vectors[i].text,
		    strlen(vectors[i].text), out);
		assert_hex(out, digest_size(vectors[i].kind), vectors[i].hex);
	}
}

static void
a_digest_takes_bytes_in_any_pieces_and_starts_again(void **state)
{
	uint8_t out[SHA256_BYTES];
	struct digest *d;
	size_t i, at, len, step;

	(void)state;
	for (i = 0; i < VECTORS; i++) {
		d = digest_new(vectors[i].kind);
		assert_non_null(d);
		digest_update(d, "left over", 9);
		len = strlen(vectors[i].text);
		for (step = 1; step <= len + 1; step++) {
			digest_reset(d);
			for (at = 0; at + step < len; at += step)
				digest_update(d, vectors[i].text + at, step);
			digest_update(d, vectors[i].text + at, len - at);
			digest_update(d, NULL, 0);
			digest_final(d, out);
			assert_hex(
			    out, digest_size(vectors[i].kind), vectors[i].hex);
		}
		digest_free(d);
	}
	digest_free(NULL);
}

static void
a_million_letters_have_the_sha256_of_fips_180(void **state)
{
	uint8_t out[SHA256_BYTES];
	char *text;

	(void)state;
	text = malloc(1000000);
	assert_non_null(text);
	memset(text, 'a', 1000000);
	digest_once(DIGEST_SHA256, text, 1000000, out);
	assert_hex(out, SHA256_BYTES,
	    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(text);
}

/* RFC 4231 sections 4.2, 4.3, 4.4, 4.7 and 4.8. */
static void
hmac_is_that_of_rfc_4231(void **state)
{
	static const char long_text[] =
	    "This is a test using a larger than block-size key and a larger "
	    "than block-size data. The key needs to be hashed before being "
	    "used by the HMAC algorithm.";
	uint8_t key[131], data[50], out[SHA256_BYTES];

	(void)state;
	memset(key, 0x0b, 20);
	hmac_sha256(key, 20, "Hi There", 8, out);
	assert_hex(out, SHA256_BYTES,
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
	assert_hex(out, SHA256_BYTES,
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	hmac_sha256(key, 20, data, 50, out);
	assert_hex(out, SHA256_BYTES,
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	hmac_sha256(key, 131,
	    "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
	assert_hex(out, SHA256_BYTES,
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_sha256(key, 131, long_text, sizeof(long_text) - 1, out);
	assert_hex(out, SHA256_BYTES,
	    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void
hmac_of_nothing_with_no_key_is_defined(void **state)
{
	uint8_t out[SHA256_BYTES];

	(void)state;
	hmac_sha256(NULL, 0, NULL, 0, out);
	assert_hex(out, SHA256_BYTES,
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
hmac_may_write_over_its_own_key(void **state)
{
	uint8_t key[SHA256_BYTES], expected[SHA256_BYTES];

	(void)state;
	memset(key, 7, sizeof(key));
	hmac_sha256(key, sizeof(key), "20261124", 8, expected);
	hmac_sha256(key, sizeof(key), "20261124", 8, key);
	assert_memory_equal(key, expected, sizeof(key));
}

static void
secrets_are_compared_and_wiped(void **state)
{
	char secret[] = "correct horse";

	(void)state;
	assert_int_equal(bytes_equal_secret(secret, "correct horse", 13), 1);
	assert_int_equal(bytes_equal_secret(secret, "correct hors3", 13), 0);
	assert_int_equal(bytes_equal_secret(secret, "Correct horse", 13), 0);
	assert_int_equal(bytes_equal_secret(NULL, NULL, 0), 1);
	bytes_wipe(secret, sizeof(secret));
	assert_memory_equal(
	    secret, (char[sizeof(secret)]){ 0 }, sizeof(secret));
}

static void
random_bytes_differ_and_fill_all_their_room(void **state)
{
	static uint8_t a[1000], b[1000];
	size_t i, zeros;

	(void)state;
	bytes_random(a, sizeof(a));
	bytes_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (zeros = 0, i = 0; i < sizeof(a); i++)
		zeros += a[i] == 0;
	assert_true(zeros < 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_of_the_standards),
		cmocka_unit_test(
		    a_digest_takes_bytes_in_any_pieces_and_starts_again),
		cmocka_unit_test(a_million_letters_have_the_sha256_of_fips_180),
		cmocka_unit_test(hmac_is_that_of_rfc_4231),
		cmocka_unit_test(hmac_of_nothing_with_no_key_is_defined),
		cmocka_unit_test(hmac_may_write_over_its_own_key),
		cmocka_unit_test(secrets_are_compared_and_wiped),
		cmocka_unit_test(random_bytes_differ_and_fill_all_their_room),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
