#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "store/generation.h"
#include "store/hotcopy.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/lock.h"
#include "store/reap.h"
#include "store/scrub.h"
#include "store/selfcheck.h"
#include "store/stamp.h"
#include "store/tend.h"

#define READERS_DEFAULT 64
#define READERS_OWN 16 /* reaper, scrubber, copies, workers between */
#define IO_THREADS_DEFAULT 16
#define FAR_THREADS 16
#define UPLOAD_AGE_DEFAULT_MS (24ULL * 3600 * 1000)

static void
take_options(struct store *store, const struct store_options *options)
{
	struct store_options *o = &store->options;

	*o = *options;
	if (o->readers == 0)
		o->readers = READERS_DEFAULT;
	if (o->io_threads == 0)
		o->io_threads = IO_THREADS_DEFAULT;
	if (o->upload_max_age_ms == 0)
		o->upload_max_age_ms = UPLOAD_AGE_DEFAULT_MS;
	store->inline_max_bytes = o->inline_max_bytes
	    ? o->inline_max_bytes
	    : INLINE_MAX_BYTES_DEFAULT;
	if (store->inline_max_bytes > SPACE_SMALL_BYTES)
		store->inline_max_bytes = SPACE_SMALL_BYTES;
}

static int
open_directory(struct store *store, struct error *err)
{
	const char *dir = store->options.dir;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return error_sys(
		    err, errno, "making the data directory %s", dir);
	store->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dirfd < 0)
		return error_sys(
		    err, errno, "opening the data directory %s", dir);
	return 0;
}

static int
sync_directory(int fd, struct error *err)
{
	return fsync(fd) == 0
	    ? 0
	    : error_sys(err, errno, "syncing the data directory");
}

/* Makes the names of the index, of extents/ and of the data directory itself
 * durable: LMDB does not. */
