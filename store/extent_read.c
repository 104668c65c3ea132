#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/openat2.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "store/extent_private.h"

/* One read at the file's end has the footer, and of most files also the owner
 * and the whole block table. */
#define TAIL_BYTES 4096

/* How much of a block table is kept: that of 64 MiB, 4 KiB of memory. */
#define WINDOW_BLOCKS 1024

/* From this size on the kernel is told that reading goes on. */
#define SEQUENTIAL_BYTES (4 * 1024 * 1024)

/* How coarsely it is remembered when a file was read last. */
#define TOUCH_S 3600

struct extent_reader {
	int fd;
	int64_t read_s; /* the access time when it was opened */
	int direct_fd;  /* the same file past the page cache; -1: none */
	uint64_t id;
	struct extent_footer footer;
	uint64_t blocks;
	/* The part of the block table that is in memory, as it is in the file.
	 */
	uint64_t window_first, window_n, window_room;
	uint8_t window[];
};

/* pread_full(), or -2 when the bytes are not in the page cache. */
static int
read_at(int fd, void *bytes, size_t len, uint64_t offset, int nowait,
    struct error *err)
{
	struct iovec part = { bytes, len };
	ssize_t n;

	if (!nowait)
		return pread_full(fd, bytes, len, offset, err);
	n = preadv2(fd, &part, 1, (off_t)offset, RWF_NOWAIT);
	if (n == (ssize_t)len)
		return 0;
	/* A short read, EAGAIN, EOPNOTSUPP, EINTR, even an error: whoever waits
	 * finds out what it is. */
	return -2;
}

/* The footer, and what else of the trailer is at hand. -2: would block. */
static int
read_trailer(int fd, uint64_t id, int nowait, struct extent_reader **reader,
    struct error *err)
{
	struct extent_footer f;
	struct extent_reader *r;
	struct stat st;
	uint8_t tail[TAIL_BYTES];
	uint64_t file_len, tail_at, blocks, room;
	size_t tail_len;
	int rc;

	if (fstat(fd, &st) != 0)
		return error_sys(err, errno, "cannot look at the file");
	file_len = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || file_len < EXTENT_FOOTER_BYTES)
		return error_set(
		    err, ERR_DAMAGED, "the file is too short for an extent");

	tail_len = file_len < TAIL_BYTES ? (size_t)file_len : TAIL_BYTES;
	tail_at = file_len - tail_len;
	if ((rc = read_at(fd, tail, tail_len, tail_at, nowait, err)) != 0)
		return rc;
	if (extent_footer_decode(tail + tail_len - EXTENT_FOOTER_BYTES,
		file_len, id, &f, err) != 0)
		return -1;

	blocks = extent_blocks(f.size);
	room = blocks < WINDOW_BLOCKS ? blocks : WINDOW_BLOCKS;
	if ((r = malloc(sizeof(*r) + (size_t)room * 4)) == NULL)
		return error_nomem(err);
	r->fd = fd;
	r->read_s = st.st_atim.tv_sec;
	r->direct_fd = -1;
	r->id = id;
	r->footer = f;
	r->blocks = blocks;
	r->window_first = r->window_n = 0;
	r->window_room = room;
	if (room == blocks && f.size >= tail_at) {
		memcpy(
		    r->window, tail + (f.size - tail_at), (size_t)blocks * 4);
		r->window_n = blocks;
	}
	*reader = r;
	return 0;
}

struct extent_reader *
extent_reader_of(
    int fd, uint64_t id, int nowait, int *would_block, struct error *err)
{
	struct extent_reader *r = NULL;
	int rc;

	rc = read_trailer(fd, id, nowait, &r, err);
	if (rc != 0) {
		if (would_block != NULL)
			*would_block = rc == -2;
		close(fd);
		return NULL;
	}
	if (r->footer.size >= SEQUENTIAL_BYTES)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return r;
}

#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW)

/* Reading alone is not to change the access time: see extent_touch(). Whoever
 * does not own the file may not ask for that. */
static int
open_plain(int at, const char *path, int flags)
{
	int fd;

	fd = openat(at, path, READ_FLAGS | flags | O_NOATIME);
	if (fd == -1 && errno == EPERM)
		fd = openat(at, path, READ_FLAGS | flags);
	return fd;
}

/* Opens without waiting for a directory or inode to be read; -1 and EAGAIN if
 * that would be needed. An old kernel opens as usual. */
