#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/internal.h"

/*
 * What becomes of a store whose index could not be committed: LMDB gives its
 * environment up when a write of a meta page fails. The calls below stand
 * before libc's also for LMDB.
 */

static atomic_int meta_fails;  /* so many more writes of a meta page fail */
static atomic_int meta_writes; /* and take place all the same */
static atomic_int syncs_fail;

#define META_BYTES_MAX 1024 /* LMDB writes whole pages otherwise */

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	int fails = len < META_BYTES_MAX && atomic_load(&meta_fails) > 0;
	ssize_t n = (ssize_t)len;

	if (!fails || atomic_load(&meta_writes))
		n = syscall(SYS_pwrite64, fd, bytes, len, at);
	if (!fails)
		return n;
	atomic_fetch_sub(&meta_fails, 1);
	errno = EIO;
	return -1;
}

int
fdatasync(int fd)
{
	if (!atomic_load(&syncs_fail))
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

struct fixture {
	char dir[64];
	struct store *store;
	atomic_int stop, looks;
};

static void
open_store(struct fixture *f)
{
	struct store_options options = { .dir = f->dir, .io_threads = 2 };
	struct error err = ERROR_INIT;

	options.reserve_bytes = 1;
	f->store = store_open(&options, &err);
	if (f->store == NULL)
		fail_msg("%s", err.text);
}

static int
setup(void **state)
{
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	strcpy(f->dir, "/tmp/holdfast-mend-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	open_store(f);
	*state = f;
	return store_create_bucket(f->store, &bucket);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	meta_fails = meta_writes = syncs_fail = 0;
	store_close(f->store);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

static enum error_kind
put(struct fixture *f, const char *key, size_t len, uint64_t *version)
{
	struct content_owner owner = { .bucket = SLICE_LITERAL("bucket"),
		.key = SLICE_LITERAL("key") };
	struct put_object p = { .bucket = SLICE_LITERAL("bucket") };
	struct error err = ERROR_INIT;
	char *bytes = calloc(1, len);

	p.key = slice_text(key);
	p.content = content_begin(f->store, len, &err);
	assert_non_null(p.content);
	assert_int_equal(content_write(p.content, bytes, len, &err), 0);
	assert_int_equal(content_seal(p.content, &owner, &err), 0);
	free(bytes);
	store_put_object(f->store, &p);
	if (version != NULL)
		*version = p.record.version;
	return p.change.err.kind;
}

static enum error_kind
look(struct fixture *f, const char *key)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	struct error err = ERROR_INIT;
	struct content *c;
	const char *at;
	char *block;

	if (store_object(f->store, SLICE_LITERAL("bucket"), slice_text(key), 0,
		&rec, &memory, NULL, NULL, &err) == 0) {
		block = malloc(CONTENT_BLOCK_BYTES);
		c = content_open(f->store, rec.extent, &err);
		if (c != NULL)
			content_read(c, 0, rec.size, block, CONTENT_BLOCK_BYTES,
			    0, &at, &err);
		content_close(c);
		free(block);
	}
	buffer_free(&memory);
	return err.kind;
}

#define SMALL 100
#define LARGE (1024 * 1024)

static void
a_change_whose_commit_failed_is_not_there_and_the_next_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, "before", LARGE, NULL), ERR_NONE);
	meta_fails = 1;
	assert_int_not_equal(put(f, "failed", LARGE, NULL), ERR_NONE);
	assert_int_equal(meta_fails, 0);
	assert_int_equal(look(f, "before"), ERR_NONE);
	assert_int_equal(look(f, "failed"), ERR_NOT_FOUND);
	assert_int_equal(put(f, "after", LARGE, NULL), ERR_NONE);
	assert_int_equal(look(f, "after"), ERR_NONE);

	store_close(f->store);
	open_store(f);
	assert_int_equal(look(f, "before"), ERR_NONE);
	assert_int_equal(look(f, "failed"), ERR_NOT_FOUND);
	assert_int_equal(look(f, "after"), ERR_NONE);
}

static void
a_change_that_took_place_all_the_same_is_whole(void **state)
{
	struct fixture *f = *state;
	uint64_t before, after;

	assert_int_equal(put(f, "before", SMALL, &before), ERR_NONE);
	meta_writes = 1;
	meta_fails = 2; /* LMDB's attempt to take it back, too */
	assert_int_not_equal(put(f, "unsure", LARGE, NULL), ERR_NONE);
	assert_int_equal(meta_fails, 0);
	/* It may be absent or whole. Numbers are not used twice. */
	if (look(f, "unsure") != ERR_NOT_FOUND)
		assert_int_equal(look(f, "unsure"), ERR_NONE);
	assert_int_equal(put(f, "after", SMALL, &after), ERR_NONE);
	assert_true(after > before);

	store_close(f->store);
	open_store(f);
	if (look(f, "unsure") != ERR_NOT_FOUND)
		assert_int_equal(look(f, "unsure"), ERR_NONE);
	assert_int_equal(look(f, "after"), ERR_NONE);
}

static void
a_disk_that_works_again_is_used_again(void **state)
{
	struct fixture *f = *state;
	int i;

	assert_int_equal(put(f, "before", SMALL, NULL), ERR_NONE);
	meta_fails = 1;
	assert_int_not_equal(put(f, "failed", SMALL, NULL), ERR_NONE);
	syncs_fail = 1;
	meta_fails = 1;
	for (i = 0; i < 3; i++)
		assert_int_not_equal(put(f, "failed", SMALL, NULL), ERR_NONE);
	syncs_fail = 0;
	meta_fails = 0;
	assert_int_equal(put(f, "after", SMALL, NULL), ERR_NONE);
	assert_int_equal(look(f, "before"), ERR_NONE);
	assert_int_equal(look(f, "after"), ERR_NONE);
}

static void *
keep_looking(void *arg)
{
	struct fixture *f = arg;

	while (!atomic_load(&f->stop))
		if (look(f, "before") == ERR_NONE)
			atomic_fetch_add(&f->looks, 1);
		else
			return f;
	return NULL;
}

static void
readers_do_not_notice(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];
	void *bad;
	int i;

	assert_int_equal(put(f, "before", SMALL, NULL), ERR_NONE);
	for (i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, keep_looking, f), 0);
	for (i = 0; i < 50; i++) {
		meta_fails = 1;
		assert_int_not_equal(put(f, "failed", SMALL, NULL), ERR_NONE);
		assert_int_equal(put(f, "after", SMALL, NULL), ERR_NONE);
	}
	f->stop = 1;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	assert_true(f->looks > 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_change_whose_commit_failed_is_not_there_and_the_next_is),
		TEST(a_change_that_took_place_all_the_same_is_whole),
		TEST(a_disk_that_works_again_is_used_again),
		TEST(readers_do_not_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
