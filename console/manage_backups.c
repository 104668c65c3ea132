#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/replicator.h"

/* Velero's backups, and how far each is outside. */

static const char *const state_words[] = { [BACKUP_LOCAL] = "local",
	[BACKUP_PARTLY] = "partly outside",
	[BACKUP_OUTSIDE] = "outside",
	[BACKUP_VERIFIED] = "verified" };

struct adding {
	json_t *backups; /* by bucket, prefix and name */
	const char *destination;
};

static json_t *
backup_json(const struct backup_status *b)
{
	char started[CLOCK_TEXT_BYTES];

	clock_iso8601(b->started_ms, started);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:{}, s:{}}",
	    "bucket", b->bucket, "prefix", b->prefix, "name", b->name, "phase",
	    b->phase, "bytes", (json_int_t)b->bytes, "objects",
	    (json_int_t)b->objects, "started", started, "destinations",
	    "verified");
}

static int
add_backup(const struct backup_status *b, void *arg)
{
	struct adding *a = arg;
	char id[600];
	json_t *backup;

	snprintf(id, sizeof(id), "%s/%s%s", b->bucket, b->prefix, b->name);
	if ((backup = json_object_get(a->backups, id)) == NULL) {
		if ((backup = backup_json(b)) == NULL)
			return 0; /* no text */
		(void)json_object_set_new(a->backups, id, backup);
	}
	if (a->destination != NULL)
		(void)json_object_set_new(
		    json_object_get(backup, "destinations"), a->destination,
		    json_string(state_words[b->state]));
	if (b->state == BACKUP_VERIFIED)
		(void)json_object_set_new(json_object_get(backup, "verified"),
		    a->destination,
		    json_pack("{s:o, s:s}", "at", manage_time(b->verified_ms),
			"by",
			b->verified_by_reading ? "reading" : "checksums"));
	return 0;
}

int
manage_list_backups(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	struct adding a = { json_object(), NULL };
	struct destination_status status;
	json_t *list = json_array(), *backup;
	const char *id;
	int failed;
	size_t i;

	(void)name;
	(void)body;
	*answer = json_pack("{s:o}", "backups", list);
	if (manage->replicator == NULL) {
		json_decref(a.backups);
		return error_set(err, ERR_CONFLICT,
		    "backups are looked up by a running server: start "
		    "`holdfast serve` on the data directory first");
	}
	failed =
	    replicator_backups(manage->replicator, NULL, add_backup, &a, err);
	for (i = 0;
	     !failed && replicator_status(manage->replicator, i, &status) == 0;
	     i++) {
		a.destination = status.name;
		failed = replicator_backups(
		    manage->replicator, status.name, add_backup, &a, err);
	}
	json_object_foreach(a.backups, id, backup)(void)
	    json_array_append(list, backup);
	json_decref(a.backups);
	return failed ? -1 : 200;
}
