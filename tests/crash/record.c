/*
 * A preloaded recorder: it writes down, in one order and with their data, the
 * file operations of a process below one directory, so that replay.py can
 * build what a power cut might have left at any moment of them.
 *
 *	HOLDFAST_RECORD_DIR	the directory; it exists when the process starts
 *	HOLDFAST_RECORD_LOG	the log; other programs may append marks to it
 *	HOLDFAST_RECORD_DELAY_US  a pause inside each sync, to let others
 *overlap
 *
 * The log is a row of records, each appended by one writev(), so that the
 * processes that share it agree on the order. A record is a struct record,
 * then two paths relative to the directory (length1 and length2 bytes), then
 * the data.
 *
 * Files are known by numbers that are handed out here: an inode number is used
 * again by the file system, a number is not. An operation is carried out and
 * written down under one lock. A sync is two records around the call, without
 * the lock: it covers only what was written down before its first one, and
 * only once its second one is there.
 *
 * Changes through a shared mapping cannot be seen. What would hide from the
 * record is written down as RECORD_BLIND and fails the test.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECORD_MAGIC 0x43524648u /* "HFRC" */

enum record_type {
	RECORD_START = 1,
	RECORD_CREATE,     /* path1 is the new file or directory `file` */
	RECORD_TMPFILE,    /* `file` is new and has no name */
	RECORD_BIND,       /* `file` is what path1 names, there before */
	RECORD_WRITE,      /* data at offset of file */
	RECORD_TRUNCATE,   /* file is offset bytes long */
	RECORD_ZERO,       /* length bytes at offset read as zeros */
	RECORD_GROW,       /* file is at least offset bytes long */
	RECORD_LINK,       /* path1 is another name of file */
	RECORD_UNLINK,     /* path1 is gone */
	RECORD_RENAME,     /* path1 became path2 */
	RECORD_SYNC_BEGIN, /* kind; file 0 means everything */
	RECORD_SYNC_END,   /* the sync or synchronous write `offset` is done */
	RECORD_BLIND,      /* path1 says what could not be recorded */
	RECORD_MARK = 32,  /* appended by the test: data is its own */
};

enum sync_kind {
	SYNC_FSYNC = 1,
	SYNC_FDATASYNC,
	SYNC_DSYNC,
	SYNC_ALL
};

