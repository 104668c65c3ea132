#include <stdio.h>

#include <jansson.h>

#include "base/error.h"
#include "console/manage_routes.h"
#include "replicator/replicator.h"

/* Audits of destinations: begun, and looked at. */

static int
name_of(
    struct manage *manage, struct slice name, char text[64], struct error *err)
{
	snprintf(text, 64, "%.*s", (int)name.len, name.at);
	if (manage->replicator != NULL)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "destinations are looked after by a running server: start "
	    "`holdfast serve` on the data directory first");
}

int
manage_audit(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	json_int_t rate =
	    json_integer_value(json_object_get(body, "bytes_per_second"));
	struct audit_options options = {
		.read_data = json_is_true(json_object_get(body, "read_data")),
		.bytes_per_second = rate > 0 ? (uint64_t)rate : 0,
	};
	char text[64], who[MANAGE_WHO_BYTES];

	(void)answer;
	manage_who(manage, body, who);
	if (name_of(manage, name, text, err) != 0 ||
	    replicator_audit(manage->replicator, text, &options, who, err) != 0)
		return -1;
	return 204;
}

static void
add_finding(
    enum audit_finding kind, const char *key, const char *text, void *arg)
{
	static const char *const kinds[] = { [AUDIT_MISSING] = "missing",
		[AUDIT_DIFFERENT] = "different",
		[AUDIT_FOREIGN] = "foreign" };

	json_t *name = json_string(key);

	if (name == NULL)
		name = json_string("(a key that is not UTF-8)");
	(void)json_array_append_new(arg,
	    json_pack("{s:s, s:o, s:s}", "finding", kinds[kind], "key", name,
		"text", text));
}

int
manage_audit_status(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	struct audit_figures f;
	json_t *findings;
	char text[64];

	(void)body;
	if (name_of(manage, name, text, err) != 0)
		return -1;
	findings = json_array();
	if (replicator_audit_status(manage->replicator, text, &f, add_finding,
		findings, err) != 0) {
		json_decref(findings);
		return -1;
	}
	*answer = json_pack("{s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, "
			    "s:I, s:I, s:I, s:s, s:o}",
	    "running", f.running || f.waiting, "started",
	    manage_time(f.started_ms), "ended", manage_time(f.ended_ms),
	    "objects", (json_int_t)f.objects, "total", (json_int_t)f.total,
	    "bytes_read", (json_int_t)f.bytes_read, "missing",
	    (json_int_t)f.missing, "different", (json_int_t)f.different,
	    "foreign", (json_int_t)f.foreign, "sent_again",
	    (json_int_t)f.sent_again, "pending", (json_int_t)f.pending,
	    "parked", (json_int_t)f.parked, "error", f.error, "findings",
	    findings);
	return *answer == NULL ? error_nomem(err) : 200;
}
