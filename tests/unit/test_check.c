#include <sys/stat.h>

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
#include "base/encode.h"
#include "base/log.h"
#include "store/check.h"
#include "store/internal.h"
#include "store/names.h"
#include "store/stamp.h"

/*
 * Each test makes a store that has something of everything, closes it, plants
 * one kind of damage with LMDB's or the file system's own means, and expects
 * the checker to tell of it.
 */

#define FILE_BYTES (200 * 1024)
#define PART_BYTES (5 * 1024 * 1024)

static char dir[] = "/tmp/holdfast-check-XXXXXX";
static struct store *store;
static struct index *index_;
static struct buffer told;
static struct check_result result;
static struct error err;

static struct content_writer *
content(size_t len, uint8_t md5[16])
{
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("key") };
	struct content_writer *w;
	char *bytes;

	bytes = malloc(len + 1);
	assert_non_null(bytes);
	memset(bytes, (int)(len % 251), len);
	w = content_begin(store, len, &err);
	assert_non_null(w);
	assert_int_equal(content_write(w, bytes, len, &err), 0);
	assert_int_equal(content_seal(w, &owner, &err), 0);
	digest_once(DIGEST_MD5, bytes, len, md5);
	free(bytes);
	return w;
}

static void
put(const char *key, size_t len)
{
	struct put_object p = { 0 };

	p.bucket = SLICE_LITERAL("bucket");
	p.key = slice_text(key);
	p.content = content(len, p.record.md5);
	assert_int_equal(store_put_object(store, &p), 0);
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

static void
part(uint64_t upload, uint16_t number, size_t len, struct complete_part *out)
{
	struct put_part p = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("multi"),
		.upload = upload,
		.number = number };

	p.content = content(len, p.record.md5);
	memcpy(out->md5, p.record.md5, 16);
	out->number = number;
	assert_int_equal(store_put_part(store, &p), 0);
}

static void
fill(void)
{
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };
	struct set_setting journal = { .name = SETTING_JOURNAL,
		.value = SLICE_LITERAL("on") };
	struct create_upload upload = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("multi") };
	struct set_bucket versioning = { .name = SLICE_LITERAL("bucket"),
		.what = BUCKET_SET_VERSIONING,
		.versioning = VERSIONING_ENABLED };
	struct complete_upload complete = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("multi"),
		.n_parts = 2,
		.size = UINT64_MAX };
	struct set_key key = { .name = SLICE_LITERAL("velero") };
	struct complete_part parts[2] = { 0 };
	char name[1025];

	assert_int_equal(store_create_bucket(store, &bucket), 0);
	put("empty", 0);
	put("small", 1000);
	put("file", FILE_BYTES);
	copy("file", "copy");
	put("gone", FILE_BYTES);
	delete ("gone");
	memset(name, 'n', 1024);
	name[1024] = '\0';
	put(name, 1000);
	name[700] = '\0';
	put(name, 0);
	put(name, 10);

	assert_int_equal(store_create_upload(store, &upload), 0);
	part(upload.upload, 1, PART_BYTES, &parts[0]);
	part(upload.upload, 2, 100, &parts[1]);
	complete.upload = upload.upload;
	complete.parts = parts;
	assert_int_equal(store_complete_upload(store, &complete), 0);
	buffer_free(&complete.memory);

	assert_int_equal(store_set_bucket(store, &versioning), 0);
	put("file", FILE_BYTES);
	put("file", 20);
	delete ("small");
	delete (name);
	put(name, 7);
	assert_int_equal(store_set_setting(store, &journal), 0);
	put("journalled", 100000);
	delete ("journalled");
	upload.key = SLICE_LITERAL("multi");
	assert_int_equal(store_create_upload(store, &upload), 0);
	part(upload.upload, 1, 300000, &parts[0]);
	part(upload.upload, 9, 0, &parts[1]);
	key.record.access_key = SLICE_LITERAL("AKIA1");
	key.record.secret = SLICE_LITERAL("secret");
	assert_int_equal(store_set_key(store, &key), 0);
}