struct record {
	uint32_t magic;
	uint32_t type;
	uint64_t id;
	uint64_t file;
	uint64_t offset;
	uint64_t length;
	uint32_t kind;
	uint32_t length1;
	uint32_t length2;
	uint32_t data_length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_length;
static dev_t root_dev;
static unsigned int delay_us;
static uint64_t last_id, last_file;

/* inode -> file number, open addressing; guarded by lock */
static struct known {
	ino_t ino;
	uint64_t file;
} * known;
static size_t known_size, known_count;

#define REAL(ret, name, ...) \
	static ret (*real_##name)(__VA_ARGS__); \
	if (real_##name == NULL) \
	*(void **)&real_##name = dlsym(RTLD_NEXT, #name)

static void
stop(const char *what)
{
	dprintf(2, "record.so: %s: %s\n", what, strerror(errno));
	abort();
}

static uint64_t
append(uint32_t type, uint64_t file, uint64_t offset, uint64_t length,
    uint32_t kind, const char *path1, const char *path2,
    const struct iovec *data, int data_count, size_t data_length)
{
	struct record r = { RECORD_MAGIC, type, ++last_id, file, offset, length,
		kind, path1 ? (uint32_t)strlen(path1) : 0,
		path2 ? (uint32_t)strlen(path2) : 0, (uint32_t)data_length };
	struct iovec iov[3 + IOV_MAX];
	size_t total, n, left;
	int count, i;

	if (log_fd < 0)
		return (0);
	iov[0] = (struct iovec){ &r, sizeof(r) };
	iov[1] = (struct iovec){ (void *)(uintptr_t)path1, r.length1 };
	iov[2] = (struct iovec){ (void *)(uintptr_t)path2, r.length2 };
	total = sizeof(r) + r.length1 + r.length2 + data_length;
	count = 3;
	left = data_length;
	for (i = 0; i < data_count && left > 0; i++) {
		n = data[i].iov_len < left ? data[i].iov_len : left;
		iov[count++] = (struct iovec){ data[i].iov_base, n };
		left -= n;
	}
	if (count > IOV_MAX) {
		errno = EINVAL;
		stop("too many pieces in one write");
	}
	if (syscall(SYS_writev, log_fd, iov, count) != (ssize_t)total)
		stop("cannot append to the log");
	return (r.id);
}

static void
blind(const char *what)
{
	append(RECORD_BLIND, 0, 0, 0, 0, what, NULL, NULL, 0, 0);
}

static struct known *
known_slot(ino_t ino)
{
	size_t i;

	i = (size_t)(ino * 0x9e3779b97f4a7c15u) & (known_size - 1);
	while (known[i].file != 0 && known[i].ino != ino)
		i = (i + 1) & (known_size - 1);
	return (&known[i]);
}

/* Gives the inode a new number, whatever it was called before. */
static uint64_t
number_new(ino_t ino)
{
	struct known *old = known, *slot;
	size_t i, old_size = known_size;

	if (2 * (known_count + 1) > known_size) {
		known_size = old_size ? 2 * old_size : 1024;
		known = calloc(known_size, sizeof(*known));
		if (known == NULL)
			stop("calloc");
		for (i = 0; i < old_size; i++)
			if (old[i].file != 0)
				*known_slot(old[i].ino) = old[i];
		free(old);
	}
	slot = known_slot(ino);
	if (slot->file == 0)
		known_count++;
	*slot = (struct known){ ino, ++last_file };
	return (last_file);
}

/* The path below the directory that an open descriptor has; false if it is
 * elsewhere or has no name. */
static bool
fd_path(int fd, char path[PATH_MAX])
{
	char proc[64], full[PATH_MAX];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, full, sizeof(full) - 1);
	if (n < 0)
		return (false);
	full[n] = '\0';
	if (strncmp(full, root, root_length) != 0 ||
	    (full[root_length] != '/' && full[root_length] != '\0'))
		return (false);
	strcpy(path, full[root_length] ? full + root_length + 1 : "");
	return (true);
}

/* The number of an open file, 0 if it is not below the directory. */
static uint64_t
number_of(int fd, const struct stat *st)
{
	char path[PATH_MAX];
	uint64_t file;

	if (known_size > 0 && (file = known_slot(st->st_ino)->file) != 0)
		return (file);
	if (!fd_path(fd, path))
		return (0);
	file = number_new(st->st_ino);
	append(RECORD_BIND, file, 0, 0, 0, path, NULL, NULL, 0, 0);
	return (file);
}

/* Whether the descriptor may be of interest: a file of the same device. */
static bool
candidate(int fd, struct stat *st)
{
	int saved = errno;
	bool yes;

	yes = log_fd >= 0 && fstat(fd, st) == 0 && st->st_dev == root_dev &&
	    (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
	errno = saved;
	return (yes);
}

/* The path below the directory that a name given to a call has, its last
 * component not followed. */
static bool
below(int dirfd, const char *name, char path[PATH_MAX])
{
	char full[2 * PATH_MAX], parent[PATH_MAX], proc[64], *last;
	size_t n = 0;
	ssize_t got;
	int saved = errno;
	bool yes = false;

	if (log_fd < 0 || name == NULL || strlen(name) >= PATH_MAX)
		return (false);
	if (name[0] != '/') {
		if (dirfd == AT_FDCWD)
			strcpy(proc, "/proc/self/cwd");
		else
			snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dirfd);
		got = readlink(proc, full, PATH_MAX - 1);
		if (got < 0)
			goto out;
		n = (size_t)got;
		full[n++] = '/';
	}
	strcpy(full + n, name);
	for (n = strlen(full); n > 1 && full[n - 1] == '/'; n--)
		full[n - 1] = '\0';
	last = strrchr(full, '/');
	*last++ = '\0';
	if (realpath(full[0] ? full : "/", parent) == NULL)
		goto out;
	if (strncmp(parent, root, root_length) != 0 ||
	    (parent[root_length] != '/' && parent[root_length] != '\0'))
		goto out;
	yes = snprintf(path, PATH_MAX, "%s%s%s",
		  parent[root_length] ? parent + root_length + 1 : "",
		  parent[root_length] ? "/" : "", last) < PATH_MAX;
out:
	errno = saved;
	return (yes);
}

__attribute__((constructor)) static void
start(void)
{
	const char *dir = getenv("HOLDFAST_RECORD_DIR");
	const char *path = getenv("HOLDFAST_RECORD_LOG");
	const char *delay = getenv("HOLDFAST_RECORD_DELAY_US");
	struct stat st;
	int fd;

	if (dir == NULL || path == NULL)
		return;
	if (realpath(dir, root) == NULL || stat(root, &st) != 0)
		stop("HOLDFAST_RECORD_DIR");
	root_length = strlen(root);
	root_dev = st.st_dev;
	if (delay != NULL)
		delay_us = (unsigned int)strtoul(delay, NULL, 10);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		stop("HOLDFAST_RECORD_LOG");
	/* out of the way of the descriptors that the program expects */
	log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
	if (log_fd < 0)
		stop("HOLDFAST_RECORD_LOG");
	syscall(SYS_close, fd);
	append(RECORD_START, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0);
}

/* Opening */

typedef int open_fn(int, const char *, int, ...);

static int
recorded_open(int dirfd, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	bool inside, existed;
	int fd;

	REAL(int, openat, int, const char *, int, ...);
	if (log_fd < 0 ||
	    ((flags & (O_CREAT | O_TRUNC)) == 0 &&
		(flags & O_TMPFILE) != O_TMPFILE))
		return (real_openat(dirfd, name, flags, mode));
	pthread_mutex_lock(&lock);
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		fd = real_openat(dirfd, name, flags, mode);
		if (fd >= 0 && candidate(fd, &st) && fd_path(fd, path))
			append(RECORD_TMPFILE, number_new(st.st_ino), 0, 0, 0,
			    NULL, NULL, NULL, 0, 0);
		pthread_mutex_unlock(&lock);
		return (fd);
	}
	inside = below(dirfd, name, path);
	existed = inside && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	fd = real_openat(dirfd, name, flags, mode);
	if (fd >= 0 && inside && candidate(fd, &st)) {
		if (!existed)
			append(RECORD_CREATE, number_new(st.st_ino), 0, 0, 0,
			    path, NULL, NULL, 0, 0);
		else if (flags & O_TRUNC)
			append(RECORD_TRUNCATE, number_of(fd, &st), 0, 0, 0,
			    NULL, NULL, NULL, 0, 0);
	}
	pthread_mutex_unlock(&lock);
	return (fd);
}

#define OPEN_BODY(dirfd) \
	mode_t mode = 0; \
	va_list ap; \
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
		va_start(ap, flags); \
		mode = va_arg(ap, mode_t); \
		va_end(ap); \
	} \
	return (recorded_open(dirfd, name, flags, mode))

