#include <sys/mount.h>
#include <sys/stat.h>

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
#include "store/space.h"

#define MIB (1024ULL * 1024)

static char top[] = "/tmp/holdfast-space-XXXXXX";
static int top_fd, mounted;
static struct error err;

/* A file system of 64 MiB: its reserve is 6.4 MiB, its ballast 1.28 MiB, and
 * with less than 0.32 MiB free only deletes go. */
static int
mount_small(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	strcpy(top + strlen(top) - 6, "XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	mounted =
	    mount("tmpfs", top, "tmpfs", 0, "size=64m,nr_inodes=200") == 0;
	top_fd = open(top, O_RDONLY | O_DIRECTORY);
	error_clear(&err);
	return top_fd == -1 ? -1 : 0;
}

static int
unmount_small(void **state)
{
	(void)state;
	close(top_fd);
	if (mounted)
		umount2(top, MNT_DETACH);
	return rmdir(top);
}

#define NEED_MOUNT() \
	do { \
		if (!mounted) { \
			print_message("skipped: cannot mount a tmpfs\n"); \
			return; \
		} \
	} while (0)

static void
occupy(const char *name, uint64_t bytes)
{
	int fd;

	fd = openat(top_fd, name, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)bytes), 0);
	close(fd);
}

static uint64_t
now_free(struct space *s, enum space_band *band)
{
	uint64_t total, left, reserve;

	usleep(110000); /* an old figure is looked at anew */
	space_figures(s, &total, &left, &reserve, band);
	return left;
}

static void
the_ballast_is_allocated_at_its_full_size(void **state)
{
	struct space *s;
	struct stat st;

	(void)state;
	NEED_MOUNT();
	s = space_open(top_fd, 0, &err);
	assert_non_null(s);
	assert_int_equal(fstatat(top_fd, "reserve", &st, 0), 0);
	assert_int_equal(st.st_size, 64 * MIB / 50);
	assert_true(st.st_blocks * 512 >= st.st_size);
	space_close(s);

	/* Again, with one that is sparse. */
	int fd = openat(top_fd, "reserve", O_WRONLY);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, 64 * MIB / 50), 0);
	close(fd);
	s = space_open(top_fd, 0, &err);
	assert_int_equal(fstatat(top_fd, "reserve", &st, 0), 0);
	assert_true(st.st_blocks * 512 >= st.st_size);
	space_close(s);
	unlinkat(top_fd, "reserve", 0);
}

static void
the_bands_take_what_they_should(void **state)
{
	enum space_band band;
	struct space *s;
	uint64_t left;

	(void)state;
	NEED_MOUNT();
	s = space_open(top_fd, 0, &err);
	left = now_free(s, &band);
	assert_int_equal(band, SPACE_OPEN);
	assert_int_equal(space_admit(s, 10 * MIB, &err), 0);
	assert_int_equal(space_admit(s, UINT64_MAX, &err), 0);
	/* Would eat the reserve. */
	assert_int_equal(space_admit(s, left - MIB, &err), -1);
	assert_int_equal(err.kind, ERR_DISK_FULL);
	assert_non_null(strstr(err.text, "too full for"));

	occupy("a", left - 5 * MIB);
	now_free(s, &band);
	assert_int_equal(band, SPACE_RESERVE);
	assert_int_equal(space_admit(s, MIB, &err), 0);
	assert_int_equal(space_admit(s, 2 * MIB, &err), -1);
	assert_int_equal(space_admit(s, UINT64_MAX, &err), -1);
	assert_int_equal(err.kind, ERR_DISK_FULL);
	assert_non_null(strstr(err.text, "are free, and the last 6.3 MiB"));

	occupy("b", 5 * MIB - MIB / 4);
	now_free(s, &band);
	assert_int_equal(band, SPACE_BALLAST);
	assert_int_equal(space_admit(s, 1, &err), -1);
	assert_int_equal(err.kind, ERR_DISK_FULL);

	space_close(s);
}