static void
wait_for_reaper(void)
{
	struct store_figures f;
	int i;

	for (i = 0; i < 500; i++) {
		store_figures(store, &f);
		if (f.reap_waiting == 0)
			return;
		usleep(10000);
	}
	fail_msg("the reaper does not come to its end");
}

static void
open_it(void)
{
	struct store_options options = {
		.dir = dir, .io_threads = 2, .reserve_bytes = 1
	};

	store = store_open(&options, &err);
	if (store == NULL)
		fail_msg("%s", err.text);
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
	open_it();
	fill();
	wait_for_reaper();
	store_close(store);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	buffer_free(&told);
	told = (struct buffer)BUFFER_INIT;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
tell(const char *sentence, void *arg)
{
	(void)arg;
	buffer_add_text(&told, sentence);
	buffer_add_u8(&told, '\n');
}

static void
check(int read_data)
{
	struct check_options options = { .read_data = read_data };

	buffer_clear(&told);
	if (store_check(dir, &options, tell, NULL, &result, &err) != 0)
		fail_msg("%s", err.text);
	buffer_add_u8(&told, 0);
}

/* That exactly so many damages are found, and one of them has the words. */
static void
expect(uint64_t damage, const char *words)
{
	check(1);
	if (result.damage != damage || strstr(told.at, words) == NULL)
		fail_msg("expected %" PRIu64 " and \"%s\", found %" PRIu64
			 ":\n%s",
		    damage, words, result.damage, told.at);
}

static void
expect_some(const char *words)
{
	check(1);
	if (result.damage == 0 || strstr(told.at, words) == NULL)
		fail_msg("expected \"%s\", found:\n%s", words, told.at);
}

/* ---- damage by LMDB's own means ---- */

static MDB_txn *
begin(void)
{
	char path[64];
	MDB_txn *txn;

	snprintf(path, sizeof(path), "%s/index", dir);
	index_ = index_open(path, 0, 4, 0, &err);
	assert_non_null(index_);
	assert_int_equal(mdb_txn_begin(index_env(index_), NULL, 0, &txn), 0);
	return txn;
}

static void
commit(MDB_txn *txn)
{
	assert_int_equal(mdb_txn_commit(txn), 0);
	index_close(index_);
}

/* A copy of the value that is first at or behind key, and its key. */
static size_t
value_at(MDB_txn *txn, enum index_db db, const void *key, size_t key_len,
    uint8_t *found_key, uint8_t *value)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	MDB_cursor *cursor;

	assert_int_equal(
	    mdb_cursor_open(txn, index_dbi(index_, db), &cursor), 0);
	assert_int_equal(stamp_skip(cursor, &k, &v,
			     key_len == 0 ? MDB_FIRST : MDB_SET_RANGE),
	    0);
	memcpy(found_key, k.mv_data, k.mv_size);
	memcpy(value, v.mv_data, v.mv_size);
	mdb_cursor_close(cursor);
	return v.mv_size;
}

static void
put_raw(MDB_txn *txn, enum index_db db, const void *key, size_t key_len,
    const void *value, size_t len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	MDB_val v = { len, (void *)(uintptr_t)value };

	assert_int_equal(stamp_put(txn, index_dbi(index_, db), &k, &v, 0), 0);
}

static void
del_raw(MDB_txn *txn, enum index_db db, const void *key, size_t key_len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };

	assert_int_equal(mdb_del(txn, index_dbi(index_, db), &k, NULL), 0);
}

static uint64_t
bucket_id(MDB_txn *txn)
{
	struct bucket_record rec;
	struct slice value;

	assert_int_equal(index_get(txn, index_dbi(index_, DB_BUCKETS), "bucket",
			     6, &value, &err),
	    0);
	assert_int_equal(bucket_decode(value, &rec, &err), 0);
	return rec.id;
}

static struct object_record
object(MDB_txn *txn, const char *key)
{
	struct object_record rec;
	struct slice value;

