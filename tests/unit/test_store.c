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

#include "base/digest.h"
#include "store/internal.h"
#include "store/tend.h"

/* The store as its callers see it: each test has one of its own. */

struct fixture {
	char dir[64];
	struct store *store;
};

static void
open_store(struct fixture *f)
{
	struct store_options options = { .dir = f->dir, .io_threads = 2 };
	struct error err = ERROR_INIT;

	options.reserve_bytes = 1;
	f->store = store_open(&options, &err);
	if (f->store == NULL)
		print_error("%s\n", err.text);
	assert_non_null(f->store);
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

/* A sealed content of len bytes that follow from seed. */
static struct content_writer *
content(struct store *store, size_t len, uint8_t seed, uint8_t md5[16])
{
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("key") };
	struct error err = ERROR_INIT;
	struct content_writer *w;
	uint8_t *bytes = malloc(len ? len : 1);
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)(seed + i * 7 + i / 251);
	w = content_begin(store, len, &err);
	assert_non_null(w);
	assert_int_equal(content_write(w, bytes, len, &err), 0);
	assert_int_equal(content_seal(w, &owner, &err), 0);
	digest_once(DIGEST_MD5, bytes, len, md5);
	free(bytes);
	return w;
}

static enum error_kind
put(struct fixture *f, const char *key, size_t len, uint8_t seed,
    uint64_t *version)
{
	struct put_object p = { 0 };

	p.bucket = SLICE_LITERAL("bucket");
	p.key = slice_text(key);
	p.content = content(f->store, len, seed, p.record.md5);
	store_put_object(f->store, &p);
	if (version != NULL)
		*version = p.record.version;
	return p.change.err.kind;
}

/* Whether the object's bytes are those that put() made. */
static void
expect(struct fixture *f, const char *key, uint64_t version, size_t len,
    uint8_t seed)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	struct error err = ERROR_INIT;
	struct content *c;
	char *block = malloc(3 * CONTENT_BLOCK_BYTES);
	const char *at;
	uint64_t offset = 0;
	long n, i;

	assert_int_equal(
	    store_object(f->store, SLICE_LITERAL("bucket"), slice_text(key),
		version, &rec, &memory, NULL, NULL, &err),
	    0);
	assert_int_equal(rec.size, len);
	c = content_open(f->store, rec.extent, &err);
	assert_non_null(c);
	while ((n = content_read(c, offset, len, block, 3 * CONTENT_BLOCK_BYTES,
		    0, &at, &err)) > 0) {
		for (i = 0; i < n; i++)
			if ((uint8_t)at[i] !=
			    (uint8_t)(seed + (offset + (size_t)i) * 7 +
				(offset + (size_t)i) / 251))
				fail_msg("byte %zu differs",
				    (size_t)offset + (size_t)i);
		offset += (uint64_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(offset, len);
	content_close(c);
	free(block);
	buffer_free(&memory);
}

static enum error_kind
look(struct fixture *f, const char *key, uint64_t version,
    struct object_record *rec)
{
	struct buffer memory = BUFFER_INIT;
	struct error err = ERROR_INIT;

	store_object(f->store, SLICE_LITERAL("bucket"), slice_text(key),
	    version, rec, &memory, NULL, NULL, &err);
	buffer_free(&memory);
	return err.kind;
}

static struct delete_item delete (
    struct fixture *f, const char *key, uint64_t version)
{
	struct delete_item item = { .key = slice_text(key),
		.version = version };
	struct delete_objects d = {
		.bucket = SLICE_LITERAL("bucket"), .items = &item, .n_items = 1
	};

	assert_int_equal(store_delete_objects(f->store, &d), 0);
	return item;
}

static void
set_versioning(struct fixture *f, enum bucket_versioning v)
{
	struct set_bucket s = { .name = SLICE_LITERAL("bucket"),
		.what = BUCKET_SET_VERSIONING,
		.versioning = v };

	assert_int_equal(store_set_bucket(f->store, &s), 0);
}

static struct bucket_record
usage(struct fixture *f)
{
	struct buffer memory = BUFFER_INIT;
	struct bucket_record rec;
	struct error err = ERROR_INIT;

	assert_int_equal(store_bucket(f->store, SLICE_LITERAL("bucket"), &rec,
			     &memory, &err),
	    0);
	buffer_free(&memory);
	return rec;
}

/* Waits until the reaper has given everything back. */
static void
drained(struct fixture *f)
{
	struct store_figures figures;
	int i;

	for (i = 0; i < 1000; i++) {
		store_figures(f->store, &figures);
		if (figures.reap_waiting == 0)
			return;
		usleep(10000);
	}
	fail_msg("the reaper did not finish");
}

static int
count_file(uint64_t id, void *arg)
{
	(void)id;
	++*(size_t *)arg;
	return 0;
}

static size_t
files(struct fixture *f)
{
	struct error err = ERROR_INIT;
	size_t n = 0;

	assert_int_equal(
	    extent_files(f->store->extents, 0, count_file, &n, &err), 0);
	return n;
}

static size_t
extents(struct fixture *f)
{
	struct error err = ERROR_INIT;
	MDB_txn *txn = index_read(f->store->index, &err);
	MDB_stat stat;

	assert_int_equal(
	    mdb_stat(txn, index_dbi(f->store->index, DB_EXTENTS), &stat), 0);
	index_read_end(f->store->index, txn);
	return stat.ms_entries;
}

static void
a_small_and_a_large_object_come_back_as_they_were(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 0, 1, 4096, 16384, 16385, 65536, 65537,
		300000, 5000000 };
	char key[32];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(key, sizeof(key), "object-%zu", sizes[i]);
		assert_int_equal(
		    put(f, key, sizes[i], (uint8_t)i, NULL), ERR_NONE);
		expect(f, key, 0, sizes[i], (uint8_t)i);
	}
	store_close(f->store);
	open_store(f);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(key, sizeof(key), "object-%zu", sizes[i]);
		expect(f, key, 0, sizes[i], (uint8_t)i);
	}
	assert_int_equal(usage(f).objects, 9);
}

