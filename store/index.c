#include "store/index.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/lmdb_error.h"
#include "store/pages.h"
#include "store/stamp.h"

#define MAP_BYTES_DEFAULT (256ULL << 30)
#define READERS_KEPT 64
#define MEND_WAIT_S 2

static const char *const db_names[INDEX_DBS] = {
	[DB_BUCKETS] = "buckets",
	[DB_OBJECTS] = "objects",
	[DB_VERSIONS] = "versions",
	[DB_UPLOADS] = "uploads",
	[DB_PARTS] = "parts",
	[DB_EXTENTS] = "extents",
	[DB_REAP] = "reap",
	[DB_JOURNAL] = "journal",
	[DB_KEYS] = "keys",
	[DB_SETTINGS] = "settings",
	[DB_NOTES] = "notes",
};

struct index {
	char *dir;
	uint64_t map_bytes;
	unsigned readers;
	int read_only;
	/* Change only while nobody holds the environment. */
	MDB_env *env; /* NULL: could not be opened again */
	MDB_dbi dbi[INDEX_DBS];
	void *map; /* NULL: not known */
	struct pages pages;

	pthread_mutex_t lock; /* of the fields below */
	pthread_cond_t changed;
	size_t holders;
	int mending;    /* nobody may begin to hold it */
	uint64_t mends; /* attempts that have ended */
	int broken;     /* the last one failed */
	MDB_txn *idle[READERS_KEPT];
	size_t n_idle;
};

/* ERR_DAMAGED, naming the record; -1. */
static int
broken(MDB_dbi dbi, const MDB_val *key, struct error *err)
{
	char text[2 * 64 + 1];
	size_t n = key->mv_size < 64 ? key->mv_size : 64;

	hex_encode(key->mv_data, n, text);
	return error_set(err, ERR_DAMAGED,
	    "the index is damaged: the record %s of %s has a wrong checksum:"
	    " run `holdfast check`",
	    text, index_db_name(dbi - INDEX_DBI_FIRST));
}

int
index_get(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len,
    struct slice *value, struct error *err)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	int rc;

	rc = stamp_get(txn, dbi, &k, &v);
	if (rc == MDB_NOTFOUND)
		return 1;
	if (rc == STAMP_BROKEN)
		return broken(dbi, &k, err);
	if (rc != 0)
		return lmdb_error(err, rc, "reading the index");
	*value = (struct slice){ v.mv_data, v.mv_size };
	return 0;
}

int
index_get_u64(MDB_txn *txn, MDB_dbi dbi, uint64_t key, struct slice *value,
    struct error *err)
{
	uint8_t k[8];

	be64_put(k, key);
	return index_get(txn, dbi, k, sizeof(k), value, err);
}

void
counters_encode(struct buffer *b, const struct index_counters *c)
{
	buffer_add_u8(b, 1);
	buffer_add_be64(b, c->next_version);
	buffer_add_be64(b, c->next_node);
	buffer_add_be64(b, c->next_extent);
	buffer_add_be64(b, c->settled_extent);
	buffer_add_be64(b, c->journal);
}

int
counters_decode(struct slice bytes, struct index_counters *c, struct error *err)
{
	struct reader r = reader_of(bytes.at, bytes.len);

	if (reader_u8(&r) != 1)
		r.failed = 1;
	c->next_version = reader_be64(&r);
	c->next_node = reader_be64(&r);
	c->next_extent = reader_be64(&r);
	c->settled_extent = reader_be64(&r);
	c->journal = reader_be64(&r);
	if (r.failed)
		return error_set(
		    err, ERR_DAMAGED, "the index's counters cannot be read");
	return 0;
}

/* Checks the format of an index that exists, or notes it in a new one. */
static int
check_format(
    struct index *index, MDB_txn *txn, int read_only, struct error *err)
{
	MDB_val k = { sizeof(SETTING_FORMAT) - 1,
		(void *)(uintptr_t)SETTING_FORMAT };
	uint8_t format = INDEX_FORMAT;
	MDB_val v = { 1, &format };
	int rc;

