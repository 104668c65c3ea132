#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/probe_row.h"

/*
 * The Test button: one row for each thing that replication will need. All that
 * it writes is below plugins/holdfast/probe-RANDOM/, a new name each time, and
 * is gone at the end however it ends.
 */

#define WRITTEN_MAX 8
#define SAME_KEY_MS 1100 /* Google takes a change of a key each second */

struct written {
	const char *key;
	uint64_t generation;
};

struct probing {
	struct google_session *s;
	struct probe_writer rows;
	char object[96], whole[96]; /* keys */
	struct remote_upload upload;
	int upload_open;
	/* What a versioned bucket keeps of it. */
	struct written written[WRITTEN_MAX];
	size_t n_written;
};

struct contents {
	const char *bytes;
	size_t len;
};

static int
read_contents(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	const struct contents *c = arg;

	(void)fault;
	memcpy(bytes, c->bytes + offset, len);
	return 0;
}

static void
note(struct probing *p, const char *key)
{
	if (p->s->generation == 0 || p->n_written == WRITTEN_MAX)
		return;
	p->written[p->n_written].key = key;
	p->written[p->n_written++].generation = p->s->generation;
	p->s->generation = 0;
}

static struct remote_object
probe_object(const char *key, const struct contents *c)
{
	struct remote_object o = { .key = slice_text(key), .size = c->len };

	digest_once(DIGEST_MD5, c->bytes, c->len, o.md5);
	o.has_md5 = 1;
	hex_encode(o.md5, MD5_BYTES, o.etag);
	o.version = 1;
	return o;
}

static int
put(struct probing *p, const struct contents *c, struct fault *fault)
{
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct remote_object o = probe_object(p->object, c);
	int rc;

	rc = google_put(p->s, &o, &source, 0, fault);
	note(p, p->object);
	return rc;
}

/* Reads the bytes from an offset and compares them. */
static int
get(struct probing *p, const char *key, const struct contents *c, size_t offset,
    struct fault *fault)
{
	char room[256];
	size_t len = c->len - offset;

	if (len > sizeof(room))
		len = sizeof(room);
	if (google_get(p->s, slice_text(key), offset, len, room, fault) != 0)
		return -1;
	if (memcmp(room, c->bytes + offset, len) != 0)
		return fault_set(fault, FAULT_PERSON,
		    "Google gave other bytes than were written: look at what "
		    "stands between.");
	return 0;
}

static void
pause_for_key(void)
{
	struct timespec nap = { SAME_KEY_MS / 1000,
		(long)(SAME_KEY_MS % 1000) * 1000000 };

	nanosleep(&nap, NULL);
}

static int
any(const struct remote_entry *e, void *arg)
{
	(void)e;
	*(int *)arg = 1;
	return 1;
}

/* A request that needs no one's permission, for the network's rows. */
static void
knock(struct google_session *s)
{
	struct http_call *call = &s->call;

	call->method = "GET";
	call->url = s->shared->origin;
	call->headers = NULL;
	call->n_headers = 0;
	call->body = NULL;
	call->body_len = 0;
	call->source = NULL;
	call->sink = NULL;
	if (http_client_call(s->http, call) == 0 && call->has_clock)
		atomic_store(
		    &s->shared->clock_offset_ms, call->clock_offset_ms);
	call->url = NULL;
}

static int
probe_token(struct probing *p, struct fault *fault)
{
	struct google_shared *g = p->s->shared;
	struct buffer header = BUFFER_INIT;
	int rc;

	probe_start(&p->rows);
	rc = token_get(g->tokens, p->s->http, &header, fault);
	if (header.at != NULL)
		bytes_wipe(header.at, header.len);
	buffer_free(&header);
	if (rc != 0)
		probe_fail(&p->rows, "authenticate", fault);
	return rc;
}

/* The first authorized request tells of authentication, bucket and listing. 0
 * when the rest makes sense. */
static int
probe_access(struct probing *p, struct fault *fault)
{
	struct google_shared *g = p->s->shared;
	int found = 0, rc;

	if (probe_token(p, fault) != 0)
		return -1;
	rc = google_list(p->s, SLICE_NULL, SLICE_NULL, any, &found, fault);
	if (rc != 0 && fault->status == 401) {
		probe_fail(&p->rows, "authenticate", fault);
		return -1;
	}
	probe_ok(&p->rows, "authenticate",
	    "As %s. Google's clock is %+ld s from this machine's.",
	    token_principal(g->tokens),
	    (long)(atomic_load(&g->clock_offset_ms) / 1000));
	probe_start(&p->rows);
	if (rc == 0) {
		probe_ok(&p->rows, "bucket", "%s", g->bucket);
		probe_ok(&p->rows, "list", "%s",
		    found ? "The path holds objects." : "The path is empty.");
		return 0;
	}
	if (fault->status == 403) {
		probe_skip(&p->rows, "bucket",
		    "Whether it is there cannot be seen without %s.",
		    google_permission(GOOGLE_LIST));
		probe_fail(&p->rows, "list", fault);
		return 0;
	}
	probe_fail(
	    &p->rows, fault->kind == FAULT_PERSON ? "bucket" : "list", fault);
	return -1;
}

static int
probe_put(struct probing *p, const struct contents *c, struct fault *fault)
{
	probe_start(&p->rows);
	if (put(p, c, fault) != 0) {
		probe_fail(&p->rows, "put", fault);
		return -1;
	}
	probe_ok(&p->rows, "put", "Google's checksums were compared.");
	return 0;
}

