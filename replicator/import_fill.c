#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"
#include "replicator/velero.h"

/* Contents are fetched: of the newest Velero backup first, then of all. */

#define FULL_AGAIN_MS (10 * 60 * 1000)
#define AGAIN_MS (10 * 1000)
#define BACKUPS_MAX 4096

struct backup {
	char *bucket, *prefix;
	int64_t mtime_ms;
};

struct finding {
	struct importer *im;
	struct slice bucket;
	struct backup *backups;
	size_t n;
	struct buffer last;
	size_t taken;
	int rest; /* without what is below the backups */
};

static int
see_backup(const struct list_entry *entry, void *arg)
{
	struct finding *f = arg;
	struct backup *b = &f->backups[f->n];
	size_t directory;

	if (f->n == BACKUPS_MAX)
		return 1;
	if (!velero_is_backup(entry->key, &directory))
		return 0;
	b->bucket = slice_copy(f->bucket);
	b->prefix = slice_copy((struct slice){ entry->key.at, directory });
	b->mtime_ms = entry->object->mtime_ms;
	if (b->bucket != NULL && b->prefix != NULL)
		f->n++;
	return 0;
}

static int
newest_first(const void *a, const void *b)
{
	const struct backup *p = a, *q = b;

	return p->mtime_ms < q->mtime_ms ? 1
	    : p->mtime_ms > q->mtime_ms  ? -1
					 : 0;
}

/* Something was not looked at: this round is not the last. */
static void
look_again(struct importer *im)
{
	pthread_mutex_lock(&im->lock);
	im->unfilled++;
	pthread_mutex_unlock(&im->lock);
}

static int
is_of_backup(const struct finding *f, struct slice key)
{
	const struct backup *b;
	size_t i;

	if (!f->rest || !slice_starts(key, "backups/"))
		return 0;
	for (i = 0; i < f->n; i++) {
		b = &f->backups[i];
		if (slice_starts(key, b->prefix) &&
		    slice_is(f->bucket, b->bucket))
			return 1;
	}
	return 0;
}

static int
take_object(const struct list_entry *entry, void *arg)
{
	struct finding *f = arg;
	struct importer *im = f->im;

	if (f->taken == IMPORT_PAGE)
		return 1;
	f->taken++;
	buffer_clear(&f->last);
	buffer_add_slice(&f->last, entry->key);
	if (is_of_backup(f, entry->key))
		return 0;
	if (entry->object->extent != 0) {
		importer_add(im, f->bucket, entry->key, entry->object->size);
		return 0;
	}
	pthread_mutex_lock(&im->lock);
	im->fill_done++;
	pthread_mutex_unlock(&im->lock);
	return 0;
}

/* What is below a prefix: 0, or -1 when stopping or the disk is full. */
static int
fill_prefix(struct finding *f, struct slice bucket, struct slice prefix)
{
	struct list_query query = { .bucket = bucket, .prefix = prefix };
	struct buffer after = BUFFER_INIT;
	struct importer *im = f->im;
	int rc = 0;

	f->bucket = bucket;
	buffer_clear(&f->last);
	do {
		importer_clear(im);
		f->taken = 0;
		buffer_clear(&after);
		buffer_add_slice(&after, buffer_slice(&f->last));
		query.after = buffer_slice(&after);
		if (store_list_objects(im->replicator->store, &query,
			take_object, f, NULL) != 0) {
			look_again(im);
			break;
		}
		rc = importer_do_page(im, 1);
	} while (rc == 0 && !im->full && f->taken == IMPORT_PAGE);
	buffer_free(&after);
	return rc != 0 || im->full ? -1 : 0;
}

struct buckets {
	char **names;
	size_t n;
	int failed;
};

static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct buckets *b = arg;
	char **more = realloc(b->names, (b->n + 1) * sizeof(*more));

	(void)rec;
	if (more == NULL) {
		b->failed = 1;
		return 1;
	}
	b->names = more;
	if ((more[b->n] = slice_copy(name)) == NULL) {
		b->failed = 1;
		return 1;
	}
	b->n++;
	return 0;
}

static int
fill_all(struct importer *im)
{
	struct store *store = im->replicator->store;
	struct finding f = { .im = im };
	struct list_query query = { 0 };
	struct buckets buckets = { NULL, 0, 0 };
	size_t i;
	int rc = 0;

	f.backups = calloc(BACKUPS_MAX + 1, sizeof(*f.backups));
	if (f.backups == NULL ||
	    store_buckets(store, SLICE_NULL, take_bucket, &buckets, NULL) !=
		0 ||
	    buckets.failed)
		look_again(im);
	for (i = 0; f.backups != NULL && i < buckets.n; i++) {
		query.bucket = f.bucket = slice_text(buckets.names[i]);
		query.prefix = SLICE_LITERAL("backups/");
		(void)store_list_objects(store, &query, see_backup, &f, NULL);
	}
	if (f.n > 0)
		qsort(f.backups, f.n, sizeof(*f.backups), newest_first);
	for (i = 0; i < f.n && rc == 0; i++)
		rc = fill_prefix(&f, slice_text(f.backups[i].bucket),
		    slice_text(f.backups[i].prefix));
	f.rest = 1;
	for (i = 0; i < buckets.n && rc == 0; i++)
		rc = fill_prefix(&f, slice_text(buckets.names[i]), SLICE_NULL);
	for (i = 0; i < f.n; i++) {
		free(f.backups[i].bucket);
		free(f.backups[i].prefix);
	}
	for (i = 0; i < buckets.n; i++)
		free(buckets.names[i]);
	buffer_free(&f.last);
	free(buckets.names);
	free(f.backups);
	return rc;
}

static void
enter(struct importer *im, enum import_phase phase)
{
	pthread_mutex_lock(&im->lock);
	im->phase = phase;
	pthread_mutex_unlock(&im->lock);
	importer_save(im);
}

static void
begin_round(struct importer *im)
{
	struct store_figures figures;

	store_figures(im->replicator->store, &figures);
	pthread_mutex_lock(&im->lock);
	im->full = 0;
	im->filled = im->filled_bytes = im->unfilled = im->archived = 0;
	im->fill_done = im->fill_done_bytes = 0;
	im->fill_total = figures.objects;
	im->fill_total_bytes = figures.object_bytes;
	im->fill_began_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&im->lock);
}

int
import_fill(struct importer *im)
{
	int rc;

	for (;;) {
		begin_round(im);
		rc = fill_all(im);
		if (atomic_load(&im->stopping))
			return -1;
		if (rc == 0 && im->unfilled == 0) {
			enter(im, IMPORT_DONE);
			return 0;
		}
		enter(im, im->full ? IMPORT_KEPT : IMPORT_FILL);
		/* Thawing takes hours: not worth a question every moment. */
		if (importer_rest(im,
			im->full || (rc == 0 && im->archived == im->unfilled)
			    ? FULL_AGAIN_MS
			    : AGAIN_MS) != 0)
			return -1;
	}
}
