#include "store/committer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/content.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/reap.h"
#include "store/txn.h"

#define BATCH_MAX 512 /* changes in one transaction */

struct committer {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of the queue and stopping */
	pthread_cond_t ready;
	struct change *first, **last;
	int stopping;
	struct store_txn txn; /* the thread's own */
	_Atomic uint64_t commits, changes, busy_us;
};

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t settled;
	int done;
};

static void
wake_waiter(struct change *change)
{
	struct waiter *w = change->waiter;

	pthread_mutex_lock(&w->lock);
	w->done = 1;
	pthread_cond_signal(&w->settled);
	pthread_mutex_unlock(&w->lock);
}

int
store_submit(struct store *store, struct change *change,
    int (*apply)(struct store_txn *, struct change *),
    struct content_writer *sealed, int frees)
{
	struct waiter w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
		0 };

	change->apply = apply;
	change->sealed = sealed;
	change->frees = frees;
	change->failed = 0;
	error_clear(&change->err);
	if (change->done != NULL) {
		committer_submit(store->committer, change);
		return 0;
	}

	change->done = wake_waiter;
	change->waiter = &w;
	committer_submit(store->committer, change);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.settled, &w.lock);
	pthread_mutex_unlock(&w.lock);
	change->done = NULL;
	return change->failed ? -1 : 0;
}

void
committer_submit(struct committer *c, struct change *change)
{
	int stopping, was_empty;

	change->next = NULL;
	pthread_mutex_lock(&c->lock);
	if (!(stopping = c->stopping)) {
		was_empty = c->first == NULL;
		*c->last = change;
		c->last = &change->next;
		if (was_empty)
			pthread_cond_signal(&c->ready);
	}
	pthread_mutex_unlock(&c->lock);
	if (!stopping)
		return;
	change->failed = 1;
	error_set(&change->err, ERR_CLOSING, "the store is closing");
	content_drop(change->sealed);
	change->done(change);
}

/* Makes the names of the batch's new files durable, each directory once. */
static void
sync_directories(struct store *store, struct change *batch)
{
	struct change *c, *d;
	uint64_t id;

	for (c = batch; c != NULL; c = c->next) {
		if (c->failed || c->sealed == NULL ||
		    (id = content_file_id(c->sealed)) == 0)
			continue;
		for (d = batch; d != c; d = d->next)
			if (!d->failed && d->sealed != NULL &&
			    content_file_id(d->sealed) != 0 &&
			    content_file_id(d->sealed) /
				    EXTENTS_PER_DIRECTORY ==
				id / EXTENTS_PER_DIRECTORY &&
			    (content_made_directory(d->sealed) ||
				!content_made_directory(c->sealed)))
				break;
		if (d != c)
			continue;
		if (extent_sync_directory(store->extents, id,
			content_made_directory(c->sealed), &c->err) != 0)
			c->failed = 1;
	}
}

static int
begin(struct store_txn *txn, const struct index_counters *counters,
    struct error *err)
{
	size_t i;
	int rc;

	for (i = 0; i < TXN_BUCKETS; i++)
		txn->buckets[i].name_len = 0;
	txn->counters = *counters;
	txn->now_ms = clock_wall_ms();
	txn->keys_changed = txn->reaped = txn->journalled = 0;
	txn->settings_changed = 0;
	if (index_env(txn->index) == NULL)
		rc = MDB_PANIC;
	else
		rc = mdb_txn_begin(index_env(txn->index), NULL, 0, &txn->txn);
	if (rc != 0)
		return lmdb_error(err, rc, "beginning a change of the index");
	return 0;
}

/* Applies what has not failed. 1 when it must begin anew without a change that
 * failed half-way, else 0. */
static int
apply(struct store_txn *txn, struct change *batch)
{
	struct change *c;

	for (c = batch; c != NULL; c = c->next) {
		if (c->failed)
			continue;
		txn->wrote = 0;
		if (c->apply(txn, c) == 0)
			continue;
		c->failed = 1;
		if (txn->wrote)
			return 1;
	}
	return 0;
}

static int
commit(struct store_txn *txn, struct error *err)
{
	int rc;

	txn->counters.next_extent = atomic_load(&txn->store->ids.next);
	txn->counters.settled_extent = ids_settled(&txn->store->ids);
	if (txn_flush(txn, err) != 0)
		goto fail;
	buffer_clear(&txn->scratch);
	counters_encode(&txn->scratch, &txn->counters);
	if (txn->scratch.failed) {
		error_nomem(err);
		goto fail;
	}
	if (txn_put(txn, DB_SETTINGS, SLICE_LITERAL(SETTING_COUNTERS),
		buffer_slice(&txn->scratch), 0, err) != 0)
		goto fail;
	rc = mdb_txn_commit(txn->txn);
	txn->txn = NULL;
	if (rc != 0)
		return lmdb_error(err, rc, "committing to the index");
	return 0;

fail:
	mdb_txn_abort(txn->txn);
	txn->txn = NULL;
	return -1;
}

/* Fails every change that has not failed yet; with only_growing, those that
 * free nothing. How many are left. */
static size_t
fail_all(struct change *batch, const struct error *err, int only_growing)
{
	size_t left = 0;

	for (; batch != NULL; batch = batch->next) {
		if (batch->failed)
			continue;
		if (only_growing && batch->frees) {
			left++;
			continue;
		}
		batch->failed = 1;
		batch->err = *err;
	}
	return left;
}

static size_t
count_left(const struct change *batch)
{
	size_t n = 0;

	for (; batch != NULL; batch = batch->next)
		n += !batch->failed;
	return n;
}

