#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/seal.h"

#define FORMAT 1
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define OVERHEAD (1 + NONCE_BYTES + TAG_BYTES)
#define SECRET_MAX_BYTES (64 * 1024)

int
seal_open(struct seal *seal, const char *dir, struct error *err)
{
	char path[4096], text[2 * SEAL_KEY_BYTES + 2], *found;
	size_t len;
	int failed;

	snprintf(path, sizeof(path), "%s/replicator.key", dir);
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		bytes_random(seal->key, sizeof(seal->key));
		hex_encode(seal->key, sizeof(seal->key), text);
		memcpy(text + 2 * SEAL_KEY_BYTES, "\n", 2);
		failed = file_write(path, text, strlen(text), 0600, err);
		bytes_wipe(text, sizeof(text));
		return failed;
	}
	if ((found = file_read(path, 1024, &len, err)) == NULL)
		return -1;
	while (len > 0 && (found[len - 1] == '\n' || found[len - 1] == '\r'))
		len--;
	failed = hex_decode(found, len, seal->key, sizeof(seal->key));
	bytes_wipe(found, len);
	free(found);
	if (failed)
		return error_set(err, ERR_DAMAGED,
		    "%s does not hold a key: put the right file back, or "
		    "remove it and enter the destinations' secrets again",
		    path);
	return 0;
}

void
seal_wipe(struct seal *seal)
{
	bytes_wipe(seal, sizeof(*seal));
}

int
seal_close_text(const struct seal *seal, const char *name, const char *text,
    struct buffer *sealed, struct error *err)
{
	size_t len = strlen(text);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *bytes = malloc(len + OVERHEAD);
	char *base64 = malloc(BASE64_BYTES(len + OVERHEAD));
	int n, failed = 1;

	if (ctx == NULL || bytes == NULL || base64 == NULL ||
	    len > SECRET_MAX_BYTES)
		goto out;
	bytes[0] = FORMAT;
	bytes_random(bytes + 1, NONCE_BYTES);
	if (EVP_EncryptInit_ex(
		ctx, EVP_aes_256_gcm(), NULL, seal->key, bytes + 1) != 1 ||
	    EVP_EncryptUpdate(
		ctx, NULL, &n, (const uint8_t *)name, (int)strlen(name)) != 1 ||
	    EVP_EncryptUpdate(ctx, bytes + 1 + NONCE_BYTES, &n,
		(const uint8_t *)text, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, bytes + 1 + NONCE_BYTES + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES,
		bytes + 1 + NONCE_BYTES + len) != 1)
		goto out;
	base64_encode(bytes, len + OVERHEAD, base64);
	buffer_add_text(sealed, base64);
	failed = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	free(bytes);
	free(base64);
	return failed ? error_set(err, ERR_INTERNAL, "sealing %s failed", name)
		      : 0;
}

char *
seal_open_text(const struct seal *seal, const char *name, const char *sealed,
    struct error *err)
{
	size_t len = strlen(sealed);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *bytes = malloc(len + 1);
	char *text = NULL;
	int n = -1, m = 0, good = 0;

	if (ctx == NULL || bytes == NULL)
		goto out;
	n = base64_decode(sealed, len, bytes, len);
	if (n < OVERHEAD || bytes[0] != FORMAT)
		goto out;
	n -= OVERHEAD;
	if ((text = malloc((size_t)n + 1)) == NULL)
		goto out;
	good = EVP_DecryptInit_ex(
		   ctx, EVP_aes_256_gcm(), NULL, seal->key, bytes + 1) == 1 &&
	    EVP_DecryptUpdate(
		ctx, NULL, &m, (const uint8_t *)name, (int)strlen(name)) == 1 &&
	    EVP_DecryptUpdate(
		ctx, (uint8_t *)text, &m, bytes + 1 + NONCE_BYTES, n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES,
		bytes + 1 + NONCE_BYTES + n) == 1 &&
	    EVP_DecryptFinal_ex(ctx, (uint8_t *)text + n, &m) == 1;
	text[n] = '\0';
out:
	EVP_CIPHER_CTX_free(ctx);
	free(bytes);
	if (good)
		return text;
	if (text != NULL)
		bytes_wipe(text, (size_t)n);
	free(text);
	error_set(err, ERR_DAMAGED,
	    "%s was sealed with another replicator.key: put that file back, or "
	    "enter the secret again",
	    name);
	return NULL;
}
