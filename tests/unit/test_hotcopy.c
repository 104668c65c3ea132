#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/hotcopy.h"
#include "store/internal.h"

static char dir[] = "/tmp/holdfast-copy-XXXXXX";
static struct store *store;
static struct error err;

static void
open_it(uint64_t interval_ms)
{
	struct store_options options = { .dir = dir,
		.io_threads = 2,
		.reserve_bytes = 1,
		.copy_interval_ms = interval_ms };

	store = store_open(&options, &err);
	if (store == NULL)
		fail_msg("%s", err.text);
}

static void
create(const char *name)
{
	struct put_bucket bucket = { .name = slice_text(name) };

	assert_int_equal(store_create_bucket(store, &bucket), 0);
}

static int
setup(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	error_clear(&err);
	open_it(3600000);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* How many copies there are; the newest one's path. */
static int
copies(char path[400])
{
	char newest[256] = "", where[64];
	struct dirent *entry;
	DIR *list;
	int n = 0;

	snprintf(where, sizeof(where), "%s/copies", dir);
	list = opendir(where);
	assert_non_null(list);
	while ((entry = readdir(list)) != NULL)
		if (entry->d_name[0] != '.') {
			n++;
			assert_string_not_equal(entry->d_name, "new");
			if (strcmp(entry->d_name, newest) > 0)
				strcpy(newest, entry->d_name);
		}
	closedir(list);
	snprintf(path, 400, "%s/%s", where, newest);
	return n;
}

static size_t
buckets_in(const char *path)
{
	MDB_env *env;
	MDB_stat stat;
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 16);
	assert_int_equal(mdb_env_open(env, path,
			     MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0600),
	    0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "buckets", 0, &dbi), 0);
	assert_int_equal(mdb_stat(txn, dbi, &stat), 0);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return stat.ms_entries;
}

static void
a_copy_holds_what_was_committed(void **state)
{
	char path[400];

	(void)state;
	create("one");
	create("two");
	assert_int_equal(hot_copy_now(store->hot_copier, &err), 0);
	assert_int_equal(copies(path), 1);
	assert_int_equal(buckets_in(path), 2);
	assert_true(hot_copy_last_ms(store->hot_copier) > 0);
}

static void
nothing_is_copied_when_nothing_changed(void **state)
{
	char path[400];
	struct stat before, after;

	(void)state;
	create("one");
	assert_int_equal(hot_copy_now(store->hot_copier, &err), 0);
	copies(path);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(hot_copy_now(store->hot_copier, &err), 0);
	assert_int_equal(copies(path), 1);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void
two_copies_are_kept(void **state)
{
	char path[400];

	(void)state;
	snprintf(path, sizeof(path),
	    "touch %s/copies/index-2001%s.mdb "
	    "%s/copies/index-2002%s.mdb %s/copies/index-2003%s.mdb",
	    dir, "0101T000000Z", dir, "0101T000000Z", dir, "0101T000000Z");
	assert_int_equal(system(path), 0);
	create("one");
	assert_int_equal(hot_copy_now(store->hot_copier, &err), 0);
	assert_int_equal(copies(path), 2);
	assert_int_equal(buckets_in(path), 1);
}

static void
copies_are_made_on_a_schedule(void **state)
{
	char path[400];
	int i;

	(void)state;
	store_close(store);
	open_it(10);
	create("one");
	for (i = 0; i < 500 && hot_copy_last_ms(store->hot_copier) == 0; i++)
		usleep(5000);
	assert_true(copies(path) >= 1);
}

/* With an index of some size, so that a copy is under way most of the time. */
static void
a_copy_is_broken_off_at_the_end(void **state)
{
	struct set_setting set = { .name = "big" };
	char path[400], *big = calloc(1, 64 << 20);
	uint64_t began;

	(void)state;
	set.value = (struct slice){ big, 64 << 20 };
	assert_int_equal(store_set_setting(store, &set), 0);
	free(big);
	store_close(store);
	open_it(1);
	usleep(20000);
	began = clock_monotonic_ms();
	store_close(store);
	assert_true(clock_monotonic_ms() - began < 5000);
	copies(path);
	open_it(3600000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_copy_holds_what_was_committed),
		TEST(nothing_is_copied_when_nothing_changed),
		TEST(two_copies_are_kept),
		TEST(copies_are_made_on_a_schedule),
		TEST(a_copy_is_broken_off_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
