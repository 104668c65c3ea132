#include "store/tier.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "store/adopt.h"
#include "store/internal.h"
#include "store/remote.h"

/* The thread that keeps the disk below the mark, and what it is told. */

#define LOOK_MS 1000
#define COUNT_EVERY 5 /* looks */
#define REST_MAX 64   /* looks, after nothing could be given up; from 1 on */
#define REFILL_EVERY 600
#define REFILL_PAGE 256

/* ---- the marks ---- */

void
tier_marks(struct store *store, struct tier_marks *m)
{
	const struct store_options *o = &store->options;
	uint64_t total, free_bytes, reserve, most;
	enum space_band band;

	space_figures(store->space, &total, &free_bytes, &reserve, &band);
	*m = (struct tier_marks){ .used = total - free_bytes };
	if (o->tier_high_percent == 0 && o->tier_high_bytes == 0)
		return;
	m->high = o->tier_high_percent > 0 ? total / 100 * o->tier_high_percent
					   : o->tier_high_bytes;
	/* Before large writes are refused. */
	most = reserve + reserve / 4 < total ? total - reserve - reserve / 4
					     : total / 2;
	if (m->high > most)
		m->high = most;
	m->low = m->high > total / 10 ? m->high - total / 20 : m->high / 2;
}

int
tier_admit(struct store *store, uint64_t bytes, struct error *err)
{
	struct tier_marks m;

	if (space_admit(store->space, bytes, err) != 0)
		return -1;
	tier_marks(store, &m);
	if (m.high == 0 || m.used + bytes <= m.high)
		return 0;
	return error_set(err, ERR_DISK_FULL,
	    "the disk is at the mark above which contents are kept at the "
	    "destination alone");
}

/* ---- what it is told ---- */

void
tier_want(
    struct store *store, struct slice bucket, struct slice key, int needed)
{
	struct tier_state *t = &store->tier;
	size_t i;

	if (bucket.len == 0)
		return;
	pthread_mutex_lock(&t->lock);
	for (i = 0; i < t->n_wanted; i++)
		if (slice_equal(buffer_slice(&t->wanted[i].key), key) &&
		    slice_equal(buffer_slice(&t->wanted[i].bucket), bucket))
			break;
	if (i < t->n_wanted)
		t->wanted[i].needed |= needed;
	else if (i < TIER_WANTED_MAX) {
		t->wanted[i].needed = needed;
		buffer_add_slice(&t->wanted[i].bucket, bucket);
		buffer_add_slice(&t->wanted[i].key, key);
		t->n_wanted++;
		pthread_cond_signal(&t->wake);
	}
	pthread_mutex_unlock(&t->lock);
}

void
tier_moved(struct store *store)
{
	atomic_store(&store->tier.stale, 1);
}

void
tier_tell_damage(struct store *store, uint64_t extent, uint64_t offset,
    const struct error *why)
{
	const struct log_field fields[] = { LOG_N("extent", extent),
		LOG_N("offset", offset) };

	atomic_fetch_add(&store->damaged_elsewhere, 1);
	log_fields(LOG_ERROR, "store.elsewhere", why->text, fields, 2);
}

/* ---- the thread ---- */

static int
is_stopping(struct store *store)
{
	return atomic_load(&store->tier.stopping);
}

/* The first of what is wanted; it stays in the list until it was tried. */
static int
take_wanted(
    struct store *store, struct buffer *bucket, struct buffer *key, int *needed)
{
	struct tier_state *t = &store->tier;
	int any;

	buffer_clear(bucket);
	buffer_clear(key);
	pthread_mutex_lock(&t->lock);
	if ((any = t->n_wanted > 0)) {
		*needed = t->wanted[0].needed;
		buffer_add_slice(bucket, buffer_slice(&t->wanted[0].bucket));
		buffer_add_slice(key, buffer_slice(&t->wanted[0].key));
	}
	pthread_mutex_unlock(&t->lock);
	return any;
}

static void
drop_wanted(struct tier_state *t)
{
	pthread_mutex_lock(&t->lock);
	buffer_free(&t->wanted[0].bucket);
	buffer_free(&t->wanted[0].key);
	memmove(&t->wanted[0], &t->wanted[1],
	    (t->n_wanted - 1) * sizeof(t->wanted[0]));
	t->n_wanted--;
	memset(&t->wanted[t->n_wanted], 0, sizeof(t->wanted[0]));
	pthread_mutex_unlock(&t->lock);
}

