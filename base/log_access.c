#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/log_json.h"

#define ACCESS_BUFFER_BYTES (64 * 1024)

/*
 * Lines gather in `filling`; whoever finds it full swaps it with `draining`
 * and writes that one while others go on filling.
 *
 * Lock order: fill_lock (filling, access_fd), then drain_lock (draining). The
 * second is taken before the first is released, so that lines stay in order.
 */
static pthread_mutex_t fill_lock = PTHREAD_MUTEX_INITIALIZER;
static struct buffer filling;
static int access_fd = -1;
static pthread_mutex_t drain_lock = PTHREAD_MUTEX_INITIALIZER;
static struct buffer draining;

/* Writes what has gathered. Takes fill_lock from the caller and releases it. */
static void
drain(void)
{
	struct buffer full;
	size_t done;
	ssize_t n;
	int fd;

	pthread_mutex_lock(&drain_lock);
	full = filling;
	filling = draining;
	draining = full;
	buffer_clear(&filling);
	fd = access_fd;
	pthread_mutex_unlock(&fill_lock);

	for (done = 0; done < draining.len; done += (size_t)n) {
		n = write(fd, draining.at + done, draining.len - done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			break;
	}
	buffer_clear(&draining);
	pthread_mutex_unlock(&drain_lock);
}

void
log_access_open(int fd)
{
	log_access_flush();
	pthread_mutex_lock(&fill_lock);
	access_fd = fd;
	pthread_mutex_unlock(&fill_lock);
}

void
log_access(const struct log_field *fields, size_t n_fields)
{
	size_t before;
	int saved;

	pthread_mutex_lock(&fill_lock);
	if (access_fd == -1) {
		pthread_mutex_unlock(&fill_lock);
		return;
	}
	before = filling.len;
	log_json_start(&filling);
	log_json_fields(&filling, fields, n_fields);
	buffer_add_text(&filling, "}\n");
	if (filling.failed) {
		/* Without memory this line is lost, the others are not. */
		filling.len = before;
		filling.failed = 0;
	}
	if (filling.len < ACCESS_BUFFER_BYTES) {
		pthread_mutex_unlock(&fill_lock);
		return;
	}
	saved = errno;
	drain();
	errno = saved;
}

void
log_access_flush(void)
{
	pthread_mutex_lock(&fill_lock);
	if (filling.len == 0)
		pthread_mutex_unlock(&fill_lock);
	else
		drain();
}
