#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "store/space.h"

#define BALLAST_NAME "reserve"
#define BALLAST_MAX_BYTES (64ULL << 20)

#define RESERVE_MIN_BYTES (512ULL << 20)
#define RESERVE_MAX_BYTES (10ULL << 30)

/* Below so many there is nothing but deletes. */
#define INODES_MIN 64

#define LOOK_EVERY_MS 100
#define LOOK_EVERY_BYTES (16ULL << 20)

#define SIZE_TEXT_BYTES 32

struct space {
	pthread_mutex_t lock; /* of all below */
	int data_fd, ballast_fd;
	uint64_t total, reserve, ballast;
	uint64_t floor; /* with less than this free: the ballast band */
	int ballast_held;

	/* What the file system said, and since when it is old. */
	uint64_t free, inodes_free;
	int counts_inodes, read_only;
	uint64_t looked_ms, used_since;
	enum space_band band;
};

static const char *const band_names[] = { "open", "reserve", "ballast" };

static enum space_band
band_of(const struct space *s)
{
	if (s->free < s->floor ||
	    (s->counts_inodes && s->inodes_free < INODES_MIN))
		return SPACE_BALLAST;
	return s->free < s->reserve ? SPACE_RESERVE : SPACE_OPEN;
}

static int
look(struct space *s, struct error *err)
{
	enum space_band before = s->band;
	char text[SIZE_TEXT_BYTES];
	struct statvfs fs;

	if (fstatvfs(s->data_fd, &fs) != 0)
		return error_sys(err, errno,
		    "cannot ask the file system of the data "
		    "directory how much is free");
	s->total = (uint64_t)fs.f_blocks * fs.f_frsize;
	s->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	s->inodes_free = fs.f_favail;
	s->counts_inodes = fs.f_files != 0; /* btrfs, for one, has no limit */
	s->read_only = (fs.f_flag & ST_RDONLY) != 0;
	s->looked_ms = clock_monotonic_ms();
	s->used_since = 0;
	s->band = band_of(s);
	if (s->band != before) {
		format_size(s->free, text, sizeof(text));
		log_line(s->band == SPACE_OPEN ? LOG_INFO : LOG_WARN,
		    "space.band",
		    "the disk is in the band \"%s\" (before: \"%s\"), %s are "
		    "free",
		    band_names[s->band], band_names[before], text);
	}
	return 0;
}

static int
look_if_old(struct space *s, struct error *err)
{
	if (s->used_since < LOOK_EVERY_BYTES &&
	    clock_monotonic_ms() - s->looked_ms < LOOK_EVERY_MS)
		return 0;
	return look(s, err);
}

static uint64_t
at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static uint64_t
reserve_of(uint64_t total)
{
	uint64_t reserve = total / 20;

	if (reserve < RESERVE_MIN_BYTES)
		reserve = RESERVE_MIN_BYTES;
	return at_most(at_most(reserve, RESERVE_MAX_BYTES), total / 10);
}

/* Where the file system cannot allocate without writing. */
static int
fill(int fd, uint64_t len, struct error *err)
{
	static const char zeros[64 * 1024];
	uint64_t at;
	size_t n;

	for (at = 0; at < len; at += n) {
		n = (size_t)at_most(sizeof(zeros), len - at);
		if (pwrite_full(fd, zeros, n, at, err) != 0)
			return -1;
	}
	return 0;
}

/* Whether the ballast is there at its full size and not sparse. */
static int
ballast_is_whole(const struct space *s)
{
	struct stat st;

	return fstat(s->ballast_fd, &st) == 0 &&
	    (uint64_t)st.st_size == s->ballast &&
	    (uint64_t)st.st_blocks * 512 >= s->ballast;
}

/* Makes it if there is room for it twice. It is no failure if there is not. */
static int
make_ballast(struct space *s, struct error *err)
{
	struct error cause = ERROR_INIT;
	int rc;

	if (ballast_is_whole(s)) {
		s->ballast_held = 1;
		return 0;
	}
	/* Of another size, or what is left of one: begin with an empty file. */
	if (ftruncate(s->ballast_fd, 0) != 0)
		return error_sys(
		    err, errno, "cannot empty the file %s", BALLAST_NAME);
	if (look(s, err) != 0)
		return -1;
	if (s->free / 2 < s->ballast)
		return 0;

	do
		rc = fallocate(s->ballast_fd, 0, 0, (off_t)s->ballast);
	while (rc != 0 && errno == EINTR);
	if (rc != 0 && errno == EOPNOTSUPP)
		rc = fill(s->ballast_fd, s->ballast, &cause);
	else if (rc != 0)
		error_sys(
		    &cause, errno, "cannot allocate the file %s", BALLAST_NAME);
	if (rc == 0) {
		s->ballast_held = 1;
		return look(s, err);
	}

	if (ftruncate(s->ballast_fd, 0) != 0)
		error_sys(
		    &cause, errno, "cannot empty the file %s", BALLAST_NAME);
	if (cause.kind == ERR_DISK_FULL)
		return 0;
	return error_set(err, cause.kind, "%s", cause.text);
}