	assert_int_equal(names_get(txn, index_dbi(index_, DB_OBJECTS),
			     bucket_id(txn), slice_text(key), &value, &err),
	    0);
	assert_int_equal(object_decode(value, &rec, &err), 0);
	return rec;
}

static uint64_t
no_node(void *arg)
{
	(void)arg;
	return 0;
}

static void
put_object(MDB_txn *txn, const char *key, const struct object_record *rec)
{
	struct buffer b = BUFFER_INIT;

	object_encode(&b, rec);
	assert_int_equal(
	    names_put(txn, index_dbi(index_, DB_OBJECTS), bucket_id(txn),
		slice_text(key), buffer_slice(&b), no_node, NULL, &err),
	    0);
	buffer_free(&b);
}

static void
extent(MDB_txn *txn, uint64_t id, struct extent_record *rec)
{
	struct slice value;

	assert_int_equal(
	    index_get_u64(txn, index_dbi(index_, DB_EXTENTS), id, &value, &err),
	    0);
	assert_int_equal(extent_decode(value, rec, &err), 0);
}

static void
put_extent(MDB_txn *txn, uint64_t id, const struct extent_record *rec)
{
	struct buffer b = BUFFER_INIT;
	uint8_t be[8];

	extent_encode(&b, rec);
	be64_put(be, id);
	put_raw(txn, DB_EXTENTS, be, 8, b.at, b.len);
	buffer_free(&b);
}

static uint64_t
extent_of(const char *key)
{
	MDB_txn *txn = begin();
	uint64_t id = object(txn, key).extent;

	mdb_txn_abort(txn);
	index_close(index_);
	return id;
}

/* ---- tests ---- */

static void
a_sound_store_has_no_damage(void **state)
{
	(void)state;
	check(1);
	if (result.damage != 0 || result.notes != 0)
		fail_msg("%s", told.at);
	assert_int_equal(result.buckets, 1);
	assert_int_equal(result.objects, 6);
	assert_int_equal(result.uploads, 1);
	assert_int_equal(result.parts, 2);
	assert_true(result.versions >= 7);
	assert_int_equal(result.files, 5);
	assert_true(result.bytes_read > PART_BYTES);
	assert_true(result.journal_entries >= 2);
	check(0);
	assert_int_equal(result.damage, 0);
}

