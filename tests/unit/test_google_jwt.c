#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/google_tokens.h"

static EVP_PKEY *key;

static int
make_key(void **state)
{
	(void)state;
	key = EVP_RSA_gen(2048);
	return key == NULL;
}

static int
drop_key(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

/* Decodes base64 for URLs without padding. */
static size_t
decode(const char *text, size_t len, char *bytes, size_t room)
{
	char copy[2048];
	int n;
	size_t i;

	assert_true(len + 4 < sizeof(copy));
	for (i = 0; i < len; i++) {
		assert_null(memchr("+/=", text[i], 3));
		copy[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	}
	while (i % 4 != 0)
		copy[i++] = '=';
	n = base64_decode(copy, i, bytes, room - 1);
	assert_true(n >= 0);
	bytes[n] = '\0';
	return (size_t)n;
}

static void
a_token_says_who_asks_and_is_signed(void **state)
{
	struct google_jwt jwt = { .issuer = "a@b.test",
		.key_id = "k1",
		.audience = "https://token.test/",
		.scope = GOOGLE_SCOPE,
		.now_ms = 1795523761999 };
	char head[256], claims[1024], signature[1024];
	struct buffer token = BUFFER_INIT;
	struct error err = ERROR_INIT;
	const char *dot, *last;
	EVP_MD_CTX *context;
	json_t *object;
	size_t n;

	(void)state;
	assert_int_equal(google_jwt_make(&jwt, key, &token, &err), 0);
	buffer_add_u8(&token, '\0');
	dot = strchr(token.at, '.');
	last = strrchr(token.at, '.');
	assert_true(dot < last);

	decode(token.at, (size_t)(dot - token.at), head, sizeof(head));
	object = json_loads(head, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_object_size(object), 3);
	assert_string_equal(google_member(object, "alg"), "RS256");
	assert_string_equal(google_member(object, "kid"), "k1");
	json_decref(object);

	decode(dot + 1, (size_t)(last - dot - 1), claims, sizeof(claims));
	object = json_loads(claims, JSON_REJECT_DUPLICATES, NULL);
	assert_string_equal(google_member(object, "iss"), "a@b.test");
	assert_string_equal(
	    google_member(object, "aud"), "https://token.test/");
	assert_string_equal(google_member(object, "scope"), GOOGLE_SCOPE);
	assert_int_equal(
	    json_integer_value(json_object_get(object, "iat")), 1795523761);
	assert_int_equal(json_integer_value(json_object_get(object, "exp")),
	    1795523761 + 3600);
	json_decref(object);

	n = decode(last + 1, strlen(last + 1), signature, sizeof(signature));
	context = EVP_MD_CTX_new();
	assert_int_equal(
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(context, (uint8_t *)signature, n,
			     (uint8_t *)token.at, (size_t)(last - token.at)),
	    1);
	EVP_MD_CTX_free(context);
	buffer_free(&token);
}

static void
a_token_without_a_key_id_names_none(void **state)
{
	struct google_jwt jwt = {
		.issuer = "a", .audience = "b", .scope = "c", .now_ms = 1000
	};
	struct buffer token = BUFFER_INIT;
	struct error err = ERROR_INIT;
	char head[256];

	(void)state;
	assert_int_equal(google_jwt_make(&jwt, key, &token, &err), 0);
	buffer_add_u8(&token, '\0');
	decode(token.at, strcspn(token.at, "."), head, sizeof(head));
	assert_null(strstr(head, "kid"));
	buffer_free(&token);
}

/* The key's PEM text, as PKCS #8 or encrypted. */
static char *
pem_of(EVP_PKEY *k, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long len;

	assert_int_equal(
	    PEM_write_bio_PKCS8PrivateKey(bio, k,
		passphrase != NULL ? EVP_aes_128_cbc() : NULL, passphrase,
		passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL),
	    1);
	len = BIO_get_mem_data(bio, &text);
	copy = strndup(text, (size_t)len);
	BIO_free(bio);
	return copy;
}

static void
keys_are_rsa_in_pem_without_a_passphrase(void **state)
{
	EVP_PKEY *read, *other;
	char *pem = pem_of(key, NULL);

	(void)state;
	assert_non_null(read = google_key_read(pem));
	assert_int_equal(EVP_PKEY_eq(read, key), 1);
	EVP_PKEY_free(read);
	pem[strlen(pem) / 2] = '!';
	assert_null(google_key_read(pem));
	free(pem);

	pem = pem_of(key, "secret");
	assert_null(google_key_read(pem));
	free(pem);
	assert_non_null(other = EVP_EC_gen("P-256"));
	pem = pem_of(other, NULL);
	assert_null(google_key_read(pem));
	free(pem);
	EVP_PKEY_free(other);
	assert_null(google_key_read(""));
	assert_null(google_key_read("no key"));
}

static void
secrets_go_over_https_alone(void **state)
{
	(void)state;
	assert_true(google_is_https("https://oauth2.googleapis.com/token"));
	assert_false(google_is_https("http://oauth2.googleapis.com/token"));
	assert_false(google_is_https("https://"));
	assert_false(google_is_https("https://a\r\nb"));
	assert_false(google_is_https(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_says_who_asks_and_is_signed),
		cmocka_unit_test(a_token_without_a_key_id_names_none),
		cmocka_unit_test(keys_are_rsa_in_pem_without_a_passphrase),
		cmocka_unit_test(secrets_go_over_https_alone),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