struct space *
space_open(int data_dirfd, uint64_t reserve_bytes, struct error *err)
{
	struct space *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->ballast_fd = -1;
	s->data_fd = fcntl(data_dirfd, F_DUPFD_CLOEXEC, 0);
	if (s->data_fd == -1) {
		error_sys(err, errno, "cannot duplicate a descriptor");
		goto fail;
	}
	if (look(s, err) != 0)
		goto fail;
	s->reserve = reserve_bytes != 0 ? reserve_bytes : reserve_of(s->total);
	s->ballast = at_most(BALLAST_MAX_BYTES, s->total / 50);
	s->floor = s->ballast / 4;
	if (s->read_only) {
		error_set(err, ERR_READ_ONLY,
		    "the file system of the data directory "
		    "is read-only");
		goto fail;
	}

	s->ballast_fd = openat(s->data_fd, BALLAST_NAME,
	    O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->ballast_fd == -1) {
		error_sys(err, errno, "cannot make the file %s", BALLAST_NAME);
		goto fail;
	}
	if (make_ballast(s, err) != 0 || look(s, err) != 0)
		goto fail;
	return s;

fail:
	space_close(s);
	return NULL;
}

void
space_close(struct space *s)
{
	if (s == NULL)
		return;
	if (s->ballast_fd != -1)
		close(s->ballast_fd);
	if (s->data_fd != -1)
		close(s->data_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Why a write may not begin, and what to do. */
static int
refuse(const struct space *s, uint64_t bytes, struct error *err)
{
	char size[SIZE_TEXT_BYTES], left[SIZE_TEXT_BYTES];
	char total[SIZE_TEXT_BYTES], kept[SIZE_TEXT_BYTES];

	if (s->read_only)
		return error_set(err, ERR_READ_ONLY,
		    "the file system of the data directory is read-only, as "
		    "after a "
		    "disk error (see dmesg): repair and remount it, then "
		    "restart "
		    "holdfast");
	if (s->counts_inodes && s->inodes_free < INODES_MIN)
		return error_set(err, ERR_DISK_FULL,
		    "the disk is full: %" PRIu64
		    " inodes are left; delete backups, or make the file system "
		    "anew "
		    "with more inodes",
		    s->inodes_free);

	format_size(s->free, left, sizeof(left));
	format_size(s->total, total, sizeof(total));
	format_size(s->reserve, kept, sizeof(kept));
	if (s->free < s->reserve || bytes <= SPACE_SMALL_BYTES)
		return error_set(err, ERR_DISK_FULL,
		    "the disk is full: %s of %s are free, and the last %s are "
		    "kept "
		    "for %s; delete backups or enlarge the volume",
		    left, total, kept,
		    s->band == SPACE_BALLAST ? "deletes"
					     : "deletes and small writes");
	format_size(bytes, size, sizeof(size));
	return error_set(err, ERR_DISK_FULL,
	    "the disk is too full for %s: %s of %s are free, and the last %s "
	    "are "
	    "kept for deletes and small writes; delete backups or enlarge the "
	    "volume",
	    size, left, total, kept);
}

/* Whether so many bytes would leave what is kept back alone, that being what
 * large or small writes may not touch. */
static int
fits(const struct space *s, int large, uint64_t bytes)
{
	uint64_t left, kept;

	if (s->read_only || s->band == SPACE_BALLAST)
		return 0;
	left = s->free > s->used_since ? s->free - s->used_since : 0;
	kept = large ? s->reserve : s->floor;
	return left >= kept && left - kept >= bytes;
}

/* As fits(), with a refusal that no old figure is the reason of. */
static int
admit(struct space *s, int large, uint64_t bytes, struct error *err)
{
	if (look_if_old(s, err) != 0)
		return -1;
	if (fits(s, large, bytes))
		return 0;
	if (look(s, err) != 0)
		return -1;
	return fits(s, large, bytes) ? 0 : refuse(s, bytes, err);
}

int
space_admit(struct space *s, uint64_t bytes, struct error *err)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = admit(
	    s, bytes > SPACE_SMALL_BYTES, bytes == UINT64_MAX ? 0 : bytes, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
space_write(struct space *s, uint64_t written, uint64_t more, struct error *err)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = admit(s, written + more > SPACE_SMALL_BYTES, more, err);
	if (rc == 0)
		s->used_since += more;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
space_is_full(struct space *s)
{
	int full;

	pthread_mutex_lock(&s->lock);
	full = look(s, NULL) == 0 && s->band == SPACE_BALLAST;
	pthread_mutex_unlock(&s->lock);
	return full;
}

int
space_release_ballast(struct space *s)
{
	int freed = 0;

	pthread_mutex_lock(&s->lock);
	if (s->ballast_held && ftruncate(s->ballast_fd, 0) == 0) {
		s->ballast_held = 0;
		freed = 1;
		log_line(LOG_WARN, "space.ballast",
		    "the disk is full: the file %s is given up so that deletes "
		    "work",
		    BALLAST_NAME);
		(void)look(s, NULL);
	}
	pthread_mutex_unlock(&s->lock);
	return freed;
}

void
space_tend(struct space *s)
{
	struct error err = ERROR_INIT;

	pthread_mutex_lock(&s->lock);
	if (look_if_old(s, NULL) == 0 && !s->ballast_held && !s->read_only &&
	    s->free / 2 >= s->ballast && make_ballast(s, &err) != 0)
		log_line(LOG_WARN, "space.ballast",
		    "the file %s cannot be made again: %s", BALLAST_NAME,
		    err.text);
	pthread_mutex_unlock(&s->lock);
}

void
space_look(struct space *s)
{
	pthread_mutex_lock(&s->lock);
	(void)look(s, NULL);
	pthread_mutex_unlock(&s->lock);
}

void
space_figures(struct space *s, uint64_t *total, uint64_t *free_bytes,
    uint64_t *reserve, enum space_band *band)
{
	pthread_mutex_lock(&s->lock);
	(void)look_if_old(s, NULL);
	*total = s->total;
	*free_bytes = s->free;
	*reserve = s->reserve;
	*band = s->band;
	pthread_mutex_unlock(&s->lock);
}
