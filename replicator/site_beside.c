#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/site.h"
#include "store/remote.h"

/*
 * Keys whose present state is to be published, beside the journal: what was
 * there before the destination (seeding, by a walk with a durable place), what
 * a folded backlog came to, what was parked, and deletes whose time has come.
 */

#define PARKED_AGAIN_MS (3600 * 1000)
#define PARKED_FIRST_MS (60 * 1000)
#define PARKED_SOON_MS (10 * 1000)
#define DEFERRED_LOOK_MS 1000
#define WALK_BATCH 256

int
site_note_found(struct slice key, struct slice value, void *arg)
{
	uint64_t *n = arg;

	(void)key;
	(void)value;
	if (*n > 0)
		--*n;
	return 1;
}

/* ---- seeding ---- */

struct walking {
	struct site *site;
	struct slice bucket;
	size_t n;
	int full;
};

static int
add_step(
    struct site *site, struct item *item, struct slice bucket, struct slice key)
{
	struct seed_step *step;

	step = calloc(1, sizeof(*step) + bucket.len + key.len);
	if (step == NULL)
		return -1;
	step->bucket_len = bucket.len;
	step->key_len = key.len;
	memcpy(step->names, bucket.at, bucket.len);
	memcpy(step->names + bucket.len, key.at, key.len);
	if (site->seed_last == NULL)
		site->seed_first = step;
	else
		site->seed_last->next = step;
	site->seed_last = step;
	site->seed_steps++;
	item->step = step;
	return 0;
}

static void
set_place(struct buffer *place, struct slice text)
{
	buffer_clear(place);
	buffer_add_slice(place, text);
}

static int
walk_object(const struct list_entry *entry, void *arg)
{
	struct walking *w = arg;
	struct site *site = w->site;
	struct buffer key = BUFFER_INIT;
	struct fault fault = FAULT_INIT;
	struct item *item;
	size_t directory;
	int bad;

	if (w->n++ == WALK_BATCH || !window_room_beside(&site->window)) {
		w->full = 1;
		return 1;
	}
	set_place(&site->walk_key, entry->key);
	if (!filter_takes(&site->filter, w->bucket, entry->key))
		return 0;
	if (velero_is_backup(entry->key, &directory)) {
		site_held_add(site, w->bucket, entry->key,
		    entry->object->version, entry->object->mtime_ms);
		site->seed_done++;
		return 0;
	}
	item = window_add(
	    &site->window, FROM_SEED, ITEM_CURRENT, 0, w->bucket, entry->key);
	if (item == NULL || add_step(site, item, w->bucket, entry->key) != 0) {
		w->full = 1;
		return 1;
	}
	item->version = entry->object->version;
	item->size = entry->object->size;
	window_set_small(&site->window, item, item->size <= SITE_SMALL_BYTES);
	site_remote_key(site, w->bucket, entry->key, &key);
	bad = destination_check_key(
	    site->destination, buffer_slice(&key), &fault);
	buffer_free(&key);
	if (bad)
		site_park(site, item, fault.text);
	return 0;
}

static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	(void)rec;
	set_place(arg, name);
	return 1;
}