static void
fetch_wanted(struct store *store)
{
	struct buffer bucket = BUFFER_INIT, key = BUFFER_INIT;
	struct error err;
	int needed;

	while (
	    !is_stopping(store) && take_wanted(store, &bucket, &key, &needed)) {
		err = (struct error)ERROR_INIT;
		if (fill_object(store, buffer_slice(&bucket),
			buffer_slice(&key), needed, &err) < 0 &&
		    err.kind != ERR_DISK_FULL && err.kind != ERR_NOT_FOUND &&
		    err.kind != ERR_CLOSING)
			log_fields(LOG_WARN, "store.fetch", err.text,
			    (const struct log_field[]){
				LOG_B("key", key.at, key.len) },
			    1);
		drop_wanted(&store->tier);
	}
	buffer_free(&bucket);
	buffer_free(&key);
}

static void
tell(uint64_t bytes, size_t n)
{
	char text[32];

	format_size(bytes, text, sizeof(text));
	log_fields(LOG_INFO, "store.tier",
	    "contents that are at the destination were given up here for room",
	    (const struct log_field[]){
		LOG_N("objects", n), LOG_T("size", text) },
	    2);
}

/* Gives up the least recently read until the lower mark is reached. 1 if
 * anything was. */
static int
make_room(struct store *store)
{
	struct tier_candidate *found;
	struct error err = ERROR_INIT;
	struct tier_marks m;
	uint64_t bytes = 0;
	size_t i, dropped = 0;
	int64_t got;
	long n = 0;

	if ((found = calloc(TIER_CANDIDATES, sizeof(*found))) != NULL)
		n = tier_find(store, found, &err);
	tier_marks(store, &m);
	for (i = 0; n > 0 && i < (size_t)n && !is_stopping(store); i++) {
		/* What was given up may still be held by readers, and comes
		 * back when they are done. */
		if (m.used < m.low + bytes)
			break;
		got = tier_drop(store, buffer_slice(&found[i].bucket),
		    buffer_slice(&found[i].key), &err);
		if (got > 0) {
			bytes += (uint64_t)got;
			dropped++;
		} else if (got < 0) {
			log_fields(LOG_DEBUG, "store.tier", err.text,
			    (const struct log_field[]){ LOG_B(
				"key", found[i].key.at, found[i].key.len) },
			    1);
			error_clear(&err);
		}
	}
	if (n > 0)
		tier_candidates_clear(found, (size_t)n);
	free(found);
	if (n < 0)
		log_line(LOG_ERROR, "store.tier", "%s", err.text);
	if (dropped > 0) {
		tell(bytes, dropped);
		tier_moved(store);
	}
	return dropped > 0;
}

/* ---- with tiering off ---- */

struct refilling {
	struct buffer keys[REFILL_PAGE];
	size_t n;
};

static int
take_key(const struct list_entry *entry, void *arg)
{
	struct refilling *r = arg;

	buffer_clear(&r->keys[r->n]);
	buffer_add_slice(&r->keys[r->n], entry->key);
	return ++r->n == REFILL_PAGE;
}

static int
has_room(struct store *store)
{
	uint64_t total, free_bytes, reserve;
	enum space_band band;

	space_figures(store->space, &total, &free_bytes, &reserve, &band);
	return free_bytes / 2 > reserve && band == SPACE_OPEN;
}

static void
refill_bucket(struct store *store, struct slice bucket, struct refilling *r)
{
	struct list_query query = { .bucket = bucket };
	struct buffer after = BUFFER_INIT;
	struct error err = ERROR_INIT;
	size_t i;

	do {
		r->n = 0;
		query.after = buffer_slice(&after);
		if (store_list_objects(store, &query, take_key, r, &err) != 0)
			break;
		for (i = 0; i < r->n && !is_stopping(store) &&
		     has_room(store) && err.kind != ERR_AWAY;
		     i++)
			(void)store_fill(
			    store, bucket, buffer_slice(&r->keys[i]), &err);
		buffer_clear(&after);
		if (r->n > 0)
			buffer_add_slice(
			    &after, buffer_slice(&r->keys[r->n - 1]));
	} while (i == REFILL_PAGE);
	buffer_free(&after);
}