/* The counters as the index has them. */
static int
read_counters(
    struct index *index, struct index_counters *counters, struct error *err)
{
	struct slice value;
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(index, err)) == NULL)
		return -1;
	rc = index_get(txn, index_dbi(index, DB_SETTINGS), SETTING_COUNTERS,
	    sizeof(SETTING_COUNTERS) - 1, &value, err);
	if (rc == 0)
		rc = counters_decode(value, counters, err);
	index_read_end(index, txn);
	return rc < 0 ? -1 : 0;
}

/* After LMDB has failed in the middle of a commit: makes the index usable
 * again. 0 when it is, -1 when not. *unsure tells that what the batch changed
 * may be there or not, so that its files must stay until the next start looks.
 */
static int
mend(struct committer *c, struct index_counters *counters, int *unsure)
{
	struct error err = ERROR_INIT;
	int rc;

	if ((rc = index_mend(c->store->index, &err)) == 0)
		return 0;
	*unsure = 1;
	if (rc < 0 || read_counters(c->store->index, counters, &err) != 0) {
		log_line(LOG_ERROR, "store.mend", "%s", err.text);
		return -1;
	}
	log_line(LOG_WARN, "store.mend",
	    "the index was opened anew after a failed commit");
	return 0;
}

static void
abandon_contents(struct change *batch)
{
	for (; batch != NULL; batch = batch->next) {
		content_abandon(batch->sealed);
		batch->sealed = NULL;
	}
}

/* Settles a batch: afterwards each change has failed or is durable. */
static void
settle(
    struct committer *c, struct index_counters *counters, struct change *batch)
{
	struct store_txn *txn = &c->txn;
	struct error err;
	int again, tries = 0, unsure = 0;

	sync_directories(c->store, batch);
	while (count_left(batch) > 0) {
		error_clear(&err);
		if (begin(txn, counters, &err) != 0 &&
		    (mend(c, counters, &unsure) != 0 ||
			begin(txn, counters, &err) != 0)) {
			fail_all(batch, &err, 0);
			return;
		}
		again = apply(txn, batch);
		if (again || count_left(batch) == 0) {
			mdb_txn_abort(txn->txn);
			txn->txn = NULL;
			continue;
		}
		if (commit(txn, &err) == 0) {
			*counters = txn->counters;
			return;
		}
		/* LMDB calls a short write EIO. */
		if (err.kind == ERR_DISK_FULL ||
		    (err.kind == ERR_IO && space_is_full(c->store->space)))
			error_set(&err, ERR_DISK_FULL,
			    "the disk is full: delete backups or enlarge the"
			    " volume");
		log_line(LOG_ERROR, "store.commit", "%s", err.text);
		unsure = 0;
		(void)mend(c, counters, &unsure);
		if (unsure)
			abandon_contents(batch);
		if (unsure || err.kind != ERR_DISK_FULL || tries++ == 3) {
			fail_all(batch, &err, 0);
			return;
		}
		space_release_ballast(c->store->space);
		fail_all(batch, &err, 1);
	}
}

/* What others may know once a batch is durable. */
static void
publish(struct store *store, const struct store_txn *txn)
{
	if (txn->keys_changed)
		atomic_fetch_add(&store->keys_generation, 1);
	if (txn->journalled)
		atomic_store(&store->visible, txn->counters.journal);
	if (txn->reaped)
		reaper_wake(store->reaper);
}

static void
answer(struct change *batch)
{
	struct change *next;

	for (; batch != NULL; batch = next) {
		next = batch->next;
		if (batch->failed)
			content_drop(batch->sealed);
		else
			content_committed(batch->sealed);
		batch->sealed = NULL;
		batch->done(batch);
	}
}

static void *
run(void *arg)
{
	struct committer *c = arg;
	struct index_counters counters = c->txn.counters;
	struct change *batch, *tail;
	uint64_t began;
	size_t n, good;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->first == NULL && !c->stopping)
			pthread_cond_wait(&c->ready, &c->lock);
		if ((batch = c->first) == NULL)
			break;
		for (n = 1, tail = batch; n < BATCH_MAX && tail->next != NULL;
		     n++)
			tail = tail->next;
		if ((c->first = tail->next) == NULL)
			c->last = &c->first;
		tail->next = NULL;
		pthread_mutex_unlock(&c->lock);

		began = clock_monotonic_us();
		settle(c, &counters, batch);
		if ((good = count_left(batch)) > 0) {
			publish(c->store, &c->txn);
			atomic_fetch_add(&c->commits, 1);
			atomic_fetch_add(&c->changes, good);
			atomic_fetch_add(
			    &c->busy_us, clock_monotonic_us() - began);
		}
		answer(batch);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct committer *
committer_start(struct store *store, const struct index_counters *counters,
    struct error *err)
{
	struct committer *c;
	int rc;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	c->store = store;
	c->last = &c->first;
	c->txn.store = store;
	c->txn.index = store->index;
	c->txn.counters = *counters;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ready, NULL);
	if ((rc = pthread_create(&c->thread, NULL, run, c)) != 0) {
		error_sys(err, rc, "starting the committer");
		free(c);
		return NULL;
	}
	pthread_setname_np(c->thread, "committer");
	return c;
}

void
committer_stop(struct committer *c)
{
	size_t i;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = 1;
	pthread_cond_signal(&c->ready);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	for (i = 0; i < TXN_BUCKETS; i++)
		buffer_free(&c->txn.buckets[i].memory);
	buffer_free(&c->txn.scratch);
	buffer_free(&c->txn.object);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->ready);
	free(c);
}

void
committer_figures(struct committer *c, struct committer_figures *f)
{
	f->commits = atomic_load(&c->commits);
	f->changes = atomic_load(&c->changes);
	f->busy_us = atomic_load(&c->busy_us);
}
