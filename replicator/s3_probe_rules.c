#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/probe_row.h"
#include "replicator/s3_private.h"

/* Rules of the bucket that would bite later. A store that does not know them,
 * or does not let one look, gets a row that says so and nothing else. */

/* What the documents say, as far as it matters. */
struct rules {
	const char *root; /* of the document; another one tells nothing */
	int seen;
	char versioning[32];
	char lock_mode[32];
	uint64_t lock_days;
	const char *path; /* of the destination */

	/* Of the lifecycle rule that is being read. */
	char id[100], prefix[600];
	int enabled, filtered;
	uint64_t expire_days, archive_days;
	int expires, archives;
	/* The first that concerns the path. */
	char expiring[128], archiving[128];
	uint64_t expiring_days, archiving_days;
};

static void
take(char *to, size_t room, struct slice text)
{
	snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
	    text.at);
}

static int
ends_with(const char *path, const char *end)
{
	size_t a = strlen(path), b = strlen(end);

	return a >= b && strcmp(path + a - b, end) == 0;
}

static int
is_of(struct rules *r, const char *path)
{
	if (strncmp(path, r->root, strlen(r->root)) != 0)
		return 0;
	r->seen = 1;
	return 1;
}

static uint64_t
number_of(struct slice text)
{
	uint64_t n;

	return parse_u64(text.at, text.len, 0, UINT64_MAX, &n) == 0 ? n : 0;
}

static int
versioning_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct rules *r = arg;

	if (is_of(r, path) && text.at != NULL && ends_with(path, "/Status"))
		take(r->versioning, sizeof(r->versioning), text);
	return 0;
}

static int
lock_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct rules *r = arg;

	if (!is_of(r, path) || text.at == NULL)
		return 0;
	if (ends_with(path, "/DefaultRetention/Mode"))
		take(r->lock_mode, sizeof(r->lock_mode), text);
	else if (ends_with(path, "/DefaultRetention/Days"))
		r->lock_days = number_of(text);
	else if (ends_with(path, "/DefaultRetention/Years"))
		r->lock_days = number_of(text) * 365;
	return 0;
}

/* A rule's prefix concerns the path when one begins with the other. */
static int
concerns(const struct rules *r)
{
	size_t a = strlen(r->prefix), b = strlen(r->path);

	return memcmp(r->prefix, r->path, a < b ? a : b) == 0;
}

static void
end_rule(struct rules *r)
{
	if (r->enabled && concerns(r)) {
		if (r->expires && r->expiring[0] == '\0') {
			snprintf(r->expiring, sizeof(r->expiring), "%s",
			    r->id[0] != '\0' ? r->id : "without a name");
			r->expiring_days = r->expire_days;
		}
		if (r->archives && r->archiving[0] == '\0') {
			snprintf(r->archiving, sizeof(r->archiving), "%s",
			    r->id[0] != '\0' ? r->id : "without a name");
			r->archiving_days = r->archive_days;
		}
	}
	r->id[0] = r->prefix[0] = '\0';
	r->enabled = r->expires = r->archives = 0;
	r->expire_days = r->archive_days = 0;
}

static int
lifecycle_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct rules *r = arg;

	if (!is_of(r, path))
		return 0;
	if (text.at == NULL) {
		if (ends_with(path, "Configuration/Rule"))
			end_rule(r);
		return 0;
	}
	if (ends_with(path, "/Rule/ID"))
		take(r->id, sizeof(r->id), text);
	else if (ends_with(path, "/Rule/Status"))
		r->enabled = slice_is(text, "Enabled");
	else if (ends_with(path, "/Prefix"))
		take(r->prefix, sizeof(r->prefix), text);
	else if (ends_with(path, "/Rule/Expiration/Days")) {
		r->expires = 1;
		r->expire_days = number_of(text);
	} else if (ends_with(path, "/Rule/Expiration/Date"))
		r->expires = 1;
	else if (ends_with(path, "/Rule/Transition/Days"))
		r->archive_days = number_of(text);
	else if (ends_with(path, "/Rule/Transition/StorageClass"))
		r->archives |= s3_storage_archived(text);
	return 0;
}

