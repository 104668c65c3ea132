#include <inttypes.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/google_tokens.h"

#define LIFE_S 3600
#define SIGNATURE_MAX_BYTES 1024 /* RSA of 8192 bits */

static int
no_passphrase(char *room, int len, int writing, void *arg)
{
	(void)room;
	(void)len;
	(void)writing;
	(void)arg;
	return -1;
}

EVP_PKEY *
google_key_read(const char *pem)
{
	EVP_PKEY *key = NULL;
	BIO *bio;

	if ((bio = BIO_new_mem_buf(pem, -1)) == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (key != NULL &&
	    (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
		EVP_PKEY_get_size(key) > SIGNATURE_MAX_BYTES)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

/* Base64 for URLs, without padding (RFC 7515). */
static void
add_base64url(struct buffer *out, const void *bytes, size_t len)
{
	size_t from = out->len, i;

	if (buffer_reserve(out, BASE64_BYTES(len)) != 0)
		return;
	base64_encode(bytes, len, out->at + from);
	out->len += strlen(out->at + from);
	while (out->len > from && out->at[out->len - 1] == '=')
		out->len--;
	for (i = from; i < out->len; i++)
		if (out->at[i] == '+')
			out->at[i] = '-';
		else if (out->at[i] == '/')
			out->at[i] = '_';
}

static void
add_json(struct buffer *out, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	if (text == NULL)
		out->failed = 1;
	else
		add_base64url(out, text, strlen(text));
	free(text);
	json_decref(object);
}

int
google_jwt_make(const struct google_jwt *jwt, EVP_PKEY *key, struct buffer *out,
    struct error *err)
{
	json_int_t now_s = jwt->now_ms / 1000;
	uint8_t signature[SIGNATURE_MAX_BYTES];
	size_t from = out->len, len = sizeof(signature);
	EVP_MD_CTX *context;
	json_t *head;
	int signed_well;

	head = json_pack("{s:s s:s}", "alg", "RS256", "typ", "JWT");
	if (jwt->key_id != NULL)
		json_object_set_new(head, "kid", json_string(jwt->key_id));
	add_json(out, head);
	buffer_add_u8(out, '.');
	add_json(out,
	    json_pack("{s:s s:s s:s s:I s:I}", "iss", jwt->issuer, "scope",
		jwt->scope, "aud", jwt->audience, "iat", now_s, "exp",
		now_s + LIFE_S));
	if (out->failed)
		return error_nomem(err);

	context = EVP_MD_CTX_new();
	signed_well = context != NULL &&
	    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(context, signature, &len,
		(const uint8_t *)out->at + from, out->len - from) == 1;
	EVP_MD_CTX_free(context);
	if (!signed_well)
		return error_set(
		    err, ERR_INTERNAL, "the private key does not sign");
	buffer_add_u8(out, '.');
	add_base64url(out, signature, len);
	return out->failed ? error_nomem(err) : 0;
}
