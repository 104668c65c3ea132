#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/settings.h"

/* Destinations: what a person may see of them and do to them. */

#define NEEDS_SERVER \
	"destinations are looked after by a running server: start `holdfast " \
	"serve` on the data directory first"

static struct replicator *
replicator_of(struct manage *manage, struct error *err)
{
	if (manage->replicator == NULL)
		error_set(err, ERR_CONFLICT, NEEDS_SERVER);
	return manage->replicator;
}

static void
set_number(json_t *object, const char *name, uint64_t number)
{
	(void)json_object_set_new(object, name,
	    number > INT64_MAX ? json_null()
			       : json_integer((json_int_t)number));
}

static json_t *
status_json(const struct destination_status *s)
{
	json_t *object;

	object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:o}",
	    "name", s->name, "provider", provider_name(s->provider), "place",
	    s->place, "state", destination_state_word(s->state), "reason",
	    s->reason, "from_config", s->from_config, "last_error",
	    s->last_error, "last_error_time", manage_time(s->last_error_ms),
	    "safe_until", manage_time(s->safe_until_ms));
	if (object == NULL)
		return NULL;
	set_number(object, "watermark", s->watermark);
	set_number(object, "journal_last", s->journal_last);
	set_number(object, "lag_ms", s->lag_ms);
	set_number(object, "lag_bytes", s->lag_bytes);
	set_number(object, "lag_entries", s->lag_entries);
	set_number(object, "rate_bytes_per_second", s->rate_bytes_per_second);
	set_number(
	    object, "rate_objects_per_minute", s->rate_objects_per_minute);
	set_number(object, "estimate_seconds", s->estimate_s);
	set_number(object, "published", s->published);
	set_number(object, "bytes", s->bytes);
	set_number(object, "deletes", s->deletes);
	set_number(object, "retries", s->retries);
	set_number(object, "failures", s->failures);
	set_number(object, "parked", s->parked);
	set_number(object, "held", s->held);
	set_number(object, "kept_back", s->kept_back);
	set_number(object, "seed_done", s->seed_done);
	set_number(object, "seed_total", s->seed_total);
	(void)json_object_set_new(object, "clock_offset_ms",
	    json_integer((json_int_t)s->clock_offset_ms));
	return object;
}

static int
add_parked(const char *destination, struct slice bucket, struct slice key,
    const char *reason, int64_t since_ms, void *arg)
{
	json_t *parked = arg, *entry;

	entry = json_pack("{s:s, s:s%, s:o?, s:s, s:o}", "destination",
	    destination, "bucket", bucket.at, bucket.len, "key",
	    json_stringn(key.at, key.len), "reason", reason, "since",
	    manage_time(since_ms));
	(void)json_array_append_new(parked, entry);
	return json_array_size(parked) >= 1000;
}

int
destinations_json(
    struct replicator *replicator, json_t *answer, struct error *err)
{
	json_t *list = json_array(), *parked = json_array(), *one, *fields;
	struct destination_status status;
	struct buffer text = BUFFER_INIT;
	size_t i;

	(void)json_object_set_new(answer, "destinations", list);
	(void)json_object_set_new(answer, "parked", parked);
	for (i = 0; replicator_status(replicator, i, &status) == 0; i++) {
		if ((one = status_json(&status)) == NULL)
			return error_nomem(err);
		(void)json_array_append_new(list, one);
		buffer_clear(&text);
		if (replicator_fields_json(
			replicator, status.name, &text, err) != 0)
			continue;
		fields = json_loadb(text.at, text.len, 0, NULL);
		(void)json_object_set_new(one, "fields", fields);
	}
	buffer_free(&text);
	return replicator_parked(replicator, add_parked, parked, err);
}

int
manage_list_destinations(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	(void)name;
	(void)body;
	if (replicator_of(manage, err) == NULL)
		return -1;
	*answer = json_object();
	return destinations_json(manage->replicator, *answer, err) != 0 ? -1
									: 200;
}

int
manage_add_destination(struct manage *manage, struct slice unused,
    const json_t *body, json_t **answer, struct error *err)
{
	char who[MANAGE_WHO_BYTES];
	struct settings *settings;
	const char *name;
	int failed;

	(void)unused;
	(void)answer;
	manage_who(manage, body, who);
	if (replicator_of(manage, err) == NULL ||
	    manage_string(body, "name", &name, err) != 0)
		return -1;
	if (name == NULL)
		return error_set(
		    err, ERR_INVALID, "the destination needs a name");
	if (json_object_get(body, "provider") == NULL)
		return error_set(err, ERR_INVALID,
		    "provider: it is one of aws, google, azure and s3");
	if ((settings = settings_parse(body, err)) == NULL)
		return -1;
	failed = replicator_add(manage->replicator, name, &settings->fields,
	    &settings->policy, settings->take_over, who, err);
	settings_free(settings);
	return failed ? -1 : 204;
}

int
manage_set_destination(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	const json_t *paused = json_object_get(body, "paused");
	char text[64], who[MANAGE_WHO_BYTES];
	int failed;

	(void)answer;
	if (replicator_of(manage, err) == NULL)
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.at);
	manage_who(manage, body, who);
	if (json_is_boolean(paused))
		failed = replicator_pause(manage->replicator, text,
		    json_is_true(paused),
		    json_is_true(json_object_get(body, "accept_deletes")), who,
		    err);
	else
		failed =
		    replicator_set(manage->replicator, text, body, who, err);
	return failed ? -1 : 204;
}

int
manage_remove_destination(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	char text[64], who[MANAGE_WHO_BYTES];

	(void)answer;
	if (replicator_of(manage, err) == NULL)
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.at);
	manage_who(manage, body, who);
	return replicator_remove(manage->replicator, text, who, err) != 0 ? -1
									  : 204;
}

static void
add_row(const struct probe_row *row, void *arg)
{
	static const char *const results[] = { [PROBE_OK] = "ok",
		[PROBE_FAILED] = "failed",
		[PROBE_SKIPPED] = "skipped",
		[PROBE_WARNING] = "warning" };

	(void)json_array_append_new(arg,
	    json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "step", row->step,
		"result", results[row->result], "us", (json_int_t)row->us,
		"text", row->text, "code", row->code, "request_id",
		row->request_id));
}

/* Answers 200 whatever the destination says: the rows tell. */
int
manage_test_destination(struct manage *manage, struct slice unused,
    const json_t *body, json_t **answer, struct error *err)
{
	struct settings *settings = NULL;
	struct error why = ERROR_INIT;
	json_t *rows = json_array();
	const char *name;
	int failed;

	(void)unused;
	*answer = json_pack("{s:o}", "rows", rows);
	if (replicator_of(manage, err) == NULL ||
	    manage_string(body, "name", &name, err) != 0 ||
	    (name == NULL && (settings = settings_parse(body, err)) == NULL))
		return -1;
	failed = replicator_test(manage->replicator, name,
	    settings == NULL ? NULL : &settings->fields, add_row, rows, &why);
	settings_free(settings);
	if (failed && json_array_size(rows) == 0) {
		*err = why;
		return -1;
	}
	(void)json_object_set_new(*answer, "passed", json_boolean(!failed));
	if (failed)
		(void)json_object_set_new(
		    *answer, "reason", json_string(why.text));
	return 200;
}
