#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/digest.h"
#include "store/adopt.h"
#include "store/check.h"
#include "store/extents.h"
#include "store/internal.h"

/* Giving up contents, and reading them from elsewhere, which here is a function
 * of the place: the key. */

#define SIZE (3 * 1024 * 1024 + 17)
#define LARGE (9 * 1024 * 1024)

struct fixture {
	char dir[64];
	struct store *store;
	struct remote remote;
	atomic_int lies, absent, archived;
	atomic_uint reads;
	atomic_int hold; /* 1: the next read waits till it is 0 */
};

struct copy {
	struct fixture *fixture;
	uint8_t seed;
};

static uint8_t
byte_at(uint8_t seed, uint64_t i)
{
	return (uint8_t)(seed + i * 7 + i / 251);
}

static void *
place_open(void *context, struct slice place, uint64_t size, struct error *err)
{
	struct copy *c = calloc(1, sizeof(*c));

	(void)size;
	(void)err;
	assert_non_null(c);
	c->fixture = context;
	c->seed = (uint8_t)place.at[0];
	return c;
}

static int
copy_read(
    void *copy, uint64_t offset, void *bytes, size_t len, struct error *err)
{
	struct copy *c = copy;
	size_t i;

	atomic_fetch_add(&c->fixture->reads, 1);
	if (c->fixture->hold == 1) {
		c->fixture->hold = 2;
		while (c->fixture->hold != 0)
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	if (c->fixture->archived)
		return error_set(err, ERR_ARCHIVED, "it is on ice");
	if (c->fixture->absent)
		return error_set(err, ERR_AWAY, "the line is cut");
	for (i = 0; i < len; i++)
		((uint8_t *)bytes)[i] = byte_at(c->seed, offset + i);
	if (c->fixture->lies)
		((uint8_t *)bytes)[len - 1] ^= 1;
	return 0;
}

static void
copy_close(void *copy)
{
	free(copy);
}

static int
verify(void *context, struct slice bucket, struct slice key,
    const struct object_record *rec, struct buffer *place, struct error *err)
{
	struct fixture *f = context;

	(void)bucket;
	(void)rec;
	if (f->absent)
		return error_set(err, ERR_AWAY, "the line is cut");
	buffer_add_slice(place, key);
	return 0;
}

static void
open_store(struct fixture *f)
{
	struct store_options options = { .dir = f->dir, .io_threads = 2 };
	struct error err = ERROR_INIT;

	options.reserve_bytes = 1;
	/* On, so that nothing is fetched behind our back. */
	options.tier_high_percent = 99;
	f->store = store_open(&options, &err);
	assert_non_null(f->store);
	store_set_remote(f->store, &f->remote);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };

	if (f == NULL)
		return -1;
	strncpy(f->dir, "/tmp/holdfast-test-XXXXXX", sizeof(f->dir) - 1);
	if (mkdtemp(f->dir) == NULL)
		return -1;
	f->remote = (struct remote){ .context = f,
		.read = copy_read,
		.close = copy_close,
		.open_place = place_open,
		.verify = verify };
	open_store(f);
	assert_int_equal(store_create_bucket(f->store, &bucket), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	store_close(f->store);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

static void
put(struct fixture *f, const char *key, size_t len)
{
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct content_owner owner = { .bucket = p.bucket, .key = p.key };
	struct object_record record = { .version = 1, .size = len };
	struct buffer encoded = BUFFER_INIT;
	struct error err = ERROR_INIT;
	uint8_t *bytes = malloc(len);
	size_t i;

	assert_non_null(bytes);
	for (i = 0; i < len; i++)
		bytes[i] = byte_at((uint8_t)key[0], i);
	digest_once(DIGEST_MD5, bytes, len, record.md5);
	memcpy(p.record.md5, record.md5, sizeof(record.md5));
	object_encode(&encoded, &record);
	owner.record = buffer_slice(&encoded);
	p.content = content_begin(f->store, len, &err);
	assert_non_null(p.content);
	assert_int_equal(content_write(p.content, bytes, len, &err), 0);
	assert_int_equal(content_seal(p.content, &owner, &err), 0);
	assert_int_equal(store_put_object(f->store, &p), 0);
	buffer_free(&encoded);
	free(bytes);
}

static uint64_t
extent_of(struct fixture *f, const char *key)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec = { 0 };
	struct error err = ERROR_INIT;

	assert_int_equal(
	    store_object(f->store, SLICE_LITERAL("bucket"), slice_text(key), 0,
		&rec, &memory, NULL, NULL, &err),
	    0);
	buffer_free(&memory);
	return rec.extent;
}

static int64_t
drop(struct fixture *f, const char *key, struct error *err)
{
	error_clear(err);
	return tier_drop(
	    f->store, SLICE_LITERAL("bucket"), slice_text(key), err);
}

static void
drop_well(struct fixture *f, const char *key, size_t len)
{
	struct error err = ERROR_INIT;

	assert_int_equal(drop(f, key, &err), len);
}

/* Bytes [from, to) as a request reads them, each right: 0, or how it failed. */
static enum error_kind
read_range(struct fixture *f, const char *key, uint64_t from, uint64_t to)
{
	char *block = malloc(4 * CONTENT_BLOCK_BYTES);
	struct error err = ERROR_INIT;
	struct content *c;
	const char *at;
	long n = 1, i;

	c = content_open(f->store, extent_of(f, key), &err);
	assert_non_null(c);
	assert_int_equal(
	    content_name(c, SLICE_LITERAL("bucket"), slice_text(key)), 0);
	for (; from < to && n > 0; from += n > 0 ? (uint64_t)n : 0) {
		n = content_read(
		    c, from, to, block, 4 * CONTENT_BLOCK_BYTES, 1, &at, &err);
		if (n == CONTENT_WOULD_BLOCK)
			n = content_read(c, from, to, block,
			    4 * CONTENT_BLOCK_BYTES, 0, &at, &err);
		for (i = 0; i < n; i++)
			if ((uint8_t)at[i] !=
			    byte_at((uint8_t)key[0], from + (uint64_t)i))
				fail_msg("byte %d differs", (int)from + (int)i);
	}
	content_close(c);
	free(block);
	return n < 0 ? err.kind : ERR_NONE;
}

static int
kind_of(struct fixture *f, const char *key)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec = { 0 };
	struct error err = ERROR_INIT;

	assert_int_equal(
	    heal_record(f->store, extent_of(f, key), &rec, &memory, &err), 0);
	buffer_free(&memory);
	return rec.kind;
}

