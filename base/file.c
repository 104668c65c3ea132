#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"

#define READ_STEP_BYTES 4096

int
pread_full(int fd, void *bytes, size_t len, uint64_t offset, struct error *err)
{
	char *p = bytes;
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += (size_t)n) {
		n = pread(fd, p + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return error_sys(err, errno,
			    "cannot read %zu bytes at %" PRIu64, len, offset);
		else if (n == 0)
			return error_set(err, ERR_DAMAGED,
			    "the file ends %zu bytes short of %zu at %" PRIu64,
			    len - done, len, offset);
	}
	return 0;
}

int
pwrite_full(
    int fd, const void *bytes, size_t len, uint64_t offset, struct error *err)
{
	const char *p = bytes;
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += (size_t)n) {
		n = pwrite(fd, p + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return error_sys(err, errno,
			    "cannot write %zu bytes at %" PRIu64, len, offset);
	}
	return 0;
}

int
write_full(int fd, const void *bytes, size_t len, struct error *err)
{
	const char *p = bytes;
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += (size_t)n) {
		n = write(fd, p + done, len - done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return error_sys(
			    err, errno, "cannot write %zu bytes", len);
	}
	return 0;
}

/* All that fd still gives, up to max and one byte more. 0, or -1 and *err. */
static int
read_to_end(int fd, size_t max, struct buffer *b, struct error *err)
{
	size_t want;
	ssize_t n;

	while (b->len <= max) {
		want = max - b->len;
		want = want < READ_STEP_BYTES ? want + 1 : READ_STEP_BYTES;
		if (buffer_reserve(b, want) != 0)
			return error_nomem(err);
		n = read(fd, b->at + b->len, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "cannot read");
		if (n == 0)
			return 0;
		b->len += (size_t)n;
	}
	return error_set(err, ERR_TOO_LARGE, "larger than %zu bytes", max);
}

char *
file_read(const char *path, size_t max, size_t *len, struct error *err)
{
	struct buffer b = BUFFER_INIT;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		error_sys(err, errno, "%s: cannot open", path);
		return NULL;
	}
	if (read_to_end(fd, max, &b, err) != 0)
		goto fail;
	*len = b.len;
	buffer_add_u8(&b, 0);
	if (b.failed) {
		error_nomem(err);
		goto fail;
	}
	close(fd);
	return b.at;

fail:
	error_add(err, "%s", path);
	buffer_free(&b);
	close(fd);
	return NULL;
}

/* Makes the names in the directory of path durable. */
static int
sync_directory_of(const char *path, struct error *err)
{
	const char *slash;
	char *dir;
	int fd, rc;

	slash = strrchr(path, '/');
	if (slash == NULL)
		dir = strdup(".");
	else if (slash == path)
		dir = strdup("/");
	else
		dir = strndup(path, (size_t)(slash - path));
	if (dir == NULL)
		return error_nomem(err);

	rc = 0;
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		rc = error_sys(err, errno, "cannot open the directory %s", dir);
	else if (fsync(fd) != 0)
		rc = error_sys(err, errno, "cannot sync the directory %s", dir);
	if (fd != -1)
		close(fd);
	free(dir);
	return rc;
}

int
file_write(const char *path, const void *bytes, size_t len, mode_t mode,
    struct error *err)
{
	struct buffer name = BUFFER_INIT;
	char suffix[17];
	uint8_t random[8];
	int fd;

	/* A name of its own, so that two writers of one path never mix. */
	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), suffix);
	buffer_printf(&name, "%s.%s.tmp", path, suffix);
	buffer_add_u8(&name, 0);
	if (name.failed) {
		buffer_free(&name);
		return error_nomem(err);
	}

	fd = open(name.at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd == -1) {
		error_sys(err, errno, "cannot create %s", name.at);
		goto fail;
	}
	if (write_full(fd, bytes, len, err) != 0)
		goto fail_unlink;
	if (fsync(fd) != 0) {
		error_sys(err, errno, "cannot sync");
		goto fail_unlink;
	}
	if (rename(name.at, path) != 0) {
		error_sys(err, errno, "cannot rename %s", name.at);
		goto fail_unlink;
	}
	close(fd);
	buffer_free(&name);
	if (sync_directory_of(path, err) != 0)
		return error_add(err, "%s", path);
	return 0;

fail_unlink:
	unlink(name.at);
	close(fd);
fail:
	buffer_free(&name);
	return error_add(err, "%s", path);
}
