#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/replicator.h"

/* Who changes destinations, and what was changed. */

#define CHANGES_MAX 1000

void
manage_who(
    const struct manage *manage, const json_t *body, char who[MANAGE_WHO_BYTES])
{
	const char *said = json_string_value(json_object_get(body, "who"));
	struct passwd entry, *found = NULL;
	char room[1024], peer[100];

	if (manage->peer_uid < 0) {
		snprintf(who, MANAGE_WHO_BYTES, "%s",
		    said == NULL ? "control" : said);
		return;
	}
	(void)getpwuid_r(
	    (uid_t)manage->peer_uid, &entry, room, sizeof(room), &found);
	if (found != NULL)
		snprintf(peer, sizeof(peer), "%.60s (uid %ld)", found->pw_name,
		    manage->peer_uid);
	else
		snprintf(peer, sizeof(peer), "uid %ld", manage->peer_uid);
	if (said == NULL ||
	    (found != NULL && strcmp(said, found->pw_name) == 0))
		snprintf(who, MANAGE_WHO_BYTES, "%s", peer);
	else
		snprintf(who, MANAGE_WHO_BYTES, "%s, for %.60s", peer, said);
}

json_t *
manage_time(int64_t wall_ms)
{
	char text[CLOCK_TEXT_BYTES];

	if (wall_ms == 0)
		return json_null();
	clock_iso8601(wall_ms, text);
	return json_string(text);
}

static int
add_change(const char *line, size_t len, void *arg)
{
	json_t *changes = arg, *change = json_loadb(line, len, 0, NULL);

	/* A line that a crash cut off is left out. */
	if (change == NULL)
		return 0;
	if (json_array_size(changes) == CHANGES_MAX)
		(void)json_array_remove(changes, 0);
	(void)json_array_append_new(changes, change);
	return 0;
}

int
manage_list_changes(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	json_t *changes = json_array();

	(void)name;
	(void)body;
	*answer = json_pack("{s:o}", "changes", changes);
	if (manage->replicator == NULL)
		return error_set(err, ERR_CONFLICT,
		    "destinations are looked after by a running server: start "
		    "`holdfast serve` on the data directory first");
	return replicator_changes(
		   manage->replicator, add_change, changes, err) != 0
	    ? -1
	    : 200;
}
