#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "store/selfcheck.h"

#define PROBE_NAME "selfcheck"
#define PROBE_RENAMED "selfcheck.renamed"
#define PROBE_BYTES 8192

/* Those whose owner may differ from the directory's, e.g. after one start as
 * root. "." first. */
static const char *const written_to[] = { ".", "extents", "tmp", "index",
	"index/data.mdb", "index/lock.mdb", "copies", "lock", "reserve",
	"generation" };

/* fstatat(), also of "." in a directory that may not be searched. */
static int
look(int data_dirfd, const char *name, struct stat *st)
{
	if (strcmp(name, ".") == 0)
		return fstat(data_dirfd, st);
	return fstatat(data_dirfd, name, st, 0);
}

/* Why access() said no, and what to do. */
static int
explain_access(int data_dirfd, const char *name, const char *dir, int cause,
    struct error *err)
{
	const char *slash = strcmp(name, ".") == 0 ? "" : "/";
	const char *rest = strcmp(name, ".") == 0 ? "" : name;
	unsigned uid = geteuid(), gid = getegid();
	struct stat st;

	if (cause == EROFS)
		return error_set(err, ERR_READ_ONLY,
		    "the file system of %s is read-only: mount it for writing "
		    "(after a disk error, see dmesg and repair it first)",
		    dir);
	if (cause != EACCES || look(data_dirfd, name, &st) != 0)
		return error_sys(
		    err, cause, "cannot use %s%s%s", dir, slash, rest);
	if (st.st_uid != uid)
		return error_set(err, ERR_INVALID,
		    "%s%s%s belongs to uid %u, but holdfast runs as uid %u: "
		    "chown "
		    "-R %u:%u %s, or run it as uid %u",
		    dir, slash, rest, (unsigned)st.st_uid, uid, uid, gid, dir,
		    (unsigned)st.st_uid);
	return error_set(err, ERR_INVALID,
	    "%s%s%s has mode %04o, so that even its owner (uid %u) cannot use "
	    "it: "
	    "chmod -R u+rwX %s",
	    dir, slash, rest, (unsigned)(st.st_mode & 07777), uid, dir);
}

int
selfcheck_access(int data_dirfd, const char *dir, struct error *err)
{
	struct stat st;
	size_t i;
	int mode;

	if (fstat(data_dirfd, &st) != 0)
		return error_sys(err, errno, "cannot look at %s", dir);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERR_INVALID,
		    "%s is not a directory: --data wants one", dir);
	for (i = 0; i < sizeof(written_to) / sizeof(written_to[0]); i++) {
		if (look(data_dirfd, written_to[i], &st) != 0)
			continue; /* not there yet, or explained by its parent
				   */
		mode = R_OK | W_OK | (S_ISDIR(st.st_mode) ? X_OK : 0);
		if (faccessat(data_dirfd, written_to[i], mode, AT_EACCESS) != 0)
			return explain_access(
			    data_dirfd, written_to[i], dir, errno, err);
		if (i == 0 && (st.st_mode & S_IWOTH) != 0)
			log_line(LOG_WARN, "store.selfcheck",
			    "every user of this machine can change %s: chmod "
			    "o-w "
			    "%s",
			    dir, dir);
	}
	return 0;
}

/* File systems that work, but should be chosen knowingly. */
static const struct {
	unsigned type;
	enum log_level level;
	const char *what;
} file_systems[] = {
	{ TMPFS_MAGIC, LOG_WARN,
	    "lies in memory: nothing in it survives a restart of the machine" },
	{ RAMFS_MAGIC, LOG_WARN,
	    "lies in memory: nothing in it survives a restart of the machine" },
	{ OVERLAYFS_SUPER_MAGIC, LOG_WARN,
	    "lies in a container's own layer and is lost with the container: "
	    "mount a volume there" },
	{ NFS_SUPER_MAGIC, LOG_INFO,
	    "lies on NFS: a sync is as good as that server's" },
	{ SMB2_SUPER_MAGIC, LOG_WARN,
	    "lies on SMB, which holdfast is not tested on" },
	{ FUSE_SUPER_MAGIC, LOG_INFO,
	    "lies on FUSE: a sync is as good as that program's" },
};

