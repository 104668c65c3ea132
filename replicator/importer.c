#include "replicator/importer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/replicator_private.h"
#include "store/adopt.h"

/* ---- claims ---- */

static void
take_claim(struct importer *im, struct claim *claim)
{
	struct claim *c;

	pthread_mutex_lock(&im->lock);
	for (;;) {
		for (c = im->claims; c != NULL; c = c->next)
			if (slice_equal(c->key, claim->key) &&
			    slice_equal(c->bucket, claim->bucket))
				break;
		if (c == NULL)
			break;
		pthread_cond_wait(&im->released, &im->lock);
	}
	claim->next = im->claims;
	im->claims = claim;
	pthread_mutex_unlock(&im->lock);
}

static void
release_claim(struct importer *im, struct claim *claim)
{
	struct claim **p;

	pthread_mutex_lock(&im->lock);
	for (p = &im->claims; *p != claim; p = &(*p)->next)
		;
	*p = claim->next;
	pthread_cond_broadcast(&im->released);
	pthread_mutex_unlock(&im->lock);
}

static int
claim_and_import(struct importer *im, struct slice bucket, struct slice key,
    struct fault *fault)
{
	struct claim claim = { .bucket = bucket, .key = key };
	int rc;

	take_claim(im, &claim);
	rc = import_key(im->replicator, im->name, bucket, key, fault);
	release_claim(im, &claim);
	return rc;
}

/* ---- what is known ---- */

static void
remote_key(const struct importer *im, struct slice bucket, struct slice key,
    struct buffer *out)
{
	if (im->settings->policy.source_bucket == NULL) {
		buffer_add_slice(out, bucket);
		buffer_add_u8(out, '/');
	}
	buffer_add_slice(out, key);
}

int
importer_knows(struct importer *im, struct slice bucket, struct slice prefix)
{
	struct buffer there = BUFFER_INIT;
	struct slice cursor;
	int knows;

	remote_key(im, bucket, prefix, &there);
	pthread_mutex_lock(&im->lock);
	cursor = buffer_slice(&im->cursor);
	knows = im->phase >= IMPORT_FILL ||
	    (im->phase == IMPORT_ALL &&
		(slice_starts(prefix, "backups/") ||
		    (slice_compare(cursor, buffer_slice(&there)) > 0 &&
			(cursor.len < there.len ||
			    memcmp(cursor.at, there.at, there.len) != 0))));
	pthread_mutex_unlock(&im->lock);
	buffer_free(&there);
	return knows;
}

int
importer_want(struct importer *im, struct slice bucket, struct slice key,
    struct error *err)
{
	struct fault fault = FAULT_INIT;
	struct buffer memory = BUFFER_INIT;
	struct bucket_record rec;
	int there;

	if (importer_knows(im, bucket, key))
		return 0;
	there = store_bucket(
		    im->replicator->store, bucket, &rec, &memory, NULL) == 0;
	buffer_free(&memory);
	if (!there || claim_and_import(im, bucket, key, &fault) == 0)
		return 0;
	return error_set(err, ERR_BUSY,
	    "the store is being restored, and what is outside of this key "
	    "cannot be asked for now: %s",
	    fault.text);
}

/* ---- pages ---- */

void
importer_clear(struct importer *im)
{
	im->built = 0;
	buffer_clear(&im->names);
}

/* The slices are made when the page is whole, since its memory moves. */
void
importer_add(struct importer *im, struct slice bucket, struct slice key)
{
	if (im->built == IMPORT_PAGE)
		return;
	im->page[im->built].bucket.len = bucket.len;
	im->page[im->built++].key.len = key.len;
	buffer_add_slice(&im->names, bucket);
	buffer_add_slice(&im->names, key);
}

static void
place_slices(struct importer *im)
{
	const char *at = im->names.at;
	size_t i;

	if (im->names.failed)
		im->built = 0;
	for (i = 0; i < im->built; i++) {
		im->page[i].bucket.at = at;
		at += im->page[i].bucket.len;
		im->page[i].key.at = at;
		at += im->page[i].key.len;
	}
}

int
importer_rest(struct importer *im, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&im->lock);
	while (!atomic_load(&im->stopping) &&
	    pthread_cond_timedwait(&im->done, &im->lock, &until) == 0)
		;
	pthread_mutex_unlock(&im->lock);
	return atomic_load(&im->stopping) ? -1 : 0;
}

int
importer_do_page(struct importer *im, int filling)
{
	int again;

	place_slices(im);
	do {
		pthread_mutex_lock(&im->lock);
		im->n = im->built;
		im->next = 0;
		im->again = 0;
		im->filling = filling;
		pthread_cond_broadcast(&im->work);
		while (!atomic_load(&im->stopping) &&
		    (im->next < im->n || im->running > 0))
			pthread_cond_wait(&im->done, &im->lock);
		while (im->running > 0)
			pthread_cond_wait(&im->done, &im->lock);
		again = im->again;
		im->n = im->next = 0;
		pthread_mutex_unlock(&im->lock);
		if (again && importer_rest(im, 2000) != 0)
			return -1;
	} while (again && !filling);
	return atomic_load(&im->stopping) ? -1 : 0;
}

