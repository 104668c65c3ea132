#ifndef REPLICATOR_OWNER_H
#define REPLICATOR_OWNER_H

#include <stdint.h>

#include "replicator/destination.h"

/*
 * Whose a path is: plugins/holdfast/owner.json below it names the store, by its
 * id, and an epoch that rises with each taking over. A store writes only where
 * it is the owner; one that finds another's name there stops.
 */
#define OWNER_KEY "plugins/holdfast/owner.json"

/* How long a look at it is good for: who finds the path its own begins nothing
 * later than that without another look, and who takes it over waits. */
#define OWNER_LEASE_MS (12 * 1000)

struct owner_claim {
	char store[33]; /* hex */
	int store_empty;
	int take_over; /* a person said so */
	int recheck;   /* it was ours before */
	int look_only; /* nothing is written */
	/* In and out: the ETag of the file by which it was ours, or empty.
	 * While it has that one a recheck is one request. */
	char seen[72];
	/* Out */
	uint64_t wait_ms; /* it was another's, who may write so long */
	int holds_data;   /* an empty store met data: recovery, not sync */
	int foreign;      /* another store owns it */
	int blank;        /* nothing at all was there */
	uint64_t epoch;
};

/* Who owns it, by what is written there; nothing is changed. store "": nobody.
 * 0, or -1 and *fault. */
struct owner_found {
	char store[33], since[32];
	uint64_t epoch;
};
int owner_look(const struct destination_protocol *,
    struct destination_session *, struct owner_found *, struct fault *);

/* 0 when the path is ours, or -1 and *fault. */
int owner_check(const struct destination_protocol *,
    struct destination_session *, const struct destination_limits *,
    struct owner_claim *, struct fault *);

#endif