static void
what_was_admitted_together_stops_at_the_reserve(void **state)
{
	enum space_band band;
	struct space *s;
	uint64_t left, i, written[2] = { 0, 0 };

	(void)state;
	NEED_MOUNT();
	s = space_open(top_fd, 0, &err);
	left = now_free(s, &band);
	assert_int_equal(space_admit(s, left - 10 * MIB, &err), 0);
	assert_int_equal(space_admit(s, left - 10 * MIB, &err), 0);
	/* Told, and written, a step behind. */
	for (i = 0; space_write(s, written[i % 2], MIB, &err) == 0; i++) {
		char name[32];
		snprintf(name, sizeof(name), "f%u", (unsigned)i);
		occupy(name, MIB);
		written[i % 2] += MIB;
	}
	assert_int_equal(err.kind, ERR_DISK_FULL);
	assert_true((now_free(s, &band)) >= 64 * MIB / 10);
	assert_true((now_free(s, &band)) < 64 * MIB / 10 + 2 * MIB);
	/* Small ones go on. */
	assert_int_equal(space_write(s, 0, MIB, &err), 0);
	space_close(s);
}

static void
the_ballast_is_given_up_once_and_made_again(void **state)
{
	enum space_band band;
	struct space *s;
	uint64_t left;

	(void)state;
	NEED_MOUNT();
	s = space_open(top_fd, 0, &err);
	occupy("a", now_free(s, &band));
	assert_int_equal(now_free(s, &band), 0);
	assert_int_equal(space_release_ballast(s), 1);
	assert_true(now_free(s, &band) > MIB);
	assert_int_equal(space_release_ballast(s), 0);

	/* Not while it would take what was just freed. */
	space_tend(s);
	assert_true(now_free(s, &band) > MIB);

	unlinkat(top_fd, "a", 0);
	left = now_free(s, &band);
	space_tend(s);
	assert_true(now_free(s, &band) <= left - 64 * MIB / 50);
	assert_int_equal(space_release_ballast(s), 1);
	space_close(s);
}

static void
a_full_disk_is_no_reason_not_to_open(void **state)
{
	enum space_band band;
	struct space *s;

	(void)state;
	NEED_MOUNT();
	occupy("a", 64 * MIB - 64 * 1024);
	s = space_open(top_fd, 0, &err);
	assert_non_null(s);
	now_free(s, &band);
	assert_int_equal(band, SPACE_BALLAST);
	space_close(s);
}

static void
out_of_inodes_is_a_full_disk(void **state)
{
	enum space_band band;
	struct space *s;
	char name[32];
	int i;

	(void)state;
	NEED_MOUNT();
	s = space_open(top_fd, 0, &err);
	for (i = 0; i < 160; i++) {
		snprintf(name, sizeof(name), "%d", i);
		occupy(name, 1);
	}
	now_free(s, &band);
	assert_int_equal(band, SPACE_BALLAST);
	assert_int_equal(space_admit(s, 1, &err), -1);
	assert_int_equal(err.kind, ERR_DISK_FULL);
	assert_non_null(strstr(err.text, "inodes"));
	space_close(s);
}

static void
a_read_only_file_system_is_told_as_one(void **state)
{
	enum space_band band;
	struct space *s;

	(void)state;
	NEED_MOUNT();
	s = space_open(top_fd, 0, &err);
	close(openat(top_fd, "x", O_CREAT | O_WRONLY, 0600));
	if (mount("tmpfs", top, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64m") !=
	    0) {
		/* The ballast is open for writing. */
		space_close(s);
		assert_int_equal(mount("tmpfs", top, "tmpfs",
				     MS_REMOUNT | MS_RDONLY, "size=64m"),
		    0);
		assert_null(space_open(top_fd, 0, &err));
		assert_int_equal(err.kind, ERR_READ_ONLY);
		return;
	}
	now_free(s, &band);
	assert_int_equal(space_admit(s, 1, &err), -1);
	assert_int_equal(err.kind, ERR_READ_ONLY);
	space_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, mount_small, unmount_small)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_ballast_is_allocated_at_its_full_size),
		TEST(the_bands_take_what_they_should),
		TEST(what_was_admitted_together_stops_at_the_reserve),
		TEST(the_ballast_is_given_up_once_and_made_again),
		TEST(a_full_disk_is_no_reason_not_to_open),
		TEST(out_of_inodes_is_a_full_disk),
		TEST(a_read_only_file_system_is_told_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
