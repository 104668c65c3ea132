#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/site.h"

/* From the journal into the window; and, when there is too much of it, into a
 * set of keys whose present state is to be published (folding). */

#define COUNT_BATCH 4096
#define FOLD_BATCH 1000
#define BRAKE_DELETES 100

static void
log_error(const struct site *site, const char *event, const struct error *err)
{
	log_fields(LOG_ERROR, event, err->text,
	    (const struct log_field[]){ LOG_T("destination", site->name) }, 1);
}

/* ---- counting ahead ---- */

struct counting {
	struct site *site;
	uint64_t upto;
	size_t n;
};

static void
count_delete(struct site *site, const struct journal_record *rec)
{
	uint64_t minute = (uint64_t)rec->time_ms / 60000, m;

	if (minute < site->deletes_minute)
		minute = site->deletes_minute;
	if (minute - site->deletes_minute >= DELETE_MINUTES)
		memset(site->deletes, 0, sizeof(site->deletes));
	else
		for (m = site->deletes_minute + 1; m <= minute; m++)
			site->deletes[m % DELETE_MINUTES] = 0;
	site->deletes_minute = minute;
	site->deletes[minute % DELETE_MINUTES]++;
}

static int
count_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	struct counting *c = arg;
	struct site *site = c->site;

	if (sequence > c->upto || c->n++ == COUNT_BATCH)
		return 1;
	if (rec->what == JOURNAL_PUT)
		site->backlog_bytes += rec->size;
	else if (rec->what == JOURNAL_DELETE && sequence > site->brake_from &&
	    filter_takes(&site->filter, rec->bucket, rec->key))
		count_delete(site, rec);
	site_held_seen(site, sequence, rec);
	site->counted = sequence;
	return 0;
}

/* An unusual share of deletes pauses, and asks. */
static void
check_brake(struct site *site)
{
	unsigned percent = site->settings->policy.brake_percent;
	struct store_figures figures;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < DELETE_MINUTES; i++)
		sum += site->deletes[i];
	if (site->paused == PAUSED_BY_BRAKE || sum < BRAKE_DELETES)
		return;
	store_figures(site->store, &figures);
	if (percent == 0)
		percent = 30;
	if (sum * 100 <= percent * (figures.objects + sum))
		return;
	site->paused = PAUSED_BY_BRAKE;
	site->state_changed = 1;
	snprintf(site->pause_reason, sizeof(site->pause_reason),
	    "%llu of %llu objects were deleted within an hour; nothing more is "
	    "sent, so that what is outside stays there: if the deletes are "
	    "right, run `holdfast destination resume %s --accept-deletes`",
	    (unsigned long long)sum,
	    (unsigned long long)(figures.objects + sum), site->name);
	log_fields(LOG_WARN, "replicator.brake", site->pause_reason,
	    (const struct log_field[]){ LOG_T("destination", site->name) }, 1);
}

int
site_count_journal(struct site *site)
{
	struct counting c = { site, store_visible(site->store), 0 };
	struct error err = ERROR_INIT;

	if (site->counted >= c.upto)
		return 0;
	if (store_journal(site->store, site->counted, count_entry, &c, &err) !=
	    0) {
		log_error(site, "replicator.journal", &err);
		return 0;
	}
	/* Numbers that no entry has, as a restore leaves them, count too. */
	if (c.n <= COUNT_BATCH)
		site->counted = c.upto;
	check_brake(site);
	/* A batch of deletes is seen whole before its first goes out. */
	site->counting = c.n > COUNT_BATCH;
	return c.n > 0;
}

/* ---- into the window ---- */

/* The same note each time that the entry is read, so that a restart doubles
 * none. */
void
site_defer(
    struct site *site, struct slice bucket, struct slice key, uint64_t due_ms)
{
	struct key_note note = { .what = JOURNAL_DELETE,
		.time_ms = (int64_t)due_ms,
		.bucket = bucket,
		.key = key };
	struct buffer value = BUFFER_INIT, old = BUFFER_INIT;
	char note_key[NOTE_KEY_BYTES];

