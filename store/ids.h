#ifndef STORE_IDS_H
#define STORE_IDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Numbers of extents: the next one; those that have a file but no record yet
 * (in flight), so that start-up after a crash looks for such files no further
 * down than the oldest of them; and those that are being read (pinned), so that
 * the reaper leaves them for later. Any thread.
 */

struct pin;

struct ids {
	_Atomic uint64_t next;
	pthread_mutex_t lock; /* of all below */
	uint64_t *flying;
	size_t n_flying, room_flying;
	struct pin *pins[256];
};

void ids_init(struct ids *, uint64_t next);
void ids_free(struct ids *);
uint64_t ids_next(struct ids *);
/* A number that is in flight until ids_land(). 0 without memory. */
uint64_t ids_fly(struct ids *);
void ids_land(struct ids *, uint64_t id);
/* Every number below has a record or is gone for good. */
uint64_t ids_settled(struct ids *);

int ids_pin(struct ids *, uint64_t id); /* 0, or -1 without memory */
void ids_unpin(struct ids *, uint64_t id);
int ids_pinned(struct ids *, uint64_t id);

#endif
