#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/replicator.h"
#include "replicator/settings.h"

/* Restores. */

#define BUCKETS_NAMED 1000

static int
needs_server(struct manage *manage, struct error *err)
{
	if (manage->replicator != NULL)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "a restore is done by a running server: start `holdfast serve` on "
	    "the data directory first");
}

/* Of a destination that is known. */
int
manage_restore(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	int take_over = json_is_true(json_object_get(body, "take_over"));
	char text[64], who[MANAGE_WHO_BYTES];

	(void)answer;
	if (needs_server(manage, err) != 0)
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.at);
	manage_who(manage, body, who);
	return replicator_restore(
		   manage->replicator, text, take_over, who, err) != 0
	    ? -1
	    : 204;
}

/* Of one that is known by a name alone, or given by its fields. *settings: NULL
 * for the former. */
static int
take_source(const json_t *body, const char **name, struct settings **settings,
    struct error *err)
{
	*settings = NULL;
	if (manage_string(body, "name", name, err) != 0)
		return -1;
	if (json_object_get(body, "provider") != NULL)
		return (*settings = settings_parse(body, err)) == NULL ? -1 : 0;
	if (*name != NULL)
		return 0;
	return error_set(err, ERR_INVALID,
	    "say from where: the name of a destination, or a provider (aws, "
	    "google, azure or s3) and its fields");
}

int
manage_restore_from(struct manage *manage, struct slice unused,
    const json_t *body, json_t **answer, struct error *err)
{
	struct settings *settings;
	const char *name;
	int take_over = json_is_true(json_object_get(body, "take_over"));
	char who[MANAGE_WHO_BYTES];
	int failed;

	(void)unused;
	(void)answer;
	manage_who(manage, body, who);
	if (needs_server(manage, err) != 0 ||
	    take_source(body, &name, &settings, err) != 0)
		return -1;
	failed = settings == NULL
	    ? replicator_restore(manage->replicator, name, take_over, who, err)
	    : replicator_restore_from(manage->replicator,
		  name == NULL ? "outside" : name, &settings->fields,
		  &settings->policy, take_over, who, err);
	settings_free(settings);
	return failed ? -1 : 204;
}

static void
add_bucket(struct slice bucket, void *arg)
{
	if (json_array_size(arg) < BUCKETS_NAMED)
		(void)json_array_append_new(
		    arg, json_stringn(bucket.at, bucket.len));
}

int
manage_survey(struct manage *manage, struct slice unused, const json_t *body,
    json_t **answer, struct error *err)
{
	struct error refusal = ERROR_INIT;
	struct settings *settings;
	struct restore_survey s;
	json_t *buckets;
	const char *name;
	int failed;

	(void)unused;
	if (needs_server(manage, err) != 0 ||
	    take_source(body, &name, &settings, err) != 0)
		return -1;
	buckets = json_array();
	failed = replicator_survey(manage->replicator,
	    settings == NULL ? name : NULL,
	    settings == NULL ? NULL : &settings->fields,
	    settings == NULL ? NULL : &settings->policy,
	    json_is_true(json_object_get(body, "take_over")), &s, add_bucket,
	    buckets, &refusal, err);
	settings_free(settings);
	if (failed) {
		json_decref(buckets);
		return -1;
	}
	*answer = json_pack("{s:s, s:b, s:s, s:o, s:I, s:o, s:I, s:I, s:b, "
			    "s:I, s:s, s:s}",
	    "owner", s.owner, "owner_is_this", strcmp(s.owner, s.own) == 0,
	    "owner_since", s.owner_since, "last_written",
	    manage_time(s.last_written_ms), "buckets_total",
	    (json_int_t)s.buckets, "buckets", buckets, "objects",
	    (json_int_t)s.objects, "bytes", (json_int_t)s.bytes, "more", s.more,
	    "backups", (json_int_t)s.backups, "newest_backup", s.newest_backup,
	    "refusal", refusal.kind == ERR_NONE ? "" : refusal.text);
	return *answer == NULL ? error_nomem(err) : 200;
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
			    "s:I, s:I, s:I, s:I, s:I, s:o, s:s}",
	    "active", s.active, "done", s.done, "known_all", s.is_known,
	    "destination", s.name, "phase", s.phase == NULL ? "" : s.phase,
	    "known", (json_int_t)s.known, "failed", (json_int_t)s.failed,
	    "filled", (json_int_t)s.filled, "fill_done",
	    (json_int_t)s.fill_done, "fill_total", (json_int_t)s.fill_total,
	    "skipped", (json_int_t)s.skipped, "unfilled",
	    (json_int_t)s.unfilled, "fill_done_bytes",
	    (json_int_t)s.fill_done_bytes, "fill_total_bytes",
	    (json_int_t)s.fill_total_bytes, "estimate_seconds",
	    s.estimate_s == UINT64_MAX ? json_null()
				       : json_integer((json_int_t)s.estimate_s),
	    "error", s.error);
	return *answer == NULL ? error_nomem(err) : 200;
}