static int
sync_names(struct store *store, const char *index_path, struct error *err)
{
	int index, parent, rc;

	index = open(index_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (index < 0)
		return error_sys(err, errno, "opening %s", index_path);
	rc = sync_directory(index, err);
	close(index);
	if (rc != 0 || sync_directory(store->dirfd, err) != 0)
		return -1;
	/* Not ours perhaps, and then not ours to sync. */
	parent = openat(store->dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		fsync(parent);
		close(parent);
	}
	return 0;
}

static int
see_any(uint64_t id, void *arg)
{
	(void)id;
	*(int *)arg = 1;
	return 1;
}

/* Contents without an index are not what a crash left: a new index would have
 * them all removed. */
static int
expect_index(struct store *store, struct error *err)
{
	struct stat st;
	int any = 0;

	if (fstatat(store->dirfd, "index/data.mdb", &st, 0) == 0 &&
	    st.st_size > 0)
		return 0;
	if (extent_files(store->extents, 0, see_any, &any, err) != 0)
		return -1;
	if (any)
		return error_set(err, ERR_DAMAGED,
		    "%s has contents but no index: put its index back, or make"
		    " a new one with `holdfast rebuild %s`",
		    store->options.dir, store->options.dir);
	return 0;
}

/* What the index knows of itself; a new one gets an identity. */
static int
load_index(
    struct store *store, struct index_counters *counters, struct error *err)
{
	struct slice value;
	MDB_cursor *cursor;
	MDB_val k, v;
	MDB_txn *txn;
	uint64_t last = 0;
	int rc, failed = -1;

	*counters = (struct index_counters){ 1, 1, 1, 1, 0 };
	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = index_get(txn, index_dbi(store->index, DB_SETTINGS),
	    SETTING_COUNTERS, sizeof(SETTING_COUNTERS) - 1, &value, err);
	if (rc < 0 || (rc == 0 && counters_decode(value, counters, err) != 0))
		goto out;
	rc = index_get(txn, index_dbi(store->index, DB_SETTINGS),
	    SETTING_JOURNAL, sizeof(SETTING_JOURNAL) - 1, &value, err);
	if (rc < 0)
		goto out;
	store->journal_on = rc == 0 && slice_is(value, "on");
	rc = index_get(txn, index_dbi(store->index, DB_SETTINGS),
	    SETTING_STORE_ID, sizeof(SETTING_STORE_ID) - 1, &value, err);
	if (rc < 0)
		goto out;
	if (rc == 0 && value.len == sizeof(store->id))
		memcpy(store->id, value.at, sizeof(store->id));

	rc = mdb_cursor_open(txn, index_dbi(store->index, DB_EXTENTS), &cursor);
	if (rc == 0) {
		rc = stamp_step(cursor, &k, &v, MDB_LAST);
		if (rc == 0 && k.mv_size == 8)
			last = be64_get(k.mv_data);
		mdb_cursor_close(cursor);
	}
	/* The counters know, too. */
	if (rc != 0 && rc != MDB_NOTFOUND && rc != STAMP_BROKEN) {
		lmdb_error(err, rc, "reading extents");
		goto out;
	}
	if (counters->next_extent <= last)
		counters->next_extent = last + 1;
	failed = 0;
out:
	index_read_end(store->index, txn);
	return failed;
}

struct sweep {
	struct store *store;
	MDB_txn *txn;
	uint64_t highest;
	size_t removed;
	uint64_t last_removed; /* its directory is not synced yet; 0: none */
	struct error *err;
	int failed;
};

/* The next commit may settle the removed files' numbers, and no later start
 * would look for them. */
static int
sweep_sync(struct sweep *s)
{
	uint64_t id = s->last_removed;

	s->last_removed = 0;
	return id == 0 ? 0 : extent_sync_removed(s->store->extents, id, s->err);
}

static int
sweep_file(uint64_t id, void *arg)
{
	struct sweep *s = arg;
	struct slice value;
	int rc;

	if (id > s->highest)
		s->highest = id;
	if (s->last_removed / EXTENTS_PER_DIRECTORY !=
		id / EXTENTS_PER_DIRECTORY &&
	    sweep_sync(s) != 0)
		return s->failed = 1;
	rc = index_get_u64(
	    s->txn, index_dbi(s->store->index, DB_EXTENTS), id, &value, s->err);
	if (rc == 1) {
		rc = extent_unlink(s->store->extents, id, s->err);
		s->removed++;
		s->last_removed = id;
	}
	s->failed = rc < 0;
	return s->failed;
}

/* Removes what a crash left: files above the settled extent that no record
 * names. */
static int
sweep_extents(
    struct store *store, struct index_counters *counters, struct error *err)
{
	struct sweep s = { .store = store, .err = err };
	int rc;

	if ((s.txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = extent_files(
	    store->extents, counters->settled_extent, sweep_file, &s, err);
	index_read_end(store->index, s.txn);
	if (rc != 0 || s.failed || sweep_sync(&s) != 0)
		return -1;
	if (counters->next_extent <= s.highest)
		counters->next_extent = s.highest + 1;
	if (s.removed > 0)
		log_line(LOG_INFO, "store.sweep",
		    "removed %zu files of writes that were cut off", s.removed);
	return 0;
}

static int
make_identity(struct store *store, struct error *err)
{
	static const uint8_t none[sizeof(store->id)];
	struct set_setting set = { .name = SETTING_STORE_ID };

	if (memcmp(store->id, none, sizeof(none)) != 0)
		return 0;
	bytes_random(store->id, sizeof(store->id));
	set.value =
	    (struct slice){ (const char *)store->id, sizeof(store->id) };
	if (store_set_setting(store, &set) == 0)
		return 0;
	*err = set.change.err;
	return -1;
}

struct store *
store_open(const struct store_options *options, struct error *err)
{
	struct index_counters counters;
	struct store *store;
	char path[4096];
	int n;

	if ((store = calloc(1, sizeof(*store))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	store->dirfd = -1;
	(void)pthread_rwlock_init(&store->remote_lock, NULL);
	heal_init(store);
	tier_init(store);
	away_init(store);
	take_options(store, options);
	n = snprintf(path, sizeof(path), "%s/index", options->dir);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		error_set(err, ERR_INVALID,
		    "the data directory's name is too"
		    " long");
		goto fail;
	}
	if (open_directory(store, err) != 0 ||
	    selfcheck_access(store->dirfd, options->dir, err) != 0)
		goto fail;
	store->lock = lock_take(store->dirfd, options->dir, err);
	if (store->lock == NULL ||
	    selfcheck_disk(store->dirfd, options->dir, err) != 0)
		goto fail;
	store->space = space_open(store->dirfd, options->reserve_bytes, err);
	if (store->space == NULL)
		goto fail;
	store->extents = extent_dir_open(store->dirfd, err);
	if (store->extents == NULL || expect_index(store, err) != 0)
		goto fail;
	store->index = index_open(path, options->map_bytes,
	    (unsigned)(store->options.readers + store->options.io_threads +
		FAR_THREADS + READERS_OWN),
	    0, err);
	if (store->index == NULL)
		goto fail;
	if (sync_names(store, path, err) != 0 ||
	    load_index(store, &counters, err) != 0 ||
	    generation_check(store, err) != 0 ||
	    sweep_extents(store, &counters, err) != 0)
		goto fail;
	ids_init(&store->ids, counters.next_extent);
	atomic_store(&store->visible, counters.journal);

	store->workers = workers_start("io", store->options.io_threads, err);
	if (store->workers == NULL)
		goto fail;
	store->far_workers = workers_start("far", FAR_THREADS, err);
	if (store->far_workers == NULL)
		goto fail;
	if ((store->committer = committer_start(store, &counters, err)) == NULL)
		goto fail;
	if (make_identity(store, err) != 0)
		goto fail;
	generation_raise(store);
	if ((store->reaper = reaper_start(store, err)) == NULL ||
	    (store->tender = tender_start(store, err)) == NULL)
		goto fail;
	if (options->scrub_bytes_per_second > 0 &&
	    (store->scrubber = scrubber_start(store, err)) == NULL)
		goto fail;
	if (options->copy_interval_ms > 0 &&
	    (store->hot_copier = hot_copier_start(store, err)) == NULL)
		goto fail;
	return store;

fail:
	store_close(store);
	return NULL;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_set_remote(store, NULL);
	hot_copier_stop(store->hot_copier);
	scrubber_stop(store->scrubber);
	tender_stop(store->tender);
	reaper_stop(store->reaper);
	workers_stop(store->workers);
	workers_stop(store->far_workers);
	store->reaper = NULL;
	committer_stop(store->committer);
	index_close(store->index);
	if (store->workers != NULL)
		ids_free(&store->ids);
	extent_dir_close(store->extents);
	space_close(store->space);
	lock_release(store->lock);
	if (store->dirfd >= 0)
		close(store->dirfd);
	(void)pthread_rwlock_destroy(&store->remote_lock);
	heal_destroy(store);
	tier_destroy(store);
	away_destroy(store);
	free(store);
}

struct workers *
store_workers(struct store *store)
{
	return store->workers;
}

struct workers *
store_far_workers(struct store *store)
{
	return store->far_workers;
}

const uint8_t *
store_id(struct store *store)
{
	return store->id;
}

uint64_t
store_visible(struct store *store)
{
	return atomic_load(&store->visible);
}

uint64_t
store_inline_max(struct store *store)
{
	return store->inline_max_bytes;
}

void
store_set_remote(struct store *store, const struct remote *remote)
{
	healer_stop(store);
	tier_stop(store);
	pthread_rwlock_wrlock(&store->remote_lock);
	store->remote = remote;
	pthread_rwlock_unlock(&store->remote_lock);
	if (remote != NULL) {
		healer_start(store);
		tier_start(store);
	}
}

const struct remote *
remote_hold(struct store *store)
{
	const struct remote *remote;

	pthread_rwlock_rdlock(&store->remote_lock);
	if ((remote = store->remote) == NULL)
		pthread_rwlock_unlock(&store->remote_lock);
	return remote;
}

void
remote_release(struct store *store)
{
	pthread_rwlock_unlock(&store->remote_lock);
}
