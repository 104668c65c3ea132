#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "store/extent_private.h"

/* Pieces from this size on are written from the caller's memory; smaller ones
 * are gathered, since a system call costs more than copying them. */
#define DIRECT_BYTES (32 * 1024)
#define GATHER_BYTES EXTENT_BLOCK_BYTES

/* How much may be dirty before the disk is told to begin. */
#define WRITE_BACK_BYTES (8 * 1024 * 1024)

#define TABLE_FIRST_BLOCKS 16

struct extent_writer {
	struct extent_dir *dir;
	int fd;
	int sealed;
	int sum_only;
	char tmp_name[24]; /* NAMING_RENAME; else empty */

	uint64_t size;    /* bytes taken: written ones and gathered ones */
	uint64_t written; /* of them in the file */
	uint64_t started; /* of them on their way to the disk */
	char *gather;     /* GATHER_BYTES, made when needed */
	size_t gathered;

	uint32_t crc; /* of the block that is not complete yet */
	uint64_t expected_blocks;
	uint8_t *table; /* be32 for each complete block */
	uint64_t n_table, table_room;
};

static int
open_temporary(struct extent_writer *w, struct error *err)
{
	struct extent_dir *d = w->dir;

	if (d->naming != NAMING_RENAME) {
		w->fd = openat(
		    d->tmp_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	} else {
		snprintf(w->tmp_name, sizeof(w->tmp_name), "%" PRIuFAST64,
		    atomic_fetch_add(&d->next_tmp, 1));
		w->fd = openat(d->tmp_fd, w->tmp_name,
		    O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (w->fd == -1)
			w->tmp_name[0] = '\0';
	}
	if (w->fd == -1)
		return error_sys(err, errno, "cannot make a file in tmp");
	return 0;
}

struct extent_writer *
extent_begin(struct extent_dir *d, uint64_t size, struct error *err)
{
	struct extent_writer *w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	w->dir = d;
	w->expected_blocks = size == UINT64_MAX ? 0 : extent_blocks(size);
	if (open_temporary(w, err) != 0) {
		free(w);
		return NULL;
	}
	return w;
}

/* Doubles, so that a size which was announced and never comes costs nothing;
 * the last step goes to exactly what was announced. */
static int
table_add(struct extent_writer *w, uint32_t crc, struct error *err)
{
	uint64_t room;
	uint8_t *table;

	if (w->n_table == w->table_room) {
		room =
		    w->table_room == 0 ? TABLE_FIRST_BLOCKS : w->table_room * 2;
		if (w->expected_blocks > w->table_room &&
		    room > w->expected_blocks)
			room = w->expected_blocks;
		if ((table = realloc(w->table, (size_t)room * 4)) == NULL)
			return error_nomem(err);
		w->table = table;
		w->table_room = room;
	}
	be32_put(w->table + w->n_table * 4, crc);
	w->n_table++;
	return 0;
}

/* Takes bytes into the sums of their blocks. */
static int
sum(struct extent_writer *w, const char *bytes, size_t len, struct error *err)
{
	size_t n;

	while (len > 0) {
		n = EXTENT_BLOCK_BYTES - (size_t)(w->size % EXTENT_BLOCK_BYTES);
		if (n > len)
			n = len;
		w->crc = crc32c(w->crc, bytes, n);
		w->size += n;
		bytes += n;
		len -= n;
		if (w->size % EXTENT_BLOCK_BYTES == 0) {
			if (table_add(w, w->crc, err) != 0)
				return -1;
			w->crc = 0;
		}
	}
	return 0;
}

static int
put(struct extent_writer *w, const char *bytes, size_t len, struct error *err)
{
	if (pwrite_full(w->fd, bytes, len, w->written, err) != 0)
		return -1;
	w->written += len;
	if (w->written - w->started >= WRITE_BACK_BYTES) {
		/* Only a hint: errors come back with fdatasync(). */
		(void)sync_file_range(w->fd, (off_t)w->started,
		    (off_t)(w->written - w->started), SYNC_FILE_RANGE_WRITE);
		w->started = w->written;
	}
	return 0;
}

int
extent_append(
    struct extent_writer *w, const void *bytes, size_t len, struct error *err)
{
	const char *p = bytes;
	size_t n;

	if (sum(w, p, len, err) != 0)
		return -1;
	if (w->sum_only)
		return 0;
	while (len > 0) {
		if (w->gathered == 0 && len >= DIRECT_BYTES)
			return put(w, p, len, err);
		if (w->gather == NULL &&
		    (w->gather = malloc(GATHER_BYTES)) == NULL)
			return error_nomem(err);
		n = GATHER_BYTES - w->gathered;
		if (n > len)
			n = len;
		memcpy(w->gather + w->gathered, p, n);
		w->gathered += n;
		p += n;
		len -= n;
		if (w->gathered == GATHER_BYTES) {
			w->gathered = 0;
			if (put(w, w->gather, GATHER_BYTES, err) != 0)
				return -1;
		}
	}
	return 0;
}

void
extent_sum_only(struct extent_writer *w)
{
	w->sum_only = 1;
}

uint64_t
extent_size(const struct extent_writer *w)
{
	return w->size;
}

/* pwritev() over short writes. */
static int
put_all(
    struct extent_writer *w, struct iovec *part, int n_parts, struct error *err)
{
	size_t step;
	ssize_t n;

	while (n_parts > 0) {
		n = pwritev(w->fd, part, n_parts, (off_t)w->written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(
			    err, errno, "cannot write the trailer");
		w->written += (uint64_t)n;
		while (n_parts > 0) {
			step = part->iov_len < (size_t)n ? part->iov_len
							 : (size_t)n;
			part->iov_len -= step;
			n -= (ssize_t)step;
			if (part->iov_len > 0) {
				part->iov_base = (char *)part->iov_base + step;
				break;
			}
			part++;
			n_parts--;
		}
	}
	return 0;
}

/* What is still gathered, block table, owner and footer. */
static int
put_trailer(
    struct extent_writer *w, uint64_t id, struct slice owner, struct error *err)
{
	uint8_t footer[EXTENT_FOOTER_BYTES];
	struct extent_footer f;
	size_t table_len;

	if (owner.len > EXTENT_OWNER_MAX)
		return error_set(err, ERR_TOO_LARGE,
		    "%zu bytes are too many for an extent's owner", owner.len);
	if (w->n_table < extent_blocks(w->size) &&
	    table_add(w, w->crc, err) != 0)
		return -1;

	table_len = (size_t)w->n_table * 4;
	if (w->sum_only)
		w->written = w->size;
	f.shed = w->sum_only;
	f.id = id;
	f.size = w->size;
	f.owner_len = (uint32_t)owner.len;
	f.table_crc = crc32c(0, w->table, table_len);
	f.owner_crc = crc32c(0, owner.at, owner.len);
	extent_footer_encode(&f, footer);

	struct iovec parts[] = {
		{ w->gather, w->gathered },
		{ w->table, table_len },
		{ (void *)(uintptr_t)owner.at, owner.len },
		{ footer, sizeof(footer) },
	};
	return put_all(w, parts, 4, err);
}

int
extent_seal(struct extent_writer *w, uint64_t id, struct slice owner,
    int *made_directory, struct error *err)
{
	*made_directory = 0;
	if (put_trailer(w, id, owner, err) != 0)
		goto fail;
	if (fdatasync(w->fd) != 0) {
		error_sys(err, errno, "cannot sync");
		goto fail;
	}
	if (extent_link(w->dir, w->fd, w->tmp_name, id, made_directory, err) !=
	    0)
		goto fail;
	w->sealed = 1;
	return 0;

fail:
	return error_add(err, "extent %" PRIu64, id);
}

int
extent_replace(
    struct extent_writer *w, uint64_t id, struct slice owner, struct error *err)
{
	if (put_trailer(w, id, owner, err) != 0)
		goto fail;
	if (fdatasync(w->fd) != 0) {
		error_sys(err, errno, "cannot sync");
		goto fail;
	}
	if (extent_relink(w->dir, w->fd, w->tmp_name, id, err) != 0)
		goto fail;
	w->sealed = 1;
	return extent_sync_directory(w->dir, id, 1, err);

fail:
	return error_add(err, "extent %" PRIu64, id);
}

#define TABLE_STEP_BLOCKS 1024

/* Takes over what a reader's file says of its data. */
static int
take_table(struct extent_writer *w, struct extent_reader *r, struct error *err)
{
	uint64_t size = extent_reader_size(r), n = extent_blocks(size), at;
	size_t step;

	if ((w->table = malloc((size_t)n * 4 + 1)) == NULL)
		return error_nomem(err);
	for (at = 0; at < n; at += step) {
		step = n - at < TABLE_STEP_BLOCKS ? (size_t)(n - at)
						  : TABLE_STEP_BLOCKS;
		if (extent_table(r, at, step, w->table + at * 4, err) != 0)
			return -1;
	}
	w->n_table = w->table_room = n;
	w->size = size;
	return 0;
}

int
extent_shed(
    struct extent_dir *d, uint64_t id, struct slice owner, struct error *err)
{
	struct extent_writer *w = NULL;
	struct extent_reader *r;
	int rc = -1;

	if ((r = extent_open(d, id, err)) == NULL)
		return -1;
	if (extent_check_trailer(r, err) != 0 ||
	    (w = extent_begin(d, UINT64_MAX, err)) == NULL)
		goto out;
	extent_sum_only(w);
	if (take_table(w, r, err) == 0)
		rc = extent_replace(w, id, owner, err);
out:
	extent_free(w);
	extent_close(r);
	return rc;
}

void
extent_free(struct extent_writer *w)
{
	if (w == NULL)
		return;
	if (!w->sealed && w->tmp_name[0] != '\0')
		(void)unlinkat(w->dir->tmp_fd, w->tmp_name, 0);
	close(w->fd);
	free(w->gather);
	free(w->table);
	free(w);
}
