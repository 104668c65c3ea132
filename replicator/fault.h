#ifndef REPLICATOR_FAULT_H
#define REPLICATOR_FAULT_H

#include <stdint.h>

/*
 * What went wrong at a destination, sorted by what to do about it.
 */
enum fault_kind {
	FAULT_NONE = 0,
	FAULT_RETRY,   /* passes by itself: timeouts, 5xx, 429, resets, DNS */
	FAULT_PERSON,  /* needs a person: credentials, bucket missing, denied,
			* CA,  disabled key, clock, proxy */
	FAULT_OBJECT,  /* this object alone: a name or size that the provider
			* cannot  hold, retention, archived class, bytes that do
			* not match */
	FAULT_MISSING, /* there is no such object, upload or block */
	FAULT_EXISTS,  /* a condition does not hold: it is there, or has changed
			*/
	FAULT_STOPPED  /* the caller's stop flag was raised */
};

struct fault {
	enum fault_kind kind;
	int fate_unknown; /* a change was sent and no answer came, or one that
			   * says that something gave up on the way (500, 502,
			   * 504): it may or may not have happened */
	int slow_down;    /* the provider asks for less */
	int archived;     /* the bytes are in an archive class */
	int status;       /* HTTP status, or 0 */
	uint64_t retry_after_ms; /* 0: not said */
	char code[64];           /* the provider's code: "SlowDown" */
	char request_id[96];
	char text[512]; /* a sentence with the remedy, never with a secret */
};

#define FAULT_INIT \
	{ \
		.kind = FAULT_NONE \
	}

/* Sets kind and sentence, keeping what the answer said. Returns -1. */
int fault_set(struct fault *, enum fault_kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts context in front of the sentence. Returns -1. */
int fault_add(struct fault *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *fault_kind_name(enum fault_kind); /* "retry", "person", ... */

#endif
