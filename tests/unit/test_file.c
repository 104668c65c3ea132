#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
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
#include "base/file.h"

static char directory[] = "/tmp/holdfast-test-file-XXXXXX";
static char path[64];
static struct error err;

/* How many names there are in the directory. */
static int
count_names(void)
{
	struct dirent *entry;
	DIR *dir;
	int n;

	dir = opendir(directory);
	assert_non_null(dir);
	n = 0;
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int
make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void
what_was_written_is_read(void **state)
{
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(file_write(path, "a\0b", 3, 0640, &err), 0);
	text = file_read(path, 3, &len, &err);
	assert_non_null(text);
	assert_int_equal(len, 3);
	assert_memory_equal(text, "a\0b", 4);
	free(text);
	assert_int_equal(count_names(), 1);
	unlink(path);
}

static void
an_empty_file_is_read_as_an_empty_text(void **state)
{
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(file_write(path, "", 0, 0600, &err), 0);
	text = file_read(path, 0, &len, &err);
	assert_non_null(text);
	assert_int_equal(len, 0);
	assert_string_equal(text, "");
	free(text);
	unlink(path);
}

static void
a_file_above_the_limit_is_not_read(void **state)
{
	static char big[100000];
	char *text;
	size_t len;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(file_write(path, big, sizeof(big), 0600, &err), 0);
	assert_null(file_read(path, sizeof(big) - 1, &len, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
	text = file_read(path, sizeof(big), &len, &err);
	assert_non_null(text);
	assert_int_equal(len, sizeof(big));
	assert_memory_equal(text, big, len);
	free(text);
	unlink(path);
}

static void
a_file_that_does_not_know_its_size_is_read_to_its_end(void **state)
{
	char *text;
	size_t len;

	(void)state;
	text = file_read("/proc/self/status", 1 << 20, &len, &err);
	assert_non_null(text);
	assert_true(len > 100);
	assert_int_equal(strncmp(text, "Name:", 5), 0);
	free(text);
}

static void
a_written_file_takes_the_place_of_the_old_one_with_its_mode(void **state)
{
	struct stat st;
	mode_t before;
	char *text;
	size_t len;

	(void)state;
	before = umask(022);
	assert_int_equal(file_write(path, "old", 3, 0600, &err), 0);
	assert_int_equal(file_write(path, "new text", 8, 0666, &err), 0);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	text = file_read(path, 100, &len, &err);
	assert_non_null(text);
	assert_string_equal(text, "new text");
	free(text);
	unlink(path);
}

static void
a_write_that_fails_leaves_nothing_behind(void **state)
{
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(file_write(path, "x", 1, 0600, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_int_equal(err.sys, EISDIR);
	assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
	assert_int_equal(count_names(), 1);
	text = file_read(path, 100, &len, &err);
	assert_null(text);
	assert_int_equal(err.sys, EISDIR);
	rmdir(path);
	assert_int_equal(
	    file_write("/nonexistent/file", "x", 1, 0600, &err), -1);
	assert_int_equal(err.sys, ENOENT);
}

static void
a_name_without_a_directory_is_in_the_current_one(void **state)
{
	char before[4096];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(file_write("file", "x", 1, 0600, &err), 0);
	assert_int_equal(count_names(), 1);
	assert_int_equal(unlink("file"), 0);
	assert_int_equal(chdir(before), 0);
}

static void
bytes_are_read_and_written_at_their_offset(void **state)
{
	char bytes[6];
	int fd;

	(void)state;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite_full(fd, "world", 5, 6, &err), 0);
	assert_int_equal(write_full(fd, "hello ", 6, &err), 0);
	assert_int_equal(pread_full(fd, bytes, 5, 6, &err), 0);
	assert_memory_equal(bytes, "world", 5);
	assert_int_equal(pread_full(fd, bytes, 0, 1000, &err), 0);
	close(fd);
	unlink(path);
}

static void
an_early_end_of_file_is_damage(void **state)
{
	char bytes[8];
	int fd;

	(void)state;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write_full(fd, "hello", 5, &err), 0);
	assert_int_equal(pread_full(fd, bytes, 8, 2, &err), -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	assert_string_equal(err.text, "the file ends 5 bytes short of 8 at 2");
	close(fd);
	unlink(path);
}

static void
a_full_disk_is_told_apart(void **state)
{
	int fd;

	(void)state;
	if ((fd = open("/dev/full", O_WRONLY | O_CLOEXEC)) == -1)
		skip();
	assert_int_equal(write_full(fd, "x", 1, &err), -1);
	assert_int_equal(err.kind, ERR_DISK_FULL);
	assert_int_equal(pwrite_full(fd, "x", 1, 0, &err), -1);
	assert_int_equal(err.kind, ERR_DISK_FULL);
	close(fd);
}

static void
a_bad_descriptor_is_an_error(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(pread_full(-1, &byte, 1, 0, &err), -1);
	assert_int_equal(err.sys, EBADF);
	assert_int_equal(write_full(-1, "x", 1, NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(an_empty_file_is_read_as_an_empty_text),
		cmocka_unit_test(a_file_above_the_limit_is_not_read),
		cmocka_unit_test(
		    a_file_that_does_not_know_its_size_is_read_to_its_end),
		cmocka_unit_test(
		    a_written_file_takes_the_place_of_the_old_one_with_its_mode),
		cmocka_unit_test(a_write_that_fails_leaves_nothing_behind),
		cmocka_unit_test(
		    a_name_without_a_directory_is_in_the_current_one),
		cmocka_unit_test(bytes_are_read_and_written_at_their_offset),
		cmocka_unit_test(an_early_end_of_file_is_damage),
		cmocka_unit_test(a_full_disk_is_told_apart),
		cmocka_unit_test(a_bad_descriptor_is_an_error),
	};

	return cmocka_run_group_tests_name(
	    "file", tests, make_directory, remove_directory);
}
