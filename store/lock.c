#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "store/lock.h"

/*
 * The file is one line of text for people and for the refusal of the next one:
 *
 *   holdfast serve, pid 1234 on node-1, started 2026-11-24T12:36:01.123Z
 */

#define LOCK_NAME "lock"
#define LINE_MAX_BYTES 256
#define COMMAND_BYTES 64

struct store_lock {
	int fd;
};

/* "holdfast serve": the program and its first word, unless that is an option.
 */
static void
command_of_self(char command[COMMAND_BYTES])
{
	char args[512];
	const char *program, *word;
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd != -1) {
		if ((n = read(fd, args, sizeof(args) - 1)) > 0)
			len = (size_t)n;
		close(fd);
	}
	args[len] = '\0';
	program = strrchr(args, '/') != NULL ? strrchr(args, '/') + 1 : args;
	word = args + strlen(args) + 1;
	if (len == 0)
		program = "holdfast";
	if (word >= args + len || !isalpha((unsigned char)word[0]))
		word = "";
	snprintf(command, COMMAND_BYTES, "%.30s%s%.30s", program,
	    *word != '\0' ? " " : "", word);
}

/* Only for people: a full disk must not keep the server from starting. */
static void
say_who(int fd)
{
	char command[COMMAND_BYTES], line[LINE_MAX_BYTES];
	char host[65], now[CLOCK_TEXT_BYTES];
	int len;

	command_of_self(command);
	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	clock_iso8601(clock_wall_ms(), now);
	len = snprintf(line, sizeof(line), "%s, pid %ld on %s, started %s\n",
	    command, (long)getpid(), host, now);
	if (ftruncate(fd, 0) != 0 ||
	    pwrite_full(fd, line, (size_t)len, 0, NULL) != 0)
		log_line(LOG_WARN, "store.lock",
		    "the lock file cannot say who holds it");
}

/* What the holder wrote, as printable text. */
static void
who_holds(int fd, char line[LINE_MAX_BYTES])
{
	ssize_t n, i;

	n = pread(fd, line, LINE_MAX_BYTES - 1, 0);
	if (n < 0)
		n = 0;
	for (i = 0; i < n && line[i] != '\n'; i++)
		if (!isprint((unsigned char)line[i]))
			line[i] = '?';
	line[i] = '\0';
	if (i == 0)
		snprintf(line, LINE_MAX_BYTES, "which one is not known");
}

struct store_lock *
lock_take(int data_dirfd, const char *dir, struct error *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char line[LINE_MAX_BYTES];
	struct store_lock *lock;

	if ((lock = malloc(sizeof(*lock))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	lock->fd = openat(data_dirfd, LOCK_NAME,
	    O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock->fd == -1) {
		error_sys(err, errno, "cannot open the file %s in %s",
		    LOCK_NAME, dir);
		goto fail;
	}
	if (fcntl(lock->fd, F_OFD_SETLK, &whole) == 0) {
		say_who(lock->fd);
		return lock;
	}

	if (errno == EAGAIN || errno == EACCES) {
		who_holds(lock->fd, line);
		error_set(err, ERR_LOCKED,
		    "another holdfast (%s) uses %s: stop it, or choose another "
		    "directory with --data",
		    line, dir);
	} else {
		error_sys(err, errno,
		    "the file system of %s takes no locks (NFS: start the lock "
		    "service, or mount without nolock), and without one two "
		    "holdfasts could destroy it",
		    dir);
	}
	close(lock->fd);
fail:
	free(lock);
	return NULL;
}

void
lock_release(struct store_lock *lock)
{
	if (lock == NULL)
		return;
	close(lock->fd);
	free(lock);
}
