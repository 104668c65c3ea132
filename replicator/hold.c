#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/audit.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"

/*
 * The recovery hold: what is deleted here stays outside for some days, for
 * Velero on a new cluster collects what it takes for expired. The note "hold"
 * is {format u8 = 1, since be64, how long deletes are kept back be64}.
 */

#define HOLD_KEY SLICE_LITERAL("hold")
#define HOLD_MS (7ULL * 24 * 3600 * 1000)

static int
save(struct replicator *r, struct slice value, struct error *err)
{
	struct note note = { HOLD_KEY, value };
	struct set_notes set = { .notes = &note, .n_notes = 1 };

	if (store_set_notes(r->store, &set) == 0)
		return 0;
	*err = set.change.err;
	return -1;
}

/* The sites learn of it. */
static void
spread(struct replicator *r)
{
	uint64_t ms = atomic_load(&r->hold_ms);
	size_t i;

	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries; i++)
		if (r->entries[i]->site != NULL)
			atomic_store(&r->entries[i]->site->hold_ms, ms);
	pthread_mutex_unlock(&r->lock);
}

int
hold_begin(struct replicator *r, struct error *err)
{
	uint8_t value[17] = { 1 };

	be64_put(value + 1, (uint64_t)clock_wall_ms());
	be64_put(value + 9, HOLD_MS);
	if (save(r, (struct slice){ (char *)value, sizeof(value) }, err) != 0)
		return -1;
	atomic_store(&r->hold_ms, HOLD_MS);
	spread(r);
	return 0;
}

void
hold_load(struct replicator *r)
{
	struct buffer value = BUFFER_INIT;

	if (store_note(r->store, HOLD_KEY, &value, NULL) == 0 &&
	    value.len == 17 && value.at[0] == 1)
		atomic_store(
		    &r->hold_ms, be64_get((const uint8_t *)value.at + 9));
	buffer_free(&value);
}

void
replicator_hold_status(struct replicator *r, struct hold_status *s)
{
	struct buffer value = BUFFER_INIT;
	size_t i;

	*s = (struct hold_status){ 0 };
	if (store_note(r->store, HOLD_KEY, &value, NULL) == 0 &&
	    value.len == 17) {
		s->active = 1;
		s->since_ms = (int64_t)be64_get((const uint8_t *)value.at + 1);
		s->keep_ms = be64_get((const uint8_t *)value.at + 9);
	}
	buffer_free(&value);
	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries; i++)
		if (r->entries[i]->site != NULL)
			s->kept_back += site_deferred(r->entries[i]->site);
	pthread_mutex_unlock(&r->lock);
}

int
replicator_hold_end(struct replicator *r, const char *who, struct error *err)
{
	if (save(r, SLICE_NULL, err) != 0)
		return -1;
	atomic_store(&r->hold_ms, 0);
	spread(r);
	audit_write(r->dir, who, "hold.end", "", NULL);
	return 0;
}

/* By the first destination that keeps it back. */
int
replicator_undelete(struct replicator *r, struct slice bucket, struct slice key,
    const char *who, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct fault fault = FAULT_INIT;
	struct object_record rec;
	char name[64] = "";
	size_t i;
	int rc;

	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries && name[0] == '\0'; i++)
		if (r->entries[i]->site != NULL &&
		    site_undelete(r->entries[i]->site, bucket, key))
			memcpy(name, r->entries[i]->name, sizeof(name));
	pthread_mutex_unlock(&r->lock);
	if (name[0] == '\0')
		return error_set(err, ERR_NOT_FOUND,
		    "no delete of %.*s/%.*s is kept back", (int)bucket.len,
		    bucket.at, (int)key.len, key.at);
	if (import_key(r, name, bucket, key, &fault) != 0)
		return error_set(err, ERR_BUSY, "%s", fault.text);
	rc = store_object(
	    r->store, bucket, key, 0, &rec, &memory, NULL, NULL, err);
	buffer_free(&memory);
	if (rc == 0)
		audit_write(r->dir, who, "hold.undelete", name, NULL);
	return rc;
}
