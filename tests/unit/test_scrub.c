#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/scrub.h"

#define FILE_BYTES (300 * 1024)

static char dir[] = "/tmp/holdfast-scrub-XXXXXX";
static struct store *store;
static struct store_figures figures;
static struct error err;
static uint64_t interval_ms;

static void
open_it(uint64_t rate)
{
	struct store_options options = { .dir = dir,
		.io_threads = 2,
		.reserve_bytes = 1,
		.scrub_bytes_per_second = rate,
		.scrub_interval_ms = interval_ms };

	store = store_open(&options, &err);
	if (store == NULL)
		fail_msg("%s", err.text);
}

static uint64_t
put(const char *key, size_t len)
{
	struct buffer memory = BUFFER_INIT;
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct object_record rec;
	struct put_object p = { 0 };
	char *bytes = calloc(1, len);

	p.bucket = SLICE_LITERAL("bucket");
	p.key = slice_text(key);
	p.content = content_begin(store, len, &err);
	assert_int_equal(content_write(p.content, bytes, len, &err), 0);
	assert_int_equal(content_seal(p.content, &owner, &err), 0);
	assert_int_equal(store_put_object(store, &p), 0);
	free(bytes);
	assert_int_equal(store_object(store, p.bucket, p.key, 0, &rec, &memory,
			     NULL, NULL, &err),
	    0);
	buffer_free(&memory);
	return rec.extent;
}

static int
setup(void **state)
{
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };

	(void)state;
	log_set_level(LOG_ERROR + 1);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	error_clear(&err);
	open_it(0);
	assert_int_equal(store_create_bucket(store, &bucket), 0);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	store_close(store);
	store = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
wait_for_round(uint64_t rounds)
{
	int i;

	for (i = 0; i < 1000; i++) {
		store_figures(store, &figures);
		if (figures.scrub_rounds >= rounds)
			return;
		usleep(5000);
	}
	fail_msg("the round does not come to its end");
}

static void
damage_file(uint64_t id)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/extents/0/%" PRIu64, dir, id);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 70000), 1);
	assert_int_equal(pwrite(fd, "x", 1, 280000), 1);
	close(fd);
}

static int
is_marked(uint64_t id)
{
	struct extent_record rec;
	struct slice value;
	MDB_txn *txn = index_read(store->index, &err);
	int marked;

	assert_int_equal(index_get_u64(txn, index_dbi(store->index, DB_EXTENTS),
			     id, &value, &err),
	    0);
	assert_int_equal(extent_decode(value, &rec, &err), 0);
	marked = (rec.flags & EXTENT_DAMAGED) != 0;
	index_read_end(store->index, txn);
	return marked;
}

static void
a_sound_store_is_read_once(void **state)
{
	(void)state;
	put("a", FILE_BYTES);
	put("b", 100);
	put("c", FILE_BYTES);
	store_close(store);
	open_it(1ULL << 30);
	wait_for_round(1);
	assert_true(figures.scrub_bytes >= 2 * FILE_BYTES);
	assert_int_equal(figures.damaged_blocks, 0);
	assert_true(figures.scrub_last_ms > 0);

	/* The next round is not due, also after a restart. */
	store_close(store);
	open_it(1ULL << 30);
	usleep(50000);
	store_figures(store, &figures);
	assert_int_equal(figures.scrub_bytes, 0);
	assert_int_equal(figures.scrub_rounds, 1);
}

static void
damage_is_counted_and_remembered(void **state)
{
	uint64_t good, bad, gone;
	char path[128];
	int i;

	(void)state;
	good = put("good", FILE_BYTES);
	bad = put("bad", FILE_BYTES);
	gone = put("gone", FILE_BYTES);
	store_close(store);
	damage_file(bad);
	snprintf(path, sizeof(path), "%s/extents/0/%" PRIu64, dir, gone);
	assert_int_equal(unlink(path), 0);
	open_it(1ULL << 30);
	wait_for_round(1);
	/* Remembered by a change, which takes its time. */
	for (i = 0; i < 500 && (!is_marked(bad) || !is_marked(gone)); i++)
		usleep(5000);
	store_figures(store, &figures);
	/* Two blocks of one, and the file that is not there. */
	assert_int_equal(figures.damaged_blocks, 3);
	assert_int_equal(figures.damaged_contents, 2);
	assert_true(is_marked(bad));
	assert_true(is_marked(gone));
	assert_false(is_marked(good));
}

static void
a_round_is_slow_ends_at_once_and_goes_on_after_a_restart(void **state)
{
	struct scrub_figures f;
	uint64_t ids[8], began;
	int i;

	(void)state;
	for (i = 0; i < 8; i++)
		ids[i] = put((char[]){ (char)('a' + i), 0 }, FILE_BYTES);
	store_close(store);
	/* A file a second. */
	open_it(FILE_BYTES);
	usleep(200000);
	scrubber_figures(store->scrubber, &f);
	assert_true(f.bytes < 4 * FILE_BYTES);
	began = clock_monotonic_ms();
	store_close(store);
	assert_true(clock_monotonic_ms() - began < 500);

	open_it(1);
	usleep(50000);
	scrubber_figures(store->scrubber, &f);
	assert_true(f.position >= ids[0]);
	assert_true(f.position <= ids[7]);
	assert_int_equal(f.rounds, 0);
}

static void
contents_may_go_away_meanwhile(void **state)
{
	struct delete_item item = { .key = SLICE_LITERAL("x") };
	struct delete_objects d = {
		.bucket = SLICE_LITERAL("bucket"), .items = &item, .n_items = 1
	};
	int i;

	(void)state;
	store_close(store);
	interval_ms = 1;
	open_it(1ULL << 30);
	for (i = 0; i < 100; i++) {
		put("x", FILE_BYTES);
		assert_int_equal(store_delete_objects(store, &d), 0);
	}
	interval_ms = 0;
	store_figures(store, &figures);
	assert_true(figures.scrub_rounds > 0);
	assert_int_equal(figures.damaged_blocks, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_store_is_read_once),
		TEST(damage_is_counted_and_remembered),
		TEST(a_round_is_slow_ends_at_once_and_goes_on_after_a_restart),
		TEST(contents_may_go_away_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
