#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "replicator/site.h"
#include "store/record.h"

/* For audits: what is under way, and what is to be sent once more. */

struct deferred {
	const char *hash;
	int found;
};

static int
see_deferred(struct slice key, struct slice value, void *arg)
{
	struct deferred *d = arg;
	size_t len = strlen(d->hash);

	(void)value;
	d->found =
	    key.len > len && memcmp(key.at + key.len - len, d->hash, len) == 0;
	return d->found;
}

/* A delete that was put off. */
int
site_is_deferred(struct site *site, struct slice bucket, struct slice key)
{
	char note_key[NOTE_KEY_BYTES], prefix[NOTE_KEY_BYTES];
	struct deferred d = { NULL, 0 };

	note_hashed(&site->names, 'x', bucket, key, note_key);
	d.hash = strrchr(note_key, '/') + 1;
	note_plain(&site->names, 'x', prefix);
	strncat(prefix, "/", sizeof(prefix) - strlen(prefix) - 1);
	(void)store_notes(site->store, slice_text(prefix), SLICE_NULL,
	    see_deferred, &d, NULL);
	return d.found;
}

int
site_is_pending(struct site *site, struct slice bucket, struct slice key)
{
	/* As one that has changed just now. */
	struct object_record rec = { .mtime_ms = clock_wall_ms() };
	const char *status;
	int deferred;

	status = site_object_status(site, bucket, key, &rec);
	if (status != NULL && strcmp(status, "PENDING") == 0)
		return 1;
	pthread_mutex_lock(&site->lock);
	deferred = site->n_deferred > 0 && site_is_deferred(site, bucket, key);
	pthread_mutex_unlock(&site->lock);
	return deferred;
}

struct sought {
	struct slice bucket, key;
	int found;
};

static int
see_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	struct sought *s = arg;

	(void)sequence;
	s->found = slice_equal(rec->key, s->key) &&
	    slice_equal(rec->bucket, s->bucket);
	return s->found;
}

int
site_is_unsettled(struct site *site, struct slice bucket, struct slice key)
{
	struct sought s = { bucket, key, 0 };

	/* The journal first: an entry leaves it only behind a watermark that
	 * was committed with the note that takes its place. */
	if (store_journal(site->store, atomic_load(&site->durable), see_entry,
		&s, NULL) != 0)
		return -1;
	if (s.found)
		return 1;
	return site_is_deferred(site, bucket, key) ||
	    site_has_note(site, 'd', bucket, key) ||
	    site_has_note(site, 'h', bucket, key);
}

void
site_send_again(
    struct site *site, struct slice bucket, struct slice key, uint64_t version)
{
	struct key_note note = { .what = JOURNAL_PUT,
		.version = version,
		.time_ms = clock_wall_ms(),
		.bucket = bucket,
		.key = key };
	struct buffer value = BUFFER_INIT;
	char note_key[NOTE_KEY_BYTES];

	key_note_encode(&value, &note);
	note_hashed(&site->names, 'd', bucket, key, note_key);
	pthread_mutex_lock(&site->lock);
	batch_set(&site->batch, note_key, buffer_slice(&value));
	site->n_dirty++;
	site->consistent_at = UINT64_MAX;
	site->state_changed = 1;
	pthread_cond_signal(&site->work);
	pthread_mutex_unlock(&site->lock);
	buffer_free(&value);
}

/* ---- deletes that are put off ---- */

uint64_t
site_delete_delay(struct site *site)
{
	uint64_t hold = atomic_load(&site->hold_ms);
	uint64_t own = site->settings->policy.delete_delay_ms;

	return hold > own ? hold : own;
}

uint64_t
site_deferred(struct site *site)
{
	uint64_t n;

	pthread_mutex_lock(&site->lock);
	n = site->n_deferred;
	pthread_mutex_unlock(&site->lock);
	return n;
}

struct undeleting {
	const char *hash;
	struct note_batch *batch;
	size_t n;
};

static int
take_deferred(struct slice key, struct slice value, void *arg)
{
	struct undeleting *u = arg;
	size_t len = strlen(u->hash);
	char note_key[NOTE_KEY_BYTES];

	(void)value;
	if (key.len <= len || key.len >= sizeof(note_key) ||
	    memcmp(key.at + key.len - len, u->hash, len) != 0)
		return 0;
	memcpy(note_key, key.at, key.len);
	note_key[key.len] = '\0';
	batch_remove(u->batch, note_key);
	u->n++;
	return 0;
}

int
site_undelete(struct site *site, struct slice bucket, struct slice key)
{
	char note_key[NOTE_KEY_BYTES], prefix[NOTE_KEY_BYTES];
	struct note_batch batch = { 0 };
	struct undeleting u = { NULL, &batch, 0 };

	note_hashed(&site->names, 'x', bucket, key, note_key);
	u.hash = strrchr(note_key, '/') + 1;
	snprintf(prefix, sizeof(prefix), "%sx/", site->names.prefix);
	pthread_mutex_lock(&site->lock);
	(void)store_notes(site->store, slice_text(prefix), SLICE_NULL,
	    take_deferred, &u, NULL);
	pthread_mutex_unlock(&site->lock);
	if (u.n > 0 && batch_commit(&batch, site->store, NULL) != 0)
		u.n = 0;
	batch_free(&batch);
	pthread_mutex_lock(&site->lock);
	site->n_deferred -= u.n < site->n_deferred ? u.n : site->n_deferred;
	pthread_mutex_unlock(&site->lock);
	return u.n > 0;
}
