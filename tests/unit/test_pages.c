#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/index.h"
#include "store/pages.h"
#include "store/stamp.h"

/* Bits are flipped in the file below an open index, each before a child that
 * asks: a crash of LMDB's is the child's. */

#define KEYS 3000
#define FLIPS 800
#define PAGE 4096

static char dir[] = "/tmp/test_pages.XXXXXX";
static struct index *index_;
static int fd;
static struct error err;

/* Key i holds a text of its own; every third is absent. */
static size_t
key_of(size_t i, char text[64])
{
	return (size_t)snprintf(
	    text, 64, "key %05zu/%0*d", i, (int)(i % 23), 0);
}

static int
setup(void **state)
{
	char path[80], text[64];
	MDB_txn *txn;
	MDB_val k, v;
	size_t i;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/index", dir);
	index_ = index_open(path, 1 << 26, 4, 0, &err);
	if (index_ == NULL ||
	    mdb_txn_begin(index_env(index_), NULL, 0, &txn) != 0)
		return -1;
	for (i = 0; i < KEYS; i++) {
		if (i % 3 == 2)
			continue;
		k = (MDB_val){ key_of(i, text), text };
		v = (MDB_val){ k.mv_size - i % 2, text };
		if (stamp_put(txn, index_dbi(index_, DB_OBJECTS), &k, &v, 0) !=
		    0)
			return -1;
	}
	if (mdb_txn_commit(txn) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/index/data.mdb", dir);
	return (fd = open(path, O_RDWR | O_CLOEXEC)) == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char command[64];

	(void)state;
	close(fd);
	index_close(index_);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void
see_bad(void *arg, const char *db, uint64_t page, const char *why)
{
	(void)db;
	(void)page;
	(void)why;
	*(int *)arg = 1;
}

static void
see_page(void *arg, uint64_t page, uint64_t n)
{
	(void)arg;
	(void)page;
	(void)n;
}

/* Whether the checker's two looks find something. */
static int
is_found(MDB_txn *txn)
{
	int bad = 0, rc;
	struct pages_walk walk = { see_bad, see_page, &bad };
	MDB_cursor *cursor;
	MDB_val k, v;
	MDB_dbi dbi;

	for (dbi = 0; dbi < INDEX_DBI_FIRST + INDEX_DBS; dbi++)
		pages_walk(txn, dbi, &walk);
	if (bad || pages_heads(txn) != NULL)
		return 1;
	mdb_cursor_open(txn, index_dbi(index_, DB_OBJECTS), &cursor);
	do
		rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	while (rc == 0);
	mdb_cursor_close(cursor);
	return rc != MDB_NOTFOUND;
}

/* 0 when no look-up of single keys lied, and how many failed. */
static int
ask_each(MDB_txn *txn, int *failed)
{
	struct slice value;
	char text[64];
	size_t i, len;
	int rc;

	for (i = 0; i < KEYS; i++) {
		len = key_of(i, text);
		rc = index_get(txn, index_dbi(index_, DB_OBJECTS), text, len,
		    &value, NULL);
		*failed += rc < 0;
		if (rc >= 0 && rc != (i % 3 == 2))
			return -1;
		if (rc == 0 &&
		    (value.len != len - i % 2 ||
			memcmp(value.at, text, value.len) != 0))
			return -1;
	}
	return 0;
}

/* 0 when a walk that came to its end saw all keys in order. */
static int
ask_all(MDB_txn *txn, int *failed)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	char text[64];
	size_t i = 0, len;
	int rc;

	mdb_cursor_open(txn, index_dbi(index_, DB_OBJECTS), &cursor);
	while ((rc = stamp_step(cursor, &k, &v, MDB_NEXT)) == 0) {
		i += i % 3 == 2;
		len = key_of(i++, text);
		if (k.mv_size != len || memcmp(k.mv_data, text, len) != 0)
			return -1;
	}
	mdb_cursor_close(cursor);
	*failed += rc != MDB_NOTFOUND;
	return rc == MDB_NOTFOUND && i + (i % 3 == 2) != KEYS ? -1 : 0;
}

/* A sanitizer exits with numbers of its own. */
enum {
	LIED = 40,
	SILENT,
	FOUND,
	FAILED,
	CRASHED,
	ANSWERS
};

static int
ask(MDB_txn *txn)
{
	int failed = 0, found, lied;

	lied = ask_each(txn, &failed) != 0 || ask_all(txn, &failed) != 0;
	found = is_found(txn);
	if (lied)
		return LIED;
	return found ? FOUND : failed ? FAILED : SILENT;
}

/* The child reads in its parent's transaction. */
static int
ask_child(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT };
	MDB_txn *txn;
	int status;
	pid_t child;
	size_t i;

	fflush(NULL);
	assert_non_null(txn = index_read(index_, &err));
	if ((child = fork()) == 0) {
		/* A crash is this child's, and no test's. */
		for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
			signal(signals[i], SIG_DFL);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(LIED);
		_exit(ask(txn));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	index_read_end(index_, txn);
	return WIFEXITED(status) && WEXITSTATUS(status) >= LIED &&
		WEXITSTATUS(status) < ANSWERS
	    ? WEXITSTATUS(status)
	    : CRASHED;
}

static void
a_sound_tree_is_found_sound(void **state)
{
	(void)state;
	assert_int_equal(ask_child(), SILENT);
}

static void
no_flipped_bit_of_a_page_makes_an_answer_wrong(void **state)
{
	unsigned seen[ANSWERS] = { 0 };
	uint8_t byte, page[PAGE];
	uint64_t random = 88172645463325252;
	struct stat st;
	off_t at;
	int i, answer, lower, upper;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	for (i = 0; i < FLIPS;) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		at = 2 * PAGE +
		    (off_t)(random % (uint64_t)(st.st_size - 2 * PAGE));
		assert_int_equal(pread(fd, page, PAGE, at / PAGE * PAGE), PAGE);
		lower = page[12] | page[13] << 8;
		upper = page[14] | page[15] << 8;
		/* Not in the room between offsets and nodes. */
		if (at % PAGE >= lower && at % PAGE < upper)
			continue;
		byte = page[at % PAGE] ^ (uint8_t)(1 << (random >> 60) % 8);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		answer = ask_child();
		assert_int_equal(pwrite(fd, &page[at % PAGE], 1, at), 1);
		if (answer == LIED || answer == FAILED)
			fail_msg("byte %ld: %s", (long)at,
			    answer == LIED ? "a wrong answer"
					   : "not found by the checker");
		seen[answer]++;
		i++;
	}
	/* Most are found; others are in padding and in pages that are free. */
	assert_true(seen[FOUND] > FLIPS * 8 / 10);
	assert_true(seen[CRASHED] < FLIPS / 5);
	assert_int_equal(ask_child(), SILENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_tree_is_found_sound),
		cmocka_unit_test(
		    no_flipped_bit_of_a_page_makes_an_answer_wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
