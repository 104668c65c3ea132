#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"

/* The thread that heals what was found damaged: by the scrubber, by readers
 * who could not wait, or in an earlier life. What fails is tried again later
 * and later, and at once when other damage is found. */

#define BATCH 256
#define FIRST_MS 2000
#define AGAIN_MAX_MS (3600 * 1000)

void
heal_init(struct store *store)
{
	struct heal_state *h = &store->heal;
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&h->one, NULL);
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&h->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
}

void
heal_destroy(struct store *store)
{
	(void)pthread_mutex_destroy(&store->heal.one);
	(void)pthread_mutex_destroy(&store->heal.lock);
	(void)pthread_cond_destroy(&store->heal.wake);
}

/* By one of the objects that hold it. */
static int
heal_one(struct store *store, const struct wanted *w)
{
	struct error err = ERROR_INIT;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (heal_extent(store, w->extent,
			buffer_slice(&w->names[i].bucket),
			buffer_slice(&w->names[i].key), &err) == 0)
			return 0;
		log_fields(LOG_WARN, "store.heal", err.text,
		    (const struct log_field[]){ LOG_N("extent", w->extent),
			LOG_B("key", w->names[i].key.at, w->names[i].key.len) },
		    2);
	}
	/* None: an old version's, or of a part of an upload. */
	return -1;
}

/* Heals a batch: how many are left as they were. */
static size_t
heal_batch(struct store *store, struct wanted *wanted, size_t n)
{
	struct error err = ERROR_INIT;
	size_t i, left = 0;

	if (heal_find(store, wanted, n, &err) != 0) {
		log_line(LOG_ERROR, "store.heal", "%s", err.text);
		return n;
	}
	for (i = 0; i < n && !atomic_load(&store->heal.stopping); i++)
		left += heal_one(store, &wanted[i]) != 0;
	return left;
}

static void
wanted_clear(struct wanted *w)
{
	size_t i;

	for (i = 0; i < WANTED_NAMES; i++) {
		buffer_free(&w->names[i].bucket);
		buffer_free(&w->names[i].key);
	}
	*w = (struct wanted){ 0 };
}

/* Goes through all that is marked: how much is left. */
static size_t
heal_all(struct store *store)
{
	uint64_t ids[BATCH], from = 0;
	struct error err = ERROR_INIT;
	struct wanted *wanted;
	size_t i, left = 0;
	long n;

	if ((wanted = calloc(BATCH, sizeof(*wanted))) == NULL)
		return 1;
	do {
		n = heal_marked(store, from, ids, BATCH, &err);
		if (n <= 0)
			break;
		from = ids[n - 1] + 1;
		for (i = 0; i < (size_t)n; i++)
			wanted[i].extent = ids[i];
		left += heal_batch(store, wanted, (size_t)n);
		for (i = 0; i < (size_t)n; i++)
			wanted_clear(&wanted[i]);
	} while (n == BATCH && !atomic_load(&store->heal.stopping));
	if (n < 0)
		log_line(LOG_ERROR, "store.heal", "%s", err.text);
	free(wanted);
	return n < 0 ? 1 : left;
}

/* Until it is nudged, or the time is over (0: no end). */
static void
rest(struct heal_state *h, uint64_t ms)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&h->lock);
	while (!atomic_load(&h->stopping) && !h->nudged && rc == 0)
		rc = ms == 0
		    ? pthread_cond_wait(&h->wake, &h->lock)
		    : pthread_cond_timedwait(&h->wake, &h->lock, &until);
	h->nudged = 0;
	pthread_mutex_unlock(&h->lock);
}

static void *
run(void *arg)
{
	struct store *store = arg;
	struct heal_state *h = &store->heal;
	uint64_t again_ms = FIRST_MS;
	size_t left;

	while (!atomic_load(&h->stopping)) {
		left = heal_all(store);
		if (left == 0)
			again_ms = FIRST_MS;
		rest(h, left == 0 ? 0 : again_ms);
		again_ms *= 2;
		if (again_ms > AGAIN_MAX_MS)
			again_ms = AGAIN_MAX_MS;
	}
	return NULL;
}

void
healer_start(struct store *store)
{
	struct heal_state *h = &store->heal;
	int rc;

	atomic_store(&h->stopping, 0);
	rc = pthread_create(&h->thread, NULL, run, store);
	h->runs = rc == 0;
	if (rc != 0) {
		log_line(LOG_ERROR, "store.heal",
		    "the healer cannot be started: %s", strerror(rc));
		return;
	}
	(void)pthread_setname_np(h->thread, "healer");
}

void
healer_stop(struct store *store)
{
	struct heal_state *h = &store->heal;

	atomic_store(&h->stopping, 1);
	pthread_mutex_lock(&h->lock);
	pthread_cond_broadcast(&h->wake);
	pthread_mutex_unlock(&h->lock);
	if (h->runs)
		(void)pthread_join(h->thread, NULL);
	h->runs = 0;
}

void
healer_nudge(struct store *store)
{
	pthread_mutex_lock(&store->heal.lock);
	store->heal.nudged = 1;
	pthread_cond_broadcast(&store->heal.wake);
	pthread_mutex_unlock(&store->heal.lock);
}
