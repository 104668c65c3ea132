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
#include "store/internal.h"
#include "store/txn.h"

/* What can still be done beside and with records whose stamp is wrong. */

struct fixture {
	char dir[64];
	struct store *store;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };
	struct store_options options = { .reserve_bytes = 1 };
	struct error err = ERROR_INIT;

	if (f == NULL)
		return -1;
	strncpy(f->dir, "/tmp/holdfast-test-XXXXXX", sizeof(f->dir) - 1);
	if (mkdtemp(f->dir) == NULL)
		return -1;
	options.dir = f->dir;
	f->store = store_open(&options, &err);
	assert_non_null(f->store);
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

static struct error
put(struct fixture *f, const char *key)
{
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct content_owner owner = { .bucket = p.bucket, .key = p.key };
	struct error err = ERROR_INIT;

	p.content = content_begin(f->store, 5, &err);
	assert_non_null(p.content);
	assert_int_equal(content_write(p.content, "bytes", 5, &err), 0);
	assert_int_equal(content_seal(p.content, &owner, &err), 0);
	if (store_put_object(f->store, &p) == 0)
		return (struct error)ERROR_INIT;
	assert_true(p.change.err.kind != ERR_NONE);
	return p.change.err;
}

static struct error
remove_key(struct fixture *f, const char *key)
{
	struct delete_item item = { .key = slice_text(key) };
	struct delete_objects d = {
		.bucket = SLICE_LITERAL("bucket"), .items = &item, .n_items = 1
	};

	return store_delete_objects(f->store, &d) != 0 ? d.change.err
						       : item.err;
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

struct breaking {
	struct change change;
	enum index_db db;
	struct slice key_end; /* what the record's key ends with */
};

/* Flips a bit of each record whose key ends so. */
static int
apply_break(struct store_txn *txn, struct change *change)
{
	struct breaking *b = change_of(change, struct breaking, change);
	uint8_t bytes[4096];
	MDB_cursor *cursor;
	MDB_val k, v;

	assert_int_equal(
	    mdb_cursor_open(txn->txn, txn_dbi(txn, b->db), &cursor), 0);
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		if (k.mv_size >= b->key_end.len && v.mv_size < sizeof(bytes) &&
		    memcmp((char *)k.mv_data + k.mv_size - b->key_end.len,
			b->key_end.at, b->key_end.len) == 0) {
			memcpy(bytes, v.mv_data, v.mv_size);
			bytes[v.mv_size - 1] ^= 1;
			v.mv_data = bytes;
			assert_int_equal(
			    mdb_cursor_put(cursor, &k, &v, MDB_CURRENT), 0);
		}
	mdb_cursor_close(cursor);
	txn->wrote = 1;
	return 0;
}

static void
break_record(struct fixture *f, enum index_db db, struct slice key_end)
{
	struct breaking b = { .db = db, .key_end = key_end };

	assert_int_equal(
	    store_submit(f->store, &b.change, apply_break, NULL, 1), 0);
}

static void
a_new_key_beside_a_broken_record_is_taken_or_refused_with_a_reason(void **state)
{
	struct fixture *f = *state;
	struct error err;

	err = put(f, "b");
	assert_int_equal(err.kind, ERR_NONE);
	break_record(f, DB_OBJECTS, SLICE_LITERAL("b"));
	err = put(f, "a");
	if (err.kind != ERR_NONE)
		assert_int_equal(err.kind, ERR_DAMAGED);
	err = remove_key(f, "a");
	if (err.kind != ERR_NONE)
		assert_int_equal(err.kind, ERR_DAMAGED);
	/* The broken one gives way, and then its neighbours are free. */
	err = put(f, "b");
	assert_int_equal(err.kind, ERR_NONE);
	err = put(f, "a");
	assert_int_equal(err.kind, ERR_NONE);
}

static void
what_has_a_broken_extent_is_overwritten_and_deleted_where_versions_are_kept(
    void **state)
{
	struct set_bucket v = { .name = SLICE_LITERAL("bucket"),
		.what = BUCKET_SET_VERSIONING,
		.versioning = VERSIONING_ENABLED };
	struct fixture *f = *state;
	struct error err;
	uint8_t be[8];

	assert_int_equal(store_set_bucket(f->store, &v), 0);
	err = put(f, "a");
	assert_int_equal(err.kind, ERR_NONE);
	err = put(f, "b");
	assert_int_equal(err.kind, ERR_NONE);
	be64_put(be, extent_of(f, "a"));
	break_record(f, DB_EXTENTS, (struct slice){ (char *)be, 8 });
	be64_put(be, extent_of(f, "b"));
	break_record(f, DB_EXTENTS, (struct slice){ (char *)be, 8 });
	err = put(f, "a");
	assert_string_equal(err.text, "");
	assert_int_equal(err.kind, ERR_NONE);
	err = remove_key(f, "b");
	assert_string_equal(err.text, "");
	assert_int_equal(err.kind, ERR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    a_new_key_beside_a_broken_record_is_taken_or_refused_with_a_reason),
		TEST(
		    what_has_a_broken_extent_is_overwritten_and_deleted_where_versions_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
