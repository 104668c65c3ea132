#include "store/reap.h"

#include <stdlib.h>
#include <time.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/stamp.h"
#include "store/txn.h"

#define REAP_BATCH 1024
#define REAP_RETRY_S 5 /* for what was being read, or could not be removed */

struct reaper {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of work and stopping */
	pthread_cond_t wake;
	int work, stopping;
};

struct reaped {
	struct change change;
	uint64_t ids[REAP_BATCH];
	size_t n;
};

/* Lets go of a chain's parts. */
static int
dissolve(struct store_txn *txn, struct slice value,
    const struct extent_record *rec, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record chain;
	struct chain_entry e;
	size_t i;
	int rc = -1;

	buffer_add_slice(&memory, value);
	if (memory.failed) {
		error_nomem(err);
		goto out;
	}
	if (extent_decode(buffer_slice(&memory), &chain, err) != 0)
		goto out;
	for (i = 0; i < rec->n_entries; i++)
		if (chain_get(&chain, i, &e) != 0) {
			error_set(
			    err, ERR_DAMAGED, "a chain's entry cannot be read");
			goto out;
		} else if (txn_extent_unref(txn, e.extent, err) != 0)
			goto out;
	rc = 0;
out:
	buffer_free(&memory);
	return rc;
}

static int
apply_reaped(struct store_txn *txn, struct change *change)
{
	struct reaped *r = change_of(change, struct reaped, change);
	struct extent_record rec;
	struct error *err = &change->err;
	struct slice value, key;
	uint8_t be[8];
	size_t i;
	int rc;

	for (i = 0; i < r->n; i++) {
		be64_put(be, r->ids[i]);
		key = (struct slice){ (char *)be, sizeof(be) };
		rc = index_get(txn->txn, txn_dbi(txn, DB_EXTENTS), be,
		    sizeof(be), &value, err);
		if (rc < 0 && err->kind == ERR_DAMAGED) {
			/* That nothing names it is sure. */
			log_line(LOG_ERROR, "store.damage", "%s", err->text);
			error_clear(err);
			rc = 1;
		}
		if (rc < 0 || (rc == 0 && extent_decode(value, &rec, err) != 0))
			return -1;
		if (rc == 0 && rec.kind == EXTENT_CHAIN &&
		    dissolve(txn, value, &rec, err) != 0)
			return -1;
		if (txn_del(txn, DB_EXTENTS, key, err) < 0 ||
		    txn_del(txn, DB_REAP, key, err) < 0)
			return -1;
	}
	return 0;
}

/* Before the queue forgets files, their names must be gone for good: start-up
 * does not look among old ones. The ids ascend. */
static int
sync_removed(struct store *store, const struct reaped *r, struct error *err)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if ((i == 0 ||
			r->ids[i] / EXTENTS_PER_DIRECTORY !=
			    r->ids[i - 1] / EXTENTS_PER_DIRECTORY) &&
		    extent_sync_removed(store->extents, r->ids[i], err) != 0)
			return -1;
	return 0;
}

/* Reads the queue from `from` on into r, leaving out what is pinned, and
 * removes the files. *more tells that the batch was full, *later that something
 * was left out. */
static int
collect(struct store *store, uint64_t *from, struct reaped *r, int *more,
    int *later, struct error *err)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	uint8_t be[8];
	MDB_val k = { sizeof(be), be }, v;
	uint64_t id;
	size_t i, n = 0;
	int rc;

	r->n = 0;
	be64_put(be, *from);
	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = mdb_cursor_open(txn, index_dbi(store->index, DB_REAP), &cursor);
	if (rc != 0) {
		index_read_end(store->index, txn);
		return lmdb_error(err, rc, "reading what is to be reaped");
	}
	rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE);
	for (; rc == 0 && n < REAP_BATCH;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT)) {
		if (k.mv_size != 8)
			continue;
		id = be64_get(k.mv_data);
		*from = id + 1;
		r->ids[n++] = id;
	}
	mdb_cursor_close(cursor);
	index_read_end(store->index, txn);
	*more = n == REAP_BATCH;

	for (i = 0; i < n; i++) {
		if (ids_pinned(&store->ids, r->ids[i])) {
			*later = 1;
			continue;
		}
		/* A chain has no file, which is no error. */
		if (extent_unlink(store->extents, r->ids[i], err) != 0) {
			log_line(LOG_WARN, "store.reap", "%s", err->text);
			*later = 1;
			continue;
		}
		r->ids[r->n++] = r->ids[i];
	}
	return sync_removed(store, r, err);
}

static int
is_stopping(struct reaper *reaper)
{
	int stopping;

	pthread_mutex_lock(&reaper->lock);
	stopping = reaper->stopping;
	pthread_mutex_unlock(&reaper->lock);
	return stopping;
}

/* Works through the queue once. 1 when something is left for later. */
static int
reap(struct reaper *reaper, struct reaped *r)
{
	struct store *store = reaper->store;
	struct error err = ERROR_INIT;
	uint64_t from = 0;
	int more = 1, later = 0;

	while (more && !is_stopping(reaper)) {
		if (collect(store, &from, r, &more, &later, &err) != 0) {
			log_line(LOG_ERROR, "store.reap", "%s", err.text);
			return 1;
		}
		if (r->n == 0)
			continue;
		r->change = (struct change){ 0 };
		if (store_submit(store, &r->change, apply_reaped, NULL, 1) !=
		    0) {
			if (r->change.err.kind != ERR_CLOSING)
				log_line(LOG_ERROR, "store.reap", "%s",
				    r->change.err.text);
			return 1;
		}
		space_tend(store->space);
	}
	return later;
}

static void *
run(void *arg)
{
	struct reaper *reaper = arg;
	struct timespec until;
	struct reaped *r;
	int later = 0;

	while ((r = malloc(sizeof(*r))) == NULL)
		nanosleep(&(struct timespec){ 1, 0 }, NULL);
	pthread_mutex_lock(&reaper->lock);
	while (!reaper->stopping) {
		if (!reaper->work) {
			if (later) {
				clock_gettime(CLOCK_REALTIME, &until);
				until.tv_sec += REAP_RETRY_S;
				pthread_cond_timedwait(
				    &reaper->wake, &reaper->lock, &until);
			} else
				pthread_cond_wait(&reaper->wake, &reaper->lock);
			if (!reaper->work && !later)
				continue;
		}
		reaper->work = 0;
		pthread_mutex_unlock(&reaper->lock);
		later = reap(reaper, r);
		pthread_mutex_lock(&reaper->lock);
	}
	pthread_mutex_unlock(&reaper->lock);
	free(r);
	return NULL;
}

struct reaper *
reaper_start(struct store *store, struct error *err)
{
	struct reaper *reaper;
	int rc;

	if ((reaper = calloc(1, sizeof(*reaper))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	reaper->store = store;
	reaper->work = 1;
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->wake, NULL);
	if ((rc = pthread_create(&reaper->thread, NULL, run, reaper)) != 0) {
		error_sys(err, rc, "starting the reaper");
		free(reaper);
		return NULL;
	}
	pthread_setname_np(reaper->thread, "reaper");
	return reaper;
}

void
reaper_wake(struct reaper *reaper)
{
	if (reaper == NULL)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->work = 1;
	pthread_cond_signal(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
}

void
reaper_stop(struct reaper *reaper)
{
	if (reaper == NULL)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->stopping = 1;
	pthread_cond_signal(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
	pthread_join(reaper->thread, NULL);
	pthread_mutex_destroy(&reaper->lock);
	pthread_cond_destroy(&reaper->wake);
	free(reaper);
}
