#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/azure_private.h"
#include "replicator/probe_row.h"

/*
 * The Test button: one row for each thing that replication will need. All that
 * it writes is below plugins/holdfast/probe-RANDOM/, a new name each time, and
 * is gone at the end however it ends.
 */

struct probing {
	struct azure_session *s;
	struct probe_writer rows;
	char object[96], whole[96]; /* keys */
	char identity[200];         /* that the token names */
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
put(struct probing *p, const struct contents *c, int if_absent,
    struct fault *fault)
{
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct remote_object o = probe_object(p->object, c);

	return azure_put(p->s, &o, &source, if_absent, fault);
}

/* Reads up to the end from an offset and compares. */
static int
get(struct probing *p, const char *key, const struct contents *c, size_t offset,
    struct fault *fault)
{
	char room[64];
	size_t len = c->len - offset;

	if (len > sizeof(room))
		len = sizeof(room);
	if (azure_get(p->s, slice_text(key), offset, len, room, fault) != 0)
		return -1;
	if (memcmp(room, c->bytes + offset, len) != 0)
		return fault_set(fault, FAULT_PERSON,
		    "Other bytes came back than were written: this cannot be a "
		    "destination.");
	return 0;
}

static int
is_of_authentication(const struct fault *f)
{
	static const char *const codes[] = { "AuthenticationFailed",
		"InvalidAuthenticationInfo", "NoAuthenticationInformation",
		"KeyBasedAuthenticationNotPermitted", "AccountIsDisabled",
		"PublicAccessNotPermitted" };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(f->code, codes[i]) == 0)
			return 1;
	/* Entra's own, or a cut connection to it. */
	return f->status == 401 || strncmp(f->code, "AADSTS", 6) == 0 ||
	    f->status == 0;
}

static void
authenticated_row(struct probing *p)
{
	struct azure_shared *shared = p->s->shared;
	long offset_s = (long)(atomic_load(&shared->clock_offset_ms) / 1000);

	probe_ok(&p->rows, "authenticate",
	    "As %s%s%s%s%s. Azure's clock is %+ld s from this machine's.",
	    shared->principal, p->identity[0] != '\0' ? " (" : "", p->identity,
	    p->identity[0] != '\0' ? ")" : "",
	    atomic_load(&shared->listed)
		? ", by the account's key, which it may list (it has no role "
		  "on the blobs)"
		: "",
	    offset_s);
}

static int
any(const struct remote_entry *e, void *arg)
{
	(void)e;
	*(int *)arg = 1;
	return 1;
}

/* Tokens come from elsewhere, and may not come at all. */
static int
probe_token(struct probing *p, struct fault *fault)
{
	struct azure_shared *shared = p->s->shared;
	struct buffer header = BUFFER_INIT;
	int rc;

	if (shared->means != AZURE_BY_TOKEN)
		return 0;
	rc = token_get(shared->tokens, p->s->http, &header, fault);
	if (rc == 0)
		azure_token_identity(
		    buffer_slice(&header), p->identity, sizeof(p->identity));
	if (header.at != NULL)
		bytes_wipe(header.at, header.len);
	buffer_free(&header);
	return rc;
}

/* The first authorized request tells of authentication, container and listing.
 * 0 when the rest makes sense. */