static int
open_cached(int at, const char *path)
{
	struct open_how how = { .flags = READ_FLAGS | O_NOATIME,
		.resolve = RESOLVE_CACHED };
	long fd;

	fd = syscall(SYS_openat2, at, path, &how, sizeof(how));
	if (fd >= 0 || (errno != ENOSYS && errno != EINVAL && errno != EPERM))
		return (int)fd;
	return open_plain(at, path, 0);
}

static struct extent_reader *
open_reader(struct extent_dir *d, uint64_t id, int nowait, int *would_block,
    struct error *err)
{
	struct extent_reader *r = NULL;
	char path[EXTENT_PATH_BYTES];
	int fd;

	extent_path(id, path);
	if (nowait)
		fd = open_cached(d->extents_fd, path);
	else
		fd = open_plain(d->extents_fd, path, 0);
	if (fd != -1)
		r = extent_reader_of(fd, id, nowait, would_block, err);
	else if (nowait && errno == EAGAIN)
		*would_block = 1;
	else if (errno == ENOENT)
		error_set(
		    err, ERR_NOT_FOUND, "there is no file extents/%s", path);
	else
		error_sys(err, errno, "cannot open extents/%s", path);
	if (r == NULL && !(nowait && *would_block))
		error_add(err, "extent %" PRIu64, id);
	return r;
}

struct extent_reader *
extent_open(struct extent_dir *d, uint64_t id, struct error *err)
{
	return open_reader(d, id, 0, NULL, err);
}

struct extent_reader *
extent_open_nowait(
    struct extent_dir *d, uint64_t id, int *would_block, struct error *err)
{
	*would_block = 0;
	return open_reader(d, id, 1, would_block, err);
}

struct extent_reader *
extent_open_direct(struct extent_dir *d, uint64_t id, struct error *err)
{
	struct extent_reader *r;
	char path[EXTENT_PATH_BYTES];

	if ((r = extent_open(d, id, err)) == NULL)
		return NULL;
	extent_path(id, path);
	/* Not every file system can; then it is read as always. */
	r->direct_fd = open_plain(d->extents_fd, path, O_DIRECT);
	return r;
}

void
extent_close(struct extent_reader *r)
{
	if (r == NULL)
		return;
	if (r->direct_fd != -1)
		close(r->direct_fd);
	close(r->fd);
	free(r);
}

uint64_t
extent_reader_size(const struct extent_reader *r)
{
	return r->footer.size;
}

int
extent_is_shed(const struct extent_reader *r)
{
	return r->footer.shed;
}

void
extent_touch(struct extent_reader *r)
{
	struct timespec times[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	int64_t now = time(NULL);

	if (now >= r->read_s && now - r->read_s < TOUCH_S)
		return;
	r->read_s = now;
	(void)futimens(r->fd, times);
}

int
extent_reader_fd(const struct extent_reader *r)
{
	return r->fd;
}

/* Has the table's entries from `block` on in the window, at least one. */
static int
window_move(
    struct extent_reader *r, uint64_t block, int nowait, struct error *err)
{
	uint64_t n;
	int rc;

	if (block >= r->window_first && block - r->window_first < r->window_n)
		return 0;
	n = r->blocks - block;
	if (n > r->window_room)
		n = r->window_room;
	r->window_n = 0;
	rc = read_at(r->fd, r->window, (size_t)n * 4,
	    r->footer.size + block * 4, nowait, err);
	if (rc != 0)
		return rc;
	r->window_first = block;
	r->window_n = n;
	return 0;
}

/* 0; -1 and *err; -2: would block. */
static int
verify_block(struct extent_reader *r, uint64_t block, const char *bytes,
    size_t len, int nowait, struct error *err)
{
	uint32_t crc, expected;
	int rc;

	if ((rc = window_move(r, block, nowait, err)) != 0)
		return rc;
	expected = be32_get(r->window + (block - r->window_first) * 4);
	crc = crc32c(0, bytes, len);
	if (crc != expected)
		return error_set(err, ERR_DAMAGED,
		    "block %" PRIu64 " has checksum %08x, expected %08x", block,
		    (unsigned)crc, (unsigned)expected);
	return 0;
}

/* Reads data past the page cache if that is possible. 0, or 1 when it is not:
 * then the usual way will, or tell why not. */
static int
read_direct(struct extent_reader *r, char *bytes, size_t len, uint64_t offset)
{
	size_t whole;
	ssize_t n;

	if (r->direct_fd == -1)
		return 1;
	whole =
	    (len + EXTENT_ALIGNMENT - 1) / EXTENT_ALIGNMENT * EXTENT_ALIGNMENT;
	n = pread(r->direct_fd, bytes, whole, (off_t)offset);
	return n >= (ssize_t)len ? 0 : 1;
}

long
extent_read_blocks(struct extent_reader *r, uint64_t first, size_t n,
    void *memory, int nowait, uint64_t *bad_block, struct error *err)
{
	char *p = memory;
	uint64_t offset;
	size_t i, len, block_len;
	int rc;

	*bad_block = first;
	if (n == 0 || first >= r->blocks || n > r->blocks - first)
		return error_set(err, ERR_INTERNAL,
		    "extent %" PRIu64 ": blocks %" PRIu64 " + %zu of %" PRIu64,
		    r->id, first, n, r->blocks);
	if (r->footer.shed)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 ": its data is not here", r->id);
	offset = first * EXTENT_BLOCK_BYTES;
	len = n * EXTENT_BLOCK_BYTES;
	if (len > r->footer.size - offset)
		len = (size_t)(r->footer.size - offset);

	if (read_direct(r, p, len, offset) != 0 &&
	    (rc = read_at(r->fd, p, len, offset, nowait, err)) != 0)
		goto fail;
	for (i = 0; i < n; i++) {
		*bad_block = first + i;
		block_len = len - i * EXTENT_BLOCK_BYTES;
		if (block_len > EXTENT_BLOCK_BYTES)
			block_len = EXTENT_BLOCK_BYTES;
		rc = verify_block(r, first + i, p + i * EXTENT_BLOCK_BYTES,
		    block_len, nowait, err);
		if (rc != 0)
			goto fail;
	}
	return (long)len;

fail:
	if (rc == -1)
		error_add(err, "extent %" PRIu64, r->id);
	return rc;
}

