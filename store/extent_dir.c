#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/extent_private.h"

/*
 * The directory of extents: names, their durability, and what the file system
 * can do. Paths have two components below extents_fd, so that no descriptors
 * of the many directories need to be kept.
 */

#define PROBE_NAME "probe"

void
extent_path(uint64_t id, char path[EXTENT_PATH_BYTES])
{
	snprintf(path, EXTENT_PATH_BYTES, "%" PRIu64 "/%" PRIu64,
	    id / EXTENTS_PER_DIRECTORY, id);
}

/* Opens the directory, made if it is not there; -1 and *err. */
static int
open_directory(int at, const char *name, struct error *err)
{
	int fd;

	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return error_sys(
		    err, errno, "cannot make the directory %s", name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		error_sys(err, errno, "cannot open the directory %s", name);
	return fd;
}

/* Another descriptor for the same directory's names; NULL and *err. */
static DIR *
list_directory(int at, const char *name, struct error *err)
{
	DIR *list;
	int fd;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		error_sys(err, errno, "cannot open the directory %s", name);
		return NULL;
	}
	if ((list = fdopendir(fd)) == NULL) {
		error_sys(err, errno, "cannot list the directory %s", name);
		close(fd);
	}
	return list;
}

/* Temporaries of an earlier run belong to nobody. Directories are not ours. */
static int
empty_tmp(struct extent_dir *d, struct error *err)
{
	struct dirent *entry;
	DIR *list;
	int rc = 0;

	if ((list = list_directory(d->tmp_fd, ".", err)) == NULL)
		return -1;
	while ((entry = readdir(list)) != NULL)
		if (unlinkat(d->tmp_fd, entry->d_name, 0) != 0 &&
		    errno != EISDIR && errno != EPERM && errno != ENOENT) {
			rc = error_sys(
			    err, errno, "cannot remove tmp/%s", entry->d_name);
			break;
		}
	closedir(list);
	return rc;
}

static int
link_empty_path(int fd, int at, const char *path)
{
	return linkat(fd, "", at, path, AT_EMPTY_PATH);
}

static int
link_proc(int fd, int at, const char *path)
{
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, at, path, AT_SYMLINK_FOLLOW);
}

/* Tries what works here: the kernel, the file system, the capabilities and
 * whether there is a /proc all have a say. */
static enum extent_naming
find_naming(const struct extent_dir *d)
{
	enum extent_naming naming = NAMING_RENAME;
	int fd;

	fd = openat(d->tmp_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd == -1)
		return NAMING_RENAME;
	if (link_empty_path(fd, d->tmp_fd, PROBE_NAME) == 0)
		naming = NAMING_EMPTY_PATH;
	else if (link_proc(fd, d->tmp_fd, PROBE_NAME) == 0)
		naming = NAMING_PROC;
	close(fd);
	unlinkat(d->tmp_fd, PROBE_NAME, 0);
	return naming;
}

struct extent_dir *
extent_dir_open(int data_dirfd, struct error *err)
{
	struct extent_dir *d;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	d->extents_fd = d->tmp_fd = -1;
	pthread_mutex_init(&d->lock, NULL);

	d->data_fd = fcntl(data_dirfd, F_DUPFD_CLOEXEC, 0);
	if (d->data_fd == -1) {
		error_sys(err, errno, "cannot duplicate a descriptor");
		goto fail;
	}
	if ((d->extents_fd = open_directory(d->data_fd, "extents", err)) == -1)
		goto fail;
	if ((d->tmp_fd = open_directory(d->data_fd, "tmp", err)) == -1)
		goto fail;
	if (empty_tmp(d, err) != 0)
		goto fail;
	d->naming = find_naming(d);

	/* A run that was killed may have made directories and not synced them.
	 */
	if (fsync(d->extents_fd) != 0 || fsync(d->data_fd) != 0) {
		error_sys(err, errno, "cannot sync the data directory");
		goto fail;
	}
	return d;

fail:
	extent_dir_close(d);
	return NULL;
}

struct extent_dir *
extent_dir_look(int data_dirfd, struct error *err)
{
	struct extent_dir *d;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	d->data_fd = d->tmp_fd = -1;
	d->extents_fd =
	    openat(data_dirfd, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->extents_fd != -1)
		return d;
	error_sys(err, errno, "cannot open the directory extents");
	extent_dir_close(d);
	return NULL;
}