int
open(const char *name, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

int
open64(const char *name, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

int
openat(int dirfd, const char *name, int flags, ...)
{
	OPEN_BODY(dirfd);
}

int
openat64(int dirfd, const char *name, int flags, ...)
{
	OPEN_BODY(dirfd);
}

/* what the fortified headers call when there is no mode */
int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);

int
__open_2(const char *name, int flags)
{
	return (recorded_open(AT_FDCWD, name, flags, 0));
}

int
__open64_2(const char *name, int flags)
{
	return (recorded_open(AT_FDCWD, name, flags, 0));
}

int
__openat_2(int dirfd, const char *name, int flags)
{
	return (recorded_open(dirfd, name, flags, 0));
}

int
__openat64_2(int dirfd, const char *name, int flags)
{
	return (recorded_open(dirfd, name, flags, 0));
}

int
creat(const char *name, mode_t mode)
{
	return (
	    recorded_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode));
}

int
creat64(const char *name, mode_t mode)
{
	return (creat(name, mode));
}

/* Writing */

/* Writes down bytes that were written, and, for a synchronous descriptor, that
 * they are durable. Called with the lock, returns without it. */
static void
wrote(uint64_t file, uint64_t offset, const struct iovec *iov, int count,
    ssize_t n, int flags)
{
	uint64_t id = 0;
	int saved = errno;

	if (n > 0 && file != 0)
		id = append(RECORD_WRITE, file, offset, 0,
		    (flags & O_DSYNC) ? SYNC_DSYNC : 0, NULL, NULL, iov, count,
		    (size_t)n);
	pthread_mutex_unlock(&lock);
	if (id != 0 && (flags & O_DSYNC)) {
		if (delay_us > 0)
			usleep(delay_us);
		pthread_mutex_lock(&lock);
		append(RECORD_SYNC_END, file, id, 0, SYNC_DSYNC, NULL, NULL,
		    NULL, 0, 0);
		pthread_mutex_unlock(&lock);
	}
	errno = saved;
}