static void
an_overwritten_or_deleted_object_gives_its_space_back(void **state)
{
	struct fixture *f = *state;

	put(f, "a", 300000, 1, NULL);
	put(f, "a", 300000, 2, NULL);
	put(f, "b", 1000, 3, NULL);
	expect(f, "a", 0, 300000, 2);
	delete (f, "a", 0);
	delete (f, "b", 0);
	delete (f, "was never there", 0);
	drained(f);
	assert_int_equal(files(f), 0);
	assert_int_equal(extents(f), 0);
	assert_int_equal(usage(f).objects, 0);
	assert_int_equal(usage(f).object_bytes, 0);
}

static void
a_reader_keeps_what_is_deleted_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;
	struct error err = ERROR_INIT;
	struct content *c;
	char *block = malloc(CONTENT_BLOCK_BYTES);
	const char *at;

	put(f, "a", 300000, 1, NULL);
	assert_int_equal(look(f, "a", 0, &rec), ERR_NONE);
	c = content_open(f->store, rec.extent, &err);
	assert_non_null(c);
	delete (f, "a", 0);
	assert_int_equal(content_read(c, 200000, 300000, block,
			     CONTENT_BLOCK_BYTES, 0, &at, &err) > 0,
	    1);
	assert_null(content_open(f->store, rec.extent, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	content_close(c);
	free(block);
}

static void
a_copy_shares_its_content(void **state)
{
	struct fixture *f = *state;
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("copy"),
		.source_bucket = SLICE_LITERAL("bucket"),
		.source_key = SLICE_LITERAL("a") };

	put(f, "a", 300000, 1, NULL);
	assert_int_equal(store_put_object(f->store, &p), 0);
	assert_int_equal(files(f), 1);
	delete (f, "a", 0);
	drained(f);
	expect(f, "copy", 0, 300000, 1);
	delete (f, "copy", 0);
	drained(f);
	assert_int_equal(files(f), 0);
}

