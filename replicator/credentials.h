#ifndef REPLICATOR_CREDENTIALS_H
#define REPLICATOR_CREDENTIALS_H

#include <stdint.h>

#include "base/buffer.h"
#include "replicator/destination.h"
#include "replicator/fault.h"
#include "replicator/http_client.h"

/*
 * Credentials for AWS and S3-compatible stores, from the fields or from where
 * an instance role gives them. They are fetched when first needed, kept until
 * five minutes before they expire, and fetched again when the provider refuses
 * them (credentials_refused). Any thread; one fetch at a time.
 */
struct aws_credentials; /* a source of them */

struct aws_keys {
	char access_key_id[160];
	char secret[160];
	char *session_token; /* NULL: none; the caller frees with
				aws_keys_clear() */
	int64_t expires_ms;  /* 0: never */
	char source[64]; /* "web identity", "container", "instance metadata",
			  * "access key" */
	char principal[256]; /* the role, where the source names it */
	uint64_t generation; /* of the fetch */
};

/* The end of the hosts' names in a region's partition: "amazonaws.com". */
const char *aws_host_end(const char *region);

struct aws_credentials *aws_credentials_new(
    const struct destination_fields *, struct error *err);
void aws_credentials_free(struct aws_credentials *);
/* 0, or -1 and *fault. The client is the caller's, used for fetching. */
int aws_credentials_get(struct aws_credentials *, struct http_client *,
    struct aws_keys *, struct fault *);
/* The provider refused keys of that generation: unless they have been replaced
 * meanwhile, the next call fetches anew. 1 when another try may help, 0 for an
 * access key that was given. Fetches at most once in a few seconds, so that a
 * refusal that lasts does not become a storm. */
int aws_credentials_refused(struct aws_credentials *, uint64_t generation);
void aws_keys_clear(struct aws_keys *);

/* OAuth bearer tokens: Google (service account JWT, metadata server, workload
 * identity) and Azure (Entra client credentials, workload identity). */
struct token_source;
struct token_source *google_tokens_new(
    const struct destination_fields *, struct error *err);
struct token_source *azure_tokens_new(
    const struct destination_fields *, const char *scope, struct error *err);
void token_source_free(struct token_source *);
/* "Bearer ..." appended to *header, and which fetch it is of (NULL: not of
 * interest). The principal (an e-mail address, a client id) is valid as long as
 * the source. */
int token_get(struct token_source *, struct http_client *,
    struct buffer *header, uint64_t *generation, struct fault *);
/* The provider refused the token of that fetch: unless another has taken its
 * place meanwhile, the next call fetches anew. */
void token_refused(struct token_source *, uint64_t generation);
const char *token_principal(const struct token_source *);

#endif