static uint64_t
allocated(struct fixture *f, const char *key)
{
	struct extent_stat st = { 0 };

	assert_int_equal(
	    extent_look(f->store->extents, extent_of(f, key), &st), 0);
	return st.allocated;
}

static void
what_is_given_up_takes_no_room_and_reads_the_same(void **state)
{
	struct fixture *f = *state;

	put(f, "a", SIZE);
	put(f, "large", LARGE);
	assert_true(allocated(f, "a") >= SIZE);
	drop_well(f, "a", SIZE);
	drop_well(f, "large", LARGE);
	assert_true(allocated(f, "a") < 64 * 1024);
	assert_true(allocated(f, "large") < 64 * 1024);
	assert_int_equal(kind_of(f, "a"), EXTENT_REMOTE);
	assert_int_equal(read_range(f, "large", 0, LARGE), ERR_NONE);
	assert_int_equal(read_range(f, "large", 5000001, 5000002), ERR_NONE);
	/* A small one is kept. */
	assert_int_equal(read_range(f, "a", 70000, 70001), ERR_NONE);
	assert_int_equal(kind_of(f, "a"), EXTENT_FILE);
	f->absent = 1;
	assert_int_equal(read_range(f, "a", 0, SIZE), ERR_NONE);
}

static void
wrong_bytes_from_elsewhere_are_an_error_and_right_ones_are_served_again(
    void **state)
{
	struct fixture *f = *state;
	struct store_figures figures;

	put(f, "a", SIZE);
	put(f, "large", LARGE);
	drop_well(f, "a", SIZE);
	drop_well(f, "large", LARGE);
	f->lies = 1;
	assert_int_equal(read_range(f, "a", 0, SIZE), ERR_DAMAGED);
	assert_int_equal(read_range(f, "a", 0, 1), ERR_DAMAGED);
	assert_int_equal(read_range(f, "large", 0, LARGE), ERR_DAMAGED);
	store_figures(f->store, &figures);
	assert_true(figures.damaged_elsewhere >= 3);
	/* Nothing here is. */
	assert_int_equal(figures.damaged_contents, 0);
	f->lies = 0;
	assert_int_equal(read_range(f, "a", 0, SIZE), ERR_NONE);
	assert_int_equal(read_range(f, "large", 0, LARGE), ERR_NONE);
}

