#include "store/tend.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"

#define TEND_S 1
#define SPACE_EVERY_S 5
#define UPLOADS_EVERY_S 600
#define STALE_BATCH 64

struct tender {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of stopping */
	pthread_cond_t wake;
	int stopping;
};

struct stale {
	struct slice bucket;
	int64_t before_ms;
	size_t n;
	struct {
		char key[KEY_MAX_BYTES];
		size_t key_len;
		uint64_t upload;
	} found[STALE_BATCH];
};

static int
note_stale(const struct list_entry *entry, void *arg)
{
	struct stale *s = arg;

	if (entry->upload_record->started_ms >= s->before_ms)
		return 0;
	memcpy(s->found[s->n].key, entry->key.at, entry->key.len);
	s->found[s->n].key_len = entry->key.len;
	s->found[s->n].upload = entry->upload;
	return ++s->n == STALE_BATCH;
}

static long
tend_bucket(struct store *store, struct slice bucket, struct stale *s,
    struct error *err)
{
	struct list_query query = { .bucket = bucket };
	struct abort_upload abort;
	long done = 0;
	size_t i;

	do {
		s->n = 0;
		if (store_list_uploads(store, &query, note_stale, s, err) != 0)
			return -1;
		for (i = 0; i < s->n; i++) {
			abort = (struct abort_upload){ .bucket = bucket };
			abort.key = (struct slice){ s->found[i].key,
				s->found[i].key_len };
			abort.upload = s->found[i].upload;
			if (store_abort_upload(store, &abort) == 0) {
				done++;
				continue;
			}
			if (abort.change.err.kind == ERR_NO_UPLOAD)
				continue;
			*err = abort.change.err;
			return -1;
		}
	} while (s->n == STALE_BATCH);
	return done;
}

struct names_copy {
	struct buffer names; /* each with a final NUL */
};

static int
note_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct names_copy *c = arg;

	if (rec->uploads > 0) {
		buffer_add_slice(&c->names, name);
		buffer_add_u8(&c->names, 0);
	}
	return 0;
}

long
tend_uploads(struct store *store, struct error *err)
{
	struct names_copy copy = { BUFFER_INIT };
	struct stale *s;
	const char *name;
	size_t at = 0;
	long n, done = 0;

	if ((s = malloc(sizeof(*s))) == NULL)
		return error_nomem(err);
	s->before_ms =
	    clock_wall_ms() - (int64_t)store->options.upload_max_age_ms;
	if (store_buckets(store, SLICE_NULL, note_bucket, &copy, err) != 0)
		done = -1;
	else if (copy.names.failed)
		done = error_nomem(err);
	for (; done >= 0 && at < copy.names.len; at += strlen(name) + 1) {
		name = copy.names.at + at;
		n = tend_bucket(store, slice_text(name), s, err);
		if (n < 0 && err->kind != ERR_NO_BUCKET)
			done = -1;
		else if (n > 0)
			done += n;
	}
	buffer_free(&copy.names);
	free(s);
	return done;
}

static void
tend(struct store *store, unsigned round)
{
	struct error err = ERROR_INIT;
	long n;

	index_relax(store->index);
	if (round % SPACE_EVERY_S == 0)
		space_tend(store->space);
	if (round % UPLOADS_EVERY_S != 0)
		return;
	if ((n = tend_uploads(store, &err)) < 0) {
		if (err.kind != ERR_CLOSING)
			log_line(LOG_ERROR, "store.uploads", "%s", err.text);
	} else if (n > 0)
		log_line(LOG_INFO, "store.uploads",
		    "aborted %ld stale multipart uploads", n);
}

static void *
run(void *arg)
{
	struct tender *t = arg;
	struct timespec until;
	unsigned round = 0;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		pthread_mutex_unlock(&t->lock);
		tend(t->store, round++);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += TEND_S;
		pthread_mutex_lock(&t->lock);
		if (!t->stopping)
			pthread_cond_timedwait(&t->wake, &t->lock, &until);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

struct tender *
tender_start(struct store *store, struct error *err)
{
	struct tender *t;
	int rc;

	if ((t = calloc(1, sizeof(*t))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	t->store = store;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
	if ((rc = pthread_create(&t->thread, NULL, run, t)) != 0) {
		error_sys(err, rc, "starting the tender");
		free(t);
		return NULL;
	}
	pthread_setname_np(t->thread, "tender");
	return t;
}

void
tender_stop(struct tender *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->stopping = 1;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->wake);
	free(t);
}