void
extent_dir_close(struct extent_dir *d)
{
	if (d == NULL)
		return;
	if (d->data_fd != -1)
		close(d->data_fd);
	if (d->extents_fd != -1)
		close(d->extents_fd);
	if (d->tmp_fd != -1)
		close(d->tmp_fd);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int
extent_has_tmpfile(const struct extent_dir *d)
{
	return d->naming != NAMING_RENAME;
}

static int
link_once(struct extent_dir *d, int fd, const char *tmp_name, const char *path)
{
	switch (d->naming) {
	case NAMING_EMPTY_PATH:
		return link_empty_path(fd, d->extents_fd, path);
	case NAMING_PROC:
		return link_proc(fd, d->extents_fd, path);
	case NAMING_RENAME:
		break;
	}
	/* One process owns the directory and an id is used once, so nobody
	 * makes the name between the look and the rename. */
	if (faccessat(d->extents_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(d->tmp_fd, tmp_name, d->extents_fd, path);
}

static int
make_directory(struct extent_dir *d, uint64_t id, struct error *err)
{
	char name[EXTENT_PATH_BYTES];
	int rc = 0;

	snprintf(name, sizeof(name), "%" PRIu64, id / EXTENTS_PER_DIRECTORY);
	pthread_mutex_lock(&d->lock);
	if (mkdirat(d->extents_fd, name, 0700) == 0)
		d->made++;
	else if (errno != EEXIST)
		rc = error_sys(
		    err, errno, "cannot make the directory extents/%s", name);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

int
extent_link(struct extent_dir *d, int fd, const char *tmp_name, uint64_t id,
    int *made_directory, struct error *err)
{
	char path[EXTENT_PATH_BYTES];
	int tries;

	extent_path(id, path);
	/* Again after ENOENT: extent_unlink() may remove an empty directory. */
	for (tries = 0; link_once(d, fd, tmp_name, path) != 0; tries++) {
		if (errno == EEXIST)
			return error_set(err, ERR_EXISTS,
			    "there is already a file extents/%s", path);
		if (errno != ENOENT || tries == 10)
			return error_sys(
			    err, errno, "cannot name a file extents/%s", path);
		if (make_directory(d, id, err) != 0)
			return -1;
	}

	pthread_mutex_lock(&d->lock);
	*made_directory = d->made != d->synced;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* A name below tmp/ for a file that has none. */
static int
link_temporary(struct extent_dir *d, int fd, char name[EXTENT_PATH_BYTES])
{
	snprintf(name, EXTENT_PATH_BYTES, "%" PRIuFAST64,
	    atomic_fetch_add(&d->next_tmp, 1));
	return d->naming == NAMING_PROC ? link_proc(fd, d->tmp_fd, name)
					: link_empty_path(fd, d->tmp_fd, name);
}

int
extent_relink(struct extent_dir *d, int fd, const char *tmp_name, uint64_t id,
    struct error *err)
{
	char path[EXTENT_PATH_BYTES], name[EXTENT_PATH_BYTES];

	if (d->naming == NAMING_RENAME)
		snprintf(name, sizeof(name), "%s", tmp_name);
	else if (link_temporary(d, fd, name) != 0)
		return error_sys(err, errno, "cannot name a file in tmp");
	extent_path(id, path);
	if (renameat(d->tmp_fd, name, d->extents_fd, path) == 0)
		return 0;
	/* The directory goes with the last file in it. */
	if (errno == ENOENT && make_directory(d, id, err) == 0 &&
	    renameat(d->tmp_fd, name, d->extents_fd, path) == 0)
		return 0;
	error_sys(err, errno, "cannot name a file extents/%s", path);
	if (d->naming != NAMING_RENAME)
		(void)unlinkat(d->tmp_fd, name, 0);
	return -1;
}

int
extent_sync_directory(
    struct extent_dir *d, uint64_t id, int parent, struct error *err)
{
	char name[EXTENT_PATH_BYTES];
	uint64_t made;
	int fd, rc;

	snprintf(name, sizeof(name), "%" PRIu64, id / EXTENTS_PER_DIRECTORY);
	fd = openat(d->extents_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return error_sys(
		    err, errno, "cannot open the directory extents/%s", name);
	rc = fsync(fd);
	if (rc != 0)
		error_sys(err, errno, "cannot sync extents/%s", name);
	close(fd);
	if (rc != 0)
		return -1;
	if (!parent)
		return 0;

	pthread_mutex_lock(&d->lock);
	made = d->made;
	pthread_mutex_unlock(&d->lock);
	if (fsync(d->extents_fd) != 0)
		return error_sys(err, errno, "cannot sync extents");
	pthread_mutex_lock(&d->lock);
	if (d->synced < made)
		d->synced = made;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

int
extent_sync_removed(struct extent_dir *d, uint64_t id, struct error *err)
{
	char name[EXTENT_PATH_BYTES];
	int fd, rc;

	snprintf(name, sizeof(name), "%" PRIu64, id / EXTENTS_PER_DIRECTORY);
	fd = openat(d->extents_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && errno != ENOENT)
		return error_sys(
		    err, errno, "cannot open the directory extents/%s", name);
	rc = fsync(fd == -1 ? d->extents_fd : fd);
	if (rc != 0)
		error_sys(err, errno, "cannot sync extents/%s", name);
	if (fd != -1)
		close(fd);
	return rc;
}

int
extent_unlink(struct extent_dir *d, uint64_t id, struct error *err)
{
	char path[EXTENT_PATH_BYTES];
	uint64_t directory, last;

	extent_path(id, path);
	if (unlinkat(d->extents_fd, path, 0) != 0 && errno != ENOENT)
		return error_sys(err, errno, "cannot remove extents/%s", path);

	/* Whoever deletes much goes through directory after directory; the one
	 * that was just left may be empty. */
	directory = id / EXTENTS_PER_DIRECTORY + 1;
	last = atomic_exchange(&d->last_unlinked, directory);
	if (last != 0 && last != directory) {
		snprintf(path, sizeof(path), "%" PRIu64, last - 1);
		(void)unlinkat(d->extents_fd, path, AT_REMOVEDIR);
	}
	return 0;
}

int
extent_look(struct extent_dir *d, uint64_t id, struct extent_stat *out)
{
	char path[EXTENT_PATH_BYTES];
	struct stat st;

	extent_path(id, path);
	if (fstatat(d->extents_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	out->size = (uint64_t)st.st_size;
	out->allocated = (uint64_t)st.st_blocks * 512;
	out->read_s = st.st_atim.tv_sec;
	return 0;
}

/* A name that is a number as this program writes it: 0, or -1. */
static int
number_of(const char *name, uint64_t *number)
{
	if (name[0] == '0' && name[1] != '\0')
		return -1;
	return parse_u64(name, strlen(name), 0, UINT64_MAX, number);
}

/* 0; 1 when visit asked to stop; -1 and *err. */
static int
files_of(struct extent_dir *d, const char *name, uint64_t directory,
    uint64_t from, extent_visit *visit, void *arg, struct error *err)
{
	struct dirent *entry;
	uint64_t id;
	DIR *list;
	int rc = 0;

	if ((list = list_directory(d->extents_fd, name, err)) == NULL)
		return -1;
	while (rc == 0 && (errno = 0, entry = readdir(list)) != NULL)
		if (number_of(entry->d_name, &id) == 0 && id >= from &&
		    id / EXTENTS_PER_DIRECTORY == directory)
			rc = visit(id, arg) != 0;
	if (rc == 0 && errno != 0)
		rc = error_sys(err, errno, "cannot list extents/%s", name);
	closedir(list);
	return rc;
}

int
extent_files(struct extent_dir *d, uint64_t from, extent_visit *visit,
    void *arg, struct error *err)
{
	struct dirent *entry;
	uint64_t directory;
	DIR *list;
	int rc = 0;

	if ((list = list_directory(d->extents_fd, ".", err)) == NULL)
		return -1;
	while (rc == 0 && (errno = 0, entry = readdir(list)) != NULL)
		if (number_of(entry->d_name, &directory) == 0 &&
		    directory >= from / EXTENTS_PER_DIRECTORY)
			rc = files_of(
			    d, entry->d_name, directory, from, visit, arg, err);
	if (rc == 0 && errno != 0)
		rc = error_sys(err, errno, "cannot list extents");
	closedir(list);
	return rc < 0 ? -1 : 0;
}
