#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "replicator/audit.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"
#include "store/store.h"

/* What the replicator tells. */

#define LOCK_WAIT_NS 5000000

int
replicator_is_used(struct replicator *r)
{
	int used;

	pthread_mutex_lock(&r->lock);
	used = r->n_entries > 0;
	pthread_mutex_unlock(&r->lock);
	return used;
}

int
replicator_status(
    struct replicator *r, size_t i, struct destination_status *status)
{
	const struct entry *e;
	int behind;

	pthread_mutex_lock(&r->lock);
	behind = i >= r->n_entries;
	if (!behind) {
		e = r->entries[i];
		memset(status, 0, sizeof(*status));
		if (e->site != NULL) {
			site_status(e->site, status);
			importer_state(r, status);
		} else {
			snprintf(
			    status->name, sizeof(status->name), "%s", e->name);
			snprintf(status->reason, sizeof(status->reason), "%s",
			    e->reason);
			status->provider = e->settings->fields.provider;
			status->from_config = e->from_config;
			status->state = DESTINATION_STOPPED;
			status->estimate_s = UINT64_MAX;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return behind;
}

int
replicator_fields_json(struct replicator *r, const char *name,
    struct buffer *out, struct error *err)
{
	json_t *json = NULL;
	struct entry *e;
	char *text;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) != NULL &&
	    (json = settings_public(e->settings)) != NULL) {
		(void)json_object_set_new(json, "name", json_string(e->name));
		(void)json_object_set_new(
		    json, "from_config", json_boolean(e->from_config));
	}
	pthread_mutex_unlock(&r->lock);
	if (e == NULL)
		return error_set(err, ERR_NOT_FOUND,
		    "there is no destination \"%.63s\": `holdfast destination "
		    "list` shows them",
		    name);
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return error_nomem(err);
	buffer_add_text(out, text);
	free(text);
	return 0;
}

/* Whether another holdfast's replicator wrote it here. */
static int
is_replica(const struct object_record *rec)
{
	return pairs_get(rec->attributes, "x-amz-meta-" REMOTE_META_VERSION)
		   .at != NULL;
}

const char *
replicator_object_status(struct replicator *r, struct slice bucket,
    struct slice key, const struct object_record *rec)
{
	static const char *const order[] = { "COMPLETED", "PENDING", "FAILED" };
	const char *status;
	int worst = -1, j;
	struct timespec until;
	size_t i;

	/* Asked on event loops: not worth a wait while the list changes. */
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOCK_WAIT_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	if (pthread_mutex_timedlock(&r->lock, &until) != 0)
		return NULL;
	for (i = 0; i < r->n_entries; i++) {
		status = r->entries[i]->site == NULL
		    ? "PENDING"
		    : site_object_status(r->entries[i]->site, bucket, key, rec);
		for (j = 0; j < 3; j++)
			if (status != NULL && strcmp(order[j], status) == 0 &&
			    j > worst)
				worst = j;
	}
	pthread_mutex_unlock(&r->lock);
	if (worst >= 0)
		return order[worst];
	return is_replica(rec) ? "REPLICA" : NULL;
}

int
replicator_changes(
    struct replicator *r, change_visit *visit, void *arg, struct error *err)
{
	return audit_read(r->dir, visit, arg, err);
}

struct parking {
	const char *destination;
	parked_visit *visit;
	void *arg;
	int stop;
};

static int
see_parked(struct slice key, struct slice value, void *arg)
{
	struct parking *p = arg;
	struct key_note note;
	char reason[512];

	(void)key;
	if (key_note_decode(value, &note) != 0)
		return 0;
	snprintf(reason, sizeof(reason), "%.*s", (int)note.reason.len,
	    note.reason.len ? note.reason.at : "");
	p->stop = p->visit(p->destination, note.bucket, note.key, reason,
	    note.time_ms, p->arg);
	return p->stop;
}

int
replicator_parked(
    struct replicator *r, parked_visit *visit, void *arg, struct error *err)
{
	struct parking p = { NULL, visit, arg, 0 };
	struct note_names names;
	char prefix[NOTE_KEY_BYTES];
	int failed = 0;
	size_t i;

	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries && !failed && !p.stop; i++) {
		p.destination = r->entries[i]->name;
		note_names_set(&names, p.destination);
		snprintf(prefix, sizeof(prefix), "%sp/", names.prefix);
		failed = store_notes(r->store, slice_text(prefix), SLICE_NULL,
		    see_parked, &p, err);
	}
	pthread_mutex_unlock(&r->lock);
	return failed;
}
