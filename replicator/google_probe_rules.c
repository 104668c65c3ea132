#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/probe_row.h"

/* Rules of the bucket that would bite later, where they may be seen. */

#define DAY_S 86400
#define FIELDS \
	"retentionPolicy,softDeletePolicy,versioning,lifecycle," \
	"defaultEventBasedHold,billing,storageClass,location"

static uint64_t
number_of(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);
	const char *text = json_string_value(value);
	uint64_t n = 0;

	if (json_is_integer(value) && json_integer_value(value) > 0)
		return (uint64_t)json_integer_value(value);
	if (text != NULL)
		(void)parse_u64(text, strlen(text), 0, UINT64_MAX, &n);
	return n;
}

static void
lock_rows(
    struct probe_writer *rows, const json_t *bucket, struct google_rules *rules)
{
	const json_t *policy = json_object_get(bucket, "retentionPolicy");

	rules->retention_s = number_of(policy, "retentionPeriod");
	probe_start(rows);
	if (rules->retention_s > 0)
		probe_warn(rows, "lock",
		    "The bucket's retention policy%s refuses to overwrite or "
		    "delete objects for %" PRIu64 " days: deletes and changes "
		    "will wait outside. Use a bucket without one.",
		    json_is_true(json_object_get(policy, "isLocked"))
			? ", which is locked,"
			: "",
		    (rules->retention_s + DAY_S - 1) / DAY_S);
	else if (json_is_true(
		     json_object_get(bucket, "defaultEventBasedHold"))) {
		rules->retention_s = 1;
		probe_warn(rows, "lock",
		    "New objects get an event-based hold, which refuses to "
		    "overwrite or delete them: turn it off for the bucket.");
	} else
		probe_ok(rows, "lock", "No retention policy.");
}

static void
versioning_row(struct probe_writer *rows, const json_t *bucket)
{
	const json_t *soft = json_object_get(bucket, "softDeletePolicy");
	uint64_t kept_s = number_of(soft, "retentionDurationSeconds");

	probe_start(rows);
	if (json_is_true(json_object_get(
		json_object_get(bucket, "versioning"), "enabled")))
		probe_warn(rows, "versioning",
		    "The bucket keeps old versions, and bills them, until a "
		    "lifecycle rule (numNewerVersions, daysSinceNoncurrent"
		    "Time) deletes them.");
	else
		probe_ok(rows, "versioning", "Old versions are not kept.");
	if (kept_s > 0)
		probe_warn(rows, "soft delete",
		    "What is deleted or overwritten is kept, and billed, for "
		    "%" PRIu64 " days more: it can be brought back until "
		    "then.",
		    (kept_s + DAY_S - 1) / DAY_S);
}

/* Does a rule's condition leave the path out? */
static int
concerns(const json_t *condition, const char *path)
{
	const json_t *prefixes = json_object_get(condition, "matchesPrefix");
	const char *prefix;
	const json_t *item;
	size_t i, a, b = strlen(path);

	if (json_array_size(prefixes) == 0)
		return 1;
	json_array_foreach(prefixes, i, item)
	{
		if ((prefix = json_string_value(item)) == NULL)
			continue;
		a = strlen(prefix);
		if (memcmp(prefix, path, a < b ? a : b) == 0)
			return 1;
	}
	return 0;
}

/* Deletes what is live? Old versions alone are another matter. */
static int
is_of_live(const json_t *condition)
{
	return !json_is_false(json_object_get(condition, "isLive"));
}

static void
lifecycle_row(struct probe_writer *rows, const json_t *bucket, const char *path)
{
	const json_t *rules, *rule, *condition;
	const char *type;
	size_t i;

	probe_start(rows);
	rules = json_object_get(json_object_get(bucket, "lifecycle"), "rule");
	json_array_foreach(rules, i, rule)
	{
		condition = json_object_get(rule, "condition");
		type = json_string_value(
		    json_object_get(json_object_get(rule, "action"), "type"));
		if (type == NULL || strcmp(type, "Delete") != 0 ||
		    !concerns(condition, path) || !is_of_live(condition) ||
		    json_object_get(condition, "numNewerVersions") != NULL ||
		    json_object_get(condition, "daysSinceNoncurrentTime") !=
			NULL)
			continue;
		probe_warn(rows, "lifecycle",
		    "A lifecycle rule deletes objects of this path (age "
		    "%" PRIu64 " days): backups will be lost. Except the path "
		    "from it.",
		    number_of(condition, "age"));
		return;
	}
	probe_ok(rows, "lifecycle", "No rule deletes objects of this path.");
}

void
google_probe_rules(struct google_session *s, struct probe_writer *rows,
    struct google_rules *rules)
{
	struct google_request req = { .op = GOOGLE_BUCKET, .method = "GET" };
	struct fault fault = FAULT_INIT;
	json_t *bucket = NULL;

	google_url_bucket(s->shared, &req, "");
	google_query(&req, "fields", slice_text(FIELDS));
	if (google_send(s, &req, &fault) != 0 ||
	    (bucket = google_answer(s, &fault)) == NULL) {
		if (fault.status == 403)
			probe_skip(rows, "lock",
			    "Retention, soft delete, versions and lifecycle "
			    "cannot be seen without %s, which is not needed "
			    "otherwise.",
			    google_permission(GOOGLE_BUCKET));
		else
			probe_skip(rows, "lock",
			    "The bucket's rules cannot be seen: %.400s",
			    fault.text);
		return;
	}
	rules->known = 1;
	lock_rows(rows, bucket, rules);
	versioning_row(rows, bucket);
	lifecycle_row(rows, bucket, s->shared->path);
	json_decref(bucket);
}
