/*
 * A preloaded fault injector: the N-th call of a kind, on a file whose path
 * has some text in it, fails as the test says. The test and the process share
 * one mapped page, so a fault can be armed, counted and disarmed while the
 * process runs.
 *
 *	HOLDFAST_INJECT		the file of the page; nothing happens without it
 *
 * test_fault.py writes the page, and knows its layout: struct page below. An
 * armed fault counts the calls that match, whatever thread makes them, and
 * strikes those numbered first .. first + times - 1.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The kinds; test_fault.py has the same list. Variants of a call are one. */
enum kind {
	KIND_OPEN = 1,
	KIND_WRITE,
	KIND_READ,
	KIND_FDATASYNC,
	KIND_FSYNC,
	KIND_LINK,
	KIND_UNLINK,
	KIND_TRUNCATE,
	KIND_FALLOCATE,
	KIND_MKDIR,
	KIND_RENAME,
	KIND_STAT,
	KIND_STATVFS,
	KIND_MMAP,
	KIND_SENDFILE,
	KIND_ACCEPT,
	KIND_ALLOCATE,
	KIND_DUP,
};

/* error 0 makes a transfer short: half of it, at least one byte. */
struct page {
	_Atomic uint32_t armed;
	uint32_t kind;
	uint64_t first;
	uint64_t times;
	int32_t error;
	uint32_t reserved;
	_Atomic uint64_t seen;    /* matching calls since it was armed */
	_Atomic uint64_t struck;  /* of them, made to fail */
	_Atomic uint64_t address; /* the last one's caller, in its object */
	char object[128];         /* that object's file */
	char text[256];           /* in the path; empty: any file */
};

static struct page *page;
/* inside this library; initial-exec, for a lazy one would allocate */
static _Thread_local int busy __attribute__((tls_model("initial-exec")));

#define REAL(ret, name, ...) \
	static ret (*real_##name)(__VA_ARGS__); \
	if (real_##name == NULL) { \
		busy++; \
		*(void **)&real_##name = dlsym(RTLD_NEXT, #name); \
		busy--; \
	}

#define CALLER __builtin_return_address(0)

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("HOLDFAST_INJECT");
	void *at;
	int fd;

	if (path == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		abort();
	at = (void *)syscall(SYS_mmap, NULL, sizeof(*page),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
	page = at;
}

/* Whether this call is to fail; NAME may be NULL, and then FD (if any) tells
 * the path. */
static bool
strikes(enum kind kind, int fd, const char *name, void *caller)
{
	char proc[64], path[PATH_MAX];
	struct page *p = page;
	uint64_t number;
	ssize_t n;
	Dl_info info;

	if (p == NULL || busy > 0 || !atomic_load(&p->armed) || p->kind != kind)
		return (false);
	if (p->text[0] != '\0' && kind != KIND_ALLOCATE) {
		if (name == NULL) {
			snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
			n = syscall(SYS_readlinkat, AT_FDCWD, proc, path,
			    sizeof(path) - 1);
			path[n < 0 ? 0 : n] = '\0';
			name = path;
		} else if (name[0] != '/' && fd != AT_FDCWD) {
			snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
			n = syscall(SYS_readlinkat, AT_FDCWD, proc, path,
			    sizeof(path) / 2);
			n = n < 0 ? 0 : n;
			snprintf(
			    path + n, sizeof(path) - (size_t)n, "/%s", name);
			name = path;
		}
		if (strstr(name, p->text) == NULL)
			return (false);
	}
	number = atomic_fetch_add(&p->seen, 1) + 1;
	if (number < p->first || number - p->first >= p->times)
		return (false);
	atomic_fetch_add(&p->struck, 1);
	busy++;
	if (dladdr(caller, &info) != 0) {
		atomic_store(&p->address,
		    (uint64_t)((char *)caller - (char *)info.dli_fbase));
		strncpy(p->object, info.dli_fname ? info.dli_fname : "",
		    sizeof(p->object) - 1);
	}
	busy--;
	if (p->error != 0)
		errno = p->error;
	return (true);
}

/* How much of a transfer is done when it is to be short. */
static size_t
half(size_t len)
{
	return (len > 1 ? len / 2 : len);
}

#define FAIL_IF(kind, fd, name) \
	do { \
		if (strikes((kind), (fd), (name), CALLER)) { \
			if (page->error == 0) \
				errno = EIO; \
			return (-1); \
		} \
	} while (0)

/* Files by name */

static int
open_(int dirfd, const char *name, int flags, mode_t mode, void *caller)
{
	if (strikes(KIND_OPEN, dirfd, name, caller)) {
		if (page->error == 0)
			errno = EIO;
		return (-1);
	}
	return ((int)syscall(SYS_openat, dirfd, name, flags, mode));
}

#define OPEN_BODY(dirfd) \
	mode_t mode = 0; \
	va_list ap; \
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
		va_start(ap, flags); \
		mode = va_arg(ap, mode_t); \
		va_end(ap); \
	} \
	return (open_(dirfd, name, flags, mode, CALLER))

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

/* what the fortified headers call */
int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void *, size_t, off_t, size_t);