static void
note_failure(
    struct importer *im, const struct import_entry *e, const char *text)
{
	log_fields(LOG_WARN, "replicator.restore", text,
	    (const struct log_field[]){ LOG_T("destination", im->name),
		LOG_B("bucket", e->bucket.at, e->bucket.len),
		LOG_B("key", e->key.at, e->key.len) },
	    3);
	pthread_mutex_lock(&im->lock);
	snprintf(im->error, sizeof(im->error), "%s", text);
	pthread_mutex_unlock(&im->lock);
}

static void
make_known(struct importer *im, const struct import_entry *e)
{
	struct fault fault = FAULT_INIT;
	int rc, object;

	rc = claim_and_import(im, e->bucket, e->key, &fault);
	object = rc != 0 && fault.kind == FAULT_OBJECT;
	if (rc != 0 && fault.kind != FAULT_STOPPED)
		note_failure(im, e, fault.text);
	pthread_mutex_lock(&im->lock);
	im->known += rc == 0;
	im->failed += (uint64_t)object;
	im->again |= rc != 0 && !object;
	pthread_mutex_unlock(&im->lock);
}

/* Whether the disk has room for it with enough left for what clients write. */
static int
has_room(struct importer *im)
{
	struct store_figures f;

	store_figures(im->replicator->store, &f);
	return f.disk_free_bytes / 2 > f.reserve_bytes && f.band == 0;
}

static void
fetch(struct importer *im, const struct import_entry *e)
{
	struct error err = ERROR_INIT;
	int rc;

	rc = store_fill(im->replicator->store, e->bucket, e->key, &err);
	if (rc < 0 && (err.kind == ERR_NOT_FOUND || err.kind == ERR_NO_BUCKET))
		rc = 0; /* deleted meanwhile */
	if (rc < 0 && err.kind != ERR_CLOSING && err.kind != ERR_DISK_FULL)
		note_failure(im, e, err.text);
	pthread_mutex_lock(&im->lock);
	im->filled += rc > 0;
	im->fill_done += rc >= 0;
	im->full |= rc < 0 && err.kind == ERR_DISK_FULL;
	im->failed += rc < 0 && err.kind != ERR_DISK_FULL;
	pthread_mutex_unlock(&im->lock);
}

static void *
worker(void *arg)
{
	struct importer *im = arg;
	const struct import_entry *e;
	size_t count = 0;
	int filling;

	pthread_mutex_lock(&im->lock);
	while (!atomic_load(&im->stopping)) {
		if (im->next >= im->n || im->full) {
			pthread_cond_broadcast(&im->done);
			pthread_cond_wait(&im->work, &im->lock);
			continue;
		}
		e = &im->page[im->next++];
		filling = im->filling;
		im->running++;
		pthread_mutex_unlock(&im->lock);
		if (!filling)
			make_known(im, e);
		else
			fetch(im, e);
		count++;
		if (filling && count % 16 == 1 && !has_room(im)) {
			pthread_mutex_lock(&im->lock);
			im->full = 1;
			im->next = im->n;
		} else
			pthread_mutex_lock(&im->lock);
		if (im->full)
			im->next = im->n;
		im->running--;
		if (im->running == 0)
			pthread_cond_broadcast(&im->done);
	}
	pthread_cond_broadcast(&im->done);
	pthread_mutex_unlock(&im->lock);
	return NULL;
}

static void *
walk(void *arg)
{
	struct importer *im = arg;

	if (import_listing(im) == 0 && import_fill(im) == 0)
		log_fields(LOG_INFO, "replicator.restore",
		    "all contents are here again",
		    (const struct log_field[]){ LOG_T("destination", im->name),
			LOG_N("fetched", im->filled) },
		    2);
	return NULL;
}

/* ---- durable ---- */

static void
note_key(const char *name, char key[NOTE_KEY_BYTES])
{
	struct note_names names;

	note_names_set(&names, name);
	note_plain(&names, 'i', key);
}

void
importer_save(struct importer *im)
{
	struct note_batch batch = { 0 };
	struct buffer value = BUFFER_INIT;
	struct error err = ERROR_INIT;
	char key[NOTE_KEY_BYTES];

	note_key(im->name, key);
	pthread_mutex_lock(&im->lock);
	buffer_add_u8(&value, 1);
	buffer_add_u8(&value, (uint8_t)im->phase);
	buffer_add_be64(&value, im->known);
	buffer_add_be64(&value, im->failed);
	buffer_add_be16(&value, (uint16_t)im->cursor.len);
	buffer_add_slice(&value, buffer_slice(&im->cursor));
	if (im->phase == IMPORT_DONE)
		batch_remove(&batch, key);
	else
		batch_set(&batch, key, buffer_slice(&value));
	pthread_mutex_unlock(&im->lock);
	if (batch_commit(&batch, im->replicator->store, &err) != 0)
		log_line(LOG_WARN, "replicator.restore", "%s", err.text);
	batch_free(&batch);
	buffer_free(&value);
}