static void
what_is_out_of_reach_and_what_is_archived_says_so(void **state)
{
	struct fixture *f = *state;
	unsigned before;
	int i;

	put(f, "a", SIZE);
	put(f, "b", SIZE);
	drop_well(f, "a", SIZE);
	drop_well(f, "b", SIZE);
	f->absent = 1;
	assert_int_equal(read_range(f, "a", 0, 10), ERR_AWAY);
	f->absent = 0;
	f->archived = 1;
	assert_int_equal(read_range(f, "a", 0, 10), ERR_ARCHIVED);
	before = f->reads;
	for (i = 0; i < 5; i++)
		assert_int_equal(read_range(f, "a", 0, 10), ERR_ARCHIVED);
	assert_int_equal(f->reads, before);
	f->archived = 0;
	assert_int_equal(read_range(f, "b", 0, 10), ERR_NONE);
}

static void
what_others_need_is_not_given_up(void **state)
{
	struct fixture *f = *state;
	struct put_object copy = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("z"),
		.source_bucket = SLICE_LITERAL("bucket"),
		.source_key = SLICE_LITERAL("a") };
	struct set_bucket versions = { .name = SLICE_LITERAL("bucket"),
		.what = BUCKET_SET_VERSIONING,
		.versioning = VERSIONING_ENABLED };
	struct error err = ERROR_INIT;

	put(f, "a", SIZE);
	put(f, "s", 1000);
	put(f, "v", SIZE);
	assert_int_equal(store_put_object(f->store, &copy), 0);
	assert_int_equal(drop(f, "a", &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_int_equal(drop(f, "s", &err), 0);
	f->absent = 1;
	assert_int_equal(drop(f, "v", &err), -1);
	assert_int_equal(err.kind, ERR_AWAY);
	f->absent = 0;
	assert_int_equal(store_set_bucket(f->store, &versions), 0);
	assert_int_equal(drop(f, "v", &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_int_equal(read_range(f, "v", 0, SIZE), ERR_NONE);
}

static void
what_is_away_is_not_shared_before_it_is_here(void **state)
{
	struct fixture *f = *state;
	struct put_object copy = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("z"),
		.source_bucket = SLICE_LITERAL("bucket"),
		.source_key = SLICE_LITERAL("a") };
	struct error err = ERROR_INIT;

	put(f, "a", SIZE);
	drop_well(f, "a", SIZE);
	f->absent = 1;
	assert_int_equal(store_put_object(f->store, &copy), -1);
	assert_int_equal(copy.change.err.kind, ERR_AWAY);
	f->absent = 0;
	assert_int_equal(
	    store_fill(f->store, copy.source_bucket, copy.source_key, &err) < 0,
	    0);
	copy.change = (struct change){ 0 };
	assert_int_equal(store_put_object(f->store, &copy), 0);
}

static void
a_crash_between_the_index_and_the_file_is_taken_back(void **state)
{
	struct fixture *f = *state;
	char path[128], kept[160], command[400];
	uint64_t extent;
	int i;

	put(f, "a", SIZE);
	extent = extent_of(f, "a");
	snprintf(path, sizeof(path), "%s/extents/%d/%d", f->dir,
	    (int)(extent / EXTENTS_PER_DIRECTORY), (int)extent);
	snprintf(kept, sizeof(kept), "%s.kept", f->dir);
	assert_int_equal(link(path, kept), 0);
	drop_well(f, "a", SIZE);
	store_close(f->store);
	/* The index says that it is away, and the file was not replaced. */
	assert_int_equal(rename(kept, path), 0);
	open_store(f);
	for (i = 0; i < 1000 && kind_of(f, "a") != EXTENT_FILE; i++)
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	assert_int_equal(kind_of(f, "a"), EXTENT_FILE);
	f->absent = 1;
	assert_int_equal(read_range(f, "a", 0, SIZE), ERR_NONE);
	snprintf(command, sizeof(command), "rm -f %s", kept);
	assert_int_equal(system(command), 0);
}

static void
a_reader_goes_on_with_what_is_given_up_under_it(void **state)
{
	struct fixture *f = *state;
	char *block = malloc(CONTENT_BLOCK_BYTES);
	struct error err = ERROR_INIT;
	struct content *open, *fresh;
	const char *at;

	put(f, "a", SIZE);
	open = content_open(f->store, extent_of(f, "a"), &err);
	fresh = content_open(f->store, extent_of(f, "a"), &err);
	assert_true(content_read(open, 0, 1, block, CONTENT_BLOCK_BYTES, 0, &at,
			&err) == 1);
	drop_well(f, "a", SIZE);
	f->absent = 1;
	assert_true(content_read(open, 100000, 100001, block,
			CONTENT_BLOCK_BYTES, 0, &at, &err) == 1);
	assert_int_equal((uint8_t)*at, byte_at('a', 100000));
	f->absent = 0;
	/* One that has not read yet finds out. */
	assert_true(content_read(fresh, 100000, 100001, block,
			CONTENT_BLOCK_BYTES, 0, &at, &err) == 1);
	assert_int_equal((uint8_t)*at, byte_at('a', 100000));
	content_close(open);
	content_close(fresh);
	free(block);
}

static void *
take_table(void *arg)
{
	struct fixture *f = arg;
	struct error err = ERROR_INIT;

	assert_int_equal(
	    fill_table(f->store, extent_of(f, "large"), SLICE_LITERAL("bucket"),
		SLICE_LITERAL("large"), &err),
	    0);
	return NULL;
}

static void
a_table_that_comes_late_does_not_take_the_place_of_the_bytes(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	pthread_t thread;

	put(f, "large", LARGE);
	drop_well(f, "large", LARGE);
	assert_int_equal(
	    extent_unlink(f->store->extents, extent_of(f, "large"), &err), 0);
	f->hold = 1;
	assert_int_equal(pthread_create(&thread, NULL, take_table, f), 0);
	while (f->hold == 1)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	assert_int_equal(
	    fill_extent(f->store, extent_of(f, "large"),
		SLICE_LITERAL("bucket"), SLICE_LITERAL("large"), &err),
	    0);
	f->hold = 0;
	(void)pthread_join(thread, NULL);
	f->absent = 1;
	assert_int_equal(kind_of(f, "large"), EXTENT_FILE);
	assert_int_equal(read_range(f, "large", 0, LARGE), ERR_NONE);
}

static void *
reader(void *arg)
{
	struct fixture *f = arg;
	int i;

	for (i = 0; i < 30; i++) {
		assert_int_equal(read_range(f, "a", 0, SIZE), ERR_NONE);
		assert_int_equal(
		    read_range(f, "b", 1000000, 1000001), ERR_NONE);
	}
	return NULL;
}

static void
reads_are_right_while_contents_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	pthread_t threads[3];
	size_t i;

	put(f, "a", SIZE);
	put(f, "b", SIZE);
	for (i = 0; i < 3; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, reader, f), 0);
	for (i = 0; i < 40; i++) {
		(void)drop(f, "a", &err);
		(void)drop(f, "b", &err);
	}
	for (i = 0; i < 3; i++)
		(void)pthread_join(threads[i], NULL);
}

static void
the_checker_knows_what_is_away(void **state)
{
	struct fixture *f = *state;
	struct check_options options = { .read_data = 1 };
	struct check_result result;
	struct error err = ERROR_INIT;

	put(f, "a", SIZE);
	put(f, "b", SIZE);
	drop_well(f, "a", SIZE);
	store_close(f->store);
	assert_int_equal(
	    store_check(f->dir, &options, NULL, NULL, &result, &err), 0);
	assert_int_equal(result.damage, 0);
	open_store(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_given_up_takes_no_room_and_reads_the_same),
		TEST(
		    wrong_bytes_from_elsewhere_are_an_error_and_right_ones_are_served_again),
		TEST(what_is_out_of_reach_and_what_is_archived_says_so),
		TEST(what_others_need_is_not_given_up),
		TEST(what_is_away_is_not_shared_before_it_is_here),
		TEST(a_crash_between_the_index_and_the_file_is_taken_back),
		TEST(a_reader_goes_on_with_what_is_given_up_under_it),
		TEST(
		    a_table_that_comes_late_does_not_take_the_place_of_the_bytes),
		TEST(reads_are_right_while_contents_come_and_go),
		TEST(the_checker_knows_what_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
