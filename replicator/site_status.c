#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "replicator/site.h"

/* What a site tells of itself. */

const char *
destination_state_word(enum destination_state state)
{
	static const char *const words[] = {
		[DESTINATION_CONSISTENT] = "consistent",
		[DESTINATION_CATCHING_UP] = "catching up",
		[DESTINATION_SEEDING] = "seeding",
		[DESTINATION_RECOVERING] = "recovering",
		[DESTINATION_PAUSED] = "paused",
		[DESTINATION_STOPPED] = "stopped",
	};

	return words[state];
}

enum destination_state
site_state(const struct site *site, const char **reason)
{
	*reason = "";
	if (site->stopped) {
		*reason = site->reason;
		return DESTINATION_STOPPED;
	}
	if (site->paused) {
		*reason = site->pause_reason;
		return DESTINATION_PAUSED;
	}
	if (site->seeding)
		return DESTINATION_SEEDING;
	if (site->n_dirty > 0 || site->folding ||
	    site->watermark < site->consistent_at)
		return DESTINATION_CATCHING_UP;
	if (!schedule_is_open(&site->schedule, clock_wall_ms()))
		*reason = "outside its schedule";
	return DESTINATION_CONSISTENT;
}

static void
describe_place(const struct site *site, char *text, size_t room)
{
	const struct destination_fields *f = &site->settings->fields;
	const char *path = f->path == NULL ? "" : f->path;
	const char *bucket = f->bucket == NULL ? "" : f->bucket;

	while (*path == '/')
		path++;
	switch (f->provider) {
	case PROVIDER_GOOGLE:
		snprintf(text, room, "gs://%s/%s", bucket, path);
		return;
	case PROVIDER_AZURE:
		snprintf(text, room, "azure://%s/%s in the account %s", bucket,
		    path, f->storage_account == NULL ? "" : f->storage_account);
		return;
	default:
		snprintf(text, room, "s3://%s/%s%s%s", bucket, path,
		    f->endpoint == NULL ? "" : " at ",
		    f->endpoint == NULL ? "" : f->endpoint);
	}
}

static void
describe_rate(const struct site *site, struct destination_status *s)
{
	uint64_t second = clock_monotonic_ms() / 1000;
	size_t i;

	for (i = 0; i < RATE_SECONDS; i++) {
		if (site->rate[i].second + RATE_SECONDS <= second)
			continue;
		s->rate_bytes_per_second += site->rate[i].bytes;
		s->rate_objects_per_minute += site->rate[i].objects;
	}
	s->rate_bytes_per_second /= RATE_SECONDS;
}

static int
take_time(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	(void)sequence;
	*(int64_t *)arg = rec->time_ms;
	return 1;
}

/* When the oldest change was acknowledged that is not outside; 0: none is
 * known. Asked of the journal, since the scheduler may be waiting for the
 * network. */
static int64_t
oldest_change(const struct site *site, const struct destination_status *s)
{
	int64_t oldest_ms = 0;

	if (s->lag_entries > 0)
		(void)store_journal(
		    site->store, site->window.low, take_time, &oldest_ms, NULL);
	return oldest_ms;
}

/* A backup that is held back is not outside, though the journal is past it. */
static int64_t
safe_until(const struct site *site, int64_t oldest_ms, int64_t now_ms)
{
	int64_t until = oldest_ms > 0 ? oldest_ms - 1 : now_ms;
	size_t i;

	for (i = 0; i < site->n_held; i++)
		if (site->held[i].since_ms <= until)
			until = site->held[i].since_ms - 1;
	return until;
}

static int
has_backlog(const struct site *site, const struct destination_status *s)
{
	return s->lag_entries > 0 || site->seeding || site->n_dirty > 0;
}

/* By bytes and by objects, whichever takes longer. */
static uint64_t
estimate(const struct site *site, const struct destination_status *s)
{
	uint64_t objects = s->lag_entries + site->n_dirty, left, by_bytes;

	if (!has_backlog(site, s))
		return 0;
	if (site->seeding && site->seed_total > site->seed_done)
		objects += site->seed_total - site->seed_done;
	if (s->rate_objects_per_minute == 0)
		return UINT64_MAX;
	left = objects * 60 / s->rate_objects_per_minute;
	if (s->rate_bytes_per_second == 0)
		return left;
	by_bytes = s->lag_bytes / s->rate_bytes_per_second;
	return left > by_bytes ? left : by_bytes;
}