/* 0 when the document was read. Its absence is one that says nothing. */
static int
read_rules(struct s3_session *s, enum s3_op op, const char *query,
    xml_visit *visit, struct rules *r, struct fault *fault)
{
	struct s3_request req = { .op = op, .method = "GET", .query = query };

	if (s3_send(s, &req, fault) == 0)
		return xml_read(buffer_slice(&s->call.answer), visit, r) == 0 &&
			r->seen
		    ? 0
		    : -1;
	return fault->status == 404 ? 0 : -1;
}

static void
say_unread(struct probe_writer *w, const char *step, enum s3_op op,
    const struct fault *fault)
{
	if (fault->status == 403)
		probe_skip(w, step,
		    "It may not be looked at (%s); nothing else needs that.",
		    s3_permission(op));
	else
		probe_skip(w, step, "The store does not tell.");
}

static void
lifecycle_row(struct s3_session *s, struct probe_writer *w)
{
	struct rules r = { .root = "LifecycleConfiguration",
		.path = s->shared->path };
	struct fault fault = FAULT_INIT;

	probe_start(w);
	if (read_rules(s, S3_GET_LIFECYCLE, "lifecycle", lifecycle_leaf, &r,
		&fault) != 0)
		say_unread(w, "lifecycle", S3_GET_LIFECYCLE, &fault);
	else if (r.expiring[0] != '\0')
		probe_warn(w, "lifecycle",
		    "The bucket's lifecycle rule \"%s\" deletes objects here "
		    "after %llu days, which would destroy backups: remove it, "
		    "or keep it away from this path.",
		    r.expiring, (unsigned long long)r.expiring_days);
	else if (r.archiving[0] != '\0')
		probe_warn(w, "lifecycle",
		    "The bucket's lifecycle rule \"%s\" archives objects here "
		    "after %llu days; they cannot be read at once then, and "
		    "repositories break: remove it, or keep it away from this "
		    "path.",
		    r.archiving, (unsigned long long)r.archiving_days);
	else
		probe_ok(w, "lifecycle",
		    "No rule deletes or archives objects here.");
}

static void
versioning_row(struct s3_session *s, struct probe_writer *w)
{
	struct rules r = { .root = "VersioningConfiguration", .path = "" };
	struct fault fault = FAULT_INIT;

	probe_start(w);
	if (read_rules(s, S3_GET_VERSIONING, "versioning", versioning_leaf, &r,
		&fault) != 0)
		say_unread(w, "versioning", S3_GET_VERSIONING, &fault);
	else if (strcmp(r.versioning, "Enabled") == 0)
		probe_warn(w, "versioning",
		    "The bucket keeps old versions: what is overwritten or "
		    "deleted stays and is billed until a lifecycle rule for "
		    "noncurrent versions removes it.");
	else
		probe_ok(w, "versioning", "%s",
		    r.versioning[0] != '\0' ? r.versioning : "Off");
}

static void
lock_row(struct s3_session *s, struct probe_writer *w)
{
	struct rules r = { .root = "ObjectLockConfiguration", .path = "" };
	struct fault fault = FAULT_INIT;

	probe_start(w);
	if (read_rules(s, S3_GET_LOCK, "object-lock", lock_leaf, &r, &fault) !=
	    0)
		say_unread(w, "lock", S3_GET_LOCK, &fault);
	else if (r.lock_mode[0] != '\0')
		probe_warn(w, "lock",
		    "Object lock keeps each version for %llu days (%s): "
		    "overwriting and deleting work, but the space is free, "
		    "and no longer billed, only after that.",
		    (unsigned long long)r.lock_days, r.lock_mode);
	else
		probe_ok(w, "lock", "No retention by default.");
}

int
s3_probe_rules(void *session, struct probe_writer *rows)
{
	lifecycle_row(session, rows);
	versioning_row(session, rows);
	lock_row(session, rows);
	return 0;
}
