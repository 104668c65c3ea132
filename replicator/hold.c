#include <inttypes.h>
#include <stdio.h>
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
 * is {format u8 = 1, since be64, how long deletes were to be kept back be64};
 * how long they are is the server's setting.
 */

#define HOLD_KEY SLICE_LITERAL("hold")

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
	be64_put(value + 9, r->hold_keep_ms);
	if (save(r, (struct slice){ (char *)value, sizeof(value) }, err) != 0)
		return -1;
	atomic_store(&r->hold_ms, r->hold_keep_ms);
	spread(r);
	return 0;
}

void
hold_load(struct replicator *r)
{
	struct buffer value = BUFFER_INIT;

	if (store_note(r->store, HOLD_KEY, &value, NULL) == 0 &&
	    value.len == 17 && value.at[0] == 1)
		atomic_store(&r->hold_ms, r->hold_keep_ms);
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
		s->keep_ms = r->hold_keep_ms;
	}
	buffer_free(&value);
	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries; i++)
		if (r->entries[i]->site != NULL)
			s->kept_back += site_deferred(r->entries[i]->site);
	pthread_mutex_unlock(&r->lock);
}

struct keeping {
	const char *destination;
	kept_visit *visit;
	void *arg;
	int stop;
};

static int
see_kept(struct slice key, struct slice value, void *arg)
{
	struct keeping *k = arg;
	struct key_note note;

	(void)key;
	if (key_note_decode(value, &note) == 0)
		k->stop = k->visit(k->destination, note.bucket, note.key,
		    note.time_ms, k->arg);
	return k->stop;
}

int
replicator_kept(
    struct replicator *r, kept_visit *visit, void *arg, struct error *err)
{
	struct keeping k = { NULL, visit, arg, 0 };
	struct note_names names;
	char prefix[NOTE_KEY_BYTES];
	int failed = 0;
	size_t i;

	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries && !failed && !k.stop; i++) {
		k.destination = r->entries[i]->name;
		note_names_set(&names, k.destination);
		snprintf(prefix, sizeof(prefix), "%sx/", names.prefix);
		failed = store_notes(r->store, slice_text(prefix), SLICE_NULL,
		    see_kept, &k, err);
	}
	pthread_mutex_unlock(&r->lock);
	return failed;
}

static int
ask(struct replicator *r, struct error *err)
{
	struct hold_status s;

	replicator_hold_status(r, &s);
	if (s.kept_back == 0)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "%" PRIu64 " deletes are kept back (`holdfast hold` lists them): "
	    "say with --kept what becomes of them: send (they follow outside "
	    "at once), wait (each when its time has come) or drop (the objects "
	    "come back here)",
	    s.kept_back);
}

static int
send_kept(struct replicator *r, struct error *err)
{
	int failed = 0;
	size_t i;

	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries && !failed; i++)
		if (r->entries[i]->site != NULL)
			failed = site_send_deferred(r->entries[i]->site, err);
	pthread_mutex_unlock(&r->lock);
	return failed;
}

int
replicator_hold_end(struct replicator *r, enum hold_kept kept, const char *who,
    struct error *err)
{
	static const char *const words[] = {
		[HOLD_ASK] = "none", [HOLD_SEND] = "send", [HOLD_WAIT] = "wait"
	};

	if (kept == HOLD_ASK && ask(r, err) != 0)
		return -1;
	/* No delete is put off by the hold after those that were. */
	if (save(r, SLICE_NULL, err) != 0)
		return -1;
	atomic_store(&r->hold_ms, 0);
	spread(r);
	if (kept == HOLD_SEND && send_kept(r, err) != 0)
		return -1;
	audit_write(r->dir, who, "hold.end", "",
	    json_pack("{s:s}", "kept", words[kept]));
	return 0;
}

/* What each destination keeps back of it, and no longer; whether any did, and
 * the first one's name. */
static int
take_back(struct replicator *r, struct slice bucket, struct slice key,
    uint64_t *due_ms, char name[64])
{
	uint64_t due;
	size_t i;

	name[0] = '\0';
	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries; i++) {
		if (r->entries[i]->site == NULL ||
		    !site_undelete(r->entries[i]->site, bucket, key, &due) ||
		    name[0] != '\0')
			continue;
		memcpy(name, r->entries[i]->name, 64);
		*due_ms = due;
	}
	pthread_mutex_unlock(&r->lock);
	return name[0] != '\0';
}

/* It could not be given back: it is kept back again. */
static void
keep_again(struct replicator *r, const char *name, struct slice bucket,
    struct slice key, uint64_t due_ms)
{
	struct entry *e;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) != NULL && e->site != NULL)
		site_keep_back(e->site, bucket, key, due_ms);
	pthread_mutex_unlock(&r->lock);
}

int
replicator_undelete(struct replicator *r, struct slice bucket, struct slice key,
    const char *who, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct fault fault = FAULT_INIT;
	struct object_record rec;
	uint64_t due_ms = 0;
	json_t *detail;
	char name[64];
	int rc;

	if (!take_back(r, bucket, key, &due_ms, name))
		return error_set(err, ERR_NOT_FOUND,
		    "no delete of %.*s/%.*s is kept back", (int)bucket.len,
		    bucket.at, (int)key.len, key.at);
	if (import_key(r, name, bucket, key, &fault) != 0) {
		keep_again(r, name, bucket, key, due_ms);
		return error_set(err, ERR_BUSY, "%s", fault.text);
	}
	rc = store_object(
	    r->store, bucket, key, 0, &rec, &memory, NULL, NULL, err);
	buffer_free(&memory);
	if (rc != 0)
		return -1;
	detail = json_pack("{s:s%, s:o?}", "bucket", bucket.at, bucket.len,
	    "key", json_stringn(key.at, key.len));
	audit_write(r->dir, who, "hold.undelete", name, detail);
	return 0;
}
