#include <stdlib.h>
#include <string.h>

#include "replicator/google_private.h"

/* Listing, a page at a time, in the byte order of the names. */

#define MAX_RESULTS 1000
#define FIELDS \
	"nextPageToken,items(name,size,timeCreated,updated,etag,md5Hash," \
	"crc32c)"

struct listing {
	struct google_session *s;
	remote_visit *visit;
	void *visit_arg;
	struct slice after; /* whole names */
	struct buffer last;
	struct buffer token;
	int stop;
};

static int
give_entry(struct listing *l, const json_t *item, struct fault *fault)
{
	const json_t *text = json_object_get(item, "name");
	size_t path_len = strlen(l->s->shared->path);
	struct remote_entry e = { .size = 0 };
	struct slice name = { json_string_value(text),
		json_string_length(text) };

	if (name.at == NULL || google_entry_read(item, &e) != 0)
		return fault_set(
		    fault, FAULT_RETRY, "Google's listing cannot be read.");
	/* The place to begin at is part of the listing. */
	if (l->after.len > 0 && slice_compare(name, l->after) <= 0)
		return 0;
	if (l->last.len > 0 && slice_compare(name, buffer_slice(&l->last)) <= 0)
		return fault_set(fault, FAULT_PERSON,
		    "The listing is out of order: this is not Google's own "
		    "service, and it cannot be a destination.");
	buffer_clear(&l->last);
	buffer_add_slice(&l->last, name);
	if (name.len <= path_len ||
	    memcmp(name.at, l->s->shared->path, path_len) != 0)
		return 0;
	e.key = (struct slice){ name.at + path_len, name.len - path_len };
	l->stop = l->visit(&e, l->visit_arg) != 0;
	return 0;
}

static int
visit_page(struct listing *l, struct fault *fault)
{
	const char *token;
	json_t *page, *items, *item;
	size_t i;
	int rc = 0;

	if ((page = google_answer(l->s, fault)) == NULL)
		return -1;
	items = json_object_get(page, "items");
	token = json_string_value(json_object_get(page, "nextPageToken"));
	buffer_clear(&l->token);
	if (token != NULL)
		buffer_add_text(&l->token, token);
	json_array_foreach(items, i, item)
	{
		if (l->stop || (rc = give_entry(l, item, fault)) != 0)
			break;
	}
	json_decref(page);
	return rc;
}

int
google_list(void *session, struct slice prefix, struct slice after,
    remote_visit *visit, void *arg, struct fault *fault)
{
	struct listing l = { .s = session, .visit = visit, .visit_arg = arg };
	struct buffer whole = BUFFER_INIT, start = BUFFER_INIT;
	struct google_request req;
	int rc;

	buffer_add_text(&whole, l.s->shared->path);
	buffer_add_slice(&whole, prefix);
	if (after.len > 0) {
		buffer_add_text(&start, l.s->shared->path);
		buffer_add_slice(&start, after);
		l.after = buffer_slice(&start);
	}
	do {
		if (whole.failed || start.failed || l.last.failed ||
		    l.token.failed) {
			rc = fault_set(
			    fault, FAULT_RETRY, "There is no memory.");
			break;
		}
		req = (struct google_request){ .op = GOOGLE_LIST,
			.method = "GET" };
		google_url_bucket(l.s->shared, &req, "/o");
		google_query_number(&req, "maxResults", MAX_RESULTS);
		google_query(&req, "fields", slice_text(FIELDS));
		if (whole.len > 0)
			google_query(&req, "prefix", buffer_slice(&whole));
		if (start.len > 0)
			google_query(&req, "startOffset", buffer_slice(&start));
		if (l.token.len > 0)
			google_query(&req, "pageToken", buffer_slice(&l.token));
		rc = google_send(l.s, &req, fault);
		if (rc == 0)
			rc = visit_page(&l, fault);
	} while (rc == 0 && l.token.len > 0 && !l.stop);

	buffer_free(&whole);
	buffer_free(&start);
	buffer_free(&l.last);
	buffer_free(&l.token);
	return rc;
}
