#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/importer.h"
#include "replicator/owner.h"
#include "replicator/replicator_private.h"
#include "replicator/velero.h"

/* What is at a destination, before it is adopted. Counting ends early where
 * there is much, so that a person is told within seconds. */

#define COUNTED_MAX 10000
#define BACKUPS_SEEN_MAX 10000
#define GLANCED_MAX 999 /* what one question tells */

struct surveying {
	struct restore_survey *survey;
	const struct settings *settings;
	const struct destination_protocol *table;
	void *call;
	survey_visit *visit;
	void *arg;
	int glance;
	uint64_t seen, seen_max;
	int64_t newest_ms;
};

static void
note_time(struct restore_survey *s, int64_t mtime_ms)
{
	if (mtime_ms > s->last_written_ms)
		s->last_written_ms = mtime_ms;
}

static int
count_entry(const struct remote_entry *entry, void *arg)
{
	struct surveying *w = arg;
	struct slice bucket, key;

	if (w->seen++ == w->seen_max) {
		w->survey->more = 1;
		return 1;
	}
	if (import_split(w->settings, entry->key, &bucket, &key) != 0)
		return 0;
	w->survey->objects++;
	w->survey->bytes += entry->size;
	note_time(w->survey, entry->mtime_ms);
	return 0;
}

static int
see_backup(const struct remote_entry *entry, void *arg)
{
	struct surveying *w = arg;
	struct restore_survey *s = w->survey;
	struct slice bucket, key, name;
	size_t directory;

	if (w->seen++ == BACKUPS_SEEN_MAX)
		return 1;
	note_time(s, entry->mtime_ms);
	if (import_split(w->settings, entry->key, &bucket, &key) != 0 ||
	    !velero_is_backup(key, &directory))
		return 0;
	s->backups++;
	if (entry->mtime_ms < w->newest_ms)
		return 0;
	w->newest_ms = entry->mtime_ms;
	name = (struct slice){ key.at + strlen("backups/"),
		directory - strlen("backups/") - 1 };
	snprintf(s->newest_backup, sizeof(s->newest_backup), "%.*s",
	    (int)name.len, name.at);
	return 0;
}

static int
see_bucket(struct slice bucket, void *arg, struct fault *fault)
{
	struct surveying *w = arg;
	struct buffer prefix = BUFFER_INIT;
	int rc;

	w->survey->buckets++;
	if (w->visit != NULL)
		w->visit(bucket, w->arg);
	if (w->settings->policy.source_bucket == NULL) {
		buffer_add_slice(&prefix, bucket);
		buffer_add_u8(&prefix, '/');
	}
	buffer_add_text(&prefix, "backups/");
	rc = prefix.failed ? fault_set(fault, FAULT_RETRY, "no memory")
			   : w->table->list(w->call, buffer_slice(&prefix),
				 SLICE_NULL, see_backup, w, fault);
	buffer_free(&prefix);
	return rc;
}

static int
look(struct surveying *w, struct destination_session *session,
    struct fault *fault)
{
	struct owner_found owner;

	if (owner_look(w->table, session, &owner, fault) != 0)
		return -1;
	memcpy(w->survey->owner, owner.store, sizeof(owner.store));
	memcpy(w->survey->owner_since, owner.since, sizeof(owner.since));
	if (w->table->list(
		w->call, SLICE_NULL, SLICE_NULL, count_entry, w, fault) != 0)
		return -1;
	w->seen = 0;
	if (w->glance || (w->survey->objects == 0 && !w->survey->more))
		return 0;
	return import_buckets(
	    w->settings, w->table, w->call, see_bucket, w, fault);
}

int
restore_look(struct replicator *r, const struct settings *settings, int glance,
    struct restore_survey *survey, survey_visit *visit, void *arg,
    struct error *err)
{
	struct surveying w = { .survey = survey,
		.settings = settings,
		.visit = visit,
		.arg = arg,
		.glance = glance,
		.seen_max = glance ? GLANCED_MAX : COUNTED_MAX };
	struct destination_session *session = NULL;
	struct fault fault = FAULT_INIT;
	struct destination *d;
	int failed = -1;

	memset(survey, 0, sizeof(*survey));
	if ((d = destination_open(&settings->fields, err)) == NULL ||
	    (session = destination_session_new(d, NULL, NULL, err)) == NULL)
		goto out;
	w.table = destination_table(d);
	w.call = destination_call(session);
	if (look(&w, session, &fault) == 0)
		failed = 0;
	else
		error_set(err,
		    fault.kind == FAULT_RETRY ? ERR_BUSY : ERR_CONFLICT, "%s",
		    fault.text);
out:
	destination_session_free(session);
	destination_close(d);
	hex_encode(store_id(r->store), 16, survey->own);
	return failed;
}

/* One that is written to right now by a store that is not this one has an owner
 * who lives. */
#define ALIVE_MS (2 * 60 * 1000)

int
restore_refuse(const struct restore_survey *s, int take_over, struct error *err)
{
	int64_t ago_ms = clock_wall_ms() - s->last_written_ms;

	if (s->objects == 0 && !s->more)
		return error_set(err, ERR_NOT_FOUND,
		    "there is nothing to restore from there: look at bucket "
		    "and path, or begin a new copy with `holdfast destination "
		    "add`");
	if (take_over || s->owner[0] == '\0' || ago_ms > ALIVE_MS ||
	    strcmp(s->owner, s->own) == 0)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "another store (%s) owns the path and wrote there %" PRId64
	    " seconds ago: if that one is lost, come again in %d minutes or "
	    "say --take-over; if it runs, stop it first",
	    s->owner, ago_ms > 0 ? ago_ms / 1000 : 0, ALIVE_MS / 60000);
}
