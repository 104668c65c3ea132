#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/site.h"

/* What is durable of a site, and how it comes back at a start. */

#define STATE_FORMAT 1
#define FOLD_ENTRIES_DEFAULT 2000000
#define FOLD_AGE_MS_DEFAULT (7ULL * 24 * 3600 * 1000)
#define FOLD_BYTES_MIN (1ULL << 30)

static void
add_text16(struct buffer *out, const void *text, size_t len)
{
	buffer_add_be16(out, (uint16_t)len);
	buffer_add(out, text, len);
}

void
site_add_state(struct site *site, struct note_batch *batch, uint64_t watermark)
{
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];

	buffer_add_u8(&value, STATE_FORMAT);
	buffer_add_be64(&value, watermark);
	buffer_add_be64(&value, site->consistent_at);
	buffer_add_be64(&value, site->brake_from);
	buffer_add_u8(&value, (uint8_t)site->claimed);
	buffer_add_u8(&value, (uint8_t)site->paused);
	add_text16(&value, site->pause_reason, strlen(site->pause_reason));
	note_plain(&site->names, 'w', key);
	batch_set(batch, key, buffer_slice(&value));

	if (site->seeding) {
		buffer_clear(&value);
		buffer_add_u8(&value, STATE_FORMAT);
		buffer_add_u8(&value, (uint8_t)site->blank);
		buffer_add_be64(&value, site->seed_done);
		buffer_add_be64(&value, site->seed_total);
		add_text16(&value, site->seed_bucket.at, site->seed_bucket.len);
		add_text16(&value, site->seed_key.at, site->seed_key.len);
		note_plain(&site->names, 's', key);
		batch_set(batch, key, buffer_slice(&value));
	}
	buffer_free(&value);
}

static uint64_t
count_notes(struct site *site, char kind)
{
	char prefix[NOTE_KEY_BYTES];

	snprintf(prefix, sizeof(prefix), "%s%c/", site->names.prefix, kind);
	return notes_count(site->store, prefix);
}

int
site_flush(struct site *site)
{
	struct note_batch batch = site->batch, rest;
	uint64_t low = site->window.low;
	struct error err = ERROR_INIT;
	int failed;

	if (low <= site->watermark && batch.n == 0 && !site->state_changed)
		return 0;
	memset(&site->batch, 0, sizeof(site->batch));
	site->state_changed = site->starved = 0;
	site_add_state(
	    site, &batch, low > site->watermark ? low : site->watermark);
	site->flushing = 1;
	pthread_mutex_unlock(&site->lock);
	failed = batch_commit(&batch, site->store, &err);
	pthread_mutex_lock(&site->lock);
	site->flushing = 0;
	site->flushed_ms = clock_monotonic_ms();
	if (failed) {
		log_fields(LOG_ERROR, "replicator.watermark", err.text,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
		/* What was to be noted stays, in its order. */
		site->state_changed = 1;
		rest = site->batch;
		site->batch = batch;
		buffer_add_slice(&site->batch.bytes, buffer_slice(&rest.bytes));
		site->batch.n += rest.n;
		batch_free(&rest);
		return 0;
	}
	batch_free(&batch);
	if (site->parked_unsure && site->batch.n == 0) {
		site->n_parked = count_notes(site, 'p');
		site->parked_unsure = 0;
	}
	if (low > site->watermark) {
		site->watermark = low;
		atomic_store(&site->durable, low);
		site->advanced(site->advanced_arg);
	}
	site_stir(site);
	return 1;
}

static int
decode_state(struct site *site, struct slice value)
{
	struct reader r = reader_of(value.at, value.len);
	struct slice reason;

	if (reader_u8(&r) != STATE_FORMAT)
		return -1;
	site->watermark = reader_be64(&r);
	site->consistent_at = reader_be64(&r);
	site->brake_from = reader_be64(&r);
	site->claimed = reader_u8(&r);
	site->paused = reader_u8(&r) % (PAUSED_BY_BRAKE + 1);
	reason = reader_slice16(&r);
	if (r.failed)
		return -1;
	snprintf(site->pause_reason, sizeof(site->pause_reason), "%.*s",
	    (int)reason.len, reason.len ? reason.at : "");
	return 0;
}

static int
decode_seed(struct site *site, struct slice value)
{
	struct reader r = reader_of(value.at, value.len);
	struct slice bucket, key;

	if (reader_u8(&r) != STATE_FORMAT)
		return -1;
	site->blank = reader_u8(&r);
	site->seed_done = reader_be64(&r);
	site->seed_total = reader_be64(&r);
	bucket = reader_slice16(&r);
	key = reader_slice16(&r);
	if (r.failed)
		return -1;
	site->seeding = 1;
	buffer_add_slice(&site->seed_bucket, bucket);
	buffer_add_slice(&site->seed_key, key);
	buffer_add_slice(&site->walk_bucket, bucket);
	buffer_add_slice(&site->walk_key, key);
	return 0;
}

static int
load_held(struct slice key, struct slice value, void *arg)
{
	struct site *site = arg;
	struct key_note note;

	(void)key;
	if (key_note_decode(value, &note) == 0)
		site_held_load(site, &note);
	return 0;
}

static void
set_limits(struct site *site)
{
	const struct destination_policy *policy = &site->settings->policy;
	struct store_figures figures;

	store_figures(site->store, &figures);
	site->fold_bytes = policy->fold_bytes;
	if (site->fold_bytes == 0)
		site->fold_bytes = figures.disk_bytes / 4 < FOLD_BYTES_MIN
		    ? FOLD_BYTES_MIN
		    : figures.disk_bytes / 4;
	site->fold_entries = policy->fold_entries > 0 ? policy->fold_entries
						      : FOLD_ENTRIES_DEFAULT;
	site->fold_age_ms =
	    policy->fold_age_ms > 0 ? policy->fold_age_ms : FOLD_AGE_MS_DEFAULT;
}

int
site_load(struct site *site, struct error *err)
{
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int failed = -1;

	set_limits(site);
	note_plain(&site->names, 'w', key);
	if (store_note(site->store, slice_text(key), &value, err) != 0)
		goto out;
	if (decode_state(site, buffer_slice(&value)) != 0) {
		error_set(err, ERR_FORMAT,
		    "the destination %s was left by a newer holdfast",
		    site->name);
		goto out;
	}
	buffer_clear(&value);
	note_plain(&site->names, 's', key);
	if (store_note(site->store, slice_text(key), &value, NULL) == 0 &&
	    decode_seed(site, buffer_slice(&value)) != 0) {
		error_set(err, ERR_FORMAT,
		    "the seeding of %s was left by a newer holdfast",
		    site->name);
		goto out;
	}
	atomic_store(&site->durable, site->watermark);
	window_reset(&site->window, site->watermark);
	site->counted = site->watermark;
	site->n_dirty = count_notes(site, 'd');
	site->n_parked = count_notes(site, 'p');
	site->n_deferred = count_notes(site, 'x');
	site->n_uploads = count_notes(site, 'u');
	snprintf(key, sizeof(key), "%sh/", site->names.prefix);
	failed = store_notes(
	    site->store, slice_text(key), SLICE_NULL, load_held, site, err);
	if (!failed)
		failed = site_late_load(site, err);
	site->begun_ms = clock_monotonic_ms();
	site->begun_at = store_visible(site->store);
out:
	buffer_free(&value);
	return failed;
}

void
site_add_place(const struct note_names *names, const struct settings *settings,
    struct note_batch *batch)
{
	struct buffer place = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];

	settings_place(settings, &place);
	note_plain(names, 'k', key);
	batch_set(batch, key, buffer_slice(&place));
	buffer_free(&place);
}

