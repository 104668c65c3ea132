#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "replicator/replicator_private.h"
#include "replicator/velero.h"
#include "replicator/verified.h"
#include "store/store.h"

/*
 * Velero's backups in the store, and how far each is outside. They are looked
 * for below backups/ of each bucket, and of each prefix at its top.
 */

struct walk {
	struct replicator *replicator;
	const char *destination; /* NULL: none */
	backup_visit *visit;
	void *arg;
	char bucket[64];
	int stop, failed;
	struct error *err;
};

struct names {
	struct buffer bytes; /* NUL-terminated, one behind another */
	size_t n;
};

static int
add_name(struct names *names, struct slice name)
{
	buffer_add_slice(&names->bytes, name);
	buffer_add_u8(&names->bytes, 0);
	names->n++;
	return names->bytes.failed;
}

static int
take_prefix(const struct list_entry *entry, void *arg)
{
	return entry->common_prefix ? add_name(arg, entry->key) : 0;
}

static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	(void)rec;
	return add_name(arg, name);
}

static int
list_prefixes(struct walk *w, const char *prefix, struct names *names)
{
	struct list_query query = { .bucket = slice_text(w->bucket),
		.prefix = slice_text(prefix),
		.delimiter = SLICE_LITERAL("/") };

	return store_list_objects(
	    w->replicator->store, &query, take_prefix, names, w->err);
}

/* ---- one backup ---- */

struct summing {
	struct walk *walk;
	struct backup_status *status;
	uint64_t outside, wanted;
	struct backup_sum sum;
};

/* The list may change between two objects, so that nobody waits for the walk.
 */
static const char *
status_at(struct walk *w, const struct list_entry *entry)
{
	struct replicator *r = w->replicator;
	const char *word = NULL;
	struct entry *e = NULL;

	pthread_mutex_lock(&r->lock);
	if (w->destination != NULL)
		e = entry_find(r, w->destination);
	if (e != NULL && e->site != NULL)
		word = site_object_status(
		    e->site, slice_text(w->bucket), entry->key, entry->object);
	pthread_mutex_unlock(&r->lock);
	return word;
}

static int
sum_object(const struct list_entry *entry, void *arg)
{
	struct summing *s = arg;
	struct walk *w = s->walk;
	const char *word = NULL;

	s->status->objects++;
	s->status->bytes += entry->object->size;
	if (s->status->started_ms == 0 ||
	    entry->object->mtime_ms < s->status->started_ms)
		s->status->started_ms = entry->object->mtime_ms;
	word = status_at(w, entry);
	if (word != NULL) {
		s->wanted++;
		backup_sum_add(&s->sum, entry->key, entry->object->version);
		s->outside += strcmp(word, "COMPLETED") == 0;
	}
	return 0;
}

static void
look_at_phase(
    struct walk *w, const char *directory, struct backup_status *status)
{
	struct buffer key = BUFFER_INIT, memory = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct object_record rec;

	buffer_add_text(&key, directory);
	buffer_add_text(&key, "velero-backup.json");
	if (store_object(w->replicator->store, slice_text(w->bucket),
		buffer_slice(&key), 0, &rec, &memory, NULL, NULL, &err) == 0)
		(void)velero_phase(
		    w->replicator->store, &rec, status->phase, &err);
	buffer_free(&key);
	buffer_free(&memory);
}

/* An audit has compared all of it since it was last changed. */
static void
look_whether_verified(struct summing *s, const char *directory)
{
	struct walk *w = s->walk;
	uint8_t sum[BACKUP_SUM_BYTES];
	struct verified verified;

	if (backup_sum_end(&s->sum, sum) != 0 ||
	    s->status->state != BACKUP_OUTSIDE || w->destination == NULL ||
	    !backup_is_verified(w->replicator->store, w->destination,
		slice_text(w->bucket), slice_text(directory), sum, &verified))
		return;
	s->status->state = BACKUP_VERIFIED;
	s->status->verified_ms = verified.ms;
	s->status->verified_by_reading = verified.by_reading;
}

/* directory: PREFIX "backups/" NAME "/". */
static int
tell(struct walk *w, const char *prefix, const char *directory)
{
	struct backup_status status;
	struct summing s = { .walk = w, .status = &status };
	struct list_query query = { .bucket = slice_text(w->bucket),
		.prefix = slice_text(directory) };
	const char *name = directory + strlen(prefix) + strlen("backups/");

	memset(&status, 0, sizeof(status));
	snprintf(status.bucket, sizeof(status.bucket), "%s", w->bucket);
	snprintf(status.prefix, sizeof(status.prefix), "%s", prefix);
	snprintf(status.name, sizeof(status.name), "%.*s",
	    (int)strcspn(name, "/"), name);
	if (store_list_objects(
		w->replicator->store, &query, sum_object, &s, w->err) != 0) {
		digest_free(s.sum.digest);
		return -1;
	}
	look_at_phase(w, directory, &status);
	status.state = s.wanted > 0 && s.outside == s.wanted ? BACKUP_OUTSIDE
	    : s.outside > 0                                  ? BACKUP_PARTLY
							     : BACKUP_LOCAL;
	look_whether_verified(&s, directory);
	w->stop = w->visit(&status, w->arg);
	return 0;
}

static int
walk_backups(struct walk *w, const char *prefix)
{
	struct names names = { BUFFER_INIT, 0 };
	char below[600];
	const char *at;
	size_t i;
	int failed;

	snprintf(below, sizeof(below), "%sbackups/", prefix);
	failed = list_prefixes(w, below, &names);
	at = names.bytes.at;
	for (i = 0; i < names.n && !failed && !w->stop; i++) {
		failed = tell(w, prefix, at);
		at += strlen(at) + 1;
	}
	buffer_free(&names.bytes);
	return failed;
}

static int
walk_bucket(struct walk *w)
{
	struct names names = { BUFFER_INIT, 0 };
	const char *at;
	size_t i;
	int failed;

	failed = walk_backups(w, "") != 0 || list_prefixes(w, "", &names) != 0;
	at = names.bytes.at;
	for (i = 0; i < names.n && !failed && !w->stop; i++) {
		if (strcmp(at, "backups/") != 0 && strlen(at) < 256)
			failed = walk_backups(w, at);
		at += strlen(at) + 1;
	}
	buffer_free(&names.bytes);
	return failed;
}

int
replicator_backups(struct replicator *r, const char *destination,
    backup_visit *visit, void *arg, struct error *err)
{
	struct walk w = { .replicator = r,
		.destination = destination,
		.visit = visit,
		.arg = arg,
		.err = err };
	struct names names = { BUFFER_INIT, 0 };
	const char *at;
	size_t i;
	int failed;

	failed = store_buckets(r->store, SLICE_NULL, take_bucket, &names, err);
	at = names.bytes.at;
	for (i = 0; i < names.n && !failed && !w.stop; i++) {
		snprintf(w.bucket, sizeof(w.bucket), "%s", at);
		failed = walk_bucket(&w);
		at += strlen(at) + 1;
	}
	buffer_free(&names.bytes);
	return failed ? -1 : 0;
}
