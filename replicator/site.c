#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/site.h"

/* A site's threads, from start to end. */

#define CONCURRENCY_DEFAULT 64
#define THREADS_MAX 32 /* each has memory for a part of its own */
#define CONCURRENCY_MAX 200
#define STACK_BYTES (512 * 1024)
#define POLL_MS 15
#define POLL_IDLE_MS 100
#define BUSY_MS 10000
#define FLUSH_MS 200
#define NAP_MS 5
#define PAUSE_MS 10000 /* to write a pause down */
#define SWEEP_MS (10 * 60 * 1000)

int
site_is_stopping(void *arg)
{
	struct site *site = arg;

	return atomic_load(&site->stopping);
}

void
site_wait(struct site *site, pthread_cond_t *cond, uint64_t until_ms)
{
	struct timespec at = { (time_t)(until_ms / 1000),
		(long)(until_ms % 1000) * 1000000 };

	if (!atomic_load(&site->stopping))
		(void)pthread_cond_timedwait(cond, &site->lock, &at);
}

int
site_is_halted(const struct site *site)
{
	return site->paused ||
	    !schedule_is_open(&site->schedule, clock_wall_ms());
}

void
site_remote_key(const struct site *site, struct slice bucket, struct slice key,
    struct buffer *out)
{
	if (site->filter.bucket == NULL) {
		buffer_add_slice(out, bucket);
		buffer_add_u8(out, '/');
	}
	buffer_add_slice(out, key);
}

int
site_throttle(struct site *site, size_t len)
{
	uint64_t rate = site->settings->policy.bytes_per_second, now, wait = 0;
	struct timespec nap;

	if (rate == 0)
		return atomic_load(&site->stopping);
	pthread_mutex_lock(&site->lock);
	now = clock_monotonic_us();
	if (site->tokens_at_us < now)
		site->tokens_at_us = now;
	wait = site->tokens_at_us - now;
	site->tokens_at_us += len * 1000000 / rate;
	pthread_mutex_unlock(&site->lock);
	while (wait > 0 && !atomic_load(&site->stopping)) {
		now = wait < 100000 ? wait : 100000;
		nap = (struct timespec){ 0, (long)now * 1000 };
		(void)nanosleep(&nap, NULL);
		wait -= now;
	}
	return atomic_load(&site->stopping);
}

/* ---- threads ---- */

