#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "replicator/site.h"
#include "store/store.h"

/*
 * What became of a job. Faults are sorted: what passes by itself is tried again
 * with exponential backoff and full jitter; what needs a person stops the
 * destination but for one request now and then; what is this object's own is
 * parked, and shown, and the others go on. Nothing is dropped.
 */

#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS (5 * 60 * 1000)
#define SITE_BACKOFF_MAX_MS (60 * 1000)
#define FAILING_MANY 4
#define HURRY_MS 1000
#define PROBE_FIRST_MS (60 * 1000)
#define PROBE_MAX_MS (15 * 60 * 1000)
#define SLOWED_MS 1000
/* A request whose fate is unknown may still arrive this late. */
#define UNKNOWN_SETTLE_MS 3000

static uint64_t
jitter(uint64_t max_ms)
{
	uint64_t r;

	bytes_random(&r, sizeof(r));
	return 1 + r % (max_ms == 0 ? 1 : max_ms);
}

static uint64_t
backoff(unsigned attempts, uint64_t max_ms)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	while (attempts-- > 1 && ms < max_ms)
		ms *= 2;
	return jitter(ms < max_ms ? ms : max_ms);
}

static void
count_sent(struct site *site, uint64_t now_ms, uint64_t bytes, unsigned objects)
{
	uint64_t second = now_ms / 1000;
	size_t i = second % RATE_SECONDS;

	if (site->rate[i].second != second) {
		site->rate[i].second = second;
		site->rate[i].bytes = site->rate[i].objects = 0;
	}
	site->rate[i].bytes += bytes;
	site->rate[i].objects += objects;
	site->bytes += bytes;
}

static void
forget_upload(struct site *site, struct item *item)
{
	if (item->upload == NULL)
		return;
	upload_free(item->upload);
	item->upload = NULL;
	site->uploads--;
}

/* ---- an item's end ---- */

static void
remove_upload_notes(struct site *site, const struct item *item)
{
	char key[NOTE_KEY_BYTES];
	uint32_t i;

	note_upload(&site->names, item->version, key);
	batch_remove(&site->batch, key);
	for (i = 0; i < item->upload->n_parts; i++) {
		note_part(&site->names, item->version, i, key);
		batch_remove(&site->batch, key);
	}
}

static void
remove_source_note(struct site *site, const struct item *item)
{
	struct slice bucket = item_bucket(item), object_key = item_key(item);
	char key[NOTE_KEY_BYTES];
	int noted;

	switch (item->source) {
	case FROM_DIRTY:
		note_hashed(&site->names, 'd', bucket, object_key, key);
		batch_remove(&site->batch, key);
		if (site->n_dirty > 0 && --site->n_dirty == 0) {
			site->consistent_at = store_visible(site->store);
			site->state_changed = 1;
		}
		return;
	case FROM_DEFERRED:
		note_due(&site->names, (uint64_t)item->time_ms, bucket,
		    object_key, key);
		batch_remove(&site->batch, key);
		if (site->n_deferred > 0)
			site->n_deferred--;
		return;
	case FROM_HELD:
		site_held_published(site, bucket, object_key, item->version);
		return;
	case FROM_SEED:
		site_seed_done(site, item);
		return;
	case FROM_JOURNAL:
	case FROM_PARKED:
		if (site->n_parked == 0)
			return;
		/* What was parked has been published, or superseded. */
		noted = site_is_noted(site, 'p', bucket, object_key);
		if (noted > 0)
			site->n_parked--;
		else if (noted < 0)
			site->parked_unsure = 1;
		note_hashed(&site->names, 'p', bucket, object_key, key);
		batch_remove(&site->batch, key);
		site->sweep_at_ms = 0;
		return;
	}
}

static void
count_settled(struct site *site, const struct item *item)
{
	if (item->source != FROM_JOURNAL)
		return;
	site->backlog_bytes -=
	    item->size < site->backlog_bytes ? item->size : site->backlog_bytes;
	unsaved_add(
	    &site->unsaved, item->hash, item->sequence, site->watermark);
}

void
site_release(struct site *site, struct item *item)
{
	if (item->upload != NULL && item->upload->begun)
		remove_upload_notes(site, item);
	forget_upload(site, item);
	count_settled(site, item);
	remove_source_note(site, item);
	window_settle(&site->window, item);
}