static void
a_running_server_keeps_the_checker_out(void **state)
{
	struct check_options options = { 0 };

	(void)state;
	open_it();
	assert_int_equal(
	    store_check(dir, &options, tell, NULL, &result, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	store_close(store);
}

static void
another_directory_is_told_as_one(void **state)
{
	struct check_options options = { 0 };

	(void)state;
	assert_int_equal(
	    store_check("/tmp", &options, tell, NULL, &result, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void
a_newer_format_is_refused(void **state)
{
	struct check_options options = { 0 };
	uint8_t format = INDEX_FORMAT + 1;
	MDB_txn *txn = begin();

	(void)state;
	put_raw(txn, DB_SETTINGS, SETTING_FORMAT, strlen(SETTING_FORMAT),
	    &format, 1);
	commit(txn);
	assert_int_equal(
	    store_check(dir, &options, tell, NULL, &result, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
}

static void
a_missing_file_is_found(void **state)
{
	uint64_t id = extent_of("copy");
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/extents/%" PRIu64 "/%" PRIu64, dir,
	    id / 4096, id);
	assert_int_equal(unlink(path), 0);
	expect(1, "is missing");
}

static int
open_file(uint64_t id)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/extents/%" PRIu64 "/%" PRIu64, dir,
	    id / 4096, id);
	return open(path, O_RDWR);
}

static void
a_flipped_bit_in_a_file_is_found_when_data_is_read(void **state)
{
	int fd = open_file(extent_of("copy"));

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 70000), 1);
	close(fd);
	check(0);
	assert_int_equal(result.damage, 0);
	expect(1, "block 1 has checksum");
}

static void
a_flipped_bit_in_a_trailer_is_found(void **state)
{
	int fd = open_file(extent_of("copy"));

	(void)state;
	assert_int_equal(pwrite(fd, "xyz", 3, FILE_BYTES + 16), 3);
	close(fd);
	check(0);
	assert_int_equal(result.damage, 1);
}

static void
a_cut_off_file_is_found(void **state)
{
	int fd = open_file(extent_of("copy"));

	(void)state;
	assert_int_equal(ftruncate(fd, FILE_BYTES - 1), 0);
	close(fd);
	expect(1, "file of content");
}

static void
files_that_nothing_names_are_found(void **state)
{
	uint64_t id = extent_of("copy");
	char command[256];

	(void)state;
	snprintf(command, sizeof(command),
	    "cd %s/extents && cp 0/%" PRIu64 " 0/4000 && mkdir -p 244 && cp "
	    "0/%" PRIu64 " 244/1000000 && mkdir lost+found",
	    dir, id, id);
	assert_int_equal(system(command), 0);
	check(1);
	/* Above the settled number they are of writes that were cut off. */
	assert_int_equal(result.damage, 0);
	assert_int_equal(result.notes, 2);

	/* Extent 1 is an inline one or gone. */
	snprintf(command, sizeof(command),
	    "cd %s/extents && rm -r 0/4000 244 && touch 0/1", dir);
	assert_int_equal(system(command), 0);
	expect(1, "there is a file");
}

static void
a_file_below_the_settled_number_without_record_is_an_orphan(void **state)
{
	struct buffer b = BUFFER_INIT;
	struct index_counters counters;
	struct slice value;
	char command[256];
	uint64_t id;
	MDB_txn *txn;

	(void)state;
	txn = begin();
	id = object(txn, "copy").extent;
	assert_int_equal(
	    index_get(txn, index_dbi(index_, DB_SETTINGS), SETTING_COUNTERS,
		strlen(SETTING_COUNTERS), &value, &err),
	    0);
	assert_int_equal(counters_decode(value, &counters, &err), 0);
	snprintf(command, sizeof(command),
	    "cd %s/extents && cp 0/%" PRIu64 " 0/%" PRIu64, dir, id,
	    counters.next_extent);
	counters.next_extent += 10;
	counters.settled_extent = counters.next_extent;
	counters_encode(&b, &counters);
	put_raw(txn, DB_SETTINGS, SETTING_COUNTERS, strlen(SETTING_COUNTERS),
	    b.at, b.len);
	commit(txn);
	buffer_free(&b);
	assert_int_equal(system(command), 0);
	expect(1, "nothing in the index names the file");
}

static void
a_wrong_reference_count_is_found(void **state)
{
	struct extent_record rec;
	MDB_txn *txn = begin();
	uint64_t id = object(txn, "copy").extent;

	(void)state;
	extent(txn, id, &rec);
	rec.references++;
	put_extent(txn, id, &rec);
	commit(txn);
	expect(1, "should be named");
}

static void
a_content_that_nothing_names_is_found(void **state)
{
	struct extent_record rec = { .kind = EXTENT_INLINE };
	struct slice value;
	MDB_txn *txn = begin();
	uint64_t id = 1;

	(void)state;
	while (index_get_u64(
		   txn, index_dbi(index_, DB_EXTENTS), id, &value, &err) == 0)
		id++;
	put_extent(txn, id, &rec);
	commit(txn);
	expect(1, "is named by nothing");
}

static void
a_content_in_use_in_the_reapers_queue_is_found(void **state)
{
	MDB_txn *txn = begin();
	uint8_t be[8];

	(void)state;
	be64_put(be, object(txn, "copy").extent);
	put_raw(txn, DB_REAP, be, 8, "", 0);
	be64_put(be, 999);
	put_raw(txn, DB_REAP, be, 8, "", 0);
	commit(txn);
	expect_some("is in use, but is to be removed");
	assert_non_null(strstr(told.at, "is to be removed, but is not"));
}

static void
an_object_without_its_content_is_found(void **state)
{
	MDB_txn *txn = begin();
	struct object_record rec = object(txn, "copy");

	(void)state;
	rec.extent = 12345;
	put_object(txn, "copy", &rec);
	commit(txn);
	/* And the old content is named once less. */
	expect(2, "object \"copy\" in bucket \"bucket\" has the content 12345");
}

static void
an_object_of_another_size_is_found(void **state)
{
	MDB_txn *txn = begin();
	struct object_record rec = object(txn, "copy");

	(void)state;
	rec.size--;
	put_object(txn, "copy", &rec);
	commit(txn);
	expect(2, "its content");
	assert_non_null(strstr(told.at, "bytes of objects"));
}

static void
an_object_with_another_number_of_parts_is_found(void **state)
{
	MDB_txn *txn = begin();
	struct object_record rec = object(txn, "multi");

	(void)state;
	rec.parts++;
	put_object(txn, "multi", &rec);
	commit(txn);
	expect(1, "should have 3 parts");
}

static void
an_object_that_vanished_is_found(void **state)
{
	MDB_txn *txn = begin();

	(void)state;
	assert_int_equal(names_delete(txn, index_dbi(index_, DB_OBJECTS),
			     bucket_id(txn), SLICE_LITERAL("copy"), &err),
	    0);
	commit(txn);
	/* Two usage figures and a reference. */
	expect(3, "should hold 6 objects");
}

static void
a_record_of_rubbish_is_found_in_every_database(void **state)
{
	static const struct {
		enum index_db db;
		const char *words;
	} rows[] = {
		{ DB_BUCKETS, "bucket \"bucket\":" },
		{ DB_OBJECTS, "object \"" },
		{ DB_VERSIONS, "damage" },
		{ DB_UPLOADS, "damage" },
		{ DB_PARTS, "part \"" },
		{ DB_EXTENTS, "content " },
		{ DB_JOURNAL, "journal entry" },
		{ DB_KEYS, "an access key" },
	};
	uint8_t key[512], value[70000];
	size_t i, len, key_len;
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		txn = begin();
		mdb_cursor_open(txn, index_dbi(index_, rows[i].db), &cursor);
		assert_int_equal(stamp_skip(cursor, &k, &v, MDB_FIRST), 0);
		memcpy(key, k.mv_data, key_len = k.mv_size);
		memcpy(value, v.mv_data, len = v.mv_size);
		mdb_cursor_close(cursor);
		put_raw(txn, rows[i].db, key, key_len, "\001\000rubbish", 9);
		commit(txn);
		expect_some(rows[i].words);
		txn = begin();
		put_raw(txn, rows[i].db, key, key_len, value, len);
		commit(txn);
		expect(0, "");
	}
}

static void
a_key_of_another_length_is_found_in_every_database(void **state)
{
	static const enum index_db dbs[] = { DB_OBJECTS, DB_VERSIONS,
		DB_UPLOADS, DB_PARTS, DB_EXTENTS, DB_REAP, DB_JOURNAL };
	MDB_txn *txn;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(dbs) / sizeof(dbs[0]); i++) {
		txn = begin();
		put_raw(txn, dbs[i], "\377\377\377", 3, "x", 1);
		commit(txn);
		expect_some("has a key of 3 bytes");
		txn = begin();
		del_raw(txn, dbs[i], "\377\377\377", 3);
		commit(txn);
	}
	expect(0, "");
}

