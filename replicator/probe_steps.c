#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "replicator/probe_steps.h"
#include "store/record.h"

#define VERSIONS_MAX 16
#define LEFT_MAX 64

struct written {
	const char *key;
	char version[128];
};

struct probing {
	const struct probe_protocol *protocol;
	const struct destination_protocol *table;
	void *session, *shared;
	struct probe_writer rows;
	struct destination_limits limits;
	char object[96], whole[96]; /* keys */
	struct remote_upload upload;
	int upload_open;
	/* Versions that a versioned bucket keeps of what was written. */
	struct written written[VERSIONS_MAX];
	size_t n_written;
};

/* Bytes, and the object and source that they make. */
struct contents {
	struct slice bytes;
	struct remote_object object;
	struct remote_source source;
};

static int
read_contents(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	const struct slice *c = arg;

	(void)fault;
	memcpy(bytes, c->at + offset, len);
	return 0;
}

static void
fill_contents(struct contents *c, const char *key, const char *text)
{
	memset(c, 0, sizeof(*c));
	c->bytes = slice_text(text);
	c->source = (struct remote_source){ read_contents, &c->bytes };
	c->object.key = slice_text(key);
	c->object.size = c->bytes.len;
	digest_once(DIGEST_MD5, c->bytes.at, c->bytes.len, c->object.md5);
	c->object.has_md5 = 1;
	hex_encode(c->object.md5, MD5_BYTES, c->object.etag);
	c->object.version = 1;
}

/* Notes the version that the last request made. */
static void
note_version(struct probing *p, const char *key)
{
	struct written *w = &p->written[p->n_written];

	if (p->protocol->version == NULL || p->n_written == VERSIONS_MAX ||
	    !p->protocol->version(p->session, w->version, sizeof(w->version)))
		return;
	w->key = key;
	p->n_written++;
}

static int
put(struct probing *p, const struct contents *c, int if_absent,
    struct fault *fault)
{
	int rc =
	    p->table->put(p->session, &c->object, &c->source, if_absent, fault);

	note_version(p, p->object);
	return rc;
}

/* Reads the bytes from an offset and compares them. */
static int
get(struct probing *p, const struct contents *c, size_t offset,
    struct fault *fault)
{
	char room[64];

	if (p->table->get(p->session, c->object.key, offset,
		c->bytes.len - offset, room, fault) != 0)
		return -1;
	if (memcmp(room, c->bytes.at + offset, c->bytes.len - offset) != 0)
		return fault_set(fault, FAULT_PERSON,
		    "Other bytes came back than were written: look at what "
		    "stands between, or this cannot be a destination.");
	return 0;
}

/* Some providers take a change of a key only so often. */
static void
pause_for_key(const struct probing *p)
{
	uint64_t ms = p->limits.same_key_interval_ms;
	struct timespec nap = { .tv_sec = 0 };

	if (ms == 0)
		return;
	ms += 100;
	nap.tv_sec = (time_t)(ms / 1000);
	nap.tv_nsec = (long)(ms % 1000) * 1000000;
	nanosleep(&nap, NULL);
}

static int
any(const struct remote_entry *e, void *arg)
{
	(void)e;
	*(int *)arg = 1;
	return 1;
}

/* The first authorized request tells of authentication, bucket and listing. 0
 * when the rest makes sense. */
static int
step_access(struct probing *p)
{
	const struct probe_protocol *protocol = p->protocol;
	struct fault fault = FAULT_INIT;
	char text[400] = "";
	int found = 0, rc;

	probe_start(&p->rows);
	rc = protocol->credentials(p->session, &fault);
	if (rc == 0) {
		rc = p->table->list(
		    p->session, SLICE_NULL, SLICE_NULL, any, &found, &fault);
		if (rc == 0 || !protocol->is_of_authentication(&fault))
			goto authenticated;
	}
	probe_fail(&p->rows, "authenticate", &fault);
	return -1;

authenticated:
	protocol->identity(p->session, text, sizeof(text));
	probe_ok(&p->rows, "authenticate",
	    "%s The provider's clock is %+ld s from this machine's.", text,
	    (long)(protocol->call(p->session)->clock_offset_ms / 1000));
	probe_start(&p->rows);
	if (rc == 0) {
		protocol->bucket(p->session, &p->rows);
		probe_ok(&p->rows, "list", "%s",
		    found ? "The path holds objects." : "The path is empty.");
		return 0;
	}
	if (protocol->is_list_denied(&fault)) {
		probe_skip(&p->rows, "bucket",
		    "Whether it is there cannot be seen without %s.",
		    protocol->list_permission);
		probe_fail(&p->rows, "list", &fault);
		return 0;
	}
	probe_fail(
	    &p->rows, fault.kind == FAULT_PERSON ? "bucket" : "list", &fault);
	return -1;
}

