#ifndef REPLICATOR_UNSAVED_H
#define REPLICATOR_UNSAVED_H

#include <stdint.h>

/*
 * Keys whose newest settled change is not durably noted yet: up to 16384 of
 * them exactly, by their hash. Beyond that some are taken to be among them that
 * are not, never the other way round. Zeroed it is empty. Who owns it has a
 * lock around it.
 */

#define UNSAVED_SETS 2048
#define UNSAVED_WAYS 8

struct unsaved {
	struct unsaved_set {
		uint32_t hash[UNSAVED_WAYS];
		uint64_t sequence[UNSAVED_WAYS];
		uint64_t beyond; /* the newest that found no room */
	} sets[UNSAVED_SETS];
};

/* A change of a key was settled; all up to `durable` are noted. */
void unsaved_add(
    struct unsaved *, uint32_t hash, uint64_t sequence, uint64_t durable);
/* Whether a settled change of the key may lie behind `durable`. */
int unsaved_has(const struct unsaved *, uint32_t hash, uint64_t durable);

#endif
