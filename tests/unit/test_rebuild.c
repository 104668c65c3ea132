#include <sys/stat.h>

#include <dirent.h>
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

#include "base/digest.h"
#include "base/log.h"
#include "store/check.h"
#include "store/hotcopy.h"
#include "store/internal.h"
#include "store/rebuild.h"

#define FILE_BYTES (200 * 1024)
#define PART_BYTES (5 * 1024 * 1024)

static char dir[] = "/tmp/holdfast-rebuild-XXXXXX";
static struct store *store;
static struct buffer told;
static struct rebuild_result result;
static struct error err;
static uint8_t part_md5[2][16]; /* of the parts that were sent last */

static void
open_it(void)
{
	struct store_options options = { .dir = dir,
		.io_threads = 2,
		.reserve_bytes = 1,
		.copy_interval_ms = 3600000 };

	store = store_open(&options, &err);
	if (store == NULL)
		fail_msg("%s", err.text);
}

/* Bytes that tell which content they are. */
static void
fill(char *bytes, size_t len, int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = (char)((size_t)seed * 31 + i / 100);
}

static void
sum(size_t len, int seed, uint8_t md5[16])
{
	char *bytes = malloc(len + 1);

	fill(bytes, len, seed);
	digest_once(DIGEST_MD5, bytes, len, md5);
	free(bytes);
}

static struct content_writer *
content(size_t len, int seed, struct content_owner *owner)
{
	struct content_writer *w;
	char *bytes = malloc(len + 1);

	fill(bytes, len, seed);
	w = content_begin(store, len, &err);
	assert_non_null(w);
	assert_int_equal(content_write(w, bytes, len, &err), 0);
	if (content_seal(w, owner, &err) != 0)
		fail_msg("%s", err.text);
	free(bytes);
	return w;
}

static void
put(const char *key, size_t len, int seed)
{
	struct buffer record = BUFFER_INIT, attributes = BUFFER_INIT;
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct put_object p = { 0 };

	pairs_add(&attributes, SLICE_LITERAL("content-type"),
	    SLICE_LITERAL("text/plain"));
	p.record.attributes = buffer_slice(&attributes);
	sum(len, seed, p.record.md5);
	object_encode(&record, &p.record);
	owner.record = buffer_slice(&record);
	p.bucket = owner.bucket;
	p.key = owner.key;
	p.content = content(len, seed, &owner);
	assert_int_equal(store_put_object(store, &p), 0);
	buffer_free(&record);
	buffer_free(&attributes);
}

static void
copy(const char *from, const char *to)
{
	struct put_object p = { 0 };

	p.bucket = p.source_bucket = SLICE_LITERAL("bucket");
	p.source_key = slice_text(from);
	p.key = slice_text(to);
	assert_int_equal(store_put_object(store, &p), 0);
}

static void delete (const char *key)
{
	struct delete_item item = { .key = slice_text(key) };
	struct delete_objects d = {
		.bucket = SLICE_LITERAL("bucket"), .items = &item, .n_items = 1
	};

	assert_int_equal(store_delete_objects(store, &d), 0);
}

static uint64_t
begin_upload(const char *key)
{
	struct create_upload upload = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };

	assert_int_equal(store_create_upload(store, &upload), 0);
	return upload.upload;
}

static void
part(const char *key, uint64_t upload, uint16_t number, size_t len, int seed)
{
	struct buffer record = BUFFER_INIT;
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key),
		.upload = upload,
		.part = number };
	struct put_part p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key),
		.upload = upload,
		.number = number };

	sum(len, seed, p.record.md5);
	memcpy(part_md5[number - 1], p.record.md5, 16);
	part_encode(&record, &p.record);
	owner.record = buffer_slice(&record);
	p.content = content(len, seed, &owner);
	assert_int_equal(store_put_part(store, &p), 0);
	buffer_free(&record);
}

