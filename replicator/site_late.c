#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "replicator/site.h"
#include "store/store.h"

/*
 * Requests that may still arrive. One whose answer was lost is made again, and
 * the first may lie in a queue somewhere and be done much later: a put over a
 * newer one, or of a key that is deleted by then. Nothing can call it back. So
 * a key of which a request was lost is remembered (durably: a note of the kind
 * 'l', whose time is when that was), and once a later change of it is outside,
 * what is there is looked at from time to time, for as long as a request can
 * live. What a late one has done is undone by sending the key again.
 */

/* Signatures are good for 15 minutes: none arrives behind that. */
#define LATE_MS (16ULL * 60 * 1000)
#define LOOK_FIRST_MS 1000
#define LOOK_AGAIN_MS 5000 /* when it could not be looked at */
#define LATE_MAX 1024

struct late {
	struct late *next;
	uint64_t until_ms; /* monotonic */
	uint64_t look_ms;  /* monotonic; 0: no later change is outside */
	uint64_t step_ms;
	uint64_t sequence; /* of the change; 0: of none of the journal */
	uint32_t hash;
	uint8_t kind;    /* of the change that was outside last */
	uint8_t durable; /* has a note */
	size_t bucket_len, key_len;
	char names[];
};

static struct slice
late_bucket(const struct late *l)
{
	return (struct slice){ l->names, l->bucket_len };
}

static struct slice
late_key(const struct late *l)
{
	return (struct slice){ l->names + l->bucket_len, l->key_len };
}

static struct late **
find(struct site *site, struct slice bucket, struct slice key)
{
	struct late **at;

	for (at = &site->late; *at != NULL; at = &(*at)->next)
		if (slice_equal(late_key(*at), key) &&
		    slice_equal(late_bucket(*at), bucket))
			break;
	return at;
}

static void
forget(struct site *site, struct late **at)
{
	struct late *l = *at;
	char key[NOTE_KEY_BYTES];

	if (l->durable) {
		note_hashed(
		    &site->names, 'l', late_bucket(l), late_key(l), key);
		batch_remove(&site->batch, key);
	}
	*at = l->next;
	site->n_late--;
	free(l);
}

static struct late *
remember(struct site *site, struct slice bucket, struct slice key)
{
	struct late **at = find(site, bucket, key), *l = *at;

	if (l != NULL) {
		*at = l->next; /* to the end: the list ascends in time */
		while (*at != NULL)
			at = &(*at)->next;
	} else {
		l = calloc(1, sizeof(*l) + bucket.len + key.len);
		if (l == NULL)
			return NULL;
		l->bucket_len = bucket.len;
		l->key_len = key.len;
		memcpy(l->names, bucket.at, bucket.len);
		memcpy(l->names + bucket.len, key.at, key.len);
		site->n_late++;
	}
	l->next = NULL;
	*at = l;
	if (site->n_late > LATE_MAX)
		forget(site, &site->late);
	return l;
}

void
site_late_add(struct site *site, const struct item *item, uint64_t now_ms)
{
	struct key_note note = { .what = JOURNAL_PUT,
		.time_ms = clock_wall_ms(),
		.bucket = item_bucket(item),
		.key = item_key(item) };
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	struct late *l;

	if ((l = remember(site, note.bucket, note.key)) == NULL)
		return;
	l->until_ms = now_ms + LATE_MS;
	l->sequence = item->source == FROM_JOURNAL ? item->sequence : 0;
	l->hash = item->hash;
	l->durable = 1;
	key_note_encode(&value, &note);
	note_hashed(&site->names, 'l', note.bucket, note.key, key);
	batch_set(&site->batch, key, buffer_slice(&value));
	buffer_free(&value);
}

void
site_late_done(struct site *site, const struct item *item, uint64_t now_ms)
{
	struct late *l;

	for (l = site->late; l != NULL; l = l->next)
		if (l->hash == item->hash &&
		    slice_equal(late_key(l), item_key(item)) &&
		    slice_equal(late_bucket(l), item_bucket(item)))
			break;
	if (l == NULL)
		return;
	l->kind = item->kind;
	/* The very change that was lost, made again: its other copy changes
	 * nothing. */
	if (item->source == FROM_JOURNAL && l->sequence == item->sequence)
		return;
	l->step_ms = LOOK_FIRST_MS;
	l->look_ms = now_ms + LOOK_FIRST_MS;
}

static int
load(struct slice note_key, struct slice value, void *arg)
{
	struct site *site = arg;
	struct key_note note;
	struct late *l;
	int64_t age_ms;

	(void)note_key;
	if (key_note_decode(value, &note) != 0 ||
	    (l = remember(site, note.bucket, note.key)) == NULL)
		return 0;
	age_ms = clock_wall_ms() - note.time_ms;
	if (age_ms < 0 || age_ms > (int64_t)LATE_MS)
		age_ms = (int64_t)LATE_MS;
	l->hash = window_hash(note.bucket, note.key);
	l->durable = 1;
	l->kind = ITEM_CURRENT;
	l->step_ms = LOOK_FIRST_MS;
	l->look_ms = clock_monotonic_ms() + LOOK_FIRST_MS;
	l->until_ms = l->look_ms + LATE_MS - (uint64_t)age_ms;
	return 0;
}

int
site_late_load(struct site *site, struct error *err)
{
	char prefix[NOTE_KEY_BYTES];

	note_plain(&site->names, 'l', prefix);
	strncat(prefix, "/", sizeof(prefix) - strlen(prefix) - 1);
	return store_notes(
	    site->store, slice_text(prefix), SLICE_NULL, load, site, err);
}