	rc = mdb_get(txn, index->dbi[DB_SETTINGS], &k, &v);
	if (rc == 0) {
		if (v.mv_size == 1 && *(uint8_t *)v.mv_data == 1)
			return error_set(err, ERR_FORMAT,
			    "the index has format 1, from before the first"
			    " release, which this holdfast does not read: copy"
			    " its objects to a new data directory with an S3"
			    " client and the holdfast that wrote them");
		if (stamp_open(index->dbi[DB_SETTINGS], &k, &v) != 0)
			v.mv_size = 0;
		format = v.mv_size == 1 ? *(uint8_t *)v.mv_data : 0;
		if (format > INDEX_FORMAT)
			return error_set(err, ERR_FORMAT,
			    "the index was written by a newer holdfast (format"
			    " %u, this program knows %u): upgrade holdfast",
			    format, INDEX_FORMAT);
		if (format == 0)
			return error_set(err, ERR_DAMAGED,
			    "the index's format cannot be read");
		return 0;
	}
	if (rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading the index's format");
	if (read_only)
		return error_set(err, ERR_DAMAGED, "the index has no format");
	if ((rc = stamp_put(txn, index->dbi[DB_SETTINGS], &k, &v, 0)) != 0)
		return lmdb_error(err, rc, "making the index");
	return 0;
}

/* Where LMDB has mapped its file, which it does not tell. */
static void *
find_map(MDB_env *env)
{
	unsigned long from, to;
	MDB_envinfo info;
	char line[512];
	void *map = NULL;
	FILE *maps;

	if (mdb_env_info(env, &info) != 0 ||
	    (maps = fopen("/proc/self/maps", "re")) == NULL)
		return NULL;
	while (map == NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "data.mdb") != NULL &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2 &&
		    to - from == info.me_mapsize)
			map = (void *)(uintptr_t)from;
	fclose(maps);
	return map;
}

/* Opens the environment. 0; or -1 and *err, and it is closed. */
static int
open_environment(struct index *index, struct error *err)
{
	int read_only = index->read_only;
	MDB_txn *txn = NULL;
	MDB_stat stat;
	int i, rc;

	if ((rc = mdb_env_create(&index->env)) != 0 ||
	    (rc = mdb_env_set_mapsize(index->env,
		 (size_t)(index->map_bytes ? index->map_bytes
					   : MAP_BYTES_DEFAULT))) != 0 ||
	    (rc = mdb_env_set_maxdbs(index->env, INDEX_DBS + 6)) != 0 ||
	    (rc = mdb_env_set_maxreaders(index->env, index->readers)) != 0 ||
	    (rc = mdb_env_open(index->env, index->dir,
		 MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT |
		     (read_only ? MDB_RDONLY : 0),
		 0600)) != 0) {
		lmdb_error(err, rc, "opening the index");
		goto fail;
	}
	mdb_reader_check(index->env, &i);
	index->map = find_map(index->env);
	if ((rc = mdb_env_stat(index->env, &stat)) != 0 ||
	    (rc = mdb_env_set_userctx(index->env, &index->pages)) != 0) {
		lmdb_error(err, rc, "opening the index");
		goto fail;
	}
	if (!read_only)
		pages_guard(index->env);
	index->pages.map = index->map;
	index->pages.page_bytes = stat.ms_psize;
	if ((rc = mdb_txn_begin(
		 index->env, NULL, read_only ? MDB_RDONLY : 0, &txn)) != 0) {
		lmdb_error(err, rc, "opening the index");
		goto fail;
	}
	for (i = 0; i < INDEX_DBS; i++)
		if ((rc = mdb_dbi_open(txn, db_names[i],
			 read_only ? 0 : MDB_CREATE, &index->dbi[i])) != 0) {
			lmdb_error(err, rc, "opening the index");
			goto fail;
		}
	for (i = 0; i < INDEX_DBS; i++)
		if (index->dbi[i] != (MDB_dbi)(INDEX_DBI_FIRST + i)) {
			error_set(err, ERR_INTERNAL,
			    "LMDB numbers databases in another way");
			goto fail;
		}
	if (check_format(index, txn, read_only, err) != 0)
		goto fail;
	rc = mdb_txn_commit(txn);
	txn = NULL;
	if (rc != 0) {
		lmdb_error(err, rc, "making the index");
		goto fail;
	}
	return 0;

fail:
	if (txn != NULL)
		mdb_txn_abort(txn);
	if (index->env != NULL)
		mdb_env_close(index->env);
	index->env = NULL;
	index->map = NULL;
	return -1;
}

