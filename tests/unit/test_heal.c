#include <fcntl.h>
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
#include "store/check.h"
#include "store/internal.h"
#include "store/txn.h"

/* Healing from a copy elsewhere, which here is a function of the key's first
 * letter. */

#define PART_BYTES (5 * 1024 * 1024)

struct fixture {
	char dir[64];
	struct store *store;
	struct remote remote;
	atomic_uint opens;
	atomic_int lies, absent;
};

static uint8_t
byte_at(uint8_t seed, uint64_t i)
{
	return (uint8_t)(seed + i * 7 + i / 251);
}

static void *
copy_open(void *context, struct slice bucket, struct slice key,
    const struct object_record *rec, unsigned *next, struct error *err)
{
	struct fixture *f = context;

	assert_true(slice_is(bucket, "bucket"));
	assert_true(rec->size > 0);
	atomic_fetch_add(&f->opens, 1);
	if (f->absent || *next > 0) {
		error_set(err, ERR_NOT_FOUND, "there is no copy elsewhere");
		return NULL;
	}
	*next = 1;
	return (void *)(uintptr_t)((uint8_t)key.at[0] | (f->lies ? 256u : 0u));
}

static int
copy_read(
    void *copy, uint64_t offset, void *bytes, size_t len, struct error *err)
{
	uintptr_t seed = (uintptr_t)copy;
	size_t i;

	(void)err;
	for (i = 0; i < len; i++)
		((uint8_t *)bytes)[i] =
		    (uint8_t)(byte_at((uint8_t)seed, offset + i) + seed / 256);
	return 0;
}

static void
copy_close(void *copy)
{
	(void)copy;
}

static void
open_store(struct fixture *f)
{
	struct store_options options = { .dir = f->dir, .io_threads = 2 };
	struct error err = ERROR_INIT;

	options.reserve_bytes = 1;
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
		.open = copy_open,
		.read = copy_read,
		.close = copy_close };
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

static struct content_writer *
content(struct fixture *f, const char *key, uint64_t from, size_t len,
    uint8_t md5[16])
{
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct object_record record = { .version = 1, .size = len };
	struct buffer encoded = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct content_writer *w;
	uint8_t *bytes = malloc(len);
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = byte_at((uint8_t)key[0], from + i);
	object_encode(&encoded, &record);
	owner.record = buffer_slice(&encoded);
	w = content_begin(f->store, len, &err);
	assert_non_null(w);
	assert_int_equal(content_write(w, bytes, len, &err), 0);
	assert_int_equal(content_seal(w, &owner, &err), 0);
	digest_once(DIGEST_MD5, bytes, len, md5);
	buffer_free(&encoded);
	free(bytes);
	return w;
}

static void
put(struct fixture *f, const char *key, size_t len)
{
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };

	p.content = content(f, key, 0, len, p.record.md5);
	assert_int_equal(store_put_object(f->store, &p), 0);
}

/* Three parts, the last a small one. */
static void
put_parts(struct fixture *f, const char *key)
{
	struct create_upload create = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct complete_part parts[3] = { 0 };
	struct complete_upload complete = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key),
		.parts = parts,
		.n_parts = 3,
		.size = UINT64_MAX };
	struct put_part part;
	int i;

	assert_int_equal(store_create_upload(f->store, &create), 0);
	for (i = 0; i < 3; i++) {
		part = (struct put_part){ .bucket = create.bucket,
			.key = create.key,
			.upload = create.upload,
			.number = (uint16_t)(i + 1) };
		part.content = content(f, key, (uint64_t)i * PART_BYTES,
		    i == 2 ? 100000 : PART_BYTES, part.record.md5);
		assert_int_equal(store_put_part(f->store, &part), 0);
		parts[i].number = part.number;
		memcpy(parts[i].md5, part.record.md5, 16);
	}
	complete.upload = create.upload;
	assert_int_equal(store_complete_upload(f->store, &complete), 0);
	buffer_free(&complete.memory);
}