static void
versions_stay_until_they_are_deleted_by_name(void **state)
{
	struct fixture *f = *state;
	uint64_t v1, v2, v3;
	struct object_record rec;
	struct delete_item item;

	put(f, "a", 10, 1, &v1);
	set_versioning(f, VERSIONING_ENABLED);
	put(f, "a", 300000, 2, &v2);
	put(f, "a", 30, 3, &v3);
	expect(f, "a", 0, 30, 3);
	expect(f, "a", v2, 300000, 2);
	expect(f, "a", VERSION_NULL, 10, 1);

	item = delete (f, "a", 0);
	assert_true(item.made_marker);
	assert_int_equal(look(f, "a", 0, &rec), ERR_NOT_FOUND);
	assert_true(rec.delete_marker);
	assert_int_equal(rec.version, item.new_version);
	assert_int_equal(
	    look(f, "a", item.new_version, &rec), ERR_DELETE_MARKER);
	assert_int_equal(usage(f).versions, 4);

	item = delete (f, "a", item.new_version);
	assert_true(item.was_marker);
	expect(f, "a", 0, 30, 3);
	delete (f, "a", v3);
	expect(f, "a", 0, 300000, 2);
	delete (f, "a", VERSION_NULL);
	delete (f, "a", v2);
	assert_int_equal(look(f, "a", 0, &rec), ERR_NOT_FOUND);
	assert_false(rec.delete_marker);
	drained(f);
	assert_int_equal(extents(f), 0);
	assert_int_equal(usage(f).versions, 0);
	assert_int_equal(usage(f).version_bytes, 0);
}

static void
a_suspended_bucket_has_one_null_version(void **state)
{
	struct fixture *f = *state;
	uint64_t v;
	struct object_record rec;

	set_versioning(f, VERSIONING_ENABLED);
	put(f, "a", 10, 1, &v);
	set_versioning(f, VERSIONING_SUSPENDED);
	put(f, "a", 20, 2, NULL);
	put(f, "a", 30, 3, NULL);
	expect(f, "a", 0, 30, 3);
	expect(f, "a", v, 10, 1);
	assert_int_equal(usage(f).versions, 1);
	assert_true(delete (f, "a", 0).made_marker);
	assert_int_equal(look(f, "a", VERSION_NULL, &rec), ERR_DELETE_MARKER);
	assert_int_equal(usage(f).objects, 0);
	assert_int_equal(usage(f).versions, 2);
	put(f, "a", 40, 4, NULL);
	expect(f, "a", VERSION_NULL, 40, 4);
	assert_int_equal(usage(f).versions, 1);
}

static uint64_t
begin_upload(struct fixture *f, const char *key)
{
	struct create_upload c = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };

	assert_int_equal(store_create_upload(f->store, &c), 0);
	return c.upload;
}

static enum error_kind
send_part(struct fixture *f, const char *key, uint64_t upload, uint16_t number,
    size_t len, uint8_t seed, struct complete_part *part)
{
	struct put_part p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key),
		.upload = upload,
		.number = number };

	p.content = content(f->store, len, seed, p.record.md5);
	store_put_part(f->store, &p);
	part->number = number;
	memcpy(part->md5, p.record.md5, sizeof(part->md5));
	part->checksum.kind = CHECKSUM_NONE;
	return p.change.err.kind;
}

