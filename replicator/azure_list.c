#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/azure_private.h"
#include "replicator/xml_read.h"
#include "store/record.h"

/*
 * Listings ascend in byte order for the caller. Azure's documents say
 * "alphabetical", which is the order of UTF-16 units as far as anyone has
 * seen: it differs from the order of UTF-8's bytes where a character beyond
 * U+FFFF stands against one of U+E000 to U+FFFF behind the same beginning. So a
 * name with a character beyond U+FFFF is held back until the listing has left
 * the beginning before that character, when nothing can come any more that goes
 * before it; others pass at once. That gives byte order from either of the two
 * orders.
 */

#define PAGE_ENTRIES "2000" /* so that a page stays far below 8 MiB */
#define HELD_MAX_BYTES (16U << 20)

struct held {
	struct remote_entry entry;
	char *name;
	size_t common; /* bytes before the character beyond U+FFFF */
};

struct listing {
	struct azure_session *s;
	size_t path_len;
	struct slice after;
	remote_visit *visit;
	void *arg;
	struct fault *fault;

	/* Of the entry that is being read. */
	struct remote_entry entry;
	struct buffer name;
	int is_folder, is_ready;

	struct held *held; /* ascending */
	size_t n_held, room_held, held_bytes;
	size_t held_before;   /* when the page began */
	struct buffer last;   /* the name visited last */
	struct buffer first;  /* the page's first name */
	struct buffer marker; /* of the next page; empty: none */
	int has_last, enough, failed;
	int is_listing; /* the answer has a listing's root */
};

static int
failed(struct listing *l)
{
	l->failed = 1;
	return -1;
}

static int
no_memory(struct listing *l)
{
	fault_set(l->fault, FAULT_RETRY, "There is no memory.");
	return failed(l);
}

/* Gives an entry to the visitor unless it lies before what is wanted. */
static int
give(struct listing *l, const struct remote_entry *e)
{
	if (l->has_last && slice_compare(e->key, buffer_slice(&l->last)) <= 0) {
		fault_set(l->fault, FAULT_PERSON,
		    "The listing of container %s does not ascend: the account "
		    "has a hierarchical namespace, perhaps, which cannot hold "
		    "a copy. Use an account without one.",
		    l->s->shared->container);
		return failed(l);
	}
	buffer_clear(&l->last);
	buffer_add_slice(&l->last, e->key);
	l->has_last = 1;
	if (l->last.failed)
		return no_memory(l);
	if (l->after.at != NULL && slice_compare(e->key, l->after) <= 0)
		return 0;
	if (l->visit(e, l->arg) != 0) {
		l->enough = 1;
		return -1;
	}
	return 0;
}

/* Gives those held that nothing goes before any more, now that the listing is
 * at name; SLICE_NULL: at its end. */
static int
release(struct listing *l, struct slice name)
{
	size_t i, n;
	int rc = 0;

	for (n = 0; n < l->n_held && rc == 0; n++) {
		struct held *h = &l->held[n];

		if (name.at != NULL && name.len >= h->common &&
		    memcmp(name.at, h->name, h->common) == 0)
			break;
		rc = give(l, &h->entry);
		l->held_bytes -= h->entry.key.len;
		free(h->name);
	}
	for (i = n; i < l->n_held; i++)
		l->held[i - n] = l->held[i];
	l->n_held -= n;
	return rc;
}

/* The offset of the first character beyond U+FFFF, or the name's length. */
static size_t
astral_at(struct slice name)
{
	size_t i;

	for (i = 0; i < name.len; i++)
		if ((unsigned char)name.at[i] >= 0xf0)
			break;
	return i;
}

static int
hold(struct listing *l, const struct remote_entry *e, size_t common)
{
	struct held *grown;
	size_t i, room;
	char *name;

	if (l->held_bytes + e->key.len > HELD_MAX_BYTES) {
		fault_set(l->fault, FAULT_PERSON,
		    "Container %s has too many names with characters beyond "
		    "U+FFFF under one beginning.",
		    l->s->shared->container);
		return failed(l);
	}
	if (l->n_held == l->room_held) {
		room = l->room_held == 0 ? 16 : 2 * l->room_held;
		if ((grown = realloc(l->held, room * sizeof(*grown))) == NULL)
			return no_memory(l);
		l->held = grown;
		l->room_held = room;
	}
	if ((name = slice_copy(e->key)) == NULL)
		return no_memory(l);
	for (i = l->n_held;
	     i > 0 && slice_compare(e->key, l->held[i - 1].entry.key) < 0; i--)
		l->held[i] = l->held[i - 1];
	l->held[i].entry = *e;
	l->held[i].entry.key.at = name;
	l->held[i].name = name;
	l->held[i].common = common;
	l->n_held++;
	l->held_bytes += e->key.len;
	return 0;
}