static void *
transfer_thread(void *arg)
{
	struct site *site = arg;
	struct destination_session *session;
	struct error err = ERROR_INIT;
	struct fault fault;
	enum outcome outcome;
	uint64_t again_ms, bytes;
	struct job job;

	session = destination_session_new(
	    site->destination, site_is_stopping, site, &err);
	if (session == NULL) {
		log_fields(LOG_ERROR, "replicator.session", err.text,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
		return NULL;
	}
	pthread_mutex_lock(&site->lock);
	while (!atomic_load(&site->stopping)) {
		job = site_pick(site, 0, clock_monotonic_ms(), &again_ms);
		if (job.type == JOB_NONE) {
			if (site->starved)
				pthread_cond_signal(&site->work);
			site_wait(site, &site->jobs, again_ms);
			continue;
		}
		/* There may be more: one wakes the next. */
		pthread_cond_signal(&site->jobs);
		pthread_mutex_unlock(&site->lock);
		memset(&fault, 0, sizeof(fault));
		outcome = transfer_job(site, session, &job, &bytes, &fault);
		pthread_mutex_lock(&site->lock);
		site_settle(site, &job, outcome, bytes, &fault);
	}
	pthread_mutex_unlock(&site->lock);
	destination_session_free(session);
	return NULL;
}

static int
note_oldest(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	(void)sequence;
	*(int64_t *)arg = rec->time_ms;
	return 1;
}

/* The time of the first entry that is not outside. */
static void
look_at_oldest(struct site *site)
{
	site->oldest_ms = 0;
	if (site->window.low < store_visible(site->store))
		(void)store_journal(site->store, site->window.low, note_oldest,
		    &site->oldest_ms, NULL);
}

static int
flush_when_due(struct site *site, uint64_t now_ms)
{
	if (site->starved || !window_room(&site->window) ||
	    now_ms - site->flushed_ms >= FLUSH_MS)
		return site_flush(site);
	return 0;
}

static void
sweep_when_idle(
    struct site *site, struct destination_session *session, uint64_t now_ms)
{
	if (now_ms < site->sweep_at_ms || !site->ready || site->stopped ||
	    site->window.read < store_visible(site->store) || site->seeding ||
	    site->n_dirty > 0)
		return;
	site->sweep_at_ms = now_ms + SWEEP_MS;
	pthread_mutex_unlock(&site->lock);
	site_sweep(site, session);
	pthread_mutex_lock(&site->lock);
}

static int
step(struct site *site, struct destination_session *session, uint64_t now_ms)
{
	int did = 0;

	crew_look(site, now_ms);
	did |= site_count_journal(site);
	did |= site_fold(site);
	did |= site_read_journal(site);
	did |= site_feed_beside(site, now_ms);
	did |= site_held_check(site, now_ms);
	if (did)
		site_stir(site);
	did |= flush_when_due(site, now_ms);
	look_at_oldest(site);
	did |= site_late_look(site, session, now_ms);
	sweep_when_idle(site, session, now_ms);
	return did;
}

static void *
scheduler_thread(void *arg)
{
	struct site *site = arg;
	struct destination_session *session;
	struct error err = ERROR_INIT;
	uint64_t now_ms, busy_ms = 0;

	session = destination_session_new(
	    site->destination, site_is_stopping, site, &err);
	if (session == NULL) {
		log_fields(LOG_ERROR, "replicator.session", err.text,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
		return NULL;
	}
	pthread_mutex_lock(&site->lock);
	while (!atomic_load(&site->stopping)) {
		now_ms = clock_monotonic_ms();
		if (step(site, session, now_ms))
			busy_ms = now_ms;
		else
			site_wait(site, &site->work,
			    now_ms +
				(now_ms - busy_ms < BUSY_MS ? POLL_MS
							    : POLL_IDLE_MS));
	}
	if (!site->crash)
		(void)site_flush(site);
	pthread_mutex_unlock(&site->lock);
	destination_session_free(session);
	return NULL;
}

/* ---- life ---- */

static int
start_threads(struct site *site, struct error *err)
{
	pthread_attr_t attr;
	unsigned n =
	    site->concurrency < THREADS_MAX ? site->concurrency : THREADS_MAX;
	int rc;

	site->threads = calloc(n, sizeof(*site->threads));
	if (site->threads == NULL)
		return error_nomem(err);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&site->scheduler, &attr, scheduler_thread, site);
	site->scheduler_runs = rc == 0;
	if (rc == 0)
		rc = pthread_create(
		    &site->owner, &attr, site_owner_thread, site);
	site->owner_runs = rc == 0;
	while (rc == 0 && site->n_threads < n) {
		rc = pthread_create(&site->threads[site->n_threads], &attr,
		    transfer_thread, site);
		site->n_threads += rc == 0;
	}
	(void)pthread_attr_destroy(&attr);
	return rc == 0
	    ? 0
	    : error_sys(err, rc, "starting the threads of %s", site->name);
}

static void
set_up(struct site *site, const struct site_options *options)
{
	const struct destination_policy *policy = &options->settings->policy;
	pthread_condattr_t attr;

	site->store = options->store;
	snprintf(site->name, sizeof(site->name), "%s", options->name);
	site->from_config = options->from_config;
	site->unordered = options->unordered;
	site->crash = options->crash;
	site->settings = options->settings;
	atomic_store(&site->hold_ms, options->hold_ms);
	site->advanced = options->advanced;
	site->advanced_arg = options->advanced_arg;
	site->filter = (struct filter){ policy->include, policy->exclude,
		policy->source_bucket };
	site->concurrency = policy->concurrency == 0 ? CONCURRENCY_DEFAULT
	    : policy->concurrency > CONCURRENCY_MAX  ? CONCURRENCY_MAX
						     : policy->concurrency;
	site->limit = site->concurrency;
	note_names_set(&site->names, site->name);
	(void)pthread_mutex_init(&site->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&site->jobs, &attr);
	(void)pthread_cond_init(&site->work, &attr);
	(void)pthread_cond_init(&site->look, &attr);
	(void)pthread_condattr_destroy(&attr);
}

struct site *
site_start(const struct site_options *options, struct error *err)
{
	const struct settings *settings = options->settings;
	struct site *site;

	if ((site = calloc(1, sizeof(*site))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	set_up(site, options);
	if (schedule_parse(&site->schedule, settings->policy.window, err) != 0)
		goto fail;
	site->destination = destination_open(&settings->fields, err);
	if (site->destination == NULL)
		goto fail;
	site->table = destination_table(site->destination);
	destination_limits(site->destination, &site->limits);
	/* A bandwidth limit makes whoever sends wait, and the crew is one
	 * thread. */
	if (site_load(site, err) != 0 ||
	    (settings->policy.bytes_per_second == 0 && site->limits.yields &&
		crew_start(site, err) != 0) ||
	    start_threads(site, err) != 0)
		goto fail;
	return site;

fail:
	error_add(err, "destination %s", options->name);
	site_stop(site);
	return NULL;
}

void
site_stop(struct site *site)
{
	size_t i;

	if (site == NULL)
		return;
	atomic_store(&site->stopping, 1);
	pthread_mutex_lock(&site->lock);
	site_stir(site);
	pthread_cond_broadcast(&site->jobs);
	pthread_cond_broadcast(&site->work);
	pthread_cond_broadcast(&site->look);
	pthread_mutex_unlock(&site->lock);
	for (i = 0; i < site->n_threads; i++)
		(void)pthread_join(site->threads[i], NULL);
	if (site->owner_runs)
		(void)pthread_join(site->owner, NULL);
	crew_stop(site);
	if (site->scheduler_runs)
		(void)pthread_join(site->scheduler, NULL);
	crew_free(site);
	site_drop_window(site);
	site_held_free(site);
	site_late_free(site);
	batch_free(&site->batch);
	buffer_free(&site->seed_bucket);
	buffer_free(&site->seed_key);
	buffer_free(&site->walk_bucket);
	buffer_free(&site->walk_key);
	buffer_free(&site->dirty_after);
	schedule_free(&site->schedule);
	destination_close(site->destination);
	(void)pthread_cond_destroy(&site->jobs);
	(void)pthread_cond_destroy(&site->work);
	(void)pthread_cond_destroy(&site->look);
	(void)pthread_mutex_destroy(&site->lock);
	free(site->threads);
	free(site);
}

int
site_write_down(struct site *site)
{
	static const struct timespec nap = { 0, NAP_MS * 1000000L };
	unsigned waited_ms = 0;

	site->state_changed = site->starved = 1;
	pthread_cond_signal(&site->work);
	while (
	    (site->state_changed || site->flushing) && waited_ms < PAUSE_MS) {
		pthread_mutex_unlock(&site->lock);
		(void)nanosleep(&nap, NULL);
		waited_ms += NAP_MS;
		pthread_mutex_lock(&site->lock);
	}
	return site->state_changed || site->flushing ? -1 : 0;
}

int
site_pause(struct site *site, int pause, int accept_deletes, struct error *err)
{
	int failed = 0;

	pthread_mutex_lock(&site->lock);
	if (site->paused == PAUSED_BY_BRAKE && (pause || !accept_deletes)) {
		if (!pause)
			failed = error_set(
			    err, ERR_CONFLICT, "%s", site->pause_reason);
		pthread_mutex_unlock(&site->lock);
		return failed;
	}
	site->paused = pause ? PAUSED_BY_PERSON : RUNS;
	snprintf(site->pause_reason, sizeof(site->pause_reason), "%s",
	    pause ? "paused by a person" : "");
	if (!pause) {
		/* What the brake asked about is agreed to. */
		site->brake_from = store_visible(site->store);
		memset(site->deletes, 0, sizeof(site->deletes));
	}
	site_stir(site);
	pthread_cond_broadcast(&site->jobs);
	if (site_write_down(site) != 0)
		failed = error_set(err, ERR_IO,
		    "it holds until the end of the process; writing it down "
		    "takes longer: see the log");
	pthread_mutex_unlock(&site->lock);
	return failed;
}

void
site_nudge(struct site *site)
{
	struct item *item;

	pthread_mutex_lock(&site->lock);
	site->probe_ms = site->not_before_ms = site->owner_at_ms = 0;
	site->parked_at_ms = 0;
	for (item = site->window.first; item != NULL; item = item->next)
		if (item->attempts > 0)
			item->not_before_ms = 0;
	site_stir(site);
	pthread_cond_broadcast(&site->jobs);
	pthread_cond_signal(&site->work);
	pthread_cond_signal(&site->look);
	pthread_mutex_unlock(&site->lock);
}