static uint64_t
position(int fd, int flags, const struct stat *st)
{
	struct stat now;

	if (flags & O_APPEND)
		return ((uint64_t)(fstat(fd, &now) == 0 ? now : *st).st_size);
	return ((uint64_t)lseek(fd, 0, SEEK_CUR));
}

/* CALL writes at OFFSET, an expression that may use flags and st. */
#define WRITE_BODY(call, offset_expression, pieces, piece_count) \
	struct stat st; \
	uint64_t file, offset; \
	ssize_t n; \
	int flags; \
	if (!candidate(fd, &st)) \
		return (call); \
	pthread_mutex_lock(&lock); \
	file = number_of(fd, &st); \
	flags = fcntl(fd, F_GETFL); \
	offset = (offset_expression); \
	n = (call); \
	wrote(file, offset, (pieces), (piece_count), n, flags); \
	return (n)

ssize_t
write(int fd, const void *bytes, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, len };

	REAL(ssize_t, write, int, const void *, size_t);
	WRITE_BODY(
	    real_write(fd, bytes, len), position(fd, flags, &st), &iov, 1);
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	REAL(ssize_t, writev, int, const struct iovec *, int);
	WRITE_BODY(
	    real_writev(fd, iov, count), position(fd, flags, &st), iov, count);
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, len };

	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	WRITE_BODY(real_pwrite(fd, bytes, len, at), (uint64_t)at, &iov, 1);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
	return (pwrite(fd, bytes, len, at));
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
	WRITE_BODY(real_pwritev(fd, iov, count, at), (uint64_t)at, iov, count);
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off_t at)
{
	return (pwritev(fd, iov, count, at));
}

ssize_t
pwritev2(int fd, const struct iovec *iov, int count, off_t at, int how)
{
	REAL(ssize_t, pwritev2, int, const struct iovec *, int, off_t, int);
	WRITE_BODY(real_pwritev2(fd, iov, count, at, how),
	    at < 0 ? position(fd, flags, &st) : (uint64_t)at, iov, count);
}

ssize_t
pwritev64v2(int fd, const struct iovec *iov, int count, off_t at, int how)
{
	return (pwritev2(fd, iov, count, at, how));
}

#define CHANGE_BODY(type, call, type_, offset_, length_) \
	struct stat st; \
	type result; \
	if (!candidate(fd, &st)) \
		return (call); \
	pthread_mutex_lock(&lock); \
	result = (call); \
	if (result == 0 && number_of(fd, &st) != 0) \
		append((type_), number_of(fd, &st), (uint64_t)(offset_), \
		    (uint64_t)(length_), 0, NULL, NULL, NULL, 0, 0); \
	pthread_mutex_unlock(&lock); \
	return (result)

int
ftruncate(int fd, off_t size)
{
	REAL(int, ftruncate, int, off_t);
	CHANGE_BODY(int, real_ftruncate(fd, size), RECORD_TRUNCATE, size, 0);
}