static int
probe_access(struct probing *p, struct fault *fault)
{
	struct azure_shared *shared = p->s->shared;
	int found = 0, rc;

	probe_start(&p->rows);
	if (probe_token(p, fault) != 0) {
		probe_fail(&p->rows, "authenticate", fault);
		return -1;
	}
	rc = azure_list(p->s, SLICE_NULL, SLICE_NULL, any, &found, fault);
	if (rc != 0 && is_of_authentication(fault)) {
		probe_fail(&p->rows, "authenticate", fault);
		return -1;
	}
	authenticated_row(p);
	probe_start(&p->rows);
	if (rc == 0) {
		probe_ok(&p->rows, "bucket", "Container %s of account %s.",
		    shared->container, shared->account);
		probe_ok(&p->rows, "list", "%s",
		    found ? "The path holds objects." : "The path is empty.");
		return 0;
	}
	if (fault->status == 403 &&
	    strcmp(fault->code, "AuthorizationFailure") != 0) {
		probe_skip(&p->rows, "bucket",
		    "Whether it is there cannot be seen without the permission "
		    "to list.");
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
	if (put(p, c, 1, fault) != 0) {
		probe_fail(&p->rows, "put", fault);
		return -1;
	}
	probe_ok(&p->rows, "put", "Azure's checksum was compared.");
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

	probe_start(&p->rows);
	if (put(p, c, 1, &fault) == 0)
		fault_set(&fault, FAULT_PERSON,
		    "A conditional write replaced what was there: something "
		    "between changes requests.");
	else if (fault.kind == FAULT_EXISTS) {
		fault = (struct fault)FAULT_INIT;
		if (put(p, c, 0, &fault) == 0)
			get(p, p->object, c, 0, &fault);
	}
	if (fault.kind != FAULT_NONE)
		probe_fail(&p->rows, "overwrite", &fault);
	else
		probe_ok(&p->rows, "overwrite",
		    "What is new is read at once. Conditional writes work.");
}

static void
probe_multipart(struct probing *p, const struct contents *c)
{
	struct contents copy = *c;
	struct remote_source source = { read_contents, &copy };
	struct remote_object o = probe_object(p->whole, c);
	struct remote_upload upload = { .part_bytes = 0 };
	struct fault fault = FAULT_INIT;
	struct remote_part part;

	probe_start(&p->rows);
	if (azure_begin(p->s, &o, &upload, &fault) != 0 ||
	    azure_part(
		p->s, &o, &upload, 1, 0, c->len, &source, &part, &fault) != 0 ||
	    azure_finish(p->s, &o, &upload, &part, 1, &fault) != 0 ||
	    get(p, p->whole, c, 0, &fault) != 0)
		probe_fail(&p->rows, "multipart", &fault);
	else
		probe_ok(&p->rows, "multipart",
		    "A blob was put together from blocks.");
}

static int
remove_one(struct probing *p, const char *key, struct fault *fault)
{
	struct azure_request req = {
		.op = AZURE_DELETE, .method = "DELETE", .key = slice_text(key)
	};

	azure_header(&req, "x-ms-delete-snapshots", "include");
	return azure_send(p->s, &req, fault) != 0 &&
		fault->kind != FAULT_MISSING
	    ? -1
	    : 0;
}

/* Whatever came before. */
static int
clean_up(struct probing *p, struct fault *fault)
{
	struct fault ignored = FAULT_INIT;
	int rc = remove_one(p, p->object, fault);

	if (remove_one(p, p->whole, rc == 0 ? fault : &ignored) != 0)
		rc = -1;
	return rc;
}

static void
probe_delete(struct probing *p)
{
	struct fault fault = FAULT_INIT;
	struct remote_stat st;

	probe_start(&p->rows);
	if (clean_up(p, &fault) != 0) {
		probe_fail(&p->rows, "delete", &fault);
		return;
	}
	fault = (struct fault)FAULT_INIT;
	if (azure_stat(p->s, slice_text(p->object), &st, &fault) == 0) {
		buffer_free(&st.memory);
		fault_set(&fault, FAULT_PERSON,
		    "The blob is still there after it was deleted.");
		probe_fail(&p->rows, "delete", &fault);
	} else
		probe_ok(&p->rows, "delete", "Nothing is left behind.");
}

static int
header_is_true(const struct azure_session *s, const char *name)
{
	return slice_is_nocase(http_call_header(&s->call, name), "true");
}

/* What will bite later, as far as it can be seen from here. */
static void
probe_rules(struct probing *p)
{
	struct azure_request req = { .op = AZURE_CONTAINER, .method = "HEAD" };
	struct fault ignored = FAULT_INIT;

	probe_start(&p->rows);
	azure_query(&req, "restype", "container");
	if (azure_send(p->s, &req, &ignored) == 0 &&
	    (header_is_true(p->s, "x-ms-has-immutability-policy") ||
		header_is_true(p->s, "x-ms-has-legal-hold")))
		probe_warn(&p->rows, "lock",
		    "The container has an immutability policy or a legal hold: "
		    "what is there can neither be replaced nor deleted before "
		    "it ends, so that the copy keeps what was deleted here.");

	probe_start(&p->rows);
	req = (struct azure_request){ .op = AZURE_CONTAINER, .method = "HEAD" };
	azure_query(&req, "comp", "properties");
	azure_query(&req, "restype", "account");
	if (azure_send(p->s, &req, &ignored) == 0 &&
	    header_is_true(p->s, "x-ms-is-hns-enabled"))
		probe_warn(&p->rows, "bucket",
		    "The account has a hierarchical namespace: its listings "
		    "are in another order and it has folders, so that a copy "
		    "cannot be restored from it. Use an account without one.");
}

int
azure_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	static const struct contents first = { "holdfast probe: first\n", 22 };
	static const struct contents second = { "holdfast probe: second\n",
		23 };
	struct azure_session *s = session;
	struct probing p = { .s = s, .rows = { .visit = visit, .arg = arg } };
	uint8_t random[8];
	char name[2 * sizeof(random) + 1];

	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), name);
	snprintf(p.object, sizeof(p.object), AZURE_OWN_PREFIX "probe-%s/object",
	    name);
	snprintf(
	    p.whole, sizeof(p.whole), AZURE_OWN_PREFIX "probe-%s/parts", name);

	probe_start(&p.rows);
	azure_knock(s);
	if (probe_network(&p.rows, &s->call, s->shared->https) != 0 ||
	    probe_access(&p, fault) != 0)
		goto done;
	if (probe_put(&p, &first, fault) != 0) {
		/* It may be there all the same, if its answer was lost. */
		if (fault->kind != FAULT_PERSON)
			clean_up(&p, fault);
		goto done;
	}
	probe_get(&p, &first);
	probe_overwrite(&p, &second);
	probe_multipart(&p, &first);
	probe_delete(&p);
	probe_rules(&p);

done:
	*fault = p.rows.first_fault;
	return p.rows.failed ? -1 : 0;
}