static void
parts_become_one_object_in_their_order(void **state)
{
	struct fixture *f = *state;
	struct complete_part parts[3], unused;
	struct complete_upload c = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("a"),
		.parts = parts,
		.n_parts = 3,
		.size = UINT64_MAX };
	struct object_part shown[4];
	struct error err = ERROR_INIT;
	const size_t big = 5 << 20;

	c.upload = begin_upload(f, "a");
	send_part(f, "a", c.upload, 7, 1000, 9, &parts[2]);
	send_part(f, "a", c.upload, 2, big, 1, &parts[0]);
	send_part(f, "a", c.upload, 2, big, 2, &parts[0]);
	send_part(f, "a", c.upload, 5, big, 3, &parts[1]);
	send_part(f, "a", c.upload, 9, 300000, 4, &unused);
	assert_int_equal(usage(f).upload_bytes, 2 * big + 301000);

	parts[1].md5[0] ^= 1;
	assert_int_equal(store_complete_upload(f->store, &c), -1);
	assert_int_equal(c.change.err.kind, ERR_NO_PART);
	parts[1].md5[0] ^= 1;
	assert_int_equal(store_complete_upload(f->store, &c), 0);
	assert_int_equal(c.record.size, 2 * big + 1000);
	assert_int_equal(c.record.parts, 3);
	assert_int_equal(
	    store_object_parts(f->store, &c.record, 0, shown, 4, &err), 3);
	assert_int_equal(shown[1].number, 5);
	assert_int_equal(shown[2].size, 1000);
	assert_int_equal(usage(f).uploads, 0);
	assert_int_equal(usage(f).upload_bytes, 0);
	assert_int_equal(store_complete_upload(f->store, &c), -1);
	assert_int_equal(c.change.err.kind, ERR_NO_UPLOAD);
	drained(f);
	assert_int_equal(files(f), 2);
	delete (f, "a", 0);
	drained(f);
	drained(f);
	assert_int_equal(files(f), 0);
	assert_int_equal(extents(f), 0);
	buffer_free(&c.memory);
}

static void
an_aborted_upload_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct abort_upload a = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("a") };
	struct delete_bucket d = { .name = SLICE_LITERAL("bucket") };
	struct complete_part part;
	struct error err = ERROR_INIT;

	a.upload = begin_upload(f, "a");
	send_part(f, "a", a.upload, 1, 300000, 1, &part);
	assert_int_equal(store_delete_bucket(f->store, &d), -1);
	assert_int_equal(d.change.err.kind, ERR_NOT_EMPTY);
	assert_int_equal(store_abort_upload(f->store, &a), 0);
	assert_int_equal(
	    send_part(f, "a", a.upload, 2, 300000, 1, &part), ERR_NO_UPLOAD);
	drained(f);
	assert_int_equal(files(f), 0);
	/* Stale ones go by themselves. */
	a.upload = begin_upload(f, "b");
	f->store->options.upload_max_age_ms = 0;
	usleep(2000);
	assert_int_equal(tend_uploads(f->store, &err), 1);
	assert_int_equal(store_delete_bucket(f->store, &d), 0);
}

struct seen {
	char text[512];
};

static int
note(const struct list_entry *e, void *arg)
{
	struct seen *s = arg;
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%s%.*s%s",
	    len ? " " : "", (int)e->key.len, e->key.at,
	    e->common_prefix   ? "*"
		: e->is_latest ? "!"
			       : "");
	return 0;
}

static const char *
list(struct fixture *f, struct seen *s, const char *prefix,
    const char *delimiter, const char *after, int versions)
{
	struct list_query q = { .bucket = SLICE_LITERAL("bucket"),
		.prefix = slice_text(prefix),
		.delimiter = slice_text(delimiter),
		.after = slice_text(after) };
	struct error err = ERROR_INIT;

	s->text[0] = '\0';
	assert_int_equal((versions ? store_list_versions : store_list_objects)(
			     f->store, &q, note, s, &err),
	    0);
	return s->text;
}

