#ifndef REPLICATOR_REFUSAL_H
#define REPLICATOR_REFUSAL_H

#include "base/buffer.h"
#include "replicator/fault.h"
#include "replicator/http_client.h"

/*
 * Sorting of refusals. Each protocol has a table of what its provider answers;
 * the first row that fits says what kind of fault it is, and the sentence. Pure
 * functions; any thread.
 */

/* The error that an answer carries; empty fields: not said. */
struct refusal {
	char code[64];
	char message[400];
	char region[64]; /* that the provider names instead */
};

#define REFUSAL_SLOW_DOWN 1 /* the provider asks for less */
#define REFUSAL_ARCHIVED 2  /* the bytes are in an archive class */

struct refusal_row {
	const char *code;     /* "": there is none; NULL: any */
	enum fault_kind kind; /* FAULT_NONE: what the status means */
	/* %B is the bucket, %A the account, %P the permission, %W who asks, %M
	 * the provider's own message, %S the status, %D code and message. */
	const char *sentence;
	int flags;
	int status; /* 4: 400 to 499; 0: any */
	/* Of which the message has one; NULL: any message. */
	const char *const *words;
};

/* A row, its last fields by name where they are not the usual. */
#define REFUSAL(code_, kind_, ...) \
	{ \
		.code = (code_), .kind = (kind_), .sentence = __VA_ARGS__ \
	}

struct refusal_names {
	const char *bucket, *account, *permission, *who;
};

/* Copies text of an answer, which goes into sentences: control characters
 * become blanks. */
void refusal_take(char *to, size_t room, struct slice text);
/* words end with NULL. */
int refusal_speaks_of(const struct refusal *, const char *const *words);
/* The permission that the message names behind one of the marks (they end with
 * NULL) and that begins with `start`, else `otherwise`. */
const char *refusal_permission(const struct refusal *, const char *const *marks,
    const char *start, const char *otherwise, char *room, size_t len);

/* The table's last row fits everything. */
const struct refusal_row *refusal_find(
    const struct refusal_row *, int status, const struct refusal *);
/* Fills *fault with what the answer says and the row makes of it. Returns -1.
 */
int refusal_fault(const struct refusal_row *, const struct refusal_names *,
    const struct http_call *, const struct refusal *, struct fault *);

#endif
