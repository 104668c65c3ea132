#include "store/ids.h"

#include <stdlib.h>

struct pin {
	uint64_t id;
	size_t count;
	struct pin *next;
};

void
ids_init(struct ids *ids, uint64_t next)
{
	*ids = (struct ids){ 0 };
	atomic_store(&ids->next, next);
	pthread_mutex_init(&ids->lock, NULL);
}

void
ids_free(struct ids *ids)
{
	free(ids->flying);
	pthread_mutex_destroy(&ids->lock);
}

uint64_t
ids_next(struct ids *ids)
{
	return atomic_fetch_add(&ids->next, 1);
}

uint64_t
ids_fly(struct ids *ids)
{
	uint64_t id = 0, *more;
	size_t room;

	pthread_mutex_lock(&ids->lock);
	if (ids->n_flying == ids->room_flying) {
		room = ids->room_flying ? 2 * ids->room_flying : 64;
		more = realloc(ids->flying, room * sizeof(*more));
		if (more == NULL)
			goto out;
		ids->flying = more;
		ids->room_flying = room;
	}
	id = atomic_fetch_add(&ids->next, 1);
	ids->flying[ids->n_flying++] = id;
out:
	pthread_mutex_unlock(&ids->lock);
	return id;
}

void
ids_land(struct ids *ids, uint64_t id)
{
	size_t i;

	pthread_mutex_lock(&ids->lock);
	for (i = 0; i < ids->n_flying; i++)
		if (ids->flying[i] == id) {
			ids->flying[i] = ids->flying[--ids->n_flying];
			break;
		}
	pthread_mutex_unlock(&ids->lock);
}

uint64_t
ids_settled(struct ids *ids)
{
	uint64_t low;
	size_t i;

	pthread_mutex_lock(&ids->lock);
	low = atomic_load(&ids->next);
	for (i = 0; i < ids->n_flying; i++)
		if (ids->flying[i] < low)
			low = ids->flying[i];
	pthread_mutex_unlock(&ids->lock);
	return low;
}

static struct pin **
find(struct ids *ids, uint64_t id)
{
	struct pin **p =
	    &ids->pins[id % (sizeof(ids->pins) / sizeof(ids->pins[0]))];

	while (*p != NULL && (*p)->id != id)
		p = &(*p)->next;
	return p;
}

int
ids_pin(struct ids *ids, uint64_t id)
{
	struct pin **p;
	int rc = 0;

	pthread_mutex_lock(&ids->lock);
	p = find(ids, id);
	if (*p == NULL) {
		if ((*p = calloc(1, sizeof(**p))) == NULL)
			rc = -1;
		else
			(*p)->id = id;
	}
	if (rc == 0)
		(*p)->count++;
	pthread_mutex_unlock(&ids->lock);
	return rc;
}

void
ids_unpin(struct ids *ids, uint64_t id)
{
	struct pin **p, *gone = NULL;

	pthread_mutex_lock(&ids->lock);
	p = find(ids, id);
	if (*p != NULL && --(*p)->count == 0) {
		gone = *p;
		*p = gone->next;
	}
	pthread_mutex_unlock(&ids->lock);
	free(gone);
}

int
ids_pinned(struct ids *ids, uint64_t id)
{
	int pinned;

	pthread_mutex_lock(&ids->lock);
	pinned = *find(ids, id) != NULL;
	pthread_mutex_unlock(&ids->lock);
	return pinned;
}