static void
entries_to_which_nothing_leads_are_found(void **state)
{
	static const enum index_db dbs[] = { DB_OBJECTS, DB_VERSIONS,
		DB_UPLOADS };
	uint8_t key[16];
	MDB_txn *txn;
	size_t i;

	(void)state;
	be64_put(key, 77777);
	be64_put(key + 8, 5);
	for (i = 0; i < 3; i++) {
		txn = begin();
		put_raw(txn, dbs[i], key, sizeof(key), "x", 1);
		commit(txn);
		expect(1, "below the node 77777, to which nothing leads");
		txn = begin();
		del_raw(txn, dbs[i], key, sizeof(key));
		commit(txn);
	}
}

/* The key of the first continuation of a long name. */
static void
continuation(MDB_txn *txn, uint8_t key[509], uint8_t value[8])
{
	MDB_cursor *cursor;
	MDB_val k, v;

	mdb_cursor_open(txn, index_dbi(index_, DB_OBJECTS), &cursor);
	do
		assert_int_equal(stamp_skip(cursor, &k, &v, MDB_NEXT), 0);
	while (k.mv_size != 509);
	memcpy(key, k.mv_data, 509);
	memcpy(value, v.mv_data, 8);
	mdb_cursor_close(cursor);
}

static void
a_long_name_that_leads_nowhere_is_found(void **state)
{
	uint8_t key[509], value[8];
	MDB_txn *txn = begin();

	(void)state;
	continuation(txn, key, value);
	put_raw(txn, DB_OBJECTS, key, sizeof(key), "short", 5);
	commit(txn);
	expect_some("the continuation of a long name is wrong");

	txn = begin();
	be64_put(value, 88888);
	put_raw(txn, DB_OBJECTS, key, sizeof(key), value, 8);
	commit(txn);
	expect_some("continues in a node that is empty");
	assert_non_null(strstr(told.at, "to which nothing leads"));
}