int
extent_verify_block(struct extent_reader *r, uint64_t block, const void *bytes,
    size_t len, struct error *err)
{
	uint64_t offset = block * EXTENT_BLOCK_BYTES;

	if (block >= r->blocks || len > EXTENT_BLOCK_BYTES ||
	    (len < EXTENT_BLOCK_BYTES && offset + len != r->footer.size))
		return error_set(err, ERR_INTERNAL,
		    "extent %" PRIu64 ": %zu bytes for block %" PRIu64, r->id,
		    len, block);
	return verify_block(r, block, bytes, len, 0, err);
}

int
extent_table(struct extent_reader *r, uint64_t first, size_t n, void *table,
    struct error *err)
{
	if (first > r->blocks || n > r->blocks - first)
		return error_set(err, ERR_INTERNAL,
		    "extent %" PRIu64 ": entries %" PRIu64 " + %zu of %" PRIu64,
		    r->id, first, n, r->blocks);
	if (pread_full(r->fd, table, n * 4, r->footer.size + first * 4, err) !=
	    0)
		return error_add(err, "extent %" PRIu64, r->id);
	return 0;
}

int
extent_owner(struct extent_reader *r, struct buffer *owner, struct error *err)
{
	size_t before = owner->len;
	uint32_t len = r->footer.owner_len;

	if (buffer_reserve(owner, (size_t)len + 1) != 0)
		return error_nomem(err);
	if (pread_full(r->fd, owner->at + before, len,
		r->footer.size + r->blocks * 4, err) != 0)
		return error_add(err, "extent %" PRIu64, r->id);
	if (crc32c(0, owner->at + before, len) != r->footer.owner_crc)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64
		    ": what says whose bytes these are fails its checksum",
		    r->id);
	owner->len += len;
	return 0;
}

int
extent_check_trailer(struct extent_reader *r, struct error *err)
{
	struct buffer owner = BUFFER_INIT;
	uint64_t block;
	uint32_t crc = 0;
	int rc;

	rc = extent_owner(r, &owner, err);
	buffer_free(&owner);
	if (rc != 0)
		return -1;

	for (block = 0; block < r->blocks; block += r->window_n) {
		/* The window may begin before the block: read it from there. */
		if (r->window_first != block)
			r->window_n = 0;
		if (window_move(r, block, 0, err) != 0)
			return error_add(err, "extent %" PRIu64, r->id);
		crc = crc32c(crc, r->window, (size_t)r->window_n * 4);
	}
	if (crc != r->footer.table_crc)
		return error_set(err, ERR_DAMAGED,
		    "extent %" PRIu64 ": the block table fails its checksum",
		    r->id);
	return 0;
}