void
site_late_free(struct site *site)
{
	struct late *l;

	while ((l = site->late) != NULL) {
		site->late = l->next;
		free(l);
	}
	site->n_late = 0;
}

/* Whether a change of the key waits to be published, so that what is outside
 * need not be what is here. */
static int
is_waiting(struct site *site, struct slice bucket, struct slice key)
{
	return site->seeding || site->n_dirty > 0 || site->folding ||
	    window_find(&site->window, bucket, key) != NULL ||
	    site->window.read < store_visible(site->store) ||
	    (site->n_held > 0 && site_has_note(site, 'h', bucket, key)) ||
	    (site->n_parked > 0 && site_has_note(site, 'p', bucket, key)) ||
	    (site->n_deferred > 0 && site_is_deferred(site, bucket, key));
}

enum sight {
	AS_IT_SHOULD_BE,
	UNDONE,
	NOT_SEEN
};

/* Without the lock. *version: of what is here, 0: nothing. */
static enum sight
look(struct site *site, struct destination_session *session,
    struct slice bucket, struct slice key, uint64_t *version)
{
	struct buffer remote = BUFFER_INIT, memory = BUFFER_INIT;
	struct fault fault = FAULT_INIT;
	enum sight sight = NOT_SEEN;
	struct object_record rec;
	struct remote_stat stat;
	char etag[ETAG_BYTES];
	int here;

	here = store_object(site->store, bucket, key, 0, &rec, &memory, NULL,
		   NULL, NULL) == 0;
	*version = here ? rec.version : 0;
	site_remote_key(site, bucket, key, &remote);
	memset(&stat, 0, sizeof(stat));
	if (!remote.failed &&
	    site->table->stat(destination_call(session), buffer_slice(&remote),
		&stat, &fault) == 0) {
		if (here)
			object_etag(&rec, etag);
		/* What others have written there is theirs. */
		if (here)
			sight = stat.size == rec.size &&
				stat.version == rec.version &&
				strcmp(stat.original_etag, etag) == 0
			    ? AS_IT_SHOULD_BE
			    : UNDONE;
		else
			sight = stat.version == 0 ? AS_IT_SHOULD_BE : UNDONE;
	} else if (fault.kind == FAULT_MISSING)
		sight = here ? UNDONE : AS_IT_SHOULD_BE;
	buffer_free(&stat.memory);
	buffer_free(&memory);
	buffer_free(&remote);
	return sight;
}

static void
repair(
    struct site *site, struct slice bucket, struct slice key, uint64_t version)
{
	log_fields(LOG_WARN, "replicator.late",
	    "a request that was given up arrived late and undid a newer one: "
	    "the key is sent again",
	    (const struct log_field[]){ LOG_T("destination", site->name),
		LOG_B("bucket", bucket.at, bucket.len),
		LOG_B("key", key.at, key.len) },
	    3);
	pthread_mutex_unlock(&site->lock);
	site_send_again(site, bucket, key, version);
	pthread_mutex_lock(&site->lock);
	site->late_undone++;
}

/* One key, which stays in the list meanwhile only by its names. */
static void
look_at(struct site *site, struct destination_session *session,
    struct slice bucket, struct slice key, int gone)
{
	uint64_t version, now_ms;
	enum sight sight;
	struct late **at;

	pthread_mutex_unlock(&site->lock);
	sight = look(site, session, bucket, key, &version);
	pthread_mutex_lock(&site->lock);
	now_ms = clock_monotonic_ms();
	/* Only a journalled delete removes anything. */
	if (sight == UNDONE && version == 0 && !gone)
		sight = AS_IT_SHOULD_BE;
	if (is_waiting(site, bucket, key))
		sight = NOT_SEEN;
	if (sight == UNDONE)
		repair(site, bucket, key, version);
	at = find(site, bucket, key);
	if (*at == NULL)
		return;
	if (sight == NOT_SEEN)
		(*at)->look_ms = now_ms + LOOK_AGAIN_MS;
	else if (sight == UNDONE) {
		(*at)->step_ms = LOOK_FIRST_MS;
		(*at)->look_ms = now_ms + LOOK_FIRST_MS;
	} else if (now_ms >= (*at)->until_ms)
		forget(site, at);
	else {
		(*at)->look_ms = now_ms + (*at)->step_ms;
		(*at)->step_ms *= 2;
		if ((*at)->look_ms > (*at)->until_ms)
			(*at)->look_ms = (*at)->until_ms;
	}
}

int
site_late_look(
    struct site *site, struct destination_session *session, uint64_t now_ms)
{
	struct buffer names = BUFFER_INIT;
	struct slice bucket, key;
	struct late **at, *l;
	int gone;

	for (at = &site->late; *at != NULL; at = &(*at)->next) {
		l = *at;
		if (l->look_ms == 0 && now_ms >= l->until_ms) {
			forget(site, at);
			return 1;
		}
		if (l->look_ms != 0 && now_ms >= l->look_ms)
			break;
	}
	if ((l = *at) == NULL || !site->ready || site->stopped ||
	    site_is_halted(site))
		return 0;
	bucket = late_bucket(l);
	key = late_key(l);
	if (is_waiting(site, bucket, key)) {
		l->look_ms = now_ms + LOOK_FIRST_MS;
		return 0;
	}
	gone = l->kind == ITEM_DELETE || l->kind == ITEM_CURRENT;
	buffer_add_slice(&names, bucket);
	buffer_add_slice(&names, key);
	if (names.failed)
		l->look_ms = now_ms + LOOK_AGAIN_MS;
	else
		look_at(site, session, (struct slice){ names.at, bucket.len },
		    (struct slice){
			names.at + bucket.len, names.len - bucket.len },
		    gone);
	buffer_free(&names);
	return 0;
}