static void
tell_file_system(int data_dirfd, const char *dir)
{
	struct statfs fs;
	size_t i;

	if (fstatfs(data_dirfd, &fs) != 0)
		return;
	for (i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++)
		if ((unsigned)fs.f_type == file_systems[i].type)
			log_line(file_systems[i].level, "store.selfcheck",
			    "%s %s", dir, file_systems[i].what);
}

/* ---- steps: each 0, or -1 and errno ---- */

struct probe {
	int data_fd, fd;
	char bytes[PROBE_BYTES];
};

static int
step_create(struct probe *p)
{
	p->fd = openat(p->data_fd, PROBE_NAME,
	    O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	return p->fd == -1 ? -1 : 0;
}

static int
step_write(struct probe *p)
{
	ssize_t n = pwrite(p->fd, p->bytes, PROBE_BYTES, 0);

	if (n >= 0 && n != PROBE_BYTES)
		errno = ENOSPC;
	return n == PROBE_BYTES ? 0 : -1;
}

static int
step_sync(struct probe *p)
{
	return fdatasync(p->fd);
}

static int
step_read(struct probe *p)
{
	char bytes[PROBE_BYTES];

	errno = EIO;
	return pread(p->fd, bytes, PROBE_BYTES, 0) == PROBE_BYTES &&
		memcmp(bytes, p->bytes, PROBE_BYTES) == 0
	    ? 0
	    : -1;
}

/* The index is read through a shared map and written with pwrite(). */
static int
step_map(struct probe *p)
{
	char *map;
	int same;

	map = mmap(
	    NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (map == MAP_FAILED)
		return -1;
	p->bytes[PROBE_BYTES / 2] ^= 1;
	same = pwrite(p->fd, p->bytes, PROBE_BYTES, 0) == PROBE_BYTES &&
	    memcmp(map, p->bytes, PROBE_BYTES) == 0;
	munmap(map, PROBE_BYTES);
	errno = EIO;
	return same ? 0 : -1;
}

static int
step_rename(struct probe *p)
{
	return renameat(p->data_fd, PROBE_NAME, p->data_fd, PROBE_RENAMED);
}

static int
step_remove(struct probe *p)
{
	return unlinkat(p->data_fd, PROBE_RENAMED, 0);
}

static int
step_sync_directory(struct probe *p)
{
	return fsync(p->data_fd);
}

static const struct {
	int (*run)(struct probe *);
	const char *what, *remedy;
} steps[] = {
	{ step_create, "make a file",
	    "check its owner, mode and mount options" },
	{ step_write, "write to a file", "check the disk and its quota" },
	{ step_sync, "sync a file",
	    "use a file system that can, since without it a power cut loses "
	    "backups" },
	{ step_read, "read back what was written",
	    "do not use this disk: check it, and see dmesg" },
	{ step_map, "map a file into memory",
	    "use a local file system, or NFS, which can" },
	{ step_rename, "rename a file", "check its mount options" },
	{ step_remove, "remove a file", "check its mount options" },
	{ step_sync_directory, "sync a directory",
	    "use a file system that can, since without it a power cut loses "
	    "backups" },
};

int
selfcheck_disk(int data_dirfd, const char *dir, struct error *err)
{
	struct probe p = { .data_fd = data_dirfd, .fd = -1 };
	struct error cause = ERROR_INIT;
	size_t i;
	int rc = 0;

	memset(p.bytes, 0x5a, sizeof(p.bytes));
	tell_file_system(data_dirfd, dir);
	/* What a check that was killed left behind. */
	(void)unlinkat(data_dirfd, PROBE_NAME, 0);
	(void)unlinkat(data_dirfd, PROBE_RENAMED, 0);

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].run(&p) == 0)
			continue;
		error_sys(&cause, errno, "cannot %s in %s", steps[i].what, dir);
		if (cause.kind == ERR_DISK_FULL)
			log_line(LOG_WARN, "store.selfcheck", "%s", cause.text);
		else
			rc = error_set(err, cause.kind, "%s: %s", cause.text,
			    steps[i].remedy);
		break;
	}

	if (p.fd != -1)
		close(p.fd);
	(void)unlinkat(data_dirfd, PROBE_NAME, 0);
	(void)unlinkat(data_dirfd, PROBE_RENAMED, 0);
	return rc;
}