static enum error_kind
complete(const char *key, uint64_t upload)
{
	struct complete_part parts[2] = { { .number = 1 }, { .number = 2 } };
	struct complete_upload c = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key),
		.upload = upload,
		.parts = parts,
		.n_parts = 2,
		.size = UINT64_MAX };

	memcpy(parts[0].md5, part_md5[0], 16);
	memcpy(parts[1].md5, part_md5[1], 16);
	(void)store_complete_upload(store, &c);
	buffer_free(&c.memory);
	return c.change.err.kind;
}

static void
set_versioning(enum bucket_versioning versioning)
{
	struct set_bucket set = { .name = SLICE_LITERAL("bucket"),
		.what = BUCKET_SET_VERSIONING,
		.versioning = versioning };

	assert_int_equal(store_set_bucket(store, &set), 0);
}

static void
hot_copy(void)
{
	assert_int_equal(hot_copy_now(store->hot_copier, &err), 0);
}

/* The content of the key, or that there is none (len -1). */
static void
expect(const char *key, long len, int seed)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	struct content *c;
	char *block, *expected;
	uint8_t md5[16];
	const char *at;
	uint64_t offset = 0;
	long n;
	int rc;

	rc = store_object(store, SLICE_LITERAL("bucket"), slice_text(key), 0,
	    &rec, &memory, NULL, NULL, &err);
	if (len < 0) {
		assert_int_equal(rc, -1);
		assert_int_equal(err.kind, ERR_NOT_FOUND);
		return;
	}
	if (rc != 0)
		fail_msg("%s: %s", key, err.text);
	assert_int_equal(rec.size, len);
	if (rec.parts == 0) {
		sum((size_t)len, seed, md5);
		assert_memory_equal(rec.md5, md5, 16);
		assert_true(slice_is(
		    pairs_get(rec.attributes, "content-type"), "text/plain"));
	}
	block = malloc(CONTENT_BLOCK_BYTES);
	expected = malloc((size_t)len + 1);
	fill(expected, (size_t)len, seed);
	c = content_open(store, rec.extent, &err);
	assert_non_null(c);
	while ((n = content_read(c, offset, (uint64_t)len, block,
		    CONTENT_BLOCK_BYTES, 0, &at, &err)) > 0) {
		if (rec.parts == 0)
			assert_memory_equal(at, expected + offset, (size_t)n);
		offset += (uint64_t)n;
	}
	assert_int_equal(offset, len);
	content_close(c);
	free(block);
	free(expected);
	buffer_free(&memory);
}

static int
setup(void **state)
{
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };
	struct set_key key = { .name = SLICE_LITERAL("velero") };

	(void)state;
	log_set_level(LOG_ERROR);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	error_clear(&err);
	open_it();
	assert_int_equal(store_create_bucket(store, &bucket), 0);
	key.record.access_key = SLICE_LITERAL("AKIA1");
	key.record.secret = SLICE_LITERAL("secret");
	assert_int_equal(store_set_key(store, &key), 0);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	store_close(store);
	buffer_free(&told);
	told = (struct buffer)BUFFER_INIT;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
shell(const char *what)
{
	char command[512];

	snprintf(command, sizeof(command), "cd %s && %s", dir, what);
	assert_int_equal(system(command), 0);
}

static void
close_it(void)
{
	store_close(store);
	store = NULL;
}

static void
tell(const char *sentence, void *arg)
{
	(void)arg;
	buffer_add_text(&told, sentence);
	buffer_add_u8(&told, '\n');
}

static void
expect_sound(void)
{
	struct check_options options = { .read_data = 1 };
	struct check_result found;

	buffer_clear(&told);
	if (store_check(dir, &options, tell, NULL, &found, &err) != 0)
		fail_msg("%s", err.text);
	buffer_add_u8(&told, 0);
	if (found.damage != 0)
		fail_msg("%s", told.at);
}

static void
rebuild(int force)
{
	struct rebuild_options options = { .force = force };

	buffer_clear(&told);
	if (store_rebuild(dir, &options, tell, NULL, &result, &err) != 0)
		fail_msg("%s", err.text);
	buffer_add_u8(&told, 0);
}

