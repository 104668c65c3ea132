#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "cli/process.h"

#define STACK_BYTES (512 * 1024)
/* A fixed threshold: what is as large as a body's buffer is mapped and goes
 * back when freed, instead of growing the heap by what was once needed. */
#define FREE_KEPT_BYTES (4 * 1024 * 1024)
#define MMAP_THRESHOLD_BYTES (128 * 1024)
#define TRIM_THRESHOLD_BYTES (256 * 1024)
#define ARENAS 2

/* A closed standard descriptor would be given to the next file that is opened,
 * and what is printed would go there. */
static void
fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_line(LOG_WARN, "process.limits",
		    "the limit of open files cannot be raised: %s",
		    strerror(errno));
}

static void
forbid_dumps(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		log_line(LOG_WARN, "process.limits",
		    "the process may be traced by others of its user: %s",
		    strerror(errno));
}

static void
shrink_stacks(void)
{
	pthread_attr_t attr;

	/* Stacks count for RLIMIT_DATA as a whole, used or not. */
	if (pthread_attr_init(&attr) != 0)
		return;
	if (pthread_attr_setstacksize(&attr, STACK_BYTES) == 0)
		(void)pthread_setattr_default_np(&attr);
	(void)pthread_attr_destroy(&attr);
}

void
process_prepare(int dumpable)
{
	fill_standard_descriptors();
	(void)umask(077);
	if (!dumpable)
		forbid_dumps();
	raise_descriptors();
	(void)mallopt(M_ARENA_MAX, ARENAS);
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
	shrink_stacks();
}

void
process_relax(void)
{
	if (mallinfo2().fordblks > FREE_KEPT_BYTES)
		(void)malloc_trim(0);
}

size_t
process_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return (size_t)limit.rlim_cur;
}

void
process_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@') ||
	    strlen(path) >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (*path == '@')
		addr.sun_path[0] = '\0';
	len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		(struct sockaddr *)&addr, len) == -1)
		log_line(LOG_WARN, "process.notify",
		    "the service manager cannot be told %s: %s", state,
		    strerror(errno));
	if (fd != -1)
		(void)close(fd);
}