struct left {
	int64_t before_ms;
	struct buffer keys; /* NUL-terminated, one behind another */
	size_t n;
};

static int
note_left(const struct remote_entry *e, void *arg)
{
	struct left *l = arg;

	if (e->mtime_ms >= l->before_ms)
		return 0;
	buffer_add_slice(&l->keys, e->key);
	buffer_add_u8(&l->keys, '\0');
	return ++l->n == LEFT_MAX;
}

/* What an earlier probe, which was killed, left behind. */
static void
sweep(struct probing *p)
{
	struct left left = { .before_ms = clock_wall_ms() +
		    p->protocol->call(p->session)->clock_offset_ms -
		    PROBE_STALE_MS };
	struct fault ignored = FAULT_INIT;
	const char *at;

	if (p->table->list(p->session, SLICE_LITERAL(PROBE_PREFIX), SLICE_NULL,
		note_left, &left, &ignored) == 0 &&
	    left.n > 0 && !left.keys.failed)
		for (at = left.keys.at; at < left.keys.at + left.keys.len;
		     at += strlen(at) + 1)
			p->table->remove(p->session, slice_text(at), &ignored);
	buffer_free(&left.keys);
	if (p->protocol->sweep != NULL)
		p->protocol->sweep(p->session, left.before_ms);
}

static int
step_put(struct probing *p, const struct contents *c, struct fault *fault)
{
	struct buffer tags = BUFFER_INIT;
	struct contents tagged = *c;
	int rc;

	probe_start(&p->rows);
	if (p->protocol->puts_tags != NULL &&
	    p->protocol->puts_tags(p->session))
		pairs_add(
		    &tags, SLICE_LITERAL("holdfast"), SLICE_LITERAL("probe"));
	tagged.object.tags = buffer_slice(&tags);
	rc = put(p, &tagged, 0, fault);
	buffer_free(&tags);
	if (rc != 0)
		probe_fail(&p->rows, "put", fault);
	else
		probe_ok(&p->rows, "put", "%s", p->protocol->put(p->session));
	return rc;
}

static void
step_get(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (get(p, c, 7, &fault) != 0)
		probe_fail(&p->rows, "get range", &fault);
	else
		probe_ok(&p->rows, "get range", "The bytes are those.");
}

/* 0 when a put onto what is there was held back by its condition. */
static int
check_condition(
    struct probing *p, const struct contents *c, struct fault *fault)
{
	if (put(p, c, 1, fault) == 0)
		return fault_set(fault, FAULT_PERSON,
		    "A conditional write replaced what was there: something "
		    "between changes requests.");
	if (fault->kind != FAULT_EXISTS)
		return -1;
	*fault = (struct fault)FAULT_INIT;
	return 0;
}

static void
step_overwrite(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	pause_for_key(p);
	probe_start(&p->rows);
	if ((p->limits.can_condition && check_condition(p, c, &fault) != 0) ||
	    put(p, c, 0, &fault) != 0 || get(p, c, 0, &fault) != 0) {
		probe_fail(&p->rows, "overwrite", &fault);
		return;
	}
	if (!p->limits.can_condition && p->protocol->learn != NULL) {
		p->protocol->learn(p->session, &c->object, &c->source);
		note_version(p, p->object);
		p->table->limits(p->shared, &p->limits);
	}
	probe_ok(&p->rows, "overwrite", "%s",
	    p->limits.can_condition
		? "What is new is read at once. Conditional writes work."
		: "What is new is read at once. Conditional writes do not "
		  "work, so another store on the same path is noticed late.");
}

