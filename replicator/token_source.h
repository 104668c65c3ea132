#ifndef REPLICATOR_TOKEN_SOURCE_H
#define REPLICATOR_TOKEN_SOURCE_H

#include "base/buffer.h"
#include "replicator/credentials.h"

/*
 * What the providers' token sources share: a token is fetched when it is first
 * needed, kept until five minutes before it expires, and fetched again when it
 * was refused. One fetch at a time; those who come meanwhile wait for it.
 */

struct token_answer {
	struct buffer token; /* without "Bearer "; wiped by the source */
	int64_t expires_ms;
	char principal[256]; /* learnt by the way; empty: as it was made with */
};

struct token_methods {
	/* 0 and the answer, or -1 and *fault. */
	int (*fetch)(void *arg, struct http_client *, struct token_answer *,
	    struct fault *);
	void (*free)(void *arg);
};

/* Takes arg, also when it fails. principal: for people; it may change while
 * fetch runs, and is copied. NULL and *err without memory. */
struct token_source *token_source_new(const struct token_methods *, void *arg,
    const char *principal, struct error *err);

/* Reads the answer of a token endpoint: access_token and expires_in (a number,
 * or digits in a string). 0, or -1 and *fault. */
int token_answer_read(
    struct slice json, const char *from, struct token_answer *, struct fault *);

#endif