static void
listings_group_and_skip_common_prefixes(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = { "a", "a/1", "a/2", "a/b/1", "b",
		"b//x", "c/1", "d" };
	struct seen s;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put(f, keys[i], 1, 1, NULL);
	assert_string_equal(
	    list(f, &s, "", "", "", 0), "a a/1 a/2 a/b/1 b b//x c/1 d");
	assert_string_equal(list(f, &s, "", "/", "", 0), "a a/* b b/* c/* d");
	assert_string_equal(list(f, &s, "a/", "/", "", 0), "a/1 a/2 a/b/*");
	assert_string_equal(list(f, &s, "", "/", "a/", 0), "b b/* c/* d");
	assert_string_equal(list(f, &s, "", "/", "a/1", 0), "a/* b b/* c/* d");
	assert_string_equal(list(f, &s, "a/", "", "a/1", 0), "a/2 a/b/1");
	assert_string_equal(list(f, &s, "b/", "/", "", 0), "b//*");
	assert_string_equal(list(f, &s, "x", "/", "", 0), "");

	set_versioning(f, VERSIONING_ENABLED);
	put(f, "b", 2, 2, NULL);
	delete (f, "c/1", 0);
	delete (f, "nothing", 0);
	assert_string_equal(list(f, &s, "", "/", "", 0), "a a/* b b/* d");
	assert_string_equal(
	    list(f, &s, "", "/", "a/", 1), "b! b b/* c/* d! nothing!");
	assert_string_equal(list(f, &s, "c", "", "", 1), "c/1! c/1");
}

static int
refuse_existing(
    const struct object_record *current, void *arg, struct error *err)
{
	(void)arg;
	return current == NULL ? 0 : error_set(err, ERR_CONDITION, "it exists");
}

static void
a_condition_is_checked_where_it_counts(void **state)
{
	struct fixture *f = *state;
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("a"),
		.check = refuse_existing };

	p.content = content(f->store, 300000, 1, p.record.md5);
	assert_int_equal(store_put_object(f->store, &p), 0);
	p.content = content(f->store, 300000, 2, p.record.md5);
	assert_int_equal(store_put_object(f->store, &p), -1);
	assert_int_equal(p.change.err.kind, ERR_CONDITION);
	expect(f, "a", 0, 300000, 1);
	assert_int_equal(files(f), 1);
}

static void
a_quota_refuses_what_would_exceed_it(void **state)
{
	struct fixture *f = *state;
	struct set_bucket s = { .name = SLICE_LITERAL("bucket"),
		.what = BUCKET_SET_QUOTA,
		.quota_bytes = 1000 };
	struct complete_part part;

	assert_int_equal(store_set_bucket(f->store, &s), 0);
	assert_int_equal(put(f, "a", 900, 1, NULL), ERR_NONE);
	assert_int_equal(put(f, "b", 101, 1, NULL), ERR_QUOTA);
	assert_int_equal(put(f, "a", 1000, 1, NULL), ERR_NONE);
	assert_int_equal(
	    send_part(f, "c", begin_upload(f, "c"), 1, 1, 1, &part), ERR_QUOTA);
	assert_int_equal(extents(f), 1);
}

static void
a_damaged_block_is_never_served(void **state)
{
	struct fixture *f = *state;
	struct object_record rec;
	struct error err = ERROR_INIT;
	struct store_figures figures;
	struct content *c;
	char path[128], byte, *block = malloc(CONTENT_BLOCK_BYTES);
	const char *at;
	int fd;

	put(f, "a", 300000, 1, NULL);
	assert_int_equal(look(f, "a", 0, &rec), ERR_NONE);
	snprintf(path, sizeof(path), "%s/extents/%d/%d", f->dir,
	    (int)(rec.extent / EXTENTS_PER_DIRECTORY), (int)rec.extent);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 100000), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 100000), 1);
	close(fd);

	c = content_open(f->store, rec.extent, &err);
	assert_non_null(c);
	assert_true(content_read(c, 0, 300000, block, CONTENT_BLOCK_BYTES, 0,
			&at, &err) > 0);
	assert_int_equal(content_read(c, 65536, 300000, block,
			     CONTENT_BLOCK_BYTES, 0, &at, &err),
	    -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	content_close(c);
	put(f, "b", 1, 1, NULL); /* settles the mark before it */
	store_figures(f->store, &figures);
	assert_int_equal(figures.damaged_blocks, 1);
	assert_int_equal(figures.damaged_contents, 1);
	free(block);
}