/* Rebuilds, and expects the outcome to be sound, before and after a start. */
static void
rebuild_and_open(void)
{
	char *what;

	rebuild(0);
	what = strdup(told.at);
	expect_sound();
	open_it();
	close_it();
	expect_sound();
	open_it();
	buffer_clear(&told);
	buffer_add_text(&told, what);
	buffer_add_u8(&told, 0);
	free(what);
}

static void
expect_told(const char *words)
{
	if (strstr(told.at, words) == NULL)
		fail_msg("expected \"%s\", told:\n%s", words, told.at);
}

static uint64_t
extent_of(const char *key)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;

	assert_int_equal(
	    store_object(store, SLICE_LITERAL("bucket"), slice_text(key), 0,
		&rec, &memory, NULL, NULL, &err),
	    0);
	buffer_free(&memory);
	return rec.extent;
}

/* ---- tests ---- */

static void
a_sound_index_is_not_rebuilt(void **state)
{
	struct rebuild_options options = { 0 };

	(void)state;
	put("file", FILE_BYTES, 1);
	hot_copy();
	assert_int_equal(
	    store_rebuild(dir, &options, tell, NULL, &result, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	close_it();
	assert_int_equal(
	    store_rebuild(dir, &options, tell, NULL, &result, &err), -1);
	assert_int_equal(err.kind, ERR_INVALID);
	rebuild(1);
	expect_told("index.damaged-");
	expect_sound();
	open_it();
	expect("file", FILE_BYTES, 1);
}

static void
all_comes_back_from_a_fresh_copy(void **state)
{
	struct bucket_record rec;
	struct buffer memory = BUFFER_INIT;
	uint64_t upload;

	(void)state;
	put("small", 100, 1);
	put("file", FILE_BYTES, 2);
	copy("file", "copy");
	upload = begin_upload("multi");
	part("multi", upload, 1, PART_BYTES, 1);
	part("multi", upload, 2, 50, 2);
	assert_int_equal(complete("multi", upload), ERR_NONE);
	set_versioning(VERSIONING_ENABLED);
	put("file", FILE_BYTES, 3);
	hot_copy();
	close_it();
	shell("rm -r index");
	rebuild_and_open();
	assert_int_equal(result.dropped, 0);
	assert_int_equal(result.added, 0);
	assert_int_equal(result.from_copy, 5);
	assert_int_equal(result.set_aside, 0);
	expect("small", 100, 1);
	expect("file", FILE_BYTES, 3);
	expect("copy", FILE_BYTES, 2);
	expect("multi", PART_BYTES + 50, 0);
	assert_int_equal(
	    store_bucket(store, SLICE_LITERAL("bucket"), &rec, &memory, &err),
	    0);
	assert_int_equal(rec.versioning, VERSIONING_ENABLED);
	buffer_free(&memory);
	/* And it goes on. */
	put("file", FILE_BYTES, 4);
	delete ("copy");
	close_it();
	expect_sound();
	open_it();
	expect("file", FILE_BYTES, 4);
}

static void
files_come_back_without_any_copy(void **state)
{
	uint64_t big;

	(void)state;
	put("small", 100, 1);
	put("a", FILE_BYTES, 2);
	put("b", FILE_BYTES, 3);
	big = extent_of("a");
	(void)big;
	close_it();
	shell("rm -r index");
	rebuild_and_open();
	assert_string_equal(result.copy, "");
	assert_int_equal(result.added, 2);
	assert_int_equal(result.buckets_made, 1);
	expect_told("there is no copy of the index");
	expect_told("the bucket \"bucket\" is made anew\n");
	expect("small", -1, 0);
	expect("a", FILE_BYTES, 2);
	expect("b", FILE_BYTES, 3);
}

static void
destroyed_pages_are_set_aside_with_their_index(void **state)
{
	char path[128];
	struct stat st;
	char page[4096];
	off_t at;
	int fd;

	(void)state;
	put("a", FILE_BYTES, 2);
	close_it();
	snprintf(path, sizeof(path), "%s/index/data.mdb", dir);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	memset(page, 0xa5, sizeof(page));
	for (at = 2 * 4096; at < st.st_size; at += 4096)
		assert_int_equal(pwrite(fd, page, 4096, at), 4096);
	close(fd);
	rebuild_and_open();
	shell("ls index.damaged-*/data.mdb >/dev/null");
	expect("a", FILE_BYTES, 2);
}

static void
what_came_after_the_copy_is_found_and_what_went_is_told(void **state)
{
	(void)state;
	put("stays", FILE_BYTES, 1);
	put("goes", FILE_BYTES, 2);
	put("changes", FILE_BYTES, 3);
	hot_copy();
	put("comes", FILE_BYTES, 4);
	delete ("goes");
	put("changes", FILE_BYTES, 5);
	while (1) {
		struct store_figures f;
		store_figures(store, &f);
		if (f.reap_waiting == 0)
			break;
		usleep(1000);
	}
	close_it();
	shell("rm -r index");
	rebuild_and_open();
	assert_int_equal(result.from_copy, 3);
	assert_int_equal(result.added, 2);
	assert_int_equal(result.dropped, 2);
	expect_told("object \"goes\" in bucket \"bucket\" (204800 bytes, of ");
	expect("stays", FILE_BYTES, 1);
	expect("goes", -1, 0);
	expect("changes", FILE_BYTES, 5);
	expect("comes", FILE_BYTES, 4);
}

/* The older content has no place, but is not destroyed. */
static void
a_displaced_content_is_set_aside(void **state)
{
	uint64_t id;

	(void)state;
	hot_copy();
	put("a", FILE_BYTES, 1);
	id = extent_of("a");
	copy("a", "b");
	put("a", FILE_BYTES, 2);
	close_it();
	shell("rm -r index");
	rebuild_and_open();
	assert_int_equal(result.added, 2);
	assert_int_equal(result.set_aside, 1);
	expect_told("a newer content has its place");
	expect("a", FILE_BYTES, 2);
	expect("b", -1, 0);
	char command[64];
	snprintf(command, sizeof(command), "test -f lost/%" PRIu64, id);
	shell(command);
}

static void
several_contents_of_a_key_become_versions(void **state)
{
	struct bucket_record rec;
	struct buffer memory = BUFFER_INIT;

	(void)state;
	set_versioning(VERSIONING_ENABLED);
	put("a", FILE_BYTES, 1);
	put("a", FILE_BYTES, 2);
	close_it();
	shell("rm -r index");
	rebuild_and_open();
	expect("a", FILE_BYTES, 2);
	expect_told("with versioning");
	assert_int_equal(
	    store_bucket(store, SLICE_LITERAL("bucket"), &rec, &memory, &err),
	    0);
	assert_int_equal(rec.objects, 1);
	assert_int_equal(rec.versions, 1);
	buffer_free(&memory);
}

static void
parts_come_back_as_an_upload(void **state)
{
	uint64_t upload;

	(void)state;
	upload = begin_upload("multi");
	part("multi", upload, 1, FILE_BYTES, 9);
	part("multi", upload, 1, PART_BYTES, 1);
	part("multi", upload, 2, FILE_BYTES, 2);
	close_it();
	shell("rm -r index");
	rebuild_and_open();
	assert_true(result.added_parts >= 2);
	expect_told(
	    "multipart upload of \"multi\" in bucket \"bucket\" is there");
	expect("multi", -1, 0);
	assert_int_equal(complete("multi", upload), ERR_NONE);
	expect("multi", PART_BYTES + FILE_BYTES, 0);
}

static void
a_lost_part_takes_its_object_with_it(void **state)
{
	uint64_t upload, other;
	char command[128];

	(void)state;
	upload = begin_upload("multi");
	part("multi", upload, 1, PART_BYTES, 1);
	other = store->ids.next;
	part("multi", upload, 2, FILE_BYTES, 2);
	assert_int_equal(complete("multi", upload), ERR_NONE);
	upload = begin_upload("open");
	part("open", upload, 1, PART_BYTES, 1);
	hot_copy();
	close_it();
	snprintf(command, sizeof(command),
	    "rm -r index extents/0/%" PRIu64 " && rm extents/0/$(ls extents/0 |"
	    " sort -n | tail -1)",
	    other);
	shell(command);
	rebuild_and_open();
	assert_int_equal(result.dropped, 1);
	expect_told("\"multi\"");
	expect_told("part 1 of the upload");
	expect("multi", -1, 0);
}

static void
a_file_that_tells_nothing_is_set_aside(void **state)
{
	char command[128];
	uint64_t id;

	(void)state;
	put("a", FILE_BYTES, 1);
	id = extent_of("a");
	put("b", FILE_BYTES, 2);
	close_it();
	snprintf(command, sizeof(command),
	    "rm -r index && truncate -s -1 extents/0/%" PRIu64, id);
	shell(command);
	rebuild_and_open();
	assert_int_equal(result.added, 1);
	assert_int_equal(result.set_aside, 1);
	expect("a", -1, 0);
	expect("b", FILE_BYTES, 2);
	snprintf(command, sizeof(command), "test -f lost/%" PRIu64, id);
	shell(command);
}

static void
a_copy_that_is_not_sound_is_passed_over(void **state)
{
	(void)state;
	put("small", 100, 1);
	hot_copy();
	close_it();
	shell("cp copies/index-*.mdb copies/index-99990101T000000Z.mdb");
	shell("dd if=/dev/urandom of=copies/index-99990101T000000Z.mdb bs=4096"
	      " seek=2 count=10 conv=notrunc 2>/dev/null");
	shell("rm -r index; mkdir index.new; touch index.new/data.mdb");
	rebuild_and_open();
	expect_told("index-99990101T000000Z.mdb is not sound itself");
	expect("small", 100, 1);
}

/* By hand, instead of a rebuild: what came later would be swept away. */
static void
an_old_copy_in_the_place_of_the_index_is_refused(void **state)
{
	struct store_options options = { .dir = dir, .reserve_bytes = 1 };
	struct check_options check_options = { 0 };
	struct check_result found;

	(void)state;
	put("early", FILE_BYTES, 1);
	hot_copy();
	put("late", FILE_BYTES, 2);
	close_it();
	shell("cp copies/index-*.mdb index/data.mdb");
	assert_null(store_open(&options, &err));
	assert_int_equal(err.kind, ERR_DAMAGED);
	assert_non_null(strstr(err.text, "rebuild --force"));
	assert_int_equal(
	    store_check(dir, &check_options, tell, NULL, &found, &err), 0);
	assert_int_equal(found.damage, 1);
	rebuild(1);
	expect_sound();
	open_it();
	expect("early", FILE_BYTES, 1);
	expect("late", FILE_BYTES, 2);
}

static void
a_damaged_object_of_a_versioned_bucket_gives_way_to_an_older_one(void **state)
{
	char command[128];
	uint64_t id;

	(void)state;
	set_versioning(VERSIONING_ENABLED);
	put("a", FILE_BYTES, 1);
	put("a", FILE_BYTES, 2);
	id = extent_of("a");
	hot_copy();
	close_it();
	snprintf(
	    command, sizeof(command), "rm -r index extents/0/%" PRIu64, id);
	shell(command);
	rebuild_and_open();
	assert_int_equal(result.dropped, 1);
	expect("a", FILE_BYTES, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_index_is_not_rebuilt),
		TEST(all_comes_back_from_a_fresh_copy),
		TEST(files_come_back_without_any_copy),
		TEST(destroyed_pages_are_set_aside_with_their_index),
		TEST(what_came_after_the_copy_is_found_and_what_went_is_told),
		TEST(a_displaced_content_is_set_aside),
		TEST(several_contents_of_a_key_become_versions),
		TEST(parts_come_back_as_an_upload),
		TEST(a_lost_part_takes_its_object_with_it),
		TEST(a_file_that_tells_nothing_is_set_aside),
		TEST(a_copy_that_is_not_sound_is_passed_over),
		TEST(an_old_copy_in_the_place_of_the_index_is_refused),
		TEST(
		    a_damaged_object_of_a_versioned_bucket_gives_way_to_an_older_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
