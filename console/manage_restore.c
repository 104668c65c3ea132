#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/replicator.h"

/* Restores, and the recovery hold. */

static int
needs_server(struct manage *manage, struct error *err)
{
	if (manage->replicator != NULL)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "a restore is done by a running server: start `holdfast serve` on "
	    "the data directory first");
}

static const char *
who_of(const json_t *body)
{
	const char *who = json_string_value(json_object_get(body, "who"));

	return who == NULL ? "control" : who;
}

int
manage_restore(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	char text[64];

	(void)answer;
	if (needs_server(manage, err) != 0)
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.at);
	return replicator_restore(
		   manage->replicator, text, who_of(body), err) != 0
	    ? -1
	    : 204;
}

int
manage_restore_status(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	struct restore_status s;

	(void)name;
	(void)body;
	if (needs_server(manage, err) != 0)
		return -1;
	replicator_restore_status(manage->replicator, &s);
	*answer = json_pack("{s:b, s:b, s:b, s:s, s:s, s:I, s:I, s:I, s:I, "
			    "s:I, s:s}",
	    "active", s.active, "done", s.done, "known_all", s.is_known,
	    "destination", s.name, "phase", s.phase == NULL ? "" : s.phase,
	    "known", (json_int_t)s.known, "failed", (json_int_t)s.failed,
	    "filled", (json_int_t)s.filled, "fill_done",
	    (json_int_t)s.fill_done, "fill_total", (json_int_t)s.fill_total,
	    "error", s.error);
	return *answer == NULL ? error_nomem(err) : 200;
}

int
manage_hold_status(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	char since[CLOCK_TEXT_BYTES] = "";
	struct hold_status s;

	(void)name;
	(void)body;
	if (needs_server(manage, err) != 0)
		return -1;
	replicator_hold_status(manage->replicator, &s);
	if (s.active)
		clock_iso8601(s.since_ms, since);
	*answer = json_pack("{s:b, s:s, s:I, s:I}", "active", s.active, "since",
	    since, "days", (json_int_t)(s.keep_ms / 86400000), "kept_back",
	    (json_int_t)s.kept_back);
	return *answer == NULL ? error_nomem(err) : 200;
}

int
manage_hold_end(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	(void)name;
	(void)answer;
	if (needs_server(manage, err) != 0)
		return -1;
	return replicator_hold_end(manage->replicator, who_of(body), err) != 0
	    ? -1
	    : 204;
}

/* name: BUCKET/KEY. */
int
manage_undelete(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	const char *slash = memchr(name.at, '/', name.len);
	struct slice bucket, key;

	(void)answer;
	if (needs_server(manage, err) != 0)
		return -1;
	if (slash == NULL)
		return error_set(
		    err, ERR_INVALID, "name the object as BUCKET/KEY");
	bucket = (struct slice){ name.at, (size_t)(slash - name.at) };
	key = (struct slice){ slash + 1, name.len - bucket.len - 1 };
	return replicator_undelete(
		   manage->replicator, bucket, key, who_of(body), err) != 0
	    ? -1
	    : 204;
}