int
__open_2(const char *name, int flags)
{
	return (open_(AT_FDCWD, name, flags, 0, CALLER));
}

int
__open64_2(const char *name, int flags)
{
	return (open_(AT_FDCWD, name, flags, 0, CALLER));
}

int
__openat_2(int dirfd, const char *name, int flags)
{
	return (open_(dirfd, name, flags, 0, CALLER));
}

int
__openat64_2(int dirfd, const char *name, int flags)
{
	return (open_(dirfd, name, flags, 0, CALLER));
}

int
linkat(int olddir, const char *old, int newdir, const char *new, int flags)
{
	REAL(int, linkat, int, const char *, int, const char *, int);
	FAIL_IF(KIND_LINK, newdir, new);
	return (real_linkat(olddir, old, newdir, new, flags));
}

int
link(const char *old, const char *new)
{
	REAL(int, link, const char *, const char *);
	FAIL_IF(KIND_LINK, AT_FDCWD, new);
	return (real_link(old, new));
}

int
unlinkat(int dirfd, const char *name, int flags)
{
	REAL(int, unlinkat, int, const char *, int);
	FAIL_IF(KIND_UNLINK, dirfd, name);
	return (real_unlinkat(dirfd, name, flags));
}

int
unlink(const char *name)
{
	REAL(int, unlink, const char *);
	FAIL_IF(KIND_UNLINK, AT_FDCWD, name);
	return (real_unlink(name));
}

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	REAL(int, mkdirat, int, const char *, mode_t);
	FAIL_IF(KIND_MKDIR, dirfd, name);
	return (real_mkdirat(dirfd, name, mode));
}

int
mkdir(const char *name, mode_t mode)
{
	REAL(int, mkdir, const char *, mode_t);
	FAIL_IF(KIND_MKDIR, AT_FDCWD, name);
	return (real_mkdir(name, mode));
}

int
renameat(int olddir, const char *old, int newdir, const char *new)
{
	REAL(int, renameat, int, const char *, int, const char *);
	FAIL_IF(KIND_RENAME, newdir, new);
	return (real_renameat(olddir, old, newdir, new));
}

int
rename(const char *old, const char *new)
{
	REAL(int, rename, const char *, const char *);
	FAIL_IF(KIND_RENAME, AT_FDCWD, new);
	return (real_rename(old, new));
}

/* Transfers. A short one is done for its first half. */

#define TRANSFER(kind, fd, len, call, short_call) \
	do { \
		if (strikes((kind), (fd), NULL, CALLER)) { \
			if (page->error != 0) \
				return (-1); \
			if ((len) > 0) \
				return (short_call); \
		} \
		return (call); \
	} while (0)

ssize_t
write(int fd, const void *bytes, size_t len)
{
	REAL(ssize_t, write, int, const void *, size_t);
	TRANSFER(KIND_WRITE, fd, len, real_write(fd, bytes, len),
	    real_write(fd, bytes, half(len)));
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	TRANSFER(KIND_WRITE, fd, len, real_pwrite(fd, bytes, len, at),
	    real_pwrite(fd, bytes, half(len), at));
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
	REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
	TRANSFER(KIND_WRITE, fd, len, real_pwrite64(fd, bytes, len, at),
	    real_pwrite64(fd, bytes, half(len), at));
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	REAL(ssize_t, writev, int, const struct iovec *, int);
	REAL(ssize_t, write, int, const void *, size_t);
	TRANSFER(KIND_WRITE, fd, iov[0].iov_len, real_writev(fd, iov, count),
	    real_write(fd, iov[0].iov_base, half(iov[0].iov_len)));
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	TRANSFER(KIND_WRITE, fd, iov[0].iov_len,
	    real_pwritev(fd, iov, count, at),
	    real_pwrite(fd, iov[0].iov_base, half(iov[0].iov_len), at));
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off_t at)
{
	REAL(ssize_t, pwritev64, int, const struct iovec *, int, off_t);
	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	TRANSFER(KIND_WRITE, fd, iov[0].iov_len,
	    real_pwritev64(fd, iov, count, at),
	    real_pwrite(fd, iov[0].iov_base, half(iov[0].iov_len), at));
}

ssize_t
read(int fd, void *bytes, size_t len)
{
	REAL(ssize_t, read, int, void *, size_t);
	TRANSFER(KIND_READ, fd, len, real_read(fd, bytes, len),
	    real_read(fd, bytes, half(len)));
}

