#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/index.h"
#include "store/record.h"
#include "store/stamp.h"

static char dir[] = "/tmp/test_stamp.XXXXXX";
static struct index *index_;
static MDB_txn *txn;
static struct error err;

static int
setup(void **state)
{
	char path[64];

	(void)state;
	error_clear(&err);
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/index", dir);
	if ((index_ = index_open(path, 1 << 24, 4, 0, &err)) == NULL)
		return -1;
	return mdb_txn_begin(index_env(index_), NULL, 0, &txn);
}

static int
teardown(void **state)
{
	char command[64];

	(void)state;
	mdb_txn_abort(txn);
	index_close(index_);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	if (system(command) != 0)
		return -1;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	return 0;
}

static MDB_val
val(const void *at, size_t len)
{
	return (MDB_val){ len, (void *)(uintptr_t)at };
}

/* What lies in the index, its stamp included. */
static size_t
raw(enum index_db db, const char *key, uint8_t *bytes)
{
	MDB_val k = val(key, strlen(key)), v;

	assert_int_equal(mdb_get(txn, index_dbi(index_, db), &k, &v), 0);
	memcpy(bytes, v.mv_data, v.mv_size);
	return v.mv_size;
}

static void
put_raw(enum index_db db, const char *key, const uint8_t *bytes, size_t len)
{
	MDB_val k = val(key, strlen(key)), v = val(bytes, len);

	assert_int_equal(mdb_put(txn, index_dbi(index_, db), &k, &v, 0), 0);
}

static int
get(enum index_db db, const char *key, struct slice *value)
{
	error_clear(&err);
	return index_get(
	    txn, index_dbi(index_, db), key, strlen(key), value, &err);
}

static void
put(enum index_db db, const char *key, const char *value)
{
	MDB_val k = val(key, strlen(key)), v = val(value, strlen(value));

	assert_int_equal(stamp_put(txn, index_dbi(index_, db), &k, &v, 0), 0);
}

static void
a_value_comes_back_as_it_was_in_every_database(void **state)
{
	struct slice value;
	enum index_db db;

	(void)state;
	for (db = DB_BUCKETS; db < INDEX_DBS; db++) {
		put(db, "key", "value");
		put(db, "empty", "");
		assert_int_equal(get(db, "key", &value), 0);
		assert_true(slice_is(value, "value"));
		assert_int_equal(get(db, "empty", &value), 0);
		assert_int_equal(value.len, 0);
		assert_int_equal(get(db, "other", &value), 1);
	}
}

