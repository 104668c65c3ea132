#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"
#include "store/selfcheck.h"

static char top[] = "/tmp/holdfast-self-XXXXXX";
static int top_fd;
static struct error err;

static int
make_top(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
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
a_good_directory_passes_and_stays_empty(void **state)
{
	(void)state;
	assert_int_equal(selfcheck_access(top_fd, "/data", &err), 0);
	assert_int_equal(selfcheck_disk(top_fd, "/data", &err), 0);
	assert_int_equal(rmdir(top), 0);
	assert_int_equal(mkdir(top, 0700), 0);
}

static void
a_file_is_no_data_directory(void **state)
{
	int fd;

	(void)state;
	fd = openat(top_fd, "lock", O_CREAT | O_RDONLY, 0600);
	assert_int_equal(selfcheck_access(fd, "/data", &err), -1);
	assert_int_equal(err.kind, ERR_INVALID);
	close(fd);
}

/* In a child, since there is no way back from another uid. Its exit status
 * tells whether the sentence holds what is expected. */
static void
expect_as_uid(uid_t uid, const char *expected)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		if (setgid(uid) != 0 || setuid(uid) != 0)
			_exit(2);
		_exit(selfcheck_access(top_fd, "/data", &err) != -1 ||
		    err.kind != ERR_INVALID ||
		    strstr(err.text, expected) == NULL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
another_owner_is_told_with_its_remedy(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: cannot take another uid\n");
		return;
	}
	expect_as_uid(1234,
	    "/data belongs to uid 0, but holdfast runs as uid 1234: chown -R "
	    "1234:1234 /data, or run it as uid 0");

	/* A file in it, left by a start as root. */
	close(openat(top_fd, "lock", O_CREAT | O_RDONLY, 0600));
	assert_int_equal(chown(top, 1234, 1234), 0);
	expect_as_uid(1234, "/data/lock belongs to uid 0");
	assert_int_equal(chmod(top, 0500), 0);
	expect_as_uid(1234, "/data has mode 0500");
}

static void
a_read_only_file_system_is_told_as_one(void **state)
{
	int fd, access_rc, disk_rc;
	enum error_kind kind;

	(void)state;
	if (mount("tmpfs", top, "tmpfs", MS_RDONLY, "size=64k") != 0) {
		print_message("skipped: cannot mount a tmpfs\n");
		return;
	}
	fd = open(top, O_RDONLY | O_DIRECTORY);
	access_rc = selfcheck_access(fd, "/data", &err);
	kind = err.kind;
	disk_rc = selfcheck_disk(fd, "/data", &err);
	close(fd);
	umount2(top, MNT_DETACH);
	assert_int_equal(access_rc, -1);
	assert_int_equal(kind, ERR_READ_ONLY);
	assert_int_equal(disk_rc, -1);
	assert_int_equal(err.kind, ERR_READ_ONLY);
}

static void
a_full_disk_passes(void **state)
{
	int fd, full, rc;

	(void)state;
	if (mount("tmpfs", top, "tmpfs", 0, "size=64k") != 0) {
		print_message("skipped: cannot mount a tmpfs\n");
		return;
	}
	fd = open(top, O_RDONLY | O_DIRECTORY);
	full = openat(fd, "x", O_CREAT | O_WRONLY, 0600);
	rc = posix_fallocate(full, 0, 64 * 1024);
	close(full);
	assert_int_equal(rc, 0);
	rc = selfcheck_disk(fd, "/data", &err);
	close(fd);
	umount2(top, MNT_DETACH);
	assert_int_equal(rc, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_top, remove_top)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_directory_passes_and_stays_empty),
		TEST(a_file_is_no_data_directory),
		TEST(another_owner_is_told_with_its_remedy),
		TEST(a_read_only_file_system_is_told_as_one),
		TEST(a_full_disk_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