static int
note_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	struct seen *s = arg;
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%s%d:%s:%.*s(%d)",
	    len ? " " : "", (int)sequence,
	    rec->what == JOURNAL_PUT ? "put" : "delete", (int)rec->key.len,
	    rec->key.at, (int)rec->begin);
	return 0;
}

static void
the_journal_pins_what_it_names(void **state)
{
	struct trim_journal t = { .through = 2 };
	struct seen seen = { "" };
	struct error err = ERROR_INIT;
	struct fixture *f = *state;
	struct set_setting s = { .name = SETTING_JOURNAL,
		.value = SLICE_LITERAL("on") };
	struct store_figures figures;

	put(f, "before", 1, 1, NULL);
	assert_int_equal(store_visible(f->store), 0);
	assert_int_equal(store_set_setting(f->store, &s), 0);
	put(f, "a", 300000, 1, NULL);
	put(f, "a", 10, 2, NULL);
	delete (f, "a", 0);
	assert_int_equal(store_visible(f->store), 3);
	drained(f);
	assert_int_equal(files(f), 1);
	store_figures(f->store, &figures);
	assert_int_equal(figures.journal_entries, 3);
	assert_int_equal(
	    store_journal(f->store, 0, note_entry, &seen, &err), 0);
	assert_string_equal(seen.text, "1:put:a(0) 2:put:a(0) 3:delete:a(0)");
	store_close(f->store);
	open_store(f);
	assert_int_equal(store_visible(f->store), 3);
	put(f, "b", 1, 1, NULL);
	assert_int_equal(store_visible(f->store), 4);
	assert_int_equal(store_trim_journal(f->store, &t), 0);
	assert_false(t.more);
	drained(f);
	assert_int_equal(files(f), 0);
	store_figures(f->store, &figures);
	assert_int_equal(figures.journal_entries, 2);
	assert_int_equal(extents(f), 2);
}

static void
files_that_a_crash_left_are_removed_at_start(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	uint8_t md5[16];
	struct content_writer *w;

	put(f, "a", 300000, 1, NULL);
	w = content(f->store, 300000, 2, md5);
	assert_int_equal(files(f), 2);
	content_committed(w); /* as a crash would: the file stays, no record */
	store_close(f->store);
	open_store(f);
	assert_int_equal(files(f), 1);
	expect(f, "a", 0, 300000, 1);
	put(f, "b", 300000, 3, NULL);
	expect(f, "b", 0, 300000, 3);
	(void)err;
}

static void
contents_without_an_index_are_not_removed(void **state)
{
	struct fixture *f = *state;
	struct store_options options = { .dir = f->dir, .reserve_bytes = 1 };
	struct error err = ERROR_INIT;
	char from[96], to[96];

	put(f, "a", 300000, 1, NULL);
	store_close(f->store);
	snprintf(from, sizeof(from), "%s/index", f->dir);
	snprintf(to, sizeof(to), "%s/elsewhere", f->dir);
	assert_int_equal(rename(from, to), 0);
	assert_null(store_open(&options, &err));
	assert_int_equal(err.kind, ERR_DAMAGED);
	assert_non_null(strstr(err.text, "holdfast rebuild"));
	assert_int_equal(rename(to, from), 0);
	open_store(f);
	expect(f, "a", 0, 300000, 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(a_small_and_a_large_object_come_back_as_they_were),
		T(an_overwritten_or_deleted_object_gives_its_space_back),
		T(a_reader_keeps_what_is_deleted_meanwhile),
		T(a_copy_shares_its_content),
		T(versions_stay_until_they_are_deleted_by_name),
		T(a_suspended_bucket_has_one_null_version),
		T(parts_become_one_object_in_their_order),
		T(an_aborted_upload_leaves_nothing),
		T(listings_group_and_skip_common_prefixes),
		T(a_condition_is_checked_where_it_counts),
		T(a_quota_refuses_what_would_exceed_it),
		T(a_damaged_block_is_never_served),
		T(the_journal_pins_what_it_names),
		T(files_that_a_crash_left_are_removed_at_start),
		T(contents_without_an_index_are_not_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