int
site_create(struct store *store, const char *name,
    const struct settings *settings, struct error *err)
{
	struct store_figures figures;
	struct note_batch batch = { 0 };
	struct site *site; /* too large for a thread's stack */
	int failed;

	if ((site = calloc(1, sizeof(*site))) == NULL)
		return error_nomem(err);
	site->store = store;
	site->settings = settings;
	store_figures(store, &figures);
	note_names_set(&site->names, name);
	site->watermark = store_visible(store);
	site->seeding = 1;
	site->blank = 1; /* until its path was looked at */
	site->seed_total = figures.objects;
	site->consistent_at = UINT64_MAX;
	site_add_state(site, &batch, site->watermark);
	site_add_place(&site->names, settings, &batch);
	failed = batch_commit(&batch, store, err);
	batch_free(&batch);
	free(site);
	return failed;
}

int
site_is_about(
    struct store *store, const char *name, const struct settings *settings)
{
	struct buffer place = BUFFER_INIT, noted = BUFFER_INIT;
	struct note_names names;
	char key[NOTE_KEY_BYTES];
	int same;

	note_names_set(&names, name);
	note_plain(&names, 'k', key);
	settings_place(settings, &place);
	same = store_note(store, slice_text(key), &noted, NULL) != 0 ||
	    slice_equal(buffer_slice(&place), buffer_slice(&noted));
	buffer_free(&place);
	buffer_free(&noted);
	return same;
}

int
site_begin_anew(struct store *store, const char *name,
    const struct settings *settings, struct error *err)
{
	/* All but the settings, and but the place, which changes last. */
	static const char kinds[] = "wsdhpxluav";
	struct note_names names;
	char prefix[NOTE_KEY_BYTES];
	const char *kind;

	note_names_set(&names, name);
	for (kind = kinds; *kind != '\0'; kind++) {
		note_plain(&names, *kind, prefix);
		if (notes_clear(store, prefix, err) != 0)
			return -1;
	}
	return site_create(store, name, settings, err);
}

int
site_forget(struct store *store, const char *name, struct error *err)
{
	struct note_names names;

	note_names_set(&names, name);
	return notes_clear(store, names.prefix, err);
}

/* The window is emptied; what it held comes again from the journal and the
 * notes. Uploads go on from their notes. */
void
site_drop_window(struct site *site)
{
	struct seed_step *step;
	struct item *item;
	size_t i;

	for (item = site->window.first; item != NULL; item = item->next)
		upload_free(item->upload);
	site->uploads = 0;
	window_reset(&site->window, site->watermark);
	while ((step = site->seed_first) != NULL) {
		site->seed_first = step->next;
		free(step);
	}
	site->seed_last = NULL;
	site->seed_steps = 0;
	site->walk_done = 0;
	buffer_clear(&site->walk_bucket);
	buffer_clear(&site->walk_key);
	buffer_add_slice(&site->walk_bucket, buffer_slice(&site->seed_bucket));
	buffer_add_slice(&site->walk_key, buffer_slice(&site->seed_key));
	buffer_clear(&site->dirty_after);
	site->parked_at_ms = site->deferred_at_ms = 0;
	for (i = 0; i < site->n_held; i++)
		site->held[i].started = 0;
}
