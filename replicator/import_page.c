#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"
#include "store/adopt.h"

/* A page of keys, and the workers who make them known or fetch them. */

void
importer_clear(struct importer *im)
{
	im->built = 0;
	buffer_clear(&im->names);
}

/* The slices are made when the page is whole, since its memory moves. */
void
importer_add(
    struct importer *im, struct slice bucket, struct slice key, uint64_t size)
{
	if (im->built == IMPORT_PAGE)
		return;
	im->page[im->built].size = size;
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

	rc = importer_import(im, e->bucket, e->key, &fault);
	object = rc != 0 && fault.kind == FAULT_OBJECT;
	if (rc != 0 && fault.kind != FAULT_STOPPED)
		note_failure(im, e, fault.text);
	pthread_mutex_lock(&im->lock);
	im->known += rc == 0;
	im->failed += (uint64_t)object;
	im->again |= rc != 0 && !object;
	pthread_mutex_unlock(&im->lock);
}

/* Whether the disk has room for it with enough left for what clients write;
 * what others fetch now is counted in. With the lock held. */
static int
has_room(struct importer *im, uint64_t size)
{
	struct store_figures f;
	uint64_t need = im->fetching_bytes + size;

	store_figures(im->replicator->store, &f);
	if (f.tier_high_bytes > 0 &&
	    f.disk_bytes - f.disk_free_bytes + need > f.tier_low_bytes)
		return 0;
	return f.band == 0 && f.disk_free_bytes > need &&
	    (f.disk_free_bytes - need) / 2 > f.reserve_bytes;
}

static void
fetch(struct importer *im, const struct import_entry *e)
{
	struct error err = ERROR_INIT;
	int rc, full;

	rc = store_fill(im->replicator->store, e->bucket, e->key, &err);
	if (rc < 0 && (err.kind == ERR_NOT_FOUND || err.kind == ERR_NO_BUCKET))
		rc = 0; /* deleted meanwhile */
	full = rc < 0 && err.kind == ERR_DISK_FULL;
	if (rc < 0 && err.kind != ERR_CLOSING && !full)
		note_failure(im, e, err.text);
	pthread_mutex_lock(&im->lock);
	if (rc > 0) {
		im->filled++;
		im->filled_bytes += e->size;
	}
	if (rc >= 0) {
		im->fill_done++;
		im->fill_done_bytes += e->size;
	}
	im->full |= full;
	im->unfilled += rc < 0 && !full;
	im->archived += rc < 0 && err.kind == ERR_ARCHIVED;
	pthread_mutex_unlock(&im->lock);
}

/* The next of the page, or NULL when there is none for this worker. With the
 * lock held. */
static const struct import_entry *
next_entry(struct importer *im)
{
	if (im->next >= im->n || (im->filling && im->running >= IMPORT_FILLERS))
		return NULL;
	if (im->filling && !has_room(im, im->page[im->next].size)) {
		im->full = 1;
		im->next = im->n;
		return NULL;
	}
	return &im->page[im->next++];
}

void *
importer_worker(void *arg)
{
	struct importer *im = arg;
	const struct import_entry *e;
	int filling;

	pthread_mutex_lock(&im->lock);
	while (!atomic_load(&im->stopping)) {
		if ((e = next_entry(im)) == NULL) {
			pthread_cond_broadcast(&im->done);
			pthread_cond_wait(&im->work, &im->lock);
			continue;
		}
		filling = im->filling;
		im->running++;
		if (filling)
			im->fetching_bytes += e->size;
		pthread_mutex_unlock(&im->lock);
		if (filling)
			fetch(im, e);
		else
			make_known(im, e);
		pthread_mutex_lock(&im->lock);
		if (filling)
			im->fetching_bytes -= e->size;
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
