#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/site.h"

/*
 * Uploads that no change needs any more: their object was parked and then
 * overwritten, or the backlog was folded meanwhile. They are known from the
 * notes, so that nothing is left at the destination, and nothing of others is
 * touched.
 */

#define SWEEP_MAX 32

struct orphan {
	uint64_t version;
	struct remote_upload remote;
	struct buffer key;
};
struct sweeping {
	struct site *site;
	size_t prefix_len, n;
	struct orphan orphans[SWEEP_MAX];
};

struct looking {
	uint64_t version;
	int found;
};

static int
see_parked(struct slice key, struct slice value, void *arg)
{
	struct looking *l = arg;
	struct key_note note;

	(void)key;
	l->found =
	    key_note_decode(value, &note) == 0 && note.version == l->version;
	return l->found;
}

/* Also by what is parked: it is tried again from where it was. */
static int
is_wanted(const struct site *site, uint64_t version)
{
	struct looking l = { version, 0 };
	const struct item *item;
	char prefix[NOTE_KEY_BYTES];

	for (item = site->window.first; item != NULL; item = item->next)
		if (item->version == version)
			return 1;
	if (site->n_parked == 0)
		return 0;
	snprintf(prefix, sizeof(prefix), "%sp/", site->names.prefix);
	(void)store_notes(
	    site->store, slice_text(prefix), SLICE_NULL, see_parked, &l, NULL);
	return l.found;
}

static int
see_upload(struct slice key, struct slice value, void *arg)
{
	struct sweeping *s = arg;
	struct orphan *o;
	struct slice remote_key, state;
	struct reader r;
	uint8_t be[8];

	if (key.len != s->prefix_len + 16 ||
	    hex_decode(key.at + s->prefix_len, 16, be, 8) != 0 ||
	    is_wanted(s->site, be64_get(be)))
		return 0;
	r = reader_of(value.at, value.len);
	if (reader_u8(&r) != 1)
		return 0;
	o = &s->orphans[s->n];
	memset(o, 0, sizeof(*o));
	o->version = be64_get(be);
	o->remote.part_bytes = reader_be64(&r);
	remote_key = reader_slice16(&r);
	state = reader_slice16(&r);
	if (r.failed || state.len >= sizeof(o->remote.state))
		return 0;
	memcpy(o->remote.state, state.at, state.len);
	buffer_add_slice(&o->key, remote_key);
	return ++s->n == SWEEP_MAX;
}

void
site_sweep(struct site *site, struct destination_session *session)
{
	struct sweeping *s;
	struct fault fault = FAULT_INIT;
	char prefix[NOTE_KEY_BYTES];
	size_t i;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return;
	s->site = site;
	note_plain(&site->names, 'u', prefix);
	s->prefix_len = strlen(prefix) + 1;
	snprintf(prefix + strlen(prefix), 2, "/");
	pthread_mutex_lock(&site->lock);
	(void)store_notes(
	    site->store, slice_text(prefix), SLICE_NULL, see_upload, s, NULL);
	pthread_mutex_unlock(&site->lock);
	for (i = 0; i < s->n; i++) {
		if (site->table->abort(destination_call(session),
			buffer_slice(&s->orphans[i].key), &s->orphans[i].remote,
			&fault) == 0 ||
		    fault.kind == FAULT_MISSING) {
			note_upload(
			    &site->names, s->orphans[i].version, prefix);
			(void)notes_clear(site->store, prefix, NULL);
			log_fields(LOG_INFO, "replicator.sweep",
			    "an unfinished upload was ended",
			    (const struct log_field[]){
				LOG_T("destination", site->name),
				LOG_B("key", s->orphans[i].key.at,
				    s->orphans[i].key.len) },
			    2);
		}
		buffer_free(&s->orphans[i].key);
	}
	free(s);
}