void
site_park(struct site *site, struct item *item, const char *reason)
{
	struct key_note note = { .what = item->kind == ITEM_DELETE
		    ? JOURNAL_DELETE
		    : item->kind == ITEM_TAGS ? JOURNAL_TAGS
					      : JOURNAL_PUT,
		.version = item->version,
		.time_ms = clock_wall_ms(),
		.bucket = item_bucket(item),
		.key = item_key(item),
		.reason = slice_text(reason) };
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int noted;

	if (item->source == FROM_PARKED)
		note.what = item->what;
	log_fields(LOG_WARN, "replicator.parked", reason,
	    (const struct log_field[]){ LOG_T("destination", site->name),
		LOG_B("bucket", note.bucket.at, note.bucket.len),
		LOG_B("key", note.key.at, note.key.len) },
	    3);
	key_note_encode(&value, &note);
	forget_upload(site, item); /* its notes stay, to go on from */
	count_settled(site, item);
	if (item->source != FROM_PARKED && item->source != FROM_JOURNAL)
		remove_source_note(site, item);
	note_hashed(&site->names, 'p', note.bucket, note.key, key);
	noted = site_is_noted(site, 'p', note.bucket, note.key);
	if (noted <= 0)
		site->n_parked++;
	if (noted < 0)
		site->parked_unsure = 1;
	if (item->source != FROM_PARKED)
		site_parked_anew(site, clock_monotonic_ms());
	batch_set(&site->batch, key, buffer_slice(&value));
	buffer_free(&value);
	window_settle(&site->window, item);
	pthread_cond_signal(&site->work);
}

/* ---- the destination's state ---- */

/* An outage is over: what waits for its own turn need not wait longer. */
static void
hurry(struct site *site)
{
	uint64_t at_ms = clock_monotonic_ms() + jitter(HURRY_MS);
	struct item *item;

	for (item = site->window.first; item != NULL; item = item->next)
		if (item->attempts > 0 && item->not_before_ms > at_ms)
			item->not_before_ms = at_ms;
	site_stir(site);
}