static void
look(struct fixture *f, const char *key, struct object_record *rec)
{
	struct buffer memory = BUFFER_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(
	    store_object(f->store, SLICE_LITERAL("bucket"), slice_text(key), 0,
		rec, &memory, NULL, NULL, &err),
	    0);
	buffer_free(&memory);
}

/* Reads it as a request does; whether that came to its end. */
static int
reads(struct fixture *f, const char *key)
{
	char *block = malloc(4 * CONTENT_BLOCK_BYTES);
	struct error err = ERROR_INIT;
	struct object_record rec;
	uint64_t offset = 0;
	struct content *c;
	const char *at;
	long n, i;

	look(f, key, &rec);
	c = content_open(f->store, rec.extent, &err);
	assert_non_null(c);
	assert_int_equal(
	    content_name(c, SLICE_LITERAL("bucket"), slice_text(key)), 0);
	do {
		n = content_read(c, offset, rec.size, block,
		    4 * CONTENT_BLOCK_BYTES, 1, &at, &err);
		if (n == CONTENT_WOULD_BLOCK)
			n = content_read(c, offset, rec.size, block,
			    4 * CONTENT_BLOCK_BYTES, 0, &at, &err);
		for (i = 0; i < n; i++)
			if ((uint8_t)at[i] !=
			    byte_at((uint8_t)key[0], offset + (uint64_t)i))
				fail_msg(
				    "byte %d differs", (int)offset + (int)i);
		offset += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
	if (n < 0)
		assert_int_equal(err.kind, ERR_DAMAGED);
	content_close(c);
	free(block);
	return n == 0 && offset == rec.size;
}

static void
path_of(struct fixture *f, uint64_t extent, char path[128])
{
	snprintf(path, 128, "%s/extents/%d/%d", f->dir,
	    (int)(extent / EXTENTS_PER_DIRECTORY), (int)extent);
}

static void
flip(struct fixture *f, uint64_t extent, off_t at)
{
	char path[128], byte;
	int fd;

	path_of(f, extent, path);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void
expect_healed(struct fixture *f, uint64_t n)
{
	struct store_figures figures;
	int i;

	for (i = 0; i < 2000; i++) {
		store_figures(f->store, &figures);
		if (figures.healed_contents >= n)
			break;
		nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	}
	assert_int_equal(figures.healed_contents, n);
}

static void
show(const char *text, void *arg)
{
	(void)arg;
	print_message("%s\n", text);
}

static void
expect_sound(struct fixture *f)
{
	struct check_options options = { .read_data = 1 };
	struct check_result result;
	struct error err = ERROR_INIT;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(
	    store_check(f->dir, &options, show, NULL, &result, &err), 0);
	assert_int_equal(result.damage, 0);
	open_store(f);
}

static void
a_damaged_block_is_read_elsewhere_and_healed(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;

	put(f, "a", 300000);
	look(f, "a", &rec);
	flip(f, rec.extent, 100000);
	assert_true(reads(f, "a"));
	expect_healed(f, 1);
	expect_sound(f);
	f->absent = 1;
	assert_true(reads(f, "a"));
}

static void
a_missing_file_is_healed_before_it_is_read(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;
	char path[128];

	put(f, "a", 300000);
	look(f, "a", &rec);
	path_of(f, rec.extent, path);
	assert_int_equal(unlink(path), 0);
	assert_true(reads(f, "a"));
	assert_int_equal(access(path, F_OK), 0);
	expect_healed(f, 1);
	expect_sound(f);
}

static void
a_file_without_its_trailer_is_healed(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;
	char path[128];

	put(f, "a", 300000);
	look(f, "a", &rec);
	path_of(f, rec.extent, path);
	assert_int_equal(truncate(path, 200000), 0);
	assert_true(reads(f, "a"));
	expect_healed(f, 1);
	expect_sound(f);
}

static void
a_copy_that_lies_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;
	char path[128];

	put(f, "a", 300000);
	put(f, "b", 300000);
	look(f, "a", &rec);
	flip(f, rec.extent, 100000);
	look(f, "b", &rec);
	path_of(f, rec.extent, path);
	assert_int_equal(unlink(path), 0);
	f->lies = 1;
	assert_false(reads(f, "a"));
	assert_false(reads(f, "b"));
	assert_int_not_equal(access(path, F_OK), 0);
	f->lies = 0;
	assert_true(reads(f, "a"));
	assert_true(reads(f, "b"));
	expect_healed(f, 2);
	expect_sound(f);
}

static void
lost_parts_are_told_by_the_etag_of_the_whole(void **state)
{
	struct fixture *f = *state;
	struct extent_record chain;
	struct buffer memory = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct object_record rec;
	struct chain_entry e[3];
	char path[128];
	size_t i;

	put_parts(f, "m");
	look(f, "m", &rec);
	assert_int_equal(
	    heal_record(f->store, rec.extent, &chain, &memory, &err), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(chain_get(&chain, i, &e[i]), 0);
	buffer_free(&memory);
	flip(f, e[0].extent, 4000000);
	path_of(f, e[1].extent, path);
	assert_int_equal(unlink(path), 0);
	path_of(f, e[2].extent, path);
	assert_int_equal(unlink(path), 0);
	f->lies = 1;
	assert_false(reads(f, "m"));
	f->lies = 0;
	assert_true(reads(f, "m"));
	expect_healed(f, 3);
	expect_sound(f);
}

struct spoil {
	struct change change;
	uint64_t extent;
};

static int
apply_spoil(struct store_txn *txn, struct change *change)
{
	struct spoil *s = change_of(change, struct spoil, change);
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	struct slice value;
	uint8_t be[8];
	int rc;

	assert_int_equal(index_get_u64(txn->txn, txn_dbi(txn, DB_EXTENTS),
			     s->extent, &value, &change->err),
	    0);
	assert_int_equal(extent_decode(value, &rec, &change->err), 0);
	extent_encode(&memory, &rec);
	memory.at[memory.len - 3] ^= 1;
	be[0] = be[1] = be[2] = be[3] = be[4] = be[5] = 0;
	be[6] = (uint8_t)(s->extent >> 8);
	be[7] = (uint8_t)s->extent;
	rc = txn_put(txn, DB_EXTENTS, (struct slice){ (char *)be, 8 },
	    buffer_slice(&memory), 0, &change->err);
	buffer_free(&memory);
	return rc;
}

static void
bytes_in_the_index_are_healed_too(void **state)
{
	struct fixture *f = *state;
	struct spoil s = { 0 };
	struct object_record rec;

	put(f, "i", 1000);
	look(f, "i", &rec);
	s.extent = rec.extent;
	assert_int_equal(
	    store_submit(f->store, &s.change, apply_spoil, NULL, 0), 0);
	assert_true(reads(f, "i"));
	expect_healed(f, 1);
	expect_sound(f);
}

static void
what_was_found_in_an_earlier_life_is_healed(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;

	put_parts(f, "m");
	put(f, "z", 200000);
	look(f, "z", &rec);
	flip(f, rec.extent, 70000);
	f->absent = 1;
	assert_false(reads(f, "z"));
	store_close(f->store);
	f->absent = 0;
	open_store(f);
	expect_healed(f, 1);
	expect_sound(f);
}

static void
nobody_is_asked_about_what_is_sound(void **state)
{
	struct fixture *f = *state;

	put(f, "a", 300000);
	put(f, "i", 10);
	assert_true(reads(f, "a"));
	assert_true(reads(f, "i"));
	assert_int_equal(f->opens, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_damaged_block_is_read_elsewhere_and_healed, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_missing_file_is_healed_before_it_is_read, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_file_without_its_trailer_is_healed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_copy_that_lies_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    lost_parts_are_told_by_the_etag_of_the_whole, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    bytes_in_the_index_are_healed_too, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_was_found_in_an_earlier_life_is_healed, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    nobody_is_asked_about_what_is_sound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
