#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/auditor.h"
#include "replicator/filter.h"

/*
 * What is here, in the order of a listing there: keys below a destination's
 * path are "BUCKET/KEY", so that buckets come in the order of their names with
 * a slash behind them.
 */

#define PAGE_ENTRIES 256

struct local_walk {
	struct store *store;
	struct filter filter;
	char **buckets;
	size_t n_buckets, bucket; /* the one at hand */
	uint64_t total;

	struct object_record records[PAGE_ENTRIES];
	struct buffer keys[PAGE_ENTRIES];
	size_t n, at;
	int last; /* nothing behind this page in the bucket */
	struct buffer after, remote_key;
	struct local_entry entry;
};

static int
by_path(const void *a, const void *b)
{
	const char *p = *(char *const *)a, *q = *(char *const *)b;
	size_t i;
	int x, y;

	for (i = 0; p[i] == q[i] && p[i] != '\0'; i++)
		;
	x = p[i] == '\0' ? '/' : (unsigned char)p[i];
	y = q[i] == '\0' ? '/' : (unsigned char)q[i];
	return p[i] == q[i] ? 0 : x - y;
}

static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct local_walk *w = arg;
	char **more;

	if (w->filter.bucket != NULL && !slice_is(name, w->filter.bucket))
		return 0;
	more = realloc(w->buckets, (w->n_buckets + 1) * sizeof(*more));
	if (more == NULL)
		return 1;
	w->buckets = more;
	if ((more[w->n_buckets] = slice_copy(name)) == NULL)
		return 1;
	w->n_buckets++;
	w->total += rec->objects;
	return 0;
}

struct local_walk *
local_walk_new(
    struct store *store, const struct settings *settings, struct error *err)
{
	struct local_walk *w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	w->store = store;
	w->filter = (struct filter){ settings->policy.include,
		settings->policy.exclude, settings->policy.source_bucket };
	if (store_buckets(store, SLICE_NULL, take_bucket, w, err) != 0) {
		local_walk_free(w);
		return NULL;
	}
	if (w->n_buckets > 0)
		qsort(w->buckets, w->n_buckets, sizeof(*w->buckets), by_path);
	return w;
}

void
local_walk_free(struct local_walk *w)
{
	size_t i;

	if (w == NULL)
		return;
	for (i = 0; i < w->n_buckets; i++)
		free(w->buckets[i]);
	for (i = 0; i < PAGE_ENTRIES; i++)
		buffer_free(&w->keys[i]);
	buffer_free(&w->after);
	buffer_free(&w->remote_key);
	free(w->buckets);
	free(w);
}

static int
take_object(const struct list_entry *entry, void *arg)
{
	struct local_walk *w = arg;
	struct object_record *rec;

	if (w->n == PAGE_ENTRIES) {
		w->last = 0;
		return 1;
	}
	buffer_clear(&w->after);
	buffer_add_slice(&w->after, entry->key);
	if (!filter_takes(
		&w->filter, slice_text(w->buckets[w->bucket]), entry->key))
		return 0;
	buffer_clear(&w->keys[w->n]);
	buffer_add_slice(&w->keys[w->n], entry->key);
	rec = &w->records[w->n++];
	*rec = *entry->object;
	rec->attributes = rec->tags = SLICE_NULL;
	rec->retention = rec->encryption = rec->replication = SLICE_NULL;
	return 0;
}

static int
next_page(struct local_walk *w, struct error *err)
{
	struct buffer after = BUFFER_INIT;
	struct list_query query = { 0 };
	int rc;

	buffer_add_slice(&after, buffer_slice(&w->after));
	query.bucket = slice_text(w->buckets[w->bucket]);
	query.after = buffer_slice(&after);
	w->n = w->at = 0;
	w->last = 1;
	rc = store_list_objects(w->store, &query, take_object, w, err);
	buffer_free(&after);
	if (rc != 0 && err->kind == ERR_NO_BUCKET) {
		error_clear(err);
		rc = 0;
	}
	return rc;
}

const struct local_entry *
local_walk_at(struct local_walk *w, struct error *err)
{
	struct local_entry *e = &w->entry;

	while (w->at == w->n) {
		if (w->last) {
			w->bucket++;
			w->last = 0;
			buffer_clear(&w->after);
		}
		if (w->bucket >= w->n_buckets || next_page(w, err) != 0)
			return NULL;
	}
	e->bucket = slice_text(w->buckets[w->bucket]);
	e->key = buffer_slice(&w->keys[w->at]);
	e->record = w->records[w->at];
	buffer_clear(&w->remote_key);
	if (w->filter.bucket == NULL) {
		buffer_add_slice(&w->remote_key, e->bucket);
		buffer_add_u8(&w->remote_key, '/');
	}
	buffer_add_slice(&w->remote_key, e->key);
	e->remote_key = buffer_slice(&w->remote_key);
	return e;
}

void
local_walk_step(struct local_walk *w)
{
	w->at++;
}

uint64_t
local_walk_total(const struct local_walk *w)
{
	return w->total;
}