static int
entry_done(struct listing *l)
{
	struct remote_entry *e = &l->entry;
	size_t common;

	if (l->name.failed)
		return no_memory(l);
	if (l->is_folder || l->name.len < l->path_len)
		return 0;
	if (l->first.len == 0)
		buffer_add_slice(&l->first, buffer_slice(&l->name));
	e->key = (struct slice){ l->name.at + l->path_len,
		l->name.len - l->path_len };
	if (e->key.len == 0)
		return 0;
	if (release(l, e->key) != 0)
		return -1;
	common = astral_at(e->key);
	return common < e->key.len ? hold(l, e, common) : give(l, e);
}

static void
read_name(struct listing *l, const struct xml_element *e)
{
	const char *encoded = xml_attribute(e, "Encoded");
	long len;

	buffer_clear(&l->name);
	buffer_add_slice(&l->name, e->text);
	if (encoded == NULL || strcmp(encoded, "true") != 0 || l->name.failed)
		return;
	len = uri_decode(l->name.at, l->name.len, 0, l->name.at);
	if (len >= 0)
		l->name.len = (size_t)len;
}

static void
read_etag(struct slice text, char *to, size_t room)
{
	if (text.len >= 2 && text.at[0] == '"') {
		text.at++;
		text.len -= 2;
	}
	if (text.len >= room)
		text.len = room - 1;
	memcpy(to, text.at, text.len);
	to[text.len] = '\0';
}

static int
element(const struct xml_element *e, void *arg)
{
	static const char blob[] = "EnumerationResults/Blobs/Blob/";
	struct listing *l = arg;
	const char *name = e->path;

	if (strcmp(name, "EnumerationResults") == 0) {
		l->is_listing = 1;
		return 0;
	}
	if (strcmp(name, "EnumerationResults/NextMarker") == 0) {
		buffer_clear(&l->marker);
		buffer_add_slice(&l->marker, e->text);
		return 0;
	}
	if (strcmp(name, "EnumerationResults/Blobs/Blob") == 0) {
		int rc = entry_done(l);

		memset(&l->entry, 0, sizeof(l->entry));
		buffer_clear(&l->name);
		l->is_folder = 0;
		return rc;
	}
	if (e->text.at == NULL || strncmp(name, blob, sizeof(blob) - 1) != 0)
		return 0;
	name += sizeof(blob) - 1;
	if (strcmp(name, "Name") == 0)
		read_name(l, e);
	else if (strcmp(name, "Properties/Content-Length") == 0)
		parse_u64(
		    e->text.at, e->text.len, 0, INT64_MAX, &l->entry.size);
	else if (strcmp(name, "Properties/Last-Modified") == 0)
		clock_parse_http_date(
		    e->text.at, e->text.len, &l->entry.mtime_ms);
	else if (strcmp(name, "Properties/Etag") == 0)
		read_etag(e->text, l->entry.etag, sizeof(l->entry.etag));
	else if (strcmp(name, "Properties/Content-MD5") == 0)
		l->entry.has_md5 = azure_md5_text(e->text, l->entry.md5);
	else if (strcmp(name, "Properties/AccessTier") == 0)
		l->entry.archived = slice_is_nocase(e->text, "Archive");
	else if (strcmp(name, "Properties/ResourceType") == 0)
		l->is_folder = slice_is_nocase(e->text, "directory");
	return 0;
}

