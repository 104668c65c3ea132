#ifndef REPLICATOR_AZURE_SIGN_H
#define REPLICATOR_AZURE_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Azure Storage's Shared Key signature of a request. Pure; any thread.
 */
struct azure_signing {
	const char *method;
	const char *account;
	const char *path;     /* of the URL, encoded */
	struct slice query;   /* pairs, not encoded */
	struct slice headers; /* pairs, lower-case names */
	uint64_t content_length;
};

/* Appends the text that is signed. */
void azure_string_to_sign(const struct azure_signing *, struct buffer *out);
/* Appends "SharedKey account:signature". */
void azure_shared_key(const struct azure_signing *, const void *key,
    size_t key_len, struct buffer *out);

#endif