static void
probe_get(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (get(p, p->object, c, 7, &fault) != 0)
		probe_fail(&p->rows, "get range", &fault);
	else
		probe_ok(&p->rows, "get range", "The bytes are those.");
}

static void
probe_overwrite(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	pause_for_key();
	probe_start(&p->rows);
	if (put(p, c, &fault) != 0 || get(p, p->object, c, 0, &fault) != 0)
		probe_fail(&p->rows, "overwrite", &fault);
	else
		probe_ok(&p->rows, "overwrite", "What is new is read at once.");
}

static int
send_in_parts(struct probing *p, const struct contents *c, struct fault *fault)
{
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct remote_object o = probe_object(p->whole, c);
	struct remote_part part;

	memset(&p->upload, 0, sizeof(p->upload));
	if (google_begin(p->s, &o, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 1;
	p->upload.source = &source;
	if (google_part(p->s, &o, &p->upload, 1, 0, c->len, &source, &part,
		fault) != 0 ||
	    google_finish(p->s, &o, &p->upload, &part, 1, fault) != 0)
		return -1;
	note(p, p->whole);
	p->upload_open = 0;
	return get(p, p->whole, c, 0, fault);
}

static int
begin_and_abort(
    struct probing *p, const struct contents *c, struct fault *fault)
{
	struct remote_object o = probe_object(p->whole, c);

	memset(&p->upload, 0, sizeof(p->upload));
	if (google_begin(p->s, &o, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 1;
	if (google_abort(p->s, o.key, &p->upload, fault) != 0)
		return -1;
	p->upload_open = 0;
	return 0;
}

static void
probe_multipart(struct probing *p, const struct contents *c)
{
	struct fault fault = FAULT_INIT;

	probe_start(&p->rows);
	if (send_in_parts(p, c, &fault) != 0 ||
	    begin_and_abort(p, c, &fault) != 0)
		probe_fail(&p->rows, "multipart", &fault);
	else
		probe_ok(&p->rows, "multipart",
		    "A resumable upload was finished, and one given up.");
}

/* Older generations, which a versioned bucket keeps. */
static void
remove_generations(struct probing *p)
{
	struct fault ignored = FAULT_INIT;
	struct google_request req;
	size_t i;

	for (i = 0; i < p->n_written; i++) {
		req = (struct google_request){ .op = GOOGLE_DELETE,
			.method = "DELETE" };
		google_url_object(
		    p->s->shared, &req, slice_text(p->written[i].key));
		google_query_number(
		    &req, "generation", p->written[i].generation);
		(void)google_send(p->s, &req, &ignored);
	}
}

/* Whatever came before. */
static int
clean_up(struct probing *p, struct fault *fault)
{
	struct fault ignored = FAULT_INIT;
	int rc;

	if (p->upload_open)
		(void)google_abort(
		    p->s, slice_text(p->whole), &p->upload, &ignored);
	rc = google_delete(p->s, slice_text(p->object), 0, fault);
	if (google_delete(
		p->s, slice_text(p->whole), 0, rc == 0 ? fault : &ignored) != 0)
		rc = -1;
	if (rc == 0)
		remove_generations(p);
	return rc;
}

static void
probe_delete(struct probing *p)
{
	struct fault fault = FAULT_INIT;
	struct remote_stat st;

	pause_for_key();
	probe_start(&p->rows);
	if (clean_up(p, &fault) != 0) {
		probe_fail(&p->rows, "delete", &fault);
		return;
	}
	if (google_stat(p->s, slice_text(p->object), &st, &fault) == 0) {
		buffer_free(&st.memory);
		fault_set(&fault, FAULT_PERSON,
		    "The object is still there after it was deleted.");
		probe_fail(&p->rows, "delete", &fault);
	} else
		probe_ok(&p->rows, "delete", "Nothing is left behind.");
}

static void
probe_objects(struct probing *p, struct fault *fault)
{
	static const struct contents first = { "holdfast probe: first\n", 22 };
	static const struct contents second = { "holdfast probe: second\n",
		23 };

	if (probe_put(p, &first, fault) != 0) {
		/* It may be there all the same, if its answer was lost. */
		if (fault->fate_unknown || fault->kind != FAULT_PERSON)
			(void)clean_up(p, fault);
		return;
	}
	probe_get(p, &first);
	probe_overwrite(p, &second);
	probe_multipart(p, &first);
	probe_delete(p);
}

int
google_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	struct google_session *s = session;
	struct probing p = { .s = s, .rows = { .visit = visit, .arg = arg } };
	struct google_rules rules = { .known = 0 };
	uint8_t random[8];
	char name[2 * sizeof(random) + 1];

	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), name);
	snprintf(p.object, sizeof(p.object),
	    GOOGLE_OWN_PREFIX "probe-%s/object", name);
	snprintf(
	    p.whole, sizeof(p.whole), GOOGLE_OWN_PREFIX "probe-%s/parts", name);

	probe_start(&p.rows);
	knock(s);
	if (probe_network(&p.rows, &s->call, s->shared->https) == 0 &&
	    probe_access(&p, fault) == 0) {
		google_probe_rules(s, &p.rows, &rules);
		if (rules.retention_s > 0)
			probe_skip(&p.rows, "put",
			    "The retention policy would keep what is written "
			    "for the test: nothing was.");
		else
			probe_objects(&p, fault);
	}
	*fault = p.rows.first_fault;
	return p.rows.failed ? -1 : 0;
}