/* Asks for the page at the marker and gives its entries. */
static int
page(struct listing *l, const char *prefix, struct buffer *marker)
{
	struct azure_session *s = l->s;
	struct azure_request req = { .op = AZURE_LIST, .method = "GET" };
	struct buffer answer;
	struct slice body;
	int rc;

	azure_query(&req, "comp", "list");
	if (marker->len > 0)
		pairs_add(
		    &req.query, SLICE_LITERAL("marker"), buffer_slice(marker));
	azure_query(&req, "maxresults", PAGE_ENTRIES);
	if (prefix[0] != '\0')
		azure_query(&req, "prefix", prefix);
	azure_query(&req, "restype", "container");
	if (azure_send(s, &req, l->fault) != 0)
		return -1;
	/* The visitor may use the session meanwhile. */
	answer = s->call.answer;
	s->call.answer = (struct buffer)BUFFER_INIT;
	body = buffer_slice(&answer);
	if (body.len > 3 && memcmp(body.at, "\xef\xbb\xbf", 3) == 0) {
		body.at += 3;
		body.len -= 3;
	}
	buffer_clear(&l->marker);
	buffer_clear(&l->first);
	l->held_before = l->n_held;
	l->is_listing = 0;
	rc = xml_read(body, element, l);
	buffer_free(&answer);
	if (rc == 0 && l->is_listing && !l->marker.failed)
		return 0;
	if (!l->enough && !l->failed)
		fault_set(l->fault, FAULT_RETRY,
		    "The listing of container %s is not readable.",
		    s->shared->container);
	return -1;
}

/* A listing that goes on where the last one stopped starts with its page. */
static void
start_marker(struct azure_session *s, struct slice prefix, struct slice after,
    struct buffer *marker)
{
	const struct azure_shared *shared = s->shared;
	size_t path_len = strlen(shared->path);
	struct slice first = buffer_slice(&s->page_first);

	if (after.len == 0 || first.len <= path_len ||
	    !slice_equal(prefix, buffer_slice(&s->page_prefix)))
		return;
	first.at += path_len;
	first.len -= path_len;
	if (slice_compare(first, after) <= 0)
		buffer_add_slice(marker, buffer_slice(&s->page_marker));
}

static void
remember_page(struct listing *l, struct slice prefix, struct buffer *marker)
{
	struct azure_session *s = l->s;

	/* Names held back from an earlier page would be missed. */
	if (l->held_before > 0)
		return;
	buffer_clear(&s->page_prefix);
	buffer_clear(&s->page_first);
	buffer_clear(&s->page_marker);
	buffer_add_slice(&s->page_prefix, prefix);
	buffer_add_slice(&s->page_first, buffer_slice(&l->first));
	buffer_add_slice(&s->page_marker, buffer_slice(marker));
}

int
azure_list(void *session, struct slice prefix, struct slice after,
    remote_visit *visit, void *arg, struct fault *fault)
{
	struct azure_session *s = session;
	struct listing l = { .s = s,
		.path_len = strlen(s->shared->path),
		.after = after,
		.visit = visit,
		.arg = arg,
		.fault = fault };
	struct buffer text = BUFFER_INIT, marker = BUFFER_INIT, swap;
	int remembered, rc;

	buffer_add_text(&text, s->shared->path);
	buffer_add_slice(&text, prefix);
	buffer_add_u8(&text, '\0');
	start_marker(s, prefix, after, &marker);
	remembered = marker.len > 0;
	do {
		if (text.failed || marker.failed) {
			rc = no_memory(&l);
			break;
		}
		rc = page(&l, text.at, &marker);
		if (rc != 0 && remembered && fault->status == 400) {
			/* Azure knows that marker no longer. */
			buffer_clear(&marker);
			*fault = (struct fault)FAULT_INIT;
			rc = page(&l, text.at, &marker);
		}
		remembered = 0;
		if (rc == 0 || l.enough)
			remember_page(&l, prefix, &marker);
		swap = marker;
		marker = l.marker;
		l.marker = swap;
	} while (rc == 0 && marker.len > 0);
	if (rc == 0 && release(&l, SLICE_NULL) != 0)
		rc = -1;
	if (l.enough)
		rc = 0;

	while (l.n_held > 0)
		free(l.held[--l.n_held].name);
	free(l.held);
	buffer_free(&l.name);
	buffer_free(&l.last);
	buffer_free(&l.first);
	buffer_free(&l.marker);
	buffer_free(&text);
	buffer_free(&marker);
	return rc;
}
