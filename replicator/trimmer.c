#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "replicator/replicator_private.h"
#include "store/index.h"
#include "store/store.h"

/* What every destination has is let go, and with it the bytes that the journal
 * pinned. */

#define TRIM_PAUSE_NS 200000000L

static uint64_t
lowest(struct replicator *r)
{
	uint64_t low, least;
	size_t i;

	pthread_mutex_lock(&r->lock);
	least = store_visible(r->store);
	for (i = 0; i < r->n_entries; i++) {
		low = r->entries[i]->site != NULL
		    ? atomic_load(&r->entries[i]->site->durable)
		    : r->entries[i]->durable;
		if (low < least)
			least = low;
	}
	pthread_mutex_unlock(&r->lock);
	return least;
}

static void
trim(struct replicator *r)
{
	struct trim_journal t = { .through = lowest(r) };

	do {
		t.more = 0;
		if (store_trim_journal(r->store, &t) != 0) {
			log_line(LOG_ERROR, "replicator.trim", "%s",
			    t.change.err.text);
			return;
		}
	} while (t.more);
}

static void *
trimmer_thread(void *arg)
{
	static const struct timespec pause = { 0, TRIM_PAUSE_NS };
	struct replicator *r = arg;

	pthread_mutex_lock(&r->trim_lock);
	while (!r->stopping) {
		if (!r->moved) {
			pthread_cond_wait(&r->trim, &r->trim_lock);
			continue;
		}
		r->moved = 0;
		pthread_mutex_unlock(&r->trim_lock);
		trim(r);
		/* Many steps of a watermark are one of the journal's. */
		(void)nanosleep(&pause, NULL);
		pthread_mutex_lock(&r->trim_lock);
	}
	pthread_mutex_unlock(&r->trim_lock);
	return NULL;
}

int
trimmer_start(struct replicator *r, struct error *err)
{
	int rc;

	trimmer_wake(r);
	rc = pthread_create(&r->trimmer, NULL, trimmer_thread, r);
	if (rc != 0)
		return error_sys(err, rc, "starting the replicator");
	r->trimmer_runs = 1;
	return 0;
}

void
trimmer_stop(struct replicator *r)
{
	if (!r->trimmer_runs)
		return;
	pthread_mutex_lock(&r->trim_lock);
	r->stopping = 1;
	pthread_cond_signal(&r->trim);
	pthread_mutex_unlock(&r->trim_lock);
	(void)pthread_join(r->trimmer, NULL);
	r->trimmer_runs = 0;
}

void
trimmer_wake(void *replicator)
{
	struct replicator *r = replicator;

	pthread_mutex_lock(&r->trim_lock);
	r->moved = 1;
	pthread_cond_signal(&r->trim);
	pthread_mutex_unlock(&r->trim_lock);
}

int
replicator_set_journal(struct replicator *r, struct error *err)
{
	struct set_setting s = { .name = SETTING_JOURNAL };

	s.value = r->n_entries > 0 ? SLICE_LITERAL("on") : SLICE_NULL;
	if (store_set_setting(r->store, &s) != 0) {
		if (err != NULL)
			*err = s.change.err;
		return -1;
	}
	return 0;
}