/* Opens what is in a directory that is there. */
static struct index *
open_index(const char *dir, uint64_t map_bytes, unsigned readers, int read_only,
    struct error *err)
{
	struct index *index;

	if ((index = calloc(1, sizeof(*index))) == NULL ||
	    (index->dir = strdup(dir)) == NULL) {
		error_nomem(err);
		free(index);
		return NULL;
	}
	pthread_mutex_init(&index->lock, NULL);
	pthread_cond_init(&index->changed, NULL);
	index->map_bytes = map_bytes;
	index->readers = readers;
	index->read_only = read_only;
	if (open_environment(index, err) == 0)
		return index;
	index_close(index);
	return NULL;
}

/* Makes an index in dir if there is none. LMDB does not sync the first pages of
 * a new file before it is named, and does not open what a power cut leaves of
 * them; so they are written beside, and get their name when they are whole. The
 * caller syncs the directories. */
static int
make(const char *dir, uint64_t map_bytes, unsigned readers, struct error *err)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	char beside[PATH_MAX], name[PATH_MAX + 16];
	struct index *index;
	size_t i;
	int n;

	n = snprintf(beside, sizeof(beside), "%s.new", dir);
	if (n < 0 || (size_t)n >= sizeof(beside))
		return error_set(
		    err, ERR_INVALID, "%s is too long a name", dir);
	snprintf(name, sizeof(name), "%s/data.mdb", dir);
	if (access(name, F_OK) == 0)
		return 0;

	/* What an earlier attempt left, and a place without an index. */
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", beside, files[i]);
		(void)unlink(name);
	}
	snprintf(name, sizeof(name), "%s/lock.mdb", dir);
	(void)unlink(name);

	if (mkdir(beside, 0700) != 0 && errno != EEXIST)
		return error_sys(err, errno, "making %s", beside);
	index = open_index(beside, map_bytes, readers, 0, err);
	if (index == NULL)
		return -1;
	index_close(index);
	if (rename(beside, dir) != 0)
		return error_sys(err, errno, "renaming %s to %s", beside, dir);
	return 0;
}

struct index *
index_open(const char *dir, uint64_t map_bytes, unsigned readers, int read_only,
    struct error *err)
{
	if (!read_only && make(dir, map_bytes, readers, err) != 0)
		return NULL;
	return open_index(dir, map_bytes, readers, read_only, err);
}

void
index_close(struct index *index)
{
	if (index == NULL)
		return;
	while (index->n_idle > 0)
		mdb_txn_abort(index->idle[--index->n_idle]);
	if (index->env != NULL)
		mdb_env_close(index->env);
	pthread_cond_destroy(&index->changed);
	pthread_mutex_destroy(&index->lock);
	free(index->dir);
	free(index);
}

MDB_env *
index_hold(struct index *index)
{
	MDB_env *env;

	pthread_mutex_lock(&index->lock);
	while (index->mending)
		pthread_cond_wait(&index->changed, &index->lock);
	if ((env = index->env) != NULL)
		index->holders++;
	pthread_mutex_unlock(&index->lock);
	return env;
}

/* With the lock. */
static void
let_go(struct index *index)
{
	if (--index->holders == 0 && index->mending)
		pthread_cond_broadcast(&index->changed);
}

void
index_release(struct index *index)
{
	pthread_mutex_lock(&index->lock);
	let_go(index);
	pthread_mutex_unlock(&index->lock);
}

MDB_env *
index_env(struct index *index)
{
	return index->env;
}

/* Makes durable what the file is to readers now: after a failed commit that is
 * the state before it, and the disk may have the other one. */
static int
settle_file(struct index *index, struct error *err)
{
	char name[PATH_MAX];
	int fd, rc;

	snprintf(name, sizeof(name), "%s/data.mdb", index->dir);
	if ((fd = open(name, O_RDWR | O_CLOEXEC)) == -1)
		return error_sys(err, errno, "opening %s", name);
	rc = fdatasync(fd);
	if (rc != 0)
		error_sys(err, errno, "syncing %s", name);
	close(fd);
	return rc;
}

