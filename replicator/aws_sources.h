#ifndef REPLICATOR_AWS_SOURCES_H
#define REPLICATOR_AWS_SOURCES_H

#include "replicator/credentials.h"

/* Where an instance role gives credentials; between the files aws_*.c. Texts
 * are NULL where there is none. */
struct aws_role {
	char *region;
	char *token_file, *role_arn, *session_name; /* web identity */
	char *sts_endpoint;
	char *container_uri, *container_token, *container_token_file;
	char *metadata_endpoint;
};

/* Each fetches once: 0 and *keys, or -1 and *fault. */
int aws_fetch_web_identity(const struct aws_role *, struct http_client *,
    struct aws_keys *, struct fault *);
int aws_fetch_container(const struct aws_role *, struct http_client *,
    struct aws_keys *, struct fault *);
int aws_fetch_metadata(const struct aws_role *, struct http_client *,
    struct aws_keys *, struct fault *);

/* The JSON that the last two answer with. what is for sentences. */
int aws_keys_of_json(const struct http_call *, const char *what,
    struct aws_keys *, struct fault *);
/* Fills in what came as text; expiration in ISO 8601 on the clock of the
 * answer, kept on ours. */
int aws_keys_fill(struct aws_keys *, const struct http_call *,
    const char *access_key_id, const char *secret, const char *token,
    const char *expiration, const char *what, struct fault *);

#endif