static void
wrong_usage_is_found(void **state)
{
	struct bucket_record rec;
	struct buffer b = BUFFER_INIT;
	struct slice value;
	MDB_txn *txn = begin();

	(void)state;
	index_get(
	    txn, index_dbi(index_, DB_BUCKETS), "bucket", 6, &value, &err);
	bucket_decode(value, &rec, &err);
	rec.objects++;
	rec.object_bytes++;
	rec.versions++;
	rec.version_bytes++;
	rec.uploads++;
	rec.upload_bytes++;
	bucket_encode(&b, &rec);
	put_raw(txn, DB_BUCKETS, "bucket", 6, b.at, b.len);
	commit(txn);
	buffer_free(&b);
	expect(6, "bytes of uploads, but holds");
}

static void
versions_that_are_not_unique_or_in_order_are_found(void **state)
{
	MDB_txn *txn = begin();
	struct object_record rec = object(txn, "file");

	(void)state;
	rec.version = object(txn, "copy").version;
	put_object(txn, "file", &rec);
	commit(txn);
	expect(2, "which another one has too");
	assert_non_null(strstr(told.at, "is older than another one"));

	txn = begin();
	rec.version = 1000000;
	put_object(txn, "file", &rec);
	commit(txn);
	expect(1, "which was never given");
}

static void
a_current_object_that_vanished_from_its_versions_is_found(void **state)
{
	MDB_txn *txn = begin();

	(void)state;
	assert_int_equal(names_delete(txn, index_dbi(index_, DB_OBJECTS),
			     bucket_id(txn), SLICE_LITERAL("file"), &err),
	    0);
	commit(txn);
	expect_some("the newest is no delete marker, but there is no object");
}

static void
a_part_without_its_upload_is_found(void **state)
{
	uint8_t key[10], value[512], found[16];
	MDB_txn *txn = begin();
	size_t len;

	(void)state;
	len = value_at(txn, DB_PARTS, "", 0, found, value);
	memcpy(key, found, 10);
	be64_put(key, 4242);
	put_raw(txn, DB_PARTS, key, 10, value, len);
	del_raw(txn, DB_PARTS, found, 10);
	commit(txn);
	expect_some("belongs to the upload 4242, which is not there");
}

static void
a_chain_with_a_missing_part_is_found(void **state)
{
	struct buffer entries = BUFFER_INIT;
	struct extent_record rec;
	struct chain_entry e;
	MDB_txn *txn = begin();
	uint64_t id = object(txn, "multi").extent;
	size_t i;

	(void)state;
	extent(txn, id, &rec);
	for (i = 0; i < rec.n_entries; i++) {
		assert_int_equal(chain_get(&rec, i, &e), 0);
		if (i == 0)
			e.extent = 54321;
		chain_add(&entries, rec.checksum_kind, &e);
	}
	rec.entries = buffer_slice(&entries);
	put_extent(txn, id, &rec);
	commit(txn);
	buffer_free(&entries);
	expect(2, "part 1 is the content 54321, which is not in the index");
}