int
index_mend(struct index *index, struct error *err)
{
	MDB_txn *txn;
	int rc;

	if (index->env != NULL) {
		rc = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn);
		if (rc == 0)
			mdb_txn_abort(txn);
		if (rc != MDB_PANIC)
			return 0;
	}

	pthread_mutex_lock(&index->lock);
	index->mending = 1;
	while (index->holders > 0)
		pthread_cond_wait(&index->changed, &index->lock);
	rc = settle_file(index, err);
	if (rc == 0) {
		while (index->n_idle > 0)
			mdb_txn_abort(index->idle[--index->n_idle]);
		if (index->env != NULL)
			mdb_env_close(index->env);
		index->env = NULL;
		rc = open_environment(index, err);
	}
	index->mending = 0;
	index->mends++;
	index->broken = rc != 0;
	pthread_cond_broadcast(&index->changed);
	pthread_mutex_unlock(&index->lock);
	return rc == 0 ? 1 : -1;
}

/* LMDB has given its environment up: waits for the writer, which finds that out
 * too, to have tried to mend it. Whether it makes sense to try again. */
static int
await_mending(struct index *index, uint64_t mends)
{
	struct timespec until;
	int mended;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += MEND_WAIT_S;
	pthread_mutex_lock(&index->lock);
	while (index->mends == mends && !index->broken &&
	    pthread_cond_timedwait(&index->changed, &index->lock, &until) == 0)
		;
	mended = index->mends != mends && !index->broken;
	pthread_mutex_unlock(&index->lock);
	return mended;
}

void
index_relax(struct index *index)
{
	MDB_envinfo info;
	MDB_stat stat;
	MDB_env *env;

	if ((env = index_hold(index)) == NULL)
		return;
	if (index->map != NULL && mdb_env_info(env, &info) == 0 &&
	    mdb_env_stat(env, &stat) == 0)
		madvise(index->map, (info.me_last_pgno + 1) * stat.ms_psize,
		    MADV_DONTNEED);
	index_release(index);
}

MDB_dbi
index_dbi(const struct index *index, enum index_db db)
{
	return index->dbi[db];
}

const char *
index_db_name(enum index_db db)
{
	return db_names[db];
}

/* One attempt: LMDB's code, with a transaction and the environment held on 0.
 */
static int
begin_reading(struct index *index, MDB_txn **txn, uint64_t *mends)
{
	int rc;

	*txn = NULL;
	pthread_mutex_lock(&index->lock);
	while (index->mending)
		pthread_cond_wait(&index->changed, &index->lock);
	*mends = index->mends;
	if (index->env == NULL) {
		pthread_mutex_unlock(&index->lock);
		return MDB_PANIC;
	}
	index->holders++;
	if (index->n_idle > 0)
		*txn = index->idle[--index->n_idle];
	pthread_mutex_unlock(&index->lock);

	if (*txn != NULL)
		rc = mdb_txn_renew(*txn);
	else
		rc = mdb_txn_begin(index->env, NULL, MDB_RDONLY, txn);
	if (rc == 0)
		return 0;
	if (*txn != NULL)
		mdb_txn_abort(*txn);
	index_release(index);
	return rc;
}

MDB_txn *
index_read(struct index *index, struct error *err)
{
	uint64_t mends;
	MDB_txn *txn;
	int rc;

	do
		rc = begin_reading(index, &txn, &mends);
	while (rc == MDB_PANIC && await_mending(index, mends));
	if (rc == 0)
		return txn;
	lmdb_error(err, rc, "reading the index");
	return NULL;
}

void
index_read_end(struct index *index, MDB_txn *txn)
{
	if (txn == NULL)
		return;
	mdb_txn_reset(txn);
	pthread_mutex_lock(&index->lock);
	if (index->n_idle < READERS_KEPT) {
		index->idle[index->n_idle++] = txn;
		txn = NULL;
		let_go(index);
	}
	pthread_mutex_unlock(&index->lock);
	if (txn != NULL) {
		mdb_txn_abort(txn);
		index_release(index);
	}
}