	key_note_encode(&value, &note);
	note_due(&site->names, due_ms, bucket, key, note_key);
	if (store_note(site->store, slice_text(note_key), &old, NULL) != 0)
		site->n_deferred++;
	batch_set(&site->batch, note_key, buffer_slice(&value));
	buffer_free(&value);
	buffer_free(&old);
}

/* A change that goes out by itself, or not at all. */
static int
is_settled_at_once(
    struct site *site, uint64_t sequence, const struct journal_record *rec)
{
	size_t directory;

	if (rec->what != JOURNAL_PUT && rec->what != JOURNAL_DELETE &&
	    rec->what != JOURNAL_TAGS)
		return 1;
	if (!filter_takes(&site->filter, rec->bucket, rec->key))
		return 1;
	if (velero_is_backup(rec->key, &directory)) {
		if (rec->what == JOURNAL_PUT) {
			site_held_add(site, rec->bucket, rec->key, rec->version,
			    rec->time_ms);
			return 1;
		}
		if (rec->what == JOURNAL_DELETE)
			site_held_drop(site, rec->bucket, rec->key);
	}
	if (rec->what == JOURNAL_DELETE && site_delete_delay(site) > 0) {
		site_defer(site, rec->bucket, rec->key,
		    (uint64_t)rec->time_ms + site_delete_delay(site));
		return 1;
	}
	(void)sequence;
	return 0;
}

static int
read_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	struct site *site = arg;
	struct buffer key = BUFFER_INIT;
	struct fault fault = FAULT_INIT;
	struct item *item;
	int bad;

	if (sequence > site->counted || !window_room(&site->window))
		return 1;
	if (is_settled_at_once(site, sequence, rec)) {
		if (rec->what == JOURNAL_PUT)
			site->backlog_bytes -= rec->size < site->backlog_bytes
			    ? rec->size
			    : site->backlog_bytes;
		window_skip(&site->window, sequence);
		return 0;
	}
	item = window_add(&site->window, FROM_JOURNAL,
	    rec->what == JOURNAL_PUT        ? ITEM_PUT
		: rec->what == JOURNAL_TAGS ? ITEM_TAGS
					    : ITEM_DELETE,
	    sequence, rec->bucket, rec->key);
	if (item == NULL)
		return 1;
	item->begin = rec->begin;
	item->version = rec->version;
	item->extent = rec->extent;
	if (rec->what == JOURNAL_PUT)
		item->size = rec->size;
	item->time_ms = rec->time_ms;
	/* What was under way when the last run ended may still arrive. */
	if (sequence <= site->begun_at)
		item->unknown_ms = site->begun_ms;
	item->not_before_ms = site->quiet_until_ms[item->hash % QUIET_SLOTS];
	item->large = rec->what == JOURNAL_PUT &&
	    rec->size > site->limits.single_put_max_bytes;
	window_set_small(&site->window, item,
	    rec->what == JOURNAL_DELETE ||
		(rec->what == JOURNAL_PUT && rec->size <= SITE_SMALL_BYTES));

	site_remote_key(site, rec->bucket, rec->key, &key);
	bad = destination_check_key(
	    site->destination, buffer_slice(&key), &fault);
	buffer_free(&key);
	/* What it cannot hold is not there to be removed. */
	if (bad && rec->what == JOURNAL_DELETE)
		site_release(site, item);
	else if (bad)
		site_park(site, item, fault.text);
	return 0;
}

static int
see_last(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	(void)rec;
	*(uint64_t *)arg = sequence;
	return 1;
}

int
site_read_journal(struct site *site)
{
	uint64_t before = site->window.read, last = before;
	struct error err = ERROR_INIT;

	/* What was there before, and what was folded, goes first. */
	if (site->seeding || site->n_dirty > 0 || site->counting ||
	    site->window.read >= site->counted || !window_room(&site->window))
		return 0;
	if (store_journal(site->store, before, read_entry, site, &err) != 0)
		log_error(site, "replicator.journal", &err);
	else if (site->window.read == before &&
	    store_journal(site->store, before, see_last, &last, &err) == 0 &&
	    (last == before || last > site->counted))
		window_skip(&site->window, site->counted);
	return site->window.read != before;
}