static void
no_flipped_bit_of_a_value_is_read(void **state)
{
	uint8_t bytes[64];
	struct slice value;
	size_t len, bit;
	enum index_db db;

	(void)state;
	for (db = DB_BUCKETS; db < INDEX_DBS; db++) {
		put(db, "key", "some value");
		len = raw(db, "key", bytes);
		for (bit = 0; bit < 8 * len; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			put_raw(db, "key", bytes, len);
			assert_int_equal(get(db, "key", &value), -1);
			assert_int_equal(err.kind, ERR_DAMAGED);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		put_raw(db, "key", bytes, len);
		assert_int_equal(get(db, "key", &value), 0);
	}
}

static void
a_value_of_another_length_key_or_database_is_not_read(void **state)
{
	uint8_t bytes[64];
	struct slice value;
	size_t len, n;

	(void)state;
	put(DB_OBJECTS, "key", "value");
	len = raw(DB_OBJECTS, "key", bytes);
	for (n = 0; n < len; n++) {
		put_raw(DB_OBJECTS, "key", bytes, n);
		assert_int_equal(get(DB_OBJECTS, "key", &value), -1);
	}
	put_raw(DB_OBJECTS, "kez", bytes, len);
	assert_int_equal(get(DB_OBJECTS, "kez", &value), -1);
	put_raw(DB_VERSIONS, "key", bytes, len);
	assert_int_equal(get(DB_VERSIONS, "key", &value), -1);
	/* The border between both moved. */
	put_raw(DB_OBJECTS, "keyv", bytes + 1, len - 1);
	assert_int_equal(get(DB_OBJECTS, "keyv", &value), -1);
	assert_string_equal(err.text,
	    "the index is damaged: the record 6b657976 of objects has a wrong"
	    " checksum: run `holdfast check`");
}

static void
a_walk_stops_at_a_damaged_record_and_can_go_on(void **state)
{
	uint8_t bytes[64];
	MDB_cursor *cursor;
	MDB_val k, v;
	size_t len;

	(void)state;
	put(DB_OBJECTS, "a", "1");
	put(DB_OBJECTS, "b", "2");
	put(DB_OBJECTS, "c", "3");
	len = raw(DB_OBJECTS, "b", bytes);
	bytes[0] ^= 1;
	put_raw(DB_OBJECTS, "b", bytes, len);
	assert_int_equal(
	    mdb_cursor_open(txn, index_dbi(index_, DB_OBJECTS), &cursor), 0);
	assert_int_equal(stamp_step(cursor, &k, &v, MDB_FIRST), 0);
	assert_int_equal(stamp_step(cursor, &k, &v, MDB_NEXT), STAMP_BROKEN);
	assert_memory_equal(k.mv_data, "b", 1);
	assert_int_equal(stamp_step(cursor, &k, &v, MDB_NEXT), 0);
	assert_memory_equal(v.mv_data, "3", 1);
	assert_int_equal(v.mv_size, 1);
	assert_int_equal(stamp_step(cursor, &k, &v, MDB_NEXT), MDB_NOTFOUND);
	mdb_cursor_close(cursor);
}

/* They have a checksum of their own, and can be healed. */
static void
bytes_of_an_inline_content_are_left_out(void **state)
{
	struct extent_record rec = { .kind = EXTENT_INLINE,
		.references = 1,
		.size = 5,
		.crc32c = 7,
		.bytes = SLICE_LITERAL("bytes") };
	struct buffer b = BUFFER_INIT;
	struct slice value;
	uint8_t bytes[64], *at;
	size_t len, i;

	(void)state;
	extent_encode(&b, &rec);
	assert_true(slice_equal(extent_content(buffer_slice(&b)), rec.bytes));
	{
		MDB_val k = val("id", 2), v = val(b.at, b.len);

		assert_int_equal(
		    stamp_put(txn, index_dbi(index_, DB_EXTENTS), &k, &v, 0),
		    0);
	}
	buffer_free(&b);
	len = raw(DB_EXTENTS, "id", bytes);
	at = memmem(bytes, len, "bytes", 5);
	assert_non_null(at);
	for (i = 0; i < len; i++) {
		bytes[i] ^= 4;
		put_raw(DB_EXTENTS, "id", bytes, len);
		assert_int_equal(get(DB_EXTENTS, "id", &value),
		    bytes + i >= at && bytes + i < at + 5 ? 0 : -1);
		bytes[i] ^= 4;
	}
}

static void
an_index_of_the_format_before_is_refused(void **state)
{
	char path[64];
	struct index *other;

	(void)state;
	put_raw(DB_SETTINGS, SETTING_FORMAT, (const uint8_t *)"\001", 1);
	assert_int_equal(mdb_txn_commit(txn), 0);
	index_close(index_);
	snprintf(path, sizeof(path), "%s/index", dir);
	other = index_open(path, 1 << 24, 4, 1, &err);
	assert_null(other);
	assert_int_equal(err.kind, ERR_FORMAT);
	assert_non_null(strstr(err.text, "format 1, from before the first"));
	snprintf(path, sizeof(path), "%s/other", dir);
	index_ = index_open(path, 1 << 24, 4, 0, &err);
	assert_non_null(index_);
	assert_int_equal(mdb_txn_begin(index_env(index_), NULL, 0, &txn), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_value_comes_back_as_it_was_in_every_database),
		TEST(no_flipped_bit_of_a_value_is_read),
		TEST(a_value_of_another_length_key_or_database_is_not_read),
		TEST(a_walk_stops_at_a_damaged_record_and_can_go_on),
		TEST(bytes_of_an_inline_content_are_left_out),
		TEST(an_index_of_the_format_before_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