/* now_ms: from before the journal's end was looked up. */
static void
describe_lag(
    const struct site *site, int64_t now_ms, struct destination_status *s)
{
	int64_t oldest_ms;

	s->lag_entries = s->journal_last > site->window.low
	    ? s->journal_last - site->window.low
	    : 0;
	s->lag_bytes = s->lag_entries > 0 ? site->backlog_bytes : 0;
	oldest_ms = oldest_change(site, s);
	if (oldest_ms > 0 && oldest_ms < now_ms)
		s->lag_ms = (uint64_t)(now_ms - oldest_ms);
	if (!site->seeding && site->n_dirty == 0 && !site->folding &&
	    site->watermark >= site->consistent_at &&
	    (oldest_ms > 0 || s->lag_entries == 0))
		s->safe_until_ms = safe_until(site, oldest_ms, now_ms);
	s->estimate_s = estimate(site, s);
}

void
site_status(struct site *site, struct destination_status *s)
{
	const char *reason;
	int64_t now_ms;

	memset(s, 0, sizeof(*s));
	pthread_mutex_lock(&site->lock);
	now_ms = clock_wall_ms();
	snprintf(s->name, sizeof(s->name), "%s", site->name);
	s->provider = site->settings->fields.provider;
	describe_place(site, s->place, sizeof(s->place));
	s->state = site_state(site, &reason);
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	s->from_config = site->from_config;
	s->watermark = site->watermark;
	s->journal_last = store_visible(site->store);
	describe_rate(site, s);
	describe_lag(site, now_ms, s);
	s->published = site->published;
	s->bytes = site->bytes;
	s->deletes = site->removed;
	s->retries = site->retries;
	s->failures = site->failures;
	s->parked = site->n_parked;
	s->held = site->n_held;
	s->kept_back = site->n_deferred;
	s->seed_done = site->seed_done;
	s->seed_total = site->seed_total;
	snprintf(s->last_error, sizeof(s->last_error), "%s", site->last_error);
	s->last_error_ms = site->last_error_ms;
	s->clock_offset_ms = destination_clock_offset_ms(site->destination);
	pthread_mutex_unlock(&site->lock);
}

int
site_has_note(
    struct site *site, char kind, struct slice bucket, struct slice key)
{
	char note_key[NOTE_KEY_BYTES];
	uint64_t n = 1;

	note_hashed(&site->names, kind, bucket, key, note_key);
	(void)store_notes(site->store, slice_text(note_key), SLICE_NULL,
	    site_note_found, &n, NULL);
	return n == 0;
}

int
site_is_noted(
    struct site *site, char kind, struct slice bucket, struct slice key)
{
	char note_key[NOTE_KEY_BYTES];
	int says;

	note_hashed(&site->names, kind, bucket, key, note_key);
	if ((says = batch_says(&site->batch, note_key)) != 0)
		return says > 0;
	if (site_has_note(site, kind, bucket, key))
		return 1;
	return site->flushing ? -1 : 0;
}

/* Whether seeding has not come to it yet. */
static int
waits_for_seeding(
    const struct site *site, struct slice bucket, struct slice key)
{
	int order;

	if (!site->seeding)
		return 0;
	order = slice_compare(bucket, buffer_slice(&site->seed_bucket));
	return order > 0 ||
	    (order == 0 &&
		slice_compare(key, buffer_slice(&site->seed_key)) > 0);
}

int
site_is_under_way(struct site *site, struct slice bucket, struct slice key)
{
	int waits;

	pthread_mutex_lock(&site->lock);
	waits = waits_for_seeding(site, bucket, key);
	pthread_mutex_unlock(&site->lock);
	return waits || site_is_unsettled(site, bucket, key) != 0;
}

const char *
site_object_status(struct site *site, struct slice bucket, struct slice key,
    const struct object_record *rec)
{
	int parked, pending;

	if (!filter_takes(&site->filter, bucket, key))
		return NULL;
	pthread_mutex_lock(&site->lock);
	parked = site->n_parked > 0 ? site_is_noted(site, 'p', bucket, key) : 0;
	if (parked > 0) {
		pthread_mutex_unlock(&site->lock);
		return "FAILED";
	}
	pending = parked < 0 ||
	    window_find(&site->window, bucket, key) != NULL ||
	    (site->n_dirty > 0 && site_is_noted(site, 'd', bucket, key) != 0) ||
	    site_is_held(site, bucket, key) ||
	    waits_for_seeding(site, bucket, key);
	/* Not read yet: all that came at that time or later. */
	if (!pending && site->window.read < store_visible(site->store))
		pending =
		    site->oldest_ms == 0 || rec->mtime_ms >= site->oldest_ms;
	pthread_mutex_unlock(&site->lock);
	return pending ? "PENDING" : "COMPLETED";
}
