#include "store/away.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/internal.h"

void
away_init(struct store *store)
{
	(void)pthread_mutex_init(&store->away.lock, NULL);
}

void
away_destroy(struct store *store)
{
	(void)pthread_mutex_destroy(&store->away.lock);
}

/* 0, or -1 and *err when it was archived a moment ago. */
static int
ask_memory(struct store *store, uint64_t extent, struct error *err)
{
	struct away_state *s = &store->away;
	uint64_t now = clock_monotonic_ms();
	size_t i;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	for (i = 0; i < ARCHIVED_MAX && rc == 0; i++)
		if (s->archived[i].extent == extent &&
		    s->archived[i].until_ms > now)
			rc = error_set(
			    err, ERR_ARCHIVED, "%s", s->archived[i].text);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void
remember(struct store *store, uint64_t extent, const struct error *err)
{
	struct away_state *s = &store->away;
	size_t i;

	pthread_mutex_lock(&s->lock);
	i = s->next++ % ARCHIVED_MAX;
	s->archived[i].extent = extent;
	s->archived[i].until_ms = clock_monotonic_ms() + ARCHIVED_MS;
	snprintf(s->archived[i].text, sizeof(s->archived[i].text), "%.255s",
	    err->text);
	pthread_mutex_unlock(&s->lock);
}

static int
read_copy(
    struct away *a, uint64_t offset, void *bytes, size_t len, struct error *err)
{
	if (a->copy == NULL)
		a->copy = a->remote->open_place(a->remote->context, a->place,
		    a->place_offset + a->size, err);
	if (a->copy == NULL)
		return -1;
	return a->remote->read(
	    a->copy, a->place_offset + offset, bytes, len, err);
}

int
away_read(
    struct away *a, uint64_t offset, void *bytes, size_t len, struct error *err)
{
	int rc;

	if (ask_memory(a->store, a->extent, err) != 0)
		return -1;
	if ((a->remote = remote_hold(a->store)) == NULL)
		return error_set(err, ERR_AWAY,
		    "its bytes are at a destination, and none is there");
	rc = read_copy(a, offset, bytes, len, err);
	remote_release(a->store);
	if (rc == 0)
		return 0;
	if (err->kind == ERR_ARCHIVED)
		remember(a->store, a->extent, err);
	if (err->kind == ERR_NOT_FOUND)
		err->kind = ERR_DAMAGED;
	return -1;
}

void
away_close(struct away *a)
{
	if (a->copy != NULL)
		a->remote->close(a->copy);
	a->copy = NULL;
}
