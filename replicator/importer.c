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

int
importer_import(struct importer *im, struct slice bucket, struct slice key,
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
	const char *source = im->settings->policy.source_bucket;
	struct buffer there = BUFFER_INIT;
	struct slice cursor;
	int knows;

	remote_key(im, bucket, prefix, &there);
	pthread_mutex_lock(&im->lock);
	cursor = buffer_slice(&im->cursor);
	knows = im->phase >= IMPORT_FILL ||
	    (im->phase > IMPORT_TAKE &&
		(bucket.len == 0 ||
		    (source != NULL && !slice_is(bucket, source)))) ||
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
	if (!importer_knows(im, SLICE_NULL, SLICE_NULL))
		return error_set(err, ERR_BUSY,
		    "the store's restore begins as soon as the destination can "
		    "be reached");
	there = store_bucket(
		    im->replicator->store, bucket, &rec, &memory, NULL) == 0;
	buffer_free(&memory);
	if (!there || importer_import(im, bucket, key, &fault) == 0)
		return 0;
	return error_set(err, ERR_BUSY,
	    "the store is being restored, and what is outside of this key "
	    "cannot be asked for now: %s",
	    fault.text);
}

static void *
walk(void *arg)
{
	struct importer *im = arg;

	if (import_take(im) == 0 && import_listing(im) == 0 &&
	    import_fill(im) == 0)
		log_fields(LOG_INFO, "replicator.restore",
		    "all contents are here again",
		    (const struct log_field[]){ LOG_T("destination", im->name),
			LOG_N("fetched", im->filled) },
		    2);
	return NULL;
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
		    &im->workers[im->n_workers], NULL, importer_worker, im);
		im->n_workers += rc == 0;
	}
	return rc == 0 ? 0 : error_sys(err, rc, "starting the restore");
}

struct importer *
importer_start(struct replicator *r, const char *name,
    const struct import_note *note, struct error *err)
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
	im->phase = note->phase;
	im->begin = note->begin;
	im->known = note->known;
	im->failed = note->failed;
	im->skipped = note->skipped;
	buffer_add_slice(&im->cursor, note->cursor);
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
		    "restored, is not in the configuration file any more: put "
		    "it back, since some objects are there alone",
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
