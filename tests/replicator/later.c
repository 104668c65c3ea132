/*
 * Preloaded: the monotonic clock is ahead by as many milliseconds as the first
 * 8 bytes of the file named by LATER_FILE say, so that a test need not wait for
 * what a program does after an hour. Waits until a time on that clock end when
 * the clock that they were reckoned by does.
 */
#include <sys/mman.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Times on the system's clock are beyond this, those since its start are not.
 */
#define WALL_LEAST_S 1000000000
#define WAIT_MOST_MS 20

static const volatile int64_t *ahead_ms;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("LATER_FILE");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		ahead_ms = at;
}

static void
add_ms(struct timespec *t, int64_t ms)
{
	int64_t ns = (int64_t)t->tv_nsec + ms % 1000 * 1000000;

	t->tv_sec += ms / 1000;
	while (ns >= 1000000000) {
		ns -= 1000000000;
		t->tv_sec++;
	}
	while (ns < 0) {
		ns += 1000000000;
		t->tv_sec--;
	}
	t->tv_nsec = ns;
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int rc = (int)syscall(SYS_clock_gettime, id, now);

	if (rc == 0 && id == CLOCK_MONOTONIC && ahead_ms != NULL)
		add_ms(now, *ahead_ms);
	return rc;
}

int
pthread_cond_timedwait(
    pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
	static int (*real)(
	    pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	struct timespec at = *until, most;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	if (at.tv_sec < WALL_LEAST_S && ahead_ms != NULL) {
		add_ms(&at, -*ahead_ms);
		/* The clock may leap meanwhile: waking early is allowed. */
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &most);
		add_ms(&most, WAIT_MOST_MS);
		if (at.tv_sec > most.tv_sec ||
		    (at.tv_sec == most.tv_sec && at.tv_nsec > most.tv_nsec))
			at = most;
	}
	return real(cond, lock, &at);
}