struct bucket_after {
	struct buffer name;
	int found;
};

static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct bucket_after *b = arg;

	(void)rec;
	buffer_clear(&b->name);
	buffer_add_slice(&b->name, name);
	b->found = 1;
	return 1;
}

/* Fetches what is away, as far as it fits. */
static void
refill(struct store *store)
{
	struct bucket_after next = { BUFFER_INIT, 0 };
	struct buffer bucket = BUFFER_INIT;
	struct refilling *r;
	size_t i;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return;
	while (!is_stopping(store)) {
		next.found = 0;
		if (store_buckets(store, buffer_slice(&bucket), take_bucket,
			&next, NULL) != 0 ||
		    !next.found)
			break;
		buffer_clear(&bucket);
		buffer_add_slice(&bucket, buffer_slice(&next.name));
		refill_bucket(store, buffer_slice(&bucket), r);
	}
	for (i = 0; i < REFILL_PAGE; i++)
		buffer_free(&r->keys[i]);
	free(r);
	buffer_free(&bucket);
	buffer_free(&next.name);
}

/* ---- */

struct rest {
	unsigned until, looks;
};

static void
look(struct store *store, unsigned round, struct rest *rest)
{
	struct tier_state *t = &store->tier;
	struct error err = ERROR_INIT;
	struct tier_marks m;

	fetch_wanted(store);
	if ((round == 0 || round % COUNT_EVERY == 0) &&
	    atomic_exchange(&t->stale, 0) &&
	    tier_count(store, round == 0, &err) != 0)
		log_line(LOG_ERROR, "store.tier", "%s", err.text);
	tier_marks(store, &m);
	if (m.high == 0) {
		if (round % REFILL_EVERY == 2 &&
		    atomic_load(&t->away_contents) > 0 &&
		    !store_is_incomplete(store))
			refill(store);
		return;
	}
	if (m.used <= m.high)
		*rest = (struct rest){ round, 1 };
	else if (round < rest->until)
		return;
	else
		while (m.used > m.low && !is_stopping(store)) {
			if (!make_room(store)) {
				/* Much may wait to go out. */
				rest->until = round + rest->looks;
				if (rest->looks < REST_MAX)
					rest->looks *= 2;
				break;
			}
			rest->looks = 1;
			(void)tier_count(store, 0, NULL);
			space_look(store->space);
			tier_marks(store, &m);
		}
}

static void *
run(void *arg)
{
	struct store *store = arg;
	struct tier_state *t = &store->tier;
	struct timespec until;
	struct rest rest = { 0, 1 };
	unsigned round = 0;

	while (!is_stopping(store)) {
		look(store, round++, &rest);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_MS / 1000;
		pthread_mutex_lock(&t->lock);
		if (!is_stopping(store) && t->n_wanted == 0)
			(void)pthread_cond_timedwait(
			    &t->wake, &t->lock, &until);
		pthread_mutex_unlock(&t->lock);
	}
	return NULL;
}

void
tier_init(struct store *store)
{
	struct tier_state *t = &store->tier;
	pthread_condattr_t attr;

	(void)pthread_rwlock_init(&t->moving, NULL);
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&t->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	atomic_store(&t->stale, 1);
}

void
tier_destroy(struct store *store)
{
	struct tier_state *t = &store->tier;

	while (t->n_wanted > 0)
		drop_wanted(t);
	(void)pthread_rwlock_destroy(&t->moving);
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->wake);
}

void
tier_start(struct store *store)
{
	struct tier_state *t = &store->tier;
	int rc;

	atomic_store(&t->stopping, 0);
	rc = pthread_create(&t->thread, NULL, run, store);
	t->runs = rc == 0;
	if (rc != 0) {
		log_line(LOG_ERROR, "store.tier",
		    "the thread for tiering cannot be started: %s",
		    strerror(rc));
		return;
	}
	(void)pthread_setname_np(t->thread, "tier");
}

void
tier_stop(struct store *store)
{
	struct tier_state *t = &store->tier;

	atomic_store(&t->stopping, 1);
	pthread_mutex_lock(&t->lock);
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->lock);
	if (t->runs)
		(void)pthread_join(t->thread, NULL);
	t->runs = 0;
}