static void
damaged_bytes_in_the_index_are_found_when_data_is_read(void **state)
{
	struct extent_record rec;
	MDB_txn *txn = begin();
	uint64_t id = object(txn, "file").extent;

	(void)state;
	extent(txn, id, &rec);
	assert_int_equal(rec.kind, EXTENT_INLINE);
	rec.crc32c ^= 1;
	put_extent(txn, id, &rec);
	commit(txn);
	check(0);
	assert_int_equal(result.damage, 0);
	expect(1, "in the index has checksum");
}

static void
an_object_with_the_content_of_another_is_found_when_data_is_read(void **state)
{
	MDB_txn *txn = begin();
	struct object_record rec = object(txn, "copy");

	(void)state;
	rec.md5[3] ^= 1;
	put_object(txn, "copy", &rec);
	commit(txn);
	check(0);
	assert_int_equal(result.damage, 0);
	expect(1, "its bytes are not those of its ETag");

	txn = begin();
	rec.md5[3] ^= 1;
	put_object(txn, "copy", &rec);
	rec = object(txn, "multi");
	rec.md5[3] ^= 1;
	put_object(txn, "multi", &rec);
	commit(txn);
	expect(1, "object \"multi\" in bucket \"bucket\": its bytes are not");
}

static void
known_damage_is_told(void **state)
{
	struct extent_record rec;
	MDB_txn *txn = begin();
	uint64_t id = object(txn, "copy").extent;

	(void)state;
	extent(txn, id, &rec);
	rec.flags |= EXTENT_DAMAGED;
	put_extent(txn, id, &rec);
	commit(txn);
	expect(1, "was found damaged before");
}

static void
a_journal_entry_from_the_future_is_found(void **state)
{
	uint8_t key[8], value[512], found[16];
	MDB_txn *txn = begin();
	size_t len;

	(void)state;
	len = value_at(txn, DB_JOURNAL, "", 0, found, value);
	be64_put(key, 1000);
	put_raw(txn, DB_JOURNAL, key, 8, value, len);
	del_raw(txn, DB_JOURNAL, found, 8);
	commit(txn);
	expect(1, "behind its last");
}

static void
an_index_without_counters_is_found(void **state)
{
	MDB_txn *txn = begin();

	(void)state;
	del_raw(txn, DB_SETTINGS, SETTING_COUNTERS, strlen(SETTING_COUNTERS));
	del_raw(txn, DB_SETTINGS, SETTING_STORE_ID, strlen(SETTING_STORE_ID));
	commit(txn);
	expect(2, "the index has no counters");
}

static void
an_index_of_the_first_moment_is_sound(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/*", dir);
	assert_int_equal(system(command), 0);
	mdb_txn_abort(begin());
	index_close(index_);
	snprintf(command, sizeof(command), "mkdir %s/extents", dir);
	assert_int_equal(system(command), 0);
	expect(0, "note: the index is new");
}

static void
index_path(char path[128])
{
	snprintf(path, 128, "%s/index/data.mdb", dir);
}

static void
an_index_that_is_cut_off_is_found(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	index_path(path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	expect_some("`holdfast rebuild`");
}

/* LMDB does not write pages that a transaction took from the file's end and
 * gave back itself. */
static void
free_pages_that_were_never_written_are_not_missed(void **state)
{
	static const char large[256 * 1024];
	MDB_txn *txn = begin();
	struct stat before, after;
	char path[128];

	(void)state;
	index_path(path);
	assert_int_equal(stat(path, &before), 0);
	put_raw(txn, DB_SETTINGS, "large", 5, large, sizeof(large));
	del_raw(txn, DB_SETTINGS, "large", 5);
	commit(txn);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_size < before.st_size + (off_t)sizeof(large));
	check(1);
	assert_null(told.at != NULL ? strstr(told.at, "cut off") : NULL);
	assert_int_equal(result.damage, 0);
}