int
ftruncate64(int fd, off_t size)
{
	return (ftruncate(fd, size));
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	REAL(int, fallocate, int, int, off_t, off_t);
	if (mode & FALLOC_FL_KEEP_SIZE && mode & FALLOC_FL_PUNCH_HOLE) {
		CHANGE_BODY(int, real_fallocate(fd, mode, at, len), RECORD_ZERO,
		    at, len);
	} else if (mode & FALLOC_FL_KEEP_SIZE) {
		return (real_fallocate(fd, mode, at, len));
	} else {
		if (mode != 0)
			blind("fallocate of an unusual mode");
		CHANGE_BODY(int, real_fallocate(fd, mode, at, len), RECORD_GROW,
		    at + len, 0);
	}
}

int
fallocate64(int fd, int mode, off_t at, off_t len)
{
	return (fallocate(fd, mode, at, len));
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	REAL(int, posix_fallocate, int, off_t, off_t);
	CHANGE_BODY(
	    int, real_posix_fallocate(fd, at, len), RECORD_GROW, at + len, 0);
}

int
posix_fallocate64(int fd, off_t at, off_t len)
{
	return (posix_fallocate(fd, at, len));
}

/* Names */

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	struct stat st;
	int result;

	REAL(int, mkdirat, int, const char *, mode_t);
	pthread_mutex_lock(&lock);
	result = real_mkdirat(dirfd, name, mode);
	if (result == 0 && below(dirfd, name, path) &&
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		append(RECORD_CREATE, number_new(st.st_ino), 0, 0, 1, path,
		    NULL, NULL, 0, 0);
	pthread_mutex_unlock(&lock);
	return (result);
}

int
mkdir(const char *name, mode_t mode)
{
	return (mkdirat(AT_FDCWD, name, mode));
}

int
unlinkat(int dirfd, const char *name, int flags)
{
	char path[PATH_MAX];
	bool inside;
	int result;

	REAL(int, unlinkat, int, const char *, int);
	pthread_mutex_lock(&lock);
	inside = below(dirfd, name, path);
	result = real_unlinkat(dirfd, name, flags);
	if (result == 0 && inside)
		append(RECORD_UNLINK, 0, 0, 0, 0, path, NULL, NULL, 0, 0);
	pthread_mutex_unlock(&lock);
	return (result);
}

int
unlink(const char *name)
{
	return (unlinkat(AT_FDCWD, name, 0));
}

int
rmdir(const char *name)
{
	return (unlinkat(AT_FDCWD, name, AT_REMOVEDIR));
}

int
remove(const char *name)
{
	struct stat st;

	if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
		return (rmdir(name));
	return (unlink(name));
}

int
linkat(int olddir, const char *old, int newdir, const char *new, int flags)
{
	char path[PATH_MAX];
	struct stat st;
	int result, follow;

	REAL(int, linkat, int, const char *, int, const char *, int);
	pthread_mutex_lock(&lock);
	result = real_linkat(olddir, old, newdir, new, flags);
	follow = (flags & AT_SYMLINK_FOLLOW) ? 0 : AT_SYMLINK_NOFOLLOW;
	if (result == 0 && below(newdir, new, path)) {
		/* the new name finds the inode, whichever way the old did */
		if (fstatat(newdir, new, &st, follow) != 0 || known_size == 0 ||
		    known_slot(st.st_ino)->file == 0)
			blind("link of a file that was not seen before");
		else
			append(RECORD_LINK, known_slot(st.st_ino)->file, 0, 0,
			    0, path, NULL, NULL, 0, 0);
	}
	pthread_mutex_unlock(&lock);
	return (result);
}

int
link(const char *old, const char *new)
{
	return (linkat(AT_FDCWD, old, AT_FDCWD, new, 0));
}