/* Buckets in their order, objects in theirs. */
static int
walk_some(struct site *site)
{
	struct walking w = { .site = site };
	struct list_query query = { 0 };
	struct buffer bucket = BUFFER_INIT, after = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct store_figures figures;
	int failed = 0;

	if (site->walk_bucket.len == 0) {
		store_figures(site->store, &figures);
		site->seed_total = figures.objects;
		failed = store_buckets(site->store, SLICE_NULL, take_bucket,
		    &site->walk_bucket, &err);
		buffer_clear(&site->walk_key);
	}
	if (!failed && site->walk_bucket.len == 0)
		site->walk_done = 1;
	if (failed || site->walk_done)
		goto out;
	buffer_add_slice(&bucket, buffer_slice(&site->walk_bucket));
	buffer_add_slice(&after, buffer_slice(&site->walk_key));
	w.bucket = query.bucket = buffer_slice(&bucket);
	query.after = buffer_slice(&after);
	failed = store_list_objects(site->store, &query, walk_object, &w, &err);
	if (failed && err.kind == ERR_NO_BUCKET)
		failed = 0;
	if (failed || w.full)
		goto out;
	buffer_clear(&site->walk_bucket);
	failed = store_buckets(site->store, buffer_slice(&bucket), take_bucket,
	    &site->walk_bucket, &err);
	buffer_clear(&site->walk_key);
	if (!failed && site->walk_bucket.len == 0)
		site->walk_done = 1;
out:
	buffer_free(&bucket);
	buffer_free(&after);
	if (failed)
		log_fields(LOG_ERROR, "replicator.seed", err.text,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
	return !failed && (w.n > 1 || site->walk_done);
}

void
site_seed_done(struct site *site, const struct item *item)
{
	struct seed_step *step = item->step;

	if (step == NULL)
		return;
	step->done = 1;
	site->seed_done++;
	site->state_changed = 1;
	while ((step = site->seed_first) != NULL && step->done) {
		set_place(&site->seed_bucket,
		    (struct slice){ step->names, step->bucket_len });
		set_place(&site->seed_key,
		    (struct slice){
			step->names + step->bucket_len, step->key_len });
		if ((site->seed_first = step->next) == NULL)
			site->seed_last = NULL;
		site->seed_steps--;
		free(step);
	}
}

static int
feed_seed(struct site *site)
{
	char key[NOTE_KEY_BYTES];
	int did = 0;

	if (!site->walk_done && window_room_beside(&site->window))
		did = walk_some(site);
	/* Even of nothing there is no copy while the path may be another's. */
	if (site->walk_done && site->seed_first == NULL && site->claimed) {
		site->seeding = 0;
		site->consistent_at = store_visible(site->store);
		site->state_changed = 1;
		note_plain(&site->names, 's', key);
		batch_remove(&site->batch, key);
		log_fields(LOG_INFO, "replicator.seeded",
		    "the objects that were there before are outside",
		    (const struct log_field[]){
			LOG_T("destination", site->name),
			LOG_N("objects", site->seed_done) },
		    2);
		did = 1;
	}
	return did;
}

/* ---- notes of keys ---- */

struct feeding {
	struct site *site;
	enum item_source source;
	size_t n;
	int full;
	uint64_t now_wall_ms;
};

/* A dirty key that does not go out as it is: a backup's json is held back, and
 * a delete may be put off. */
static int
is_diverted(struct site *site, const struct key_note *note)
{
	struct buffer memory = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct object_record rec;
	char key[NOTE_KEY_BYTES];
	size_t directory;
	int there, diverted = 0;

	if (!velero_is_backup(note->key, &directory) &&
	    site_delete_delay(site) == 0)
		return 0;
	there = store_object(site->store, note->bucket, note->key, 0, &rec,
		    &memory, NULL, NULL, &err) == 0;
	if (there && velero_is_backup(note->key, &directory)) {
		site_held_add(
		    site, note->bucket, note->key, rec.version, rec.mtime_ms);
		diverted = 1;
	} else if (!there && site_delete_delay(site) > 0) {
		site_defer(site, note->bucket, note->key,
		    (uint64_t)note->time_ms + site_delete_delay(site));
		diverted = 1;
	}
	buffer_free(&memory);
	if (!diverted)
		return 0;
	note_hashed(&site->names, 'd', note->bucket, note->key, key);
	batch_remove(&site->batch, key);
	if (site->n_dirty > 0 && --site->n_dirty == 0)
		site->consistent_at = store_visible(site->store);
	site->state_changed = 1;
	return 1;
}

static int
feed_note(struct slice key, struct slice value, void *arg)
{
	struct feeding *f = arg;
	struct site *site = f->site;
	struct key_note note;
	struct item *item;

	if (!window_room_beside(&site->window) || f->n == SITE_BESIDE_BATCH) {
		f->full = 1;
		return 1;
	}
	if (key_note_decode(value, &note) != 0)
		return 0;
	if (f->source == FROM_DEFERRED &&
	    (uint64_t)note.time_ms > f->now_wall_ms)
		return 1;
	if (f->source == FROM_DIRTY) {
		set_place(&site->dirty_after, key);
		if (is_diverted(site, &note))
			return 0;
	} else if (window_find(&site->window, note.bucket, note.key) != NULL)
		return 0;
	item = window_add(
	    &site->window, f->source, ITEM_CURRENT, 0, note.bucket, note.key);
	if (item == NULL)
		return 1;
	item->version = note.version;
	item->what = note.what;
	item->time_ms = note.time_ms;
	item->not_before_ms = site->quiet_until_ms[item->hash % QUIET_SLOTS];
	window_set_small(&site->window, item, 1); /* until it is looked up */
	f->n++;
	return 0;
}

static size_t
feed_notes(struct site *site, enum item_source source, char kind,
    struct slice after, int *full)
{
	struct feeding f = { .site = site, .source = source };
	struct error err = ERROR_INIT;
	char prefix[NOTE_KEY_BYTES];

	f.now_wall_ms = (uint64_t)clock_wall_ms();
	note_plain(&site->names, kind, prefix);
	strncat(prefix, "/", sizeof(prefix) - strlen(prefix) - 1);
	if (store_notes(site->store, slice_text(prefix), after, feed_note, &f,
		&err) != 0)
		log_fields(LOG_ERROR, "replicator.notes", err.text,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
	*full = f.full;
	return f.n;
}

static int
feed_dirty(struct site *site)
{
	struct buffer after = BUFFER_INIT;
	size_t n;
	int full;

	if (!window_room_beside(&site->window) ||
	    site->window.beside + SITE_BESIDE_BATCH > WINDOW_BESIDE)
		return 0;
	/* A new pass only over what is durable. */
	if (site->dirty_after.len == 0 &&
	    (site->window.beside > 0 || site->batch.n > 0))
		return 0;
	buffer_add_slice(&after, buffer_slice(&site->dirty_after));
	n = feed_notes(site, FROM_DIRTY, 'd', buffer_slice(&after), &full);
	if (n == 0 && !full) {
		if (after.len == 0 && site->n_dirty > 0 && site->batch.n == 0) {
			site->n_dirty = 0;
			site->consistent_at = store_visible(site->store);
			site->state_changed = 1;
		}
		buffer_clear(&site->dirty_after);
	}
	buffer_free(&after);
	return n > 0;
}

/* After a minute, two, four ..., and then hourly. */
static uint64_t
parked_wait(struct site *site)
{
	if (site->parked_wait_ms < PARKED_FIRST_MS)
		site->parked_wait_ms = PARKED_FIRST_MS;
	else
		site->parked_wait_ms *= 2;
	if (site->parked_wait_ms > PARKED_AGAIN_MS)
		site->parked_wait_ms = PARKED_AGAIN_MS;
	return site->parked_wait_ms;
}

void
site_parked_anew(struct site *site, uint64_t now_ms)
{
	site->parked_wait_ms = 0;
	if (site->parked_at_ms > now_ms + PARKED_FIRST_MS)
		site->parked_at_ms = now_ms + PARKED_FIRST_MS;
}

int
site_feed_beside(struct site *site, uint64_t now_ms)
{
	int did = 0, full;

	/* What a restore brings back is in no journal: the walk waits for it.
	 */
	if (site->seeding)
		return store_is_incomplete(site->store) ? 0 : feed_seed(site);
	if (site->n_dirty > 0)
		return feed_dirty(site);
	if (site->n_parked > 0 && now_ms >= site->parked_at_ms) {
		did |=
		    feed_notes(site, FROM_PARKED, 'p', SLICE_NULL, &full) > 0;
		site->parked_at_ms =
		    now_ms + (full ? PARKED_SOON_MS : parked_wait(site));
	}
	if (site->n_deferred > 0 && now_ms >= site->deferred_at_ms) {
		did |=
		    feed_notes(site, FROM_DEFERRED, 'x', SLICE_NULL, &full) > 0;
		site->deferred_at_ms = now_ms + DEFERRED_LOOK_MS;
	}
	return did;
}
