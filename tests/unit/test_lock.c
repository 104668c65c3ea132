#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "store/lock.h"

static char top[] = "/tmp/holdfast-lock-XXXXXX";
static int top_fd;
static struct error err;

static int
make_top(void **state)
{
	(void)state;
	strcpy(top + strlen(top) - 6, "XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY);
	error_clear(&err);
	return 0;
}

static int
remove_top(void **state)
{
	(void)state;
	unlinkat(top_fd, "lock", 0);
	close(top_fd);
	return rmdir(top);
}

static void
a_second_owner_is_refused_and_told_who_is_first(void **state)
{
	struct store_lock *lock;
	char pid[32];

	(void)state;
	lock = lock_take(top_fd, "/data", &err);
	assert_non_null(lock);
	assert_null(lock_take(top_fd, "/data", &err));
	assert_int_equal(err.kind, ERR_LOCKED);
	snprintf(pid, sizeof(pid), "pid %d on ", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_non_null(strstr(err.text, "test_lock"));
	assert_non_null(strstr(err.text, "uses /data"));
	lock_release(lock);
}

static void
a_released_lock_can_be_taken(void **state)
{
	struct store_lock *lock;

	(void)state;
	lock_release(lock_take(top_fd, "/data", &err));
	lock = lock_take(top_fd, "/data", &err);
	assert_non_null(lock);
	lock_release(lock);
	lock_release(NULL);
}

static void
a_killed_owner_leaves_no_lock(void **state)
{
	struct store_lock *lock;
	int ready[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		if (lock_take(top_fd, "/data", &err) != NULL &&
		    write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_null(lock_take(top_fd, "/data", &err));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	lock = lock_take(top_fd, "/data", &err);
	assert_non_null(lock);
	lock_release(lock);
}

static void
rubbish_in_the_file_does_no_harm(void **state)
{
	struct store_lock *lock;
	char rubbish[1000];
	int fd;

	(void)state;
	lock = lock_take(top_fd, "/data", &err);
	memset(rubbish, 0x1b, sizeof(rubbish));
	fd = openat(top_fd, "lock", O_WRONLY | O_TRUNC);
	assert_null(lock_take(top_fd, "/data", &err));
	assert_non_null(strstr(err.text, "not known"));
	assert_int_equal(
	    write(fd, rubbish, sizeof(rubbish)), (ssize_t)sizeof(rubbish));
	close(fd);
	assert_null(lock_take(top_fd, "/data", &err));
	assert_null(strchr(err.text, 0x1b));
	lock_release(lock);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_top, remove_top)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_owner_is_refused_and_told_who_is_first),
		TEST(a_released_lock_can_be_taken),
		TEST(a_killed_owner_leaves_no_lock),
		TEST(rubbish_in_the_file_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
