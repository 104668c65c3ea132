#include "store/hotcopy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "store/generation.h"
#include "store/internal.h"
#include "store/lmdb_error.h"

#define KEEP 2
#define TEMPORARY_NAME "new"
#define PIECE_BYTES (256 * 1024)
#define RETRY_MS 60000

struct hot_copier {
	struct store *store;
	int dirfd; /* copies/ */
	pthread_t thread;
	pthread_mutex_t lock; /* of stopping */
	pthread_cond_t wake;
	int stopping;
	pthread_mutex_t
	    copying;     /* held by whoever makes a copy; of the next one */
	size_t last_txn; /* the index's, in the last copy */
	_Atomic uint64_t last_ms;
};

/* LMDB writes the copy into a pipe, so that it can be broken off: a thread for
 * LMDB's side. */
struct source {
	MDB_env *env;
	int fd;
	int rc;
};

static void *
run_source(void *arg)
{
	struct source *s = arg;

	s->rc = mdb_env_copyfd2(s->env, s->fd, MDB_CP_COMPACT);
	close(s->fd);
	return NULL;
}

static int
is_stopping(struct hot_copier *h)
{
	int stopping;

	pthread_mutex_lock(&h->lock);
	stopping = h->stopping;
	pthread_mutex_unlock(&h->lock);
	return stopping;
}

/* All of the pipe into the file. */
static int
pump(struct hot_copier *h, int from, int to, struct error *err)
{
	char *piece;
	ssize_t n;
	int rc = -1;

	if ((piece = malloc(PIECE_BYTES)) == NULL)
		return error_nomem(err);
	for (;;) {
		n = read(from, piece, PIECE_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			error_sys(err, errno, "cannot read the copy");
		else if (n > 0 && is_stopping(h))
			error_set(err, ERR_CLOSING, "the store is closing");
		else if (n > 0 && write_full(to, piece, (size_t)n, err) == 0)
			continue;
		else if (n == 0)
			rc = 0;
		break;
	}
	free(piece);
	return rc;
}

static int
write_copy(struct hot_copier *h, int fd, struct error *err)
{
	struct source source = { 0 };
	pthread_t thread;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return error_sys(err, errno, "cannot make a pipe");
	source.fd = fds[1];
	if ((source.env = index_hold(h->store->index)) == NULL) {
		rc = lmdb_error(err, MDB_PANIC, "copying the index");
		goto fail;
	}
	if ((rc = pthread_create(&thread, NULL, run_source, &source)) != 0) {
		rc = error_sys(err, rc, "starting a copy");
		index_release(h->store->index);
		goto fail;
	}
	rc = pump(h, fds[0], fd, err);
	/* Ends LMDB's side, if it is not at its end. */
	close(fds[0]);
	pthread_join(thread, NULL);
	index_release(h->store->index);
	if (rc == 0 && source.rc != 0)
		rc = lmdb_error(err, source.rc, "copying the index");
	if (rc == 0 && fsync(fd) != 0)
		rc = error_sys(err, errno, "cannot sync the copy");
	return rc;

fail:
	close(fds[0]);
	close(fds[1]);
	return rc;
}

int
hot_copy_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > sizeof(COPY_PREFIX COPY_SUFFIX) - 1 &&
	    strncmp(name, COPY_PREFIX, sizeof(COPY_PREFIX) - 1) == 0 &&
	    strcmp(name + len - sizeof(COPY_SUFFIX) + 1, COPY_SUFFIX) == 0;
}