ssize_t
__read_chk(int fd, void *bytes, size_t len, size_t room)
{
	REAL(ssize_t, __read_chk, int, void *, size_t, size_t);
	TRANSFER(KIND_READ, fd, len, real___read_chk(fd, bytes, len, room),
	    real___read_chk(fd, bytes, half(len), room));
}

ssize_t
pread(int fd, void *bytes, size_t len, off_t at)
{
	REAL(ssize_t, pread, int, void *, size_t, off_t);
	TRANSFER(KIND_READ, fd, len, real_pread(fd, bytes, len, at),
	    real_pread(fd, bytes, half(len), at));
}

ssize_t
pread64(int fd, void *bytes, size_t len, off_t at)
{
	REAL(ssize_t, pread64, int, void *, size_t, off_t);
	TRANSFER(KIND_READ, fd, len, real_pread64(fd, bytes, len, at),
	    real_pread64(fd, bytes, half(len), at));
}

ssize_t
__pread_chk(int fd, void *bytes, size_t len, off_t at, size_t room)
{
	REAL(ssize_t, __pread_chk, int, void *, size_t, off_t, size_t);
	TRANSFER(KIND_READ, fd, len, real___pread_chk(fd, bytes, len, at, room),
	    real___pread_chk(fd, bytes, half(len), at, room));
}

ssize_t
__pread64_chk(int fd, void *bytes, size_t len, off_t at, size_t room)
{
	REAL(ssize_t, __pread64_chk, int, void *, size_t, off_t, size_t);
	TRANSFER(KIND_READ, fd, len,
	    real___pread64_chk(fd, bytes, len, at, room),
	    real___pread64_chk(fd, bytes, half(len), at, room));
}

ssize_t
readv(int fd, const struct iovec *iov, int count)
{
	REAL(ssize_t, readv, int, const struct iovec *, int);
	REAL(ssize_t, read, int, void *, size_t);
	TRANSFER(KIND_READ, fd, iov[0].iov_len, real_readv(fd, iov, count),
	    real_read(fd, iov[0].iov_base, half(iov[0].iov_len)));
}

ssize_t
preadv2(int fd, const struct iovec *iov, int count, off_t at, int how)
{
	REAL(ssize_t, preadv2, int, const struct iovec *, int, off_t, int);
	REAL(ssize_t, pread, int, void *, size_t, off_t);
	TRANSFER(KIND_READ, fd, iov[0].iov_len,
	    real_preadv2(fd, iov, count, at, how),
	    real_pread(fd, iov[0].iov_base, half(iov[0].iov_len), at));
}

ssize_t
preadv64v2(int fd, const struct iovec *iov, int count, off_t at, int how)
{
	REAL(ssize_t, preadv64v2, int, const struct iovec *, int, off_t, int);
	REAL(ssize_t, pread, int, void *, size_t, off_t);
	TRANSFER(KIND_READ, fd, iov[0].iov_len,
	    real_preadv64v2(fd, iov, count, at, how),
	    real_pread(fd, iov[0].iov_base, half(iov[0].iov_len), at));
}

ssize_t
sendfile(int out, int in, off_t *at, size_t len)
{
	REAL(ssize_t, sendfile, int, int, off_t *, size_t);
	TRANSFER(KIND_SENDFILE, in, len, real_sendfile(out, in, at, len),
	    real_sendfile(out, in, at, half(len)));
}

ssize_t
sendfile64(int out, int in, off_t *at, size_t len)
{
	REAL(ssize_t, sendfile64, int, int, off_t *, size_t);
	TRANSFER(KIND_SENDFILE, in, len, real_sendfile64(out, in, at, len),
	    real_sendfile64(out, in, at, half(len)));
}

ssize_t
recv(int fd, void *bytes, size_t len, int flags)
{
	REAL(ssize_t, recv, int, void *, size_t, int);
	TRANSFER(KIND_READ, fd, len, real_recv(fd, bytes, len, flags),
	    real_recv(fd, bytes, half(len), flags));
}

ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	TRANSFER(KIND_WRITE, fd, len, real_send(fd, bytes, len, flags),
	    real_send(fd, bytes, half(len), flags));
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	REAL(ssize_t, recvmsg, int, struct msghdr *, int);
	REAL(ssize_t, recv, int, void *, size_t, int);
	TRANSFER(KIND_READ, fd, msg->msg_iov[0].iov_len,
	    real_recvmsg(fd, msg, flags),
	    real_recv(fd, msg->msg_iov[0].iov_base,
		half(msg->msg_iov[0].iov_len), flags));
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
	REAL(ssize_t, send, int, const void *, size_t, int);
	TRANSFER(KIND_WRITE, fd, msg->msg_iov[0].iov_len,
	    real_sendmsg(fd, msg, flags),
	    real_send(fd, msg->msg_iov[0].iov_base,
		half(msg->msg_iov[0].iov_len), flags));
}