struct resuming {
	struct replicator *replicator;
	struct error *err;
	char name[64];
	enum import_phase phase;
	struct buffer cursor;
	uint64_t known;
	int found;
};

static int
see_note(struct slice key, struct slice value, void *arg)
{
	struct resuming *s = arg;
	struct reader in = reader_of(value.at, value.len);
	struct slice cursor;

	/* "r/NAME/i" */
	if (key.len < 5 || key.len - 4 >= sizeof(s->name) ||
	    memcmp(key.at + key.len - 2, "/i", 2) != 0 ||
	    memchr(key.at + 2, '/', key.len - 4) != NULL || reader_u8(&in) != 1)
		return 0;
	s->phase = reader_u8(&in);
	s->known = reader_be64(&in);
	(void)reader_be64(&in);
	cursor = reader_slice16(&in);
	if (in.failed)
		return 0;
	snprintf(
	    s->name, sizeof(s->name), "%.*s", (int)(key.len - 4), key.at + 2);
	buffer_add_slice(&s->cursor, cursor);
	s->found = 1;
	return 1;
}

int
importer_resume(struct replicator *r, struct error *err)
{
	struct resuming s = { .replicator = r, .err = err };
	int rc;

	rc = store_notes(
	    r->store, SLICE_LITERAL("r/"), SLICE_NULL, see_note, &s, err);
	if (rc == 0 && s.found) {
		if (s.phase < IMPORT_FILL)
			store_set_incomplete(r->store, 1);
		rc = importer_start(r, s.name, s.phase, buffer_slice(&s.cursor),
			 s.known, err) == NULL
		    ? -1
		    : 0;
	}
	buffer_free(&s.cursor);
	return rc;
}

int
importer_needs(struct replicator *r, const char *name)
{
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int needs;

	note_key(name, key);
	needs = store_note(r->store, slice_text(key), &value, NULL) == 0;
	buffer_free(&value);
	return needs;
}

/* ---- life ---- */

static int
start_threads(struct importer *im, struct error *err)
{
	int rc;

	rc = pthread_create(&im->walker, NULL, walk, im);
	im->walks = rc == 0;
	while (rc == 0 && im->n_workers < IMPORT_WORKERS) {
		rc = pthread_create(
		    &im->workers[im->n_workers], NULL, worker, im);
		im->n_workers += rc == 0;
	}
	return rc == 0 ? 0 : error_sys(err, rc, "starting the restore");
}

struct importer *
importer_start(struct replicator *r, const char *name, enum import_phase phase,
    struct slice cursor, uint64_t known, struct error *err)
{
	struct destination_fields none = { 0 };
	struct importer *im;
	pthread_condattr_t attr;
	struct entry *e;

	if ((im = calloc(1, sizeof(*im))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	im->replicator = r;
	snprintf(im->name, sizeof(im->name), "%s", name);
	im->phase = phase;
	im->known = known;
	buffer_add_slice(&im->cursor, cursor);
	(void)pthread_mutex_init(&im->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&im->work, &attr);
	(void)pthread_cond_init(&im->done, &attr);
	(void)pthread_cond_init(&im->released, &attr);
	(void)pthread_condattr_destroy(&attr);
	if ((e = entry_find(r, name)) == NULL) {
		error_set(err, ERR_NOT_FOUND,
		    "the destination %s, from which the store is being "
		    "restored, is not configured any more: add it again",
		    name);
		importer_stop(im);
		return NULL;
	}
	none.provider = e->settings->fields.provider;
	im->settings = settings_make(e->settings, &none, NULL, err);
	if (im->settings == NULL || start_threads(im, err) != 0) {
		importer_stop(im);
		return NULL;
	}
	atomic_store(&r->importer, im);
	return im;
}

void
importer_stop(struct importer *im)
{
	size_t i;

	if (im == NULL)
		return;
	pthread_mutex_lock(&im->lock);
	atomic_store(&im->stopping, 1);
	pthread_cond_broadcast(&im->work);
	pthread_cond_broadcast(&im->done);
	pthread_mutex_unlock(&im->lock);
	for (i = 0; i < im->n_workers; i++)
		(void)pthread_join(im->workers[i], NULL);
	if (im->walks)
		(void)pthread_join(im->walker, NULL);
	(void)pthread_mutex_destroy(&im->lock);
	(void)pthread_cond_destroy(&im->work);
	(void)pthread_cond_destroy(&im->done);
	(void)pthread_cond_destroy(&im->released);
	settings_free(im->settings);
	buffer_free(&im->cursor);
	buffer_free(&im->names);
	free(im);
}
