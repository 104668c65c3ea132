#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/replicator.h"

/* The recovery hold. */

#define KEPT_MAX 1000

static int
needs_server(struct manage *manage, struct error *err)
{
	if (manage->replicator != NULL)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "the recovery hold is looked after by a running server: start "
	    "`holdfast serve` on the data directory first");
}

static int
add_kept(const char *destination, struct slice bucket, struct slice key,
    int64_t due_ms, void *arg)
{
	(void)json_array_append_new(arg,
	    json_pack("{s:s, s:s%, s:o?, s:o}", "destination", destination,
		"bucket", bucket.at, bucket.len, "key",
		json_stringn(key.at, key.len), "until", manage_time(due_ms)));
	return json_array_size(arg) >= KEPT_MAX;
}

int
manage_hold_status(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	char since[CLOCK_TEXT_BYTES] = "";
	struct hold_status s;
	json_t *kept;

	(void)name;
	(void)body;
	if (needs_server(manage, err) != 0)
		return -1;
	replicator_hold_status(manage->replicator, &s);
	if (s.active)
		clock_iso8601(s.since_ms, since);
	kept = json_array();
	*answer =
	    json_pack("{s:b, s:s, s:I, s:I, s:I, s:o}", "active", s.active,
		"since", since, "days", (json_int_t)(s.keep_ms / 86400000),
		"keep_seconds", (json_int_t)(s.keep_ms / 1000), "kept_back",
		(json_int_t)s.kept_back, "kept", kept);
	if (*answer == NULL)
		return error_nomem(err);
	return replicator_kept(manage->replicator, add_kept, kept, err) != 0
	    ? -1
	    : 200;
}

int
manage_hold_end(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	enum hold_kept kept = HOLD_ASK;
	char who[MANAGE_WHO_BYTES];
	const char *word;

	(void)name;
	(void)answer;
	if (needs_server(manage, err) != 0 ||
	    manage_string(body, "kept", &word, err) != 0)
		return -1;
	if (word != NULL && strcmp(word, "send") == 0)
		kept = HOLD_SEND;
	else if (word != NULL && strcmp(word, "wait") == 0)
		kept = HOLD_WAIT;
	else if (word != NULL)
		return error_set(
		    err, ERR_INVALID, "kept: it is one of send and wait");
	manage_who(manage, body, who);
	return replicator_hold_end(manage->replicator, kept, who, err) != 0
	    ? -1
	    : 204;
}

/* name: BUCKET/KEY. */
int
manage_undelete(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	const char *slash = memchr(name.at, '/', name.len);
	char who[MANAGE_WHO_BYTES];
	struct slice bucket, key;

	(void)answer;
	if (needs_server(manage, err) != 0)
		return -1;
	if (slash == NULL)
		return error_set(
		    err, ERR_INVALID, "name the object as BUCKET/KEY");
	bucket = (struct slice){ name.at, (size_t)(slash - name.at) };
	key = (struct slice){ slash + 1, name.len - bucket.len - 1 };
	manage_who(manage, body, who);
	return replicator_undelete(manage->replicator, bucket, key, who, err) !=
		0
	    ? -1
	    : 204;
}
