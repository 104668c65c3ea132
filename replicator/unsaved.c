#include <stddef.h>

#include "replicator/unsaved.h"

void
unsaved_add(
    struct unsaved *u, uint32_t hash, uint64_t sequence, uint64_t durable)
{
	struct unsaved_set *set = &u->sets[hash % UNSAVED_SETS];
	size_t i, oldest = 0;

	for (i = 0; i < UNSAVED_WAYS; i++) {
		if (set->sequence[i] != 0 && set->hash[i] == hash) {
			if (sequence > set->sequence[i])
				set->sequence[i] = sequence;
			return;
		}
		if (set->sequence[i] < set->sequence[oldest])
			oldest = i;
	}
	if (set->sequence[oldest] > durable &&
	    set->sequence[oldest] > set->beyond)
		set->beyond = set->sequence[oldest];
	set->hash[oldest] = hash;
	set->sequence[oldest] = sequence;
}

int
unsaved_has(const struct unsaved *u, uint32_t hash, uint64_t durable)
{
	const struct unsaved_set *set = &u->sets[hash % UNSAVED_SETS];
	size_t i;

	for (i = 0; i < UNSAVED_WAYS; i++)
		if (set->sequence[i] > durable && set->hash[i] == hash)
			return 1;
	return set->beyond > durable;
}