/* Open files */

int
fdatasync(int fd)
{
	REAL(int, fdatasync, int);
	FAIL_IF(KIND_FDATASYNC, fd, NULL);
	return (real_fdatasync(fd));
}

int
fsync(int fd)
{
	REAL(int, fsync, int);
	FAIL_IF(KIND_FSYNC, fd, NULL);
	return (real_fsync(fd));
}

int
ftruncate(int fd, off_t size)
{
	REAL(int, ftruncate, int, off_t);
	FAIL_IF(KIND_TRUNCATE, fd, NULL);
	return (real_ftruncate(fd, size));
}

int
ftruncate64(int fd, off_t size)
{
	REAL(int, ftruncate64, int, off_t);
	FAIL_IF(KIND_TRUNCATE, fd, NULL);
	return (real_ftruncate64(fd, size));
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	REAL(int, fallocate, int, int, off_t, off_t);
	FAIL_IF(KIND_FALLOCATE, fd, NULL);
	return (real_fallocate(fd, mode, at, len));
}

int
fallocate64(int fd, int mode, off_t at, off_t len)
{
	REAL(int, fallocate64, int, int, off_t, off_t);
	FAIL_IF(KIND_FALLOCATE, fd, NULL);
	return (real_fallocate64(fd, mode, at, len));
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	REAL(int, posix_fallocate, int, off_t, off_t);
	if (strikes(KIND_FALLOCATE, fd, NULL, CALLER))
		return (page->error ? page->error : EIO);
	return (real_posix_fallocate(fd, at, len));
}

int
fstat(int fd, struct stat *st)
{
	REAL(int, fstat, int, struct stat *);
	FAIL_IF(KIND_STAT, fd, NULL);
	return (real_fstat(fd, st));
}

int
fstatat(int dirfd, const char *name, struct stat *st, int flags)
{
	REAL(int, fstatat, int, const char *, struct stat *, int);
	FAIL_IF(KIND_STAT, dirfd, name);
	return (real_fstatat(dirfd, name, st, flags));
}

int
stat(const char *name, struct stat *st)
{
	REAL(int, stat, const char *, struct stat *);
	FAIL_IF(KIND_STAT, AT_FDCWD, name);
	return (real_stat(name, st));
}

int
statvfs(const char *name, struct statvfs *st)
{
	REAL(int, statvfs, const char *, struct statvfs *);
	FAIL_IF(KIND_STATVFS, AT_FDCWD, name);
	return (real_statvfs(name, st));
}

int
fstatvfs(int fd, struct statvfs *st)
{
	REAL(int, fstatvfs, int, struct statvfs *);
	FAIL_IF(KIND_STATVFS, fd, NULL);
	return (real_fstatvfs(fd, st));
}

void *
mmap(void *addr, size_t len, int prot, int flags, int fd, off_t at)
{
	if (strikes(KIND_MMAP, fd, NULL, CALLER)) {
		errno = page->error ? page->error : ENOMEM;
		return (MAP_FAILED);
	}
	return ((void *)syscall(SYS_mmap, addr, len, prot, flags, fd, at));
}

int
accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
	FAIL_IF(KIND_ACCEPT, fd, NULL);
	return (real_accept4(fd, address, len, flags));
}

int
dup(int fd)
{
	REAL(int, dup, int);
	FAIL_IF(KIND_DUP, fd, NULL);
	return (real_dup(fd));
}

/* Memory. libc's own entry points, since dlsym() allocates. */

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static void *
no_memory(void)
{
	errno = ENOMEM;
	return (NULL);
}

void *
malloc(size_t size)
{
	if (strikes(KIND_ALLOCATE, -1, NULL, CALLER))
		return (no_memory());
	return (__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
	if (strikes(KIND_ALLOCATE, -1, NULL, CALLER))
		return (no_memory());
	return (__libc_calloc(count, size));
}

void *
realloc(void *old, size_t size)
{
	if (strikes(KIND_ALLOCATE, -1, NULL, CALLER))
		return (no_memory());
	return (__libc_realloc(old, size));
}

int
posix_memalign(void **out, size_t alignment, size_t size)
{
	void *at;

	if (strikes(KIND_ALLOCATE, -1, NULL, CALLER))
		return (ENOMEM);
	at = __libc_memalign(alignment, size);
	if (at == NULL)
		return (ENOMEM);
	*out = at;
	return (0);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	if (strikes(KIND_ALLOCATE, -1, NULL, CALLER))
		return (no_memory());
	return (__libc_memalign(alignment, size));
}