/* ---- folding ---- */

struct folding {
	struct site *site;
	struct note_batch batch;
	uint64_t upto, reached, n_keys;
	size_t n;
};

static int
fold_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	struct key_note note = { .what = rec->what,
		.time_ms = rec->time_ms,
		.bucket = rec->bucket,
		.key = rec->key };
	struct buffer value = BUFFER_INIT;
	struct folding *f = arg;
	char key[NOTE_KEY_BYTES];

	if (sequence > f->upto || f->n++ == FOLD_BATCH)
		return 1;
	f->reached = sequence;
	if ((rec->what != JOURNAL_PUT && rec->what != JOURNAL_DELETE &&
		rec->what != JOURNAL_TAGS) ||
	    !filter_takes(&f->site->filter, rec->bucket, rec->key))
		return 0;
	key_note_encode(&value, &note);
	note_hashed(&f->site->names, 'd', rec->bucket, rec->key, key);
	batch_set(&f->batch, key, buffer_slice(&value));
	buffer_free(&value);
	f->n_keys++;
	return 0;
}

static int
fold_some(struct site *site, struct folding *f, struct error *err)
{
	f->n = 0;
	if (store_journal(site->store, f->reached, fold_entry, f, err) != 0)
		return -1;
	site_add_state(site, &f->batch, f->reached);
	return batch_commit(&f->batch, site->store, err);
}

static int
needs_folding(const struct site *site)
{
	uint64_t entries = store_visible(site->store) - site->watermark;
	int64_t age_ms = 0;

	if (site->oldest_ms > 0 && !site_is_halted(site))
		age_ms = clock_wall_ms() - site->oldest_ms;
	if (entries <= WINDOW_ENTRIES / 4)
		return 0;
	return site->backlog_bytes > site->fold_bytes ||
	    entries > site->fold_entries || age_ms > (int64_t)site->fold_age_ms;
}

int
site_fold(struct site *site)
{
	struct folding f = { .site = site };
	struct error err = ERROR_INIT;
	char prefix[NOTE_KEY_BYTES];
	int failed = 0;

	if (!needs_folding(site))
		return 0;
	log_fields(LOG_WARN, "replicator.fold",
	    "the backlog is too large to be kept change by change: what its "
	    "keys hold now is published instead",
	    (const struct log_field[]){ LOG_T("destination", site->name),
		LOG_N(
		    "entries", store_visible(site->store) - site->watermark) },
	    2);
	site->folding = 1;
	while (site->running > 0 && !atomic_load(&site->stopping))
		pthread_cond_wait(&site->work, &site->lock);
	if (site->running > 0) {
		site->folding = 0;
		return 0;
	}
	while (site->batch.n > 0 && site_flush(site))
		;
	if (site->batch.n > 0) {
		/* Removals of notes that folding is about to make anew. */
		site->folding = 0;
		return 0;
	}
	f.reached = site->watermark;
	f.upto = site->counted;
	site_drop_window(site);
	site->consistent_at = UINT64_MAX;
	pthread_mutex_unlock(&site->lock);
	while (!failed && f.reached < f.upto && !atomic_load(&site->stopping)) {
		failed = fold_some(site, &f, &err);
		if (failed)
			break;
		pthread_mutex_lock(&site->lock);
		site->watermark = f.reached;
		atomic_store(&site->durable, f.reached);
		pthread_mutex_unlock(&site->lock);
	}
	if (failed)
		log_error(site, "replicator.fold", &err);
	batch_free(&f.batch);
	note_plain(&site->names, 'd', prefix);
	snprintf(prefix + strlen(prefix), 2, "/");
	f.n_keys = notes_count(site->store, prefix);
	pthread_mutex_lock(&site->lock);
	window_reset(&site->window, site->watermark);
	/* Too many are found out about; too few would never be looked for. */
	site->n_dirty = f.n_keys + site->batch.n;
	site->backlog_bytes = 0;
	site->counted = site->watermark;
	if (site->n_dirty == 0)
		site->consistent_at = store_visible(site->store);
	site->state_changed = 1;
	site->folding = 0;
	site->advanced(site->advanced_arg);
	return 1;
}