int
renameat2(int olddir, const char *old, int newdir, const char *new,
    unsigned int flags)
{
	char path1[PATH_MAX], path2[PATH_MAX];
	bool inside1, inside2;
	int result;

	REAL(
	    int, renameat2, int, const char *, int, const char *, unsigned int);
	pthread_mutex_lock(&lock);
	inside1 = below(olddir, old, path1);
	inside2 = below(newdir, new, path2);
	result = real_renameat2(olddir, old, newdir, new, flags);
	if (result == 0 && (inside1 || inside2)) {
		if (!inside1 || !inside2 || (flags & ~1u /* NOREPLACE */) != 0)
			blind("rename into, out of, or exchanging");
		else
			append(RECORD_RENAME, 0, 0, 0, 0, path1, path2, NULL, 0,
			    0);
	}
	pthread_mutex_unlock(&lock);
	return (result);
}

int
renameat(int olddir, const char *old, int newdir, const char *new)
{
	return (renameat2(olddir, old, newdir, new, 0));
}

int
rename(const char *old, const char *new)
{
	return (renameat2(AT_FDCWD, old, AT_FDCWD, new, 0));
}

/* Syncing */

static uint64_t
sync_begins(int fd, uint32_t kind, uint64_t *file)
{
	struct stat st;
	uint64_t id = 0;

	*file = 0;
	if (!candidate(fd, &st))
		return (0);
	pthread_mutex_lock(&lock);
	*file = number_of(fd, &st);
	if (*file != 0) {
		if (kind == SYNC_ALL)
			*file = 0;
		id = append(RECORD_SYNC_BEGIN, *file, 0, 0, kind, NULL, NULL,
		    NULL, 0, 0);
	}
	pthread_mutex_unlock(&lock);
	return (id);
}

static void
sync_ends(uint64_t id, uint64_t file, uint32_t kind, int result)
{
	int saved = errno;

	if (id == 0 || result != 0)
		return;
	if (delay_us > 0)
		usleep(delay_us);
	pthread_mutex_lock(&lock);
	append(RECORD_SYNC_END, file, id, 0, kind, NULL, NULL, NULL, 0, 0);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

#define SYNC_BODY(name, kind) \
	uint64_t id, file; \
	int result; \
	REAL(int, name, int); \
	id = sync_begins(fd, (kind), &file); \
	result = real_##name(fd); \
	sync_ends(id, file, (kind), result); \
	return (result)

int
fsync(int fd)
{
	SYNC_BODY(fsync, SYNC_FSYNC);
}

int
fdatasync(int fd)
{
	SYNC_BODY(fdatasync, SYNC_FDATASYNC);
}

int
syncfs(int fd)
{
	SYNC_BODY(syncfs, SYNC_ALL);
}

/* What would hide from the record */

#define BLIND_FD(ret, name, parameters, arguments) \
	ret name parameters \
	{ \
		struct stat st; \
		char path[PATH_MAX]; \
		REAL(ret, name, PARAMETERS_OF parameters); \
		if (candidate(out, &st) && fd_path(out, path)) \
			blind(#name); \
		return (real_##name arguments); \
	}
#define PARAMETERS_OF(...) __VA_ARGS__

BLIND_FD(ssize_t, copy_file_range,
    (int in, off_t *in_at, int out, off_t *out_at, size_t len,
	unsigned int flags),
    (in, in_at, out, out_at, len, flags))
BLIND_FD(ssize_t, splice,
    (int in, off_t *in_at, int out, off_t *out_at, size_t len,
	unsigned int flags),
    (in, in_at, out, out_at, len, flags))
BLIND_FD(ssize_t, sendfile, (int out, int in, off_t *at, size_t len),
    (out, in, at, len))

/* A lock file in shared memory is no data: LMDB's is remade by the first
 * process that opens it. Nor is the probe of the self-check. */
void *
mmap(void *addr, size_t len, int prot, int flags, int fd, off_t at)
{
	struct stat st;
	char path[PATH_MAX];

	REAL(void *, mmap, void *, size_t, int, int, int, off_t);
	if (fd >= 0 && (flags & MAP_SHARED) && (prot & PROT_WRITE) &&
	    candidate(fd, &st) && fd_path(fd, path) &&
	    strstr(path, "lock") == NULL && strcmp(path, "selfcheck") != 0)
		blind("writable shared mapping");
	return (real_mmap(addr, len, prot, flags, fd, at));
}

void *
mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t at)
{
	return (mmap(addr, len, prot, flags, fd, at));
}