/* Removes copies but for the newest ones; the oldest first. */
static void
remove_old(struct hot_copier *h)
{
	char oldest[NAME_MAX + 1];
	struct dirent *entry;
	size_t n;
	DIR *list;
	int fd;

	do {
		fd = openat(h->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			return;
		if ((list = fdopendir(fd)) == NULL) {
			close(fd);
			return;
		}
		n = 0;
		while ((entry = readdir(list)) != NULL) {
			if (!hot_copy_is_name(entry->d_name))
				continue;
			if (n++ == 0 || strcmp(entry->d_name, oldest) < 0)
				snprintf(oldest, sizeof(oldest), "%s",
				    entry->d_name);
		}
		closedir(list);
	} while (n > KEEP && unlinkat(h->dirfd, oldest, 0) == 0);
}

/* With h->copying. */
static int
make_copy(struct hot_copier *h, uint64_t size, struct error *err)
{
	char name[64], now[CLOCK_TEXT_BYTES];
	int fd;

	if (space_admit(h->store->space, size, err) != 0)
		return -1;
	fd = openat(h->dirfd, TEMPORARY_NAME,
	    O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1)
		return error_sys(err, errno, "cannot make a file in copies");
	if (write_copy(h, fd, err) != 0)
		goto fail;
	clock_basic(clock_wall_ms(), now);
	snprintf(name, sizeof(name), COPY_PREFIX "%s" COPY_SUFFIX, now);
	if (renameat(h->dirfd, TEMPORARY_NAME, h->dirfd, name) != 0 ||
	    fsync(h->dirfd) != 0) {
		error_sys(err, errno, "cannot name the copy");
		goto fail;
	}
	close(fd);
	remove_old(h);
	return 0;

fail:
	close(fd);
	(void)unlinkat(h->dirfd, TEMPORARY_NAME, 0);
	return -1;
}

/* The index's newest transaction, and its size. */
static int
look(struct hot_copier *h, size_t *txn, uint64_t *size, struct error *err)
{
	MDB_envinfo info;
	MDB_stat stat;
	MDB_env *env;
	int known;

	env = index_hold(h->store->index);
	known = env != NULL && mdb_env_info(env, &info) == 0 &&
	    mdb_env_stat(env, &stat) == 0;
	if (env != NULL)
		index_release(h->store->index);
	if (!known)
		return error_set(err, ERR_INTERNAL, "cannot look at the index");
	*txn = info.me_last_txnid;
	*size = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	return 0;
}

int
hot_copy_now(struct hot_copier *h, struct error *err)
{
	uint64_t size;
	size_t txn;
	int rc;

	pthread_mutex_lock(&h->copying);
	rc = look(h, &txn, &size, err);
	if (rc == 0 && txn != h->last_txn)
		rc = make_copy(h, size, err);
	if (rc == 0 && txn != h->last_txn) {
		atomic_store(&h->last_ms, (uint64_t)clock_wall_ms());
		/* The copy is of `txn` or a later one: if that was not the
		 * last, there will be one copy more than needed. */
		h->last_txn = txn;
		generation_raise(h->store);
		if (look(h, &txn, &size, NULL) == 0 && txn == h->last_txn + 1)
			h->last_txn = txn;
	}
	pthread_mutex_unlock(&h->copying);
	return rc == 0 ? 0 : error_add(err, "a copy of the index");
}

static void *
run(void *arg)
{
	struct hot_copier *h = arg;
	struct error err = ERROR_INIT;
	struct timespec until;
	uint64_t wait = h->store->options.copy_interval_ms;

	pthread_mutex_lock(&h->lock);
	while (!h->stopping) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += (time_t)(wait / 1000);
		until.tv_nsec += (long)(wait % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		while (!h->stopping &&
		    pthread_cond_timedwait(&h->wake, &h->lock, &until) !=
			ETIMEDOUT)
			;
		if (h->stopping)
			break;
		pthread_mutex_unlock(&h->lock);
		wait = h->store->options.copy_interval_ms;
		if (hot_copy_now(h, &err) != 0 && err.kind != ERR_CLOSING) {
			log_line(LOG_WARN, "store.copy", "%s", err.text);
			if (wait > RETRY_MS)
				wait = RETRY_MS;
		}
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static int
open_copies(struct hot_copier *h, struct error *err)
{
	if (mkdirat(h->store->dirfd, COPIES_DIRECTORY, 0700) != 0 &&
	    errno != EEXIST)
		return error_sys(
		    err, errno, "cannot make the directory copies");
	h->dirfd = openat(h->store->dirfd, COPIES_DIRECTORY,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->dirfd == -1)
		return error_sys(
		    err, errno, "cannot open the directory copies");
	(void)unlinkat(h->dirfd, TEMPORARY_NAME, 0);
	if (fsync(h->store->dirfd) != 0)
		return error_sys(err, errno, "cannot sync the data directory");
	return 0;
}

struct hot_copier *
hot_copier_start(struct store *store, struct error *err)
{
	pthread_condattr_t monotonic;
	struct hot_copier *h;
	int rc;

	if ((h = calloc(1, sizeof(*h))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	h->store = store;
	h->dirfd = -1;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->copying, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (open_copies(h, err) != 0)
		goto fail;
	if ((rc = pthread_create(&h->thread, NULL, run, h)) != 0) {
		error_sys(err, rc, "starting the copies of the index");
		goto fail;
	}
	pthread_setname_np(h->thread, "copies");
	return h;

fail:
	if (h->dirfd != -1)
		close(h->dirfd);
	free(h);
	return NULL;
}

void
hot_copier_stop(struct hot_copier *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->stopping = 1;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	close(h->dirfd);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->copying);
	pthread_cond_destroy(&h->wake);
	free(h);
}

uint64_t
hot_copy_last_ms(struct hot_copier *h)
{
	return h == NULL ? 0 : atomic_load(&h->last_ms);
}