static void
on_success(struct site *site)
{
	if (site->failing >= FAILING_MANY)
		hurry(site);
	site->failing = 0;
	site->not_before_ms = 0;
	/* A request that was on its way when the path turned out to be
	 * another's says nothing of that. */
	if (site->stopped && site->ready) {
		site->stopped = 0;
		site->reason[0] = '\0';
		site->probe_interval_ms = 0;
		log_fields(LOG_INFO, "replicator.resumed",
		    "the destination takes requests again",
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
	}
	if (++site->successes >= site->limit) {
		site->successes = 0;
		if (site->limit < site->concurrency)
			site->limit++;
	}
}

void
site_note_error(struct site *site, const struct fault *fault)
{
	snprintf(site->last_error, sizeof(site->last_error), "%s", fault->text);
	site->last_error_ms = clock_wall_ms();
}

void
site_stop_for_person(struct site *site, const char *reason, uint64_t now_ms)
{
	if (!site->stopped || strcmp(site->reason, reason) != 0)
		log_fields(LOG_ERROR, "replicator.stopped", reason,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
	snprintf(site->reason, sizeof(site->reason), "%s", reason);
	site->probe_interval_ms = !site->stopped ? PROBE_FIRST_MS
	    : site->probe_interval_ms * 2 < PROBE_MAX_MS
	    ? site->probe_interval_ms * 2
	    : PROBE_MAX_MS;
	site->stopped = 1;
	site->probe_ms = now_ms + site->probe_interval_ms;
}

static void
on_retry(struct site *site, struct item *item, const struct fault *fault,
    uint64_t now_ms)
{
	uint64_t wait;

	site->retries++;
	item->attempts++;
	/* Where nobody answered, it is not the object's doing. */
	wait = backoff(item->attempts,
	    fault->status == 0 ? SITE_BACKOFF_MAX_MS : BACKOFF_MAX_MS);
	if (fault->retry_after_ms > 0)
		wait = fault->retry_after_ms + jitter(BACKOFF_FIRST_MS);
	item->not_before_ms = now_ms + wait;
	if (fault->slow_down && now_ms - site->slowed_ms > SLOWED_MS) {
		site->slowed_ms = now_ms;
		site->limit = site->limit > 1 ? site->limit / 2 : 1;
		site->successes = 0;
	}
	if (++site->failing >= FAILING_MANY || fault->retry_after_ms > 0) {
		wait = fault->retry_after_ms > 0
		    ? fault->retry_after_ms
		    : backoff(site->failing - FAILING_MANY + 1,
			  SITE_BACKOFF_MAX_MS);
		if (now_ms + wait > site->not_before_ms)
			site->not_before_ms = now_ms + wait;
	}
}

/* An item goes back, or is parked. */
static void
on_fault(struct site *site, const struct job *job, const struct fault *fault,
    uint64_t now_ms)
{
	struct item *item = job->item;

	if (fault->fate_unknown)
		item->unknown_ms = now_ms;
	/* A late finish of an upload finds none any more. */
	if (fault->fate_unknown && job->type == JOB_PUBLISH)
		site_late_add(site, item, now_ms);
	if (fault->kind == FAULT_STOPPED)
		return;
	site->failures++;
	site_note_error(site, fault);
	switch (fault->kind) {
	case FAULT_PERSON:
		site_stop_for_person(site, fault->text, now_ms);
		return;
	case FAULT_OBJECT:
		on_success(site); /* it answers */
		item->settled = 1;
		return;
	default:
		on_retry(site, item, fault, now_ms);
	}
}

static void
on_step(const struct job *job)
{
	struct item_upload *u = job->item->upload;

	if (job->type == JOB_BEGIN)
		u->begun = 1;
	else if (job->type == JOB_PART) {
		u->parts[job->part] = PART_DONE;
		u->n_done++;
	}
}

static void
step_back(const struct job *job)
{
	struct item_upload *u = job->item->upload;

	if (job->type == JOB_PART) {
		u->parts[job->part] = PART_TODO;
		if (job->part < u->next)
			u->next = job->part;
	}
}

/* The key's next change waits: for a late arrival of this one, and for what
 * the provider allows. */
static void
delay_next(
    struct site *site, struct slice bucket, struct slice key, uint64_t until_ms)
{
	struct item *next = window_find(&site->window, bucket, key);

	if (next != NULL && next->not_before_ms < until_ms)
		next->not_before_ms = until_ms;
}

static void
on_done(struct site *site, struct item *item, uint64_t now_ms)
{
	uint64_t until = 0, interval = site->limits.same_key_interval_ms;
	struct buffer names = BUFFER_INIT;
	size_t bucket_len = item->bucket_len, key_len = item->key_len;
	uint64_t low = site->window.low;
	int stir = 0;

	if (item->kind == ITEM_DELETE)
		site->removed++;
	else
		site->published++;
	if (item->unknown_ms != 0)
		until = item->unknown_ms + UNKNOWN_SETTLE_MS;
	if (item->unknown_ms == site->begun_ms && until > now_ms &&
	    !window_is_last(&site->window, item))
		site_late_add(site, item, site->begun_ms);
	if (site->n_late > 0)
		site_late_done(site, item, now_ms);
	if (interval != 0 && now_ms + interval > until)
		until = now_ms + interval;
	if (until > site->quiet_until_ms[item->hash % QUIET_SLOTS])
		site->quiet_until_ms[item->hash % QUIET_SLOTS] = until;
	if (until > now_ms || !window_is_last(&site->window, item)) {
		stir = 1;
		buffer_add(&names, item->names, bucket_len + key_len);
	}
	site_release(site, item);
	if (stir || site->window.low != low)
		site_stir(site);
	if (names.len > 0)
		delay_next(site, (struct slice){ names.at, bucket_len },
		    (struct slice){ names.at + bucket_len, key_len }, until);
	buffer_free(&names);
}

void
site_settle(struct site *site, const struct job *job, enum outcome outcome,
    uint64_t bytes, const struct fault *fault)
{
	uint64_t now_ms = clock_monotonic_ms();
	struct item *item = job->item;

	item->running--;
	site->running--;
	site->running_small -= (unsigned)job->small;
	if (outcome != OUTCOME_FAULT) {
		on_success(site);
		count_sent(site, now_ms, bytes, outcome == OUTCOME_DONE);
	}
	switch (outcome) {
	case OUTCOME_DONE:
		item->attempts = 0;
		on_done(site, item, now_ms);
		goto out;
	case OUTCOME_GOES_ON:
		on_step(job);
		break;
	case OUTCOME_LARGE:
		item->version = job->version;
		item->size = job->size;
		item->large = 1;
		window_set_small(&site->window, item, 0);
		break;
	case OUTCOME_THREADS:
		window_set_small(&site->window, item, 0);
		break;
	case OUTCOME_ANEW:
	case OUTCOME_GONE:
		step_back(job);
		item->upload_gone = outcome == OUTCOME_GONE ? 2 : 1;
		break;
	case OUTCOME_FAULT:
		step_back(job);
		on_fault(site, job, fault, now_ms);
		break;
	}
	if (item->running > 0)
		goto out;
	if (item->settled)
		site_park(site, item,
		    outcome == OUTCOME_FAULT ? fault->text : site->last_error);
	else if (item->upload_gone) {
		forget_upload(site, item);
		item->anew = 1;
		if (item->upload_gone == 2)
			item->large = 0;
		item->upload_gone = 0;
		item->not_before_ms = now_ms + BACKOFF_FIRST_MS;
	} else if (outcome == OUTCOME_FAULT && job->type == JOB_BEGIN)
		forget_upload(site, item);
out:
	if (outcome != OUTCOME_DONE)
		site_stir(site);
	if (site->folding)
		pthread_cond_signal(&site->work);
}
