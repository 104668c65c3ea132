#ifndef REPLICATOR_GOOGLE_TOKENS_H
#define REPLICATOR_GOOGLE_TOKENS_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/credentials.h"
#include "replicator/token_source.h"

struct error;

/* Between the sources of Google's tokens. */

#define GOOGLE_SCOPE "https://www.googleapis.com/auth/devstorage.read_write"
#define GOOGLE_TOKEN_TIMEOUT_MS 30000

/* Who a service account's key says that it is. */
struct google_jwt {
	const char *issuer; /* the account's e-mail address */
	const char *key_id; /* NULL: not said */
	const char *audience, *scope;
	int64_t now_ms;
};

/* Appends a token signed by the key (RS256), good for an hour. 0, or -1 and
 * *err. */
int google_jwt_make(
    const struct google_jwt *, EVP_PKEY *, struct buffer *out, struct error *);
/* A private RSA key from its PEM text; NULL when it is none. */
EVP_PKEY *google_key_read(const char *pem);

/* Each makes a source from what it is described by. NULL and *err. */
struct token_source *google_account_tokens(
    const struct destination_fields *, const json_t *, struct error *);
struct token_source *google_federated_tokens(
    const struct destination_fields *, const json_t *, struct error *);
struct token_source *google_metadata_tokens(
    const struct destination_fields *, struct error *);

/* One request to a token endpoint, its answer in *call, to be cleared with
 * google_token_done(). 0 whatever its status, or -1 and *fault. */
int google_token_post(struct http_client *, const char *url, const char *type,
    const char *authorization, const struct buffer *body, struct http_call *,
    struct fault *);
void google_token_done(struct http_call *);
/* "name=value" behind '&' where there is something before. */
void google_form_add(struct buffer *, const char *name, const char *value);
/* The member's text, or NULL. */
const char *google_member(const json_t *, const char *name);
/* An address to which secrets may go: https, without a blank. */
int google_is_https(const char *url);

#endif