/* Whatever becomes of the pages, the checker comes to an end and says so. */
static void
an_index_with_destroyed_pages_is_found(void **state)
{
	char path[128], page[4096];
	struct stat st;
	off_t at;
	int fd;

	(void)state;
	index_path(path);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	memset(page, 0xa5, sizeof(page));
	for (at = 2 * 4096; at < st.st_size; at += 4096)
		assert_int_equal(pwrite(fd, page, 4096, at), 4096);
	close(fd);
	check(0);
	assert_true(result.damage > 0);
}

/* A single bit, anywhere: whatever comes of it, the check has an end. */
static void
the_checker_ends_whatever_bit_is_flipped(void **state)
{
	struct check_options options = { .sentences_max = 1 };
	unsigned i, x = 4711;
	char path[128];
	uint8_t byte, flipped;
	struct stat st;
	off_t at;
	int fd;

	(void)state;
	alarm(120);
	index_path(path);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (i = 0; i < 60; i++) {
		x = x * 1103515245 + 12345;
		at = 8192 + (off_t)(x >> 3) % (st.st_size - 8192);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		flipped = (uint8_t)(byte ^ 1 << (x >> 16) % 8);
		assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
		buffer_clear(&told);
		(void)store_check(dir, &options, tell, NULL, &result, &err);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	alarm(0);
	expect(0, "");
}

static void
one_kind_of_damage_does_not_drown_the_others(void **state)
{
	struct check_options options = { .sentences_max = 2 };
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/extents/0", dir);
	assert_int_equal(system(command), 0);
	buffer_clear(&told);
	assert_int_equal(
	    store_check(dir, &options, tell, NULL, &result, &err), 0);
	buffer_add_u8(&told, 0);
	assert_true(result.damage > 3);
	assert_non_null(strstr(told.at, "more about missing files"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_store_has_no_damage),
		TEST(a_running_server_keeps_the_checker_out),
		TEST(another_directory_is_told_as_one),
		TEST(a_newer_format_is_refused),
		TEST(a_missing_file_is_found),
		TEST(a_flipped_bit_in_a_file_is_found_when_data_is_read),
		TEST(a_flipped_bit_in_a_trailer_is_found),
		TEST(a_cut_off_file_is_found),
		TEST(files_that_nothing_names_are_found),
		TEST(
		    a_file_below_the_settled_number_without_record_is_an_orphan),
		TEST(a_wrong_reference_count_is_found),
		TEST(a_content_that_nothing_names_is_found),
		TEST(a_content_in_use_in_the_reapers_queue_is_found),
		TEST(an_object_without_its_content_is_found),
		TEST(an_object_of_another_size_is_found),
		TEST(an_object_with_another_number_of_parts_is_found),
		TEST(an_object_that_vanished_is_found),
		TEST(a_record_of_rubbish_is_found_in_every_database),
		TEST(a_key_of_another_length_is_found_in_every_database),
		TEST(entries_to_which_nothing_leads_are_found),
		TEST(a_long_name_that_leads_nowhere_is_found),
		TEST(wrong_usage_is_found),
		TEST(versions_that_are_not_unique_or_in_order_are_found),
		TEST(a_current_object_that_vanished_from_its_versions_is_found),
		TEST(a_part_without_its_upload_is_found),
		TEST(a_chain_with_a_missing_part_is_found),
		TEST(damaged_bytes_in_the_index_are_found_when_data_is_read),
		TEST(
		    an_object_with_the_content_of_another_is_found_when_data_is_read),
		TEST(known_damage_is_told),
		TEST(a_journal_entry_from_the_future_is_found),
		TEST(an_index_without_counters_is_found),
		TEST(an_index_of_the_first_moment_is_sound),
		TEST(an_index_that_is_cut_off_is_found),
		TEST(free_pages_that_were_never_written_are_not_missed),
		TEST(an_index_with_destroyed_pages_is_found),
		TEST(the_checker_ends_whatever_bit_is_flipped),
		TEST(one_kind_of_damage_does_not_drown_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