static int
begin(struct probing *p, const struct contents *c, struct fault *fault)
{
	memset(&p->upload, 0, sizeof(p->upload));
	if (p->table->begin(p->session, &c->object, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 1;
	p->upload.source = &c->source;
	return 0;
}

static int
send_in_parts(struct probing *p, const struct contents *c, struct fault *fault)
{
	struct remote_part part;

	if (begin(p, c, fault) != 0 ||
	    p->table->part(p->session, &c->object, &p->upload, 1, 0,
		c->bytes.len, &c->source, &part, fault) != 0 ||
	    p->table->finish(
		p->session, &c->object, &p->upload, &part, 1, fault) != 0)
		return -1;
	note_version(p, p->whole);
	p->upload_open = 0;
	return get(p, c, 0, fault);
}

static int
begin_and_abort(
    struct probing *p, const struct contents *c, struct fault *fault)
{
	if (begin(p, c, fault) != 0 ||
	    p->table->abort(p->session, c->object.key, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 0;
	return 0;
}

static void
step_multipart(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (send_in_parts(p, c, &fault) != 0 ||
	    begin_and_abort(p, c, &fault) != 0)
		probe_fail(&p->rows, "multipart", &fault);
	else
		probe_ok(&p->rows, "multipart", "%s", p->protocol->multipart);
}

static int
remove_one(struct probing *p, const char *key, struct fault *fault)
{
	if (p->table->remove(p->session, slice_text(key), fault) != 0)
		return -1;
	note_version(p, key); /* a delete marker's */
	return 0;
}

/* In a versioned bucket. How many stay. */
static size_t
remove_versions(struct probing *p)
{
	struct fault fault;
	size_t i, stay = 0;

	for (i = 0; i < p->n_written; i++) {
		fault = (struct fault)FAULT_INIT;
		if (p->protocol->remove_version(p->session,
			slice_text(p->written[i].key), p->written[i].version,
			&fault) != 0 &&
		    fault.kind != FAULT_MISSING)
			stay++;
	}
	return stay;
}

/* Whatever came before. */
static int
clean_up(struct probing *p, size_t *stay, struct fault *fault)
{
	struct fault ignored = FAULT_INIT;
	int rc;

	if (p->upload_open)
		p->table->abort(
		    p->session, slice_text(p->whole), &p->upload, &ignored);
	rc = remove_one(p, p->object, fault);
	if (remove_one(p, p->whole, rc == 0 ? fault : &ignored) != 0)
		rc = -1;
	*stay = rc == 0 ? remove_versions(p) : 0;
	return rc;
}

static void
step_delete(struct probing *p)
{
	struct fault fault = FAULT_INIT;
	struct remote_stat st;
	size_t stay;

	pause_for_key(p);
	probe_start(&p->rows);
	if (clean_up(p, &stay, &fault) != 0) {
		probe_fail(&p->rows, "delete", &fault);
		return;
	}
	fault = (struct fault)FAULT_INIT;
	if (p->table->stat(p->session, slice_text(p->object), &st, &fault) ==
	    0) {
		buffer_free(&st.memory);
		fault_set(&fault, FAULT_PERSON,
		    "The object is still there after it was deleted.");
		probe_fail(&p->rows, "delete", &fault);
	} else if (stay > 0)
		probe_warn(&p->rows, "delete",
		    "Nothing is to be seen, but the bucket keeps %zu old "
		    "versions of a few bytes, which may not be removed.",
		    stay);
	else
		probe_ok(&p->rows, "delete", "Nothing is left behind.");
}

static void
steps_of_objects(struct probing *p)
{
	struct contents first, second, whole;
	struct fault fault = FAULT_INIT;
	size_t stay;

	fill_contents(&first, p->object, "holdfast probe: first\n");
	fill_contents(&second, p->object, "holdfast probe: second\n");
	fill_contents(&whole, p->whole, "holdfast probe: parts\n");
	if (step_put(p, &first, &fault) != 0) {
		/* It may be there all the same, if its answer was lost. */
		if (fault.fate_unknown || fault.kind != FAULT_PERSON)
			clean_up(p, &stay, &fault);
		return;
	}
	step_get(p, &first);
	step_overwrite(p, &second);
	step_multipart(p, &whole);
	step_delete(p);
}

int
probe_steps(const struct probe_protocol *protocol, void *session, void *shared,
    probe_visit *visit, void *arg, struct fault *fault)
{
	struct probing p = { .protocol = protocol,
		.table = protocol->table,
		.session = session,
		.shared = shared,
		.rows = { .visit = visit, .arg = arg } };
	uint8_t random[8];
	char name[2 * sizeof(random) + 1];
	int https;

	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), name);
	snprintf(p.object, sizeof(p.object), PROBE_PREFIX "%s/object", name);
	snprintf(p.whole, sizeof(p.whole), PROBE_PREFIX "%s/parts", name);
	p.table->limits(shared, &p.limits);

	probe_start(&p.rows);
	https = protocol->knock(session);
	if (probe_network(&p.rows, protocol->call(session), https) == 0 &&
	    step_access(&p) == 0) {
		sweep(&p);
		if (protocol->rules(session, &p.rows))
			probe_skip(&p.rows, "put",
			    "What is written could not be removed again: "
			    "nothing was.");
		else
			steps_of_objects(&p);
	}
	*fault = p.rows.first_fault;
	return p.rows.failed ? -1 : 0;
}
