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
	uint64_t due_ms;
};

static int
take_deferred(struct slice key, struct slice value, void *arg)
{
	struct undeleting *u = arg;
	size_t len = strlen(u->hash);
	char note_key[NOTE_KEY_BYTES];
	struct key_note note;

	if (key.len <= len || key.len >= sizeof(note_key) ||
	    memcmp(key.at + key.len - len, u->hash, len) != 0)
		return 0;
	memcpy(note_key, key.at, key.len);
	note_key[key.len] = '\0';
	batch_remove(u->batch, note_key);
	if (key_note_decode(value, &note) == 0)
		u->due_ms = (uint64_t)note.time_ms;
	u->n++;
	return 0;
}

int
site_undelete(
    struct site *site, struct slice bucket, struct slice key, uint64_t *due_ms)
{
	char note_key[NOTE_KEY_BYTES], prefix[NOTE_KEY_BYTES];
	struct note_batch batch = { 0 };
	struct undeleting u = { .batch = &batch };

	note_hashed(&site->names, 'x', bucket, key, note_key);
	u.hash = strrchr(note_key, '/') + 1;
	snprintf(prefix, sizeof(prefix), "%sx/", site->names.prefix);
	pthread_mutex_lock(&site->lock);
	(void)site_write_down(site);
	(void)store_notes(site->store, slice_text(prefix), SLICE_NULL,
	    take_deferred, &u, NULL);
	pthread_mutex_unlock(&site->lock);
	if (u.n > 0 && batch_commit(&batch, site->store, NULL) != 0)
		u.n = 0;
	batch_free(&batch);
	pthread_mutex_lock(&site->lock);
	site->n_deferred -= u.n < site->n_deferred ? u.n : site->n_deferred;
	pthread_mutex_unlock(&site->lock);
	*due_ms = u.due_ms;
	return u.n > 0;
}

void
site_keep_back(
    struct site *site, struct slice bucket, struct slice key, uint64_t due_ms)
{
	pthread_mutex_lock(&site->lock);
	site_defer(site, bucket, key, due_ms);
	pthread_cond_signal(&site->work);
	pthread_mutex_unlock(&site->lock);
}

struct sending {
	struct site *site;
	struct note_batch *batch;
	uint64_t now_ms, due_ms; /* each has a time of its own, all past */
	size_t n;
};

static int
make_due(struct slice key, struct slice value, void *arg)
{
	struct sending *s = arg;
	char old[NOTE_KEY_BYTES], new[NOTE_KEY_BYTES];
	struct buffer text = BUFFER_INIT;
	struct key_note note;

	if (key_note_decode(value, &note) != 0 || key.len >= sizeof(old) ||
	    (uint64_t)note.time_ms <= s->now_ms)
		return 0;
	memcpy(old, key.at, key.len);
	old[key.len] = '\0';
	batch_remove(s->batch, old);
	note.time_ms = (int64_t)s->due_ms;
	key_note_encode(&text, &note);
	note_due(&s->site->names, s->due_ms--, note.bucket, note.key, new);
	batch_set(s->batch, new, buffer_slice(&text));
	buffer_free(&text);
	return ++s->n == SITE_BESIDE_BATCH;
}

int
site_send_deferred(struct site *site, struct error *err)
{
	struct note_batch batch = { 0 };
	struct sending s = { .site = site, .batch = &batch };
	char prefix[NOTE_KEY_BYTES];
	int failed;

	snprintf(prefix, sizeof(prefix), "%sx/", site->names.prefix);
	/* What was put off a moment ago is noted first. */
	pthread_mutex_lock(&site->lock);
	failed = site_write_down(site);
	pthread_mutex_unlock(&site->lock);
	if (failed)
		return error_set(err, ERR_BUSY,
		    "%s is not ready for it: try again", site->name);
	s.now_ms = s.due_ms = (uint64_t)clock_wall_ms();
	do {
		s.n = 0;
		failed = store_notes(site->store, slice_text(prefix),
			     SLICE_NULL, make_due, &s, err) != 0 ||
		    batch_commit(&batch, site->store, err) != 0;
	} while (!failed && s.n > 0);
	batch_free(&batch);
	pthread_mutex_lock(&site->lock);
	site->deferred_at_ms = 0;
	pthread_cond_signal(&site->work);
	pthread_mutex_unlock(&site->lock);
	return failed ? -1 : 0;
}
