#include <sys/mount.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
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

#include "base/buffer.h"
#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "store/extent_private.h"

#define BYTES_MAX (3 * 1024 * 1024)

static char top[] = "/tmp/holdfast-extent-XXXXXX";
static int top_fd;
static struct extent_dir *dir;
static char bytes[BYTES_MAX], read_back[BYTES_MAX];
static struct error err;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
make_top(void **state)
{
	unsigned x = 1;
	size_t i;

	(void)state;
	for (i = 0; i < BYTES_MAX; i++)
		bytes[i] = (char)((x = x * 1103515245 + 12345) >> 16);
	strcpy(top + strlen(top) - 6, "XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY);
	error_clear(&err);
	dir = extent_dir_open(top_fd, &err);
	return dir == NULL ? -1 : 0;
}

static int
remove_top(void **state)
{
	(void)state;
	extent_dir_close(dir);
	close(top_fd);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
write_pieces(uint64_t id, size_t len, size_t piece, struct slice owner)
{
	struct extent_writer *w;
	size_t at, n;
	int made;

	w = extent_begin(dir, len, &err);
	assert_non_null(w);
	for (at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		assert_int_equal(extent_append(w, bytes + at, n, &err), 0);
	}
	assert_int_equal(extent_size(w), len);
	if (extent_seal(w, id, owner, &made, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(extent_sync_directory(dir, id, made, &err), 0);
	extent_free(w);
}

static void
expect_content(uint64_t id, size_t len, struct slice owner)
{
	struct buffer b = BUFFER_INIT;
	struct extent_reader *r;
	uint64_t bad;
	size_t blocks;

	if ((r = extent_open(dir, id, &err)) == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(extent_reader_size(r), len);
	blocks = (size_t)extent_blocks(len);
	if (blocks > 0) {
		memset(read_back, 0, len);
		assert_int_equal(
		    extent_read_blocks(r, 0, blocks, read_back, 0, &bad, &err),
		    len);
		assert_memory_equal(read_back, bytes, len);
	}
	assert_int_equal(extent_owner(r, &b, &err), 0);
	assert_true(slice_equal(buffer_slice(&b), owner));
	assert_int_equal(extent_check_trailer(r, &err), 0);
	buffer_free(&b);
	extent_close(r);
}

static void
bytes_come_back_whatever_the_pieces(void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 65535, 65536, 65537, 131072,
		200000, 1048576, BYTES_MAX };
	static const size_t pieces[] = { 1000, 32768, 40000, 65536, 262144 };
	uint64_t id = 1;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++, id++) {
			write_pieces(
			    id, sizes[i], pieces[k], SLICE_LITERAL("who"));
			expect_content(id, sizes[i], SLICE_LITERAL("who"));
		}
}

static void
mixed_pieces_keep_their_order(void **state)
{
	static const size_t pieces[] = { 10, 70000, 5, 65521, 15, 100000, 1 };
	struct extent_writer *w;
	size_t at = 0, i;
	int made;

	(void)state;
	w = extent_begin(dir, UINT64_MAX, &err);
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); at += pieces[i++])
		assert_int_equal(
		    extent_append(w, bytes + at, pieces[i], &err), 0);
	assert_int_equal(extent_seal(w, 9, SLICE_NULL, &made, &err), 0);
	extent_free(w);
	expect_content(9, at, SLICE_NULL);
}

static void
more_or_less_than_announced_is_written(void **state)
{
	struct extent_writer *w;
	int made;

	(void)state;
	w = extent_begin(dir, 70000, &err);
	assert_int_equal(extent_append(w, bytes, BYTES_MAX, &err), 0);
	assert_int_equal(extent_seal(w, 1, SLICE_NULL, &made, &err), 0);
	extent_free(w);
	expect_content(1, BYTES_MAX, SLICE_NULL);

	w = extent_begin(dir, 5ULL << 40, &err);
	assert_int_equal(extent_append(w, bytes, 100, &err), 0);
	assert_int_equal(extent_seal(w, 2, SLICE_NULL, &made, &err), 0);
	extent_free(w);
	expect_content(2, 100, SLICE_NULL);
}

/* More blocks than the reader keeps sums of, without writing so much: the
 * table's window moves forwards and back. */
static void
a_table_longer_than_the_window_is_read_piece_by_piece(void **state)
{
	struct extent_reader *r;
	struct extent_writer *w;
	uint64_t bad, block;
	int made;
	size_t i;

	(void)state;
	w = extent_begin(dir, UINT64_MAX, &err);
	for (i = 0; i < 50; i++)
		assert_int_equal(extent_append(w, bytes, BYTES_MAX, &err), 0);
	assert_int_equal(extent_seal(w, 1, SLICE_NULL, &made, &err), 0);
	extent_free(w);
	r = extent_open(dir, 1, &err);
	assert_non_null(r);
	for (i = 0; i < 200; i++) {
		block = (i * 7919) % (50 * BYTES_MAX / EXTENT_BLOCK_BYTES - 1);
		assert_int_equal(
		    extent_read_blocks(r, block, 2, read_back, 0, &bad, &err),
		    2 * EXTENT_BLOCK_BYTES);
	}
	assert_int_equal(extent_check_trailer(r, &err), 0);
	extent_close(r);
}

static void
a_writer_that_is_freed_leaves_nothing(void **state)
{
	struct extent_writer *w;

	(void)state;
	w = extent_begin(dir, 10, &err);
	assert_int_equal(extent_append(w, bytes, BYTES_MAX, &err), 0);
	extent_free(w);
	assert_null(extent_open(dir, 1, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	extent_free(NULL);
}

static void
an_id_is_written_once(void **state)
{
	struct extent_writer *w;
	int made;

	(void)state;
	write_pieces(7, 1000, 1000, SLICE_NULL);
	w = extent_begin(dir, 10, &err);
	assert_int_equal(extent_append(w, bytes, 10, &err), 0);
	assert_int_equal(extent_seal(w, 7, SLICE_NULL, &made, &err), -1);
	assert_int_equal(err.kind, ERR_EXISTS);
	extent_free(w);
	expect_content(7, 1000, SLICE_NULL);
}

static void
a_new_directory_is_told_until_its_parent_is_synced(void **state)
{
	struct extent_writer *w;
	uint64_t id;
	int made;

	(void)state;
	for (id = 1; id <= 3; id++) {
		w = extent_begin(dir, 0, &err);
		assert_int_equal(
		    extent_seal(w, id, SLICE_NULL, &made, &err), 0);
		extent_free(w);
		/* The second one is another change in the same commit. */
		assert_int_equal(made, id < 3);
		assert_int_equal(
		    extent_sync_directory(dir, id, id == 2, &err), 0);
	}
}

static void
removing_is_repeatable_and_removes_empty_directories(void **state)
{
	char path[128];

	(void)state;
	write_pieces(1, 10, 10, SLICE_NULL);
	write_pieces(5000, 10, 10, SLICE_NULL);
	assert_int_equal(extent_unlink(dir, 1, &err), 0);
	assert_int_equal(extent_unlink(dir, 1, &err), 0);
	assert_int_equal(extent_unlink(dir, 5000, &err), 0);
	snprintf(path, sizeof(path), "%s/extents/0", top);
	assert_int_equal(access(path, F_OK), -1);
	write_pieces(2, 10, 10, SLICE_NULL);
	expect_content(2, 10, SLICE_NULL);
}

struct seen {
	uint64_t ids[16];
	size_t n;
};

static int
see(uint64_t id, void *arg)
{
	struct seen *seen = arg;

	seen->ids[seen->n++] = id;
	return 0;
}

static void
files_are_visited_from_an_id_on_and_foreign_names_ignored(void **state)
{
	static const char *const foreign[] = { "extents/lost+found",
		"extents/0/x", "extents/0/007", "extents/0/5000", "extents/01",
		"extents/0/-1", "extents/0/18446744073709551616" };
	struct seen seen = { { 0 }, 0 };
	char path[128];
	size_t i;

	(void)state;
	write_pieces(3, 10, 10, SLICE_NULL);
	write_pieces(4095, 10, 10, SLICE_NULL);
	write_pieces(4096, 10, 10, SLICE_NULL);
	write_pieces(9000, 10, 10, SLICE_NULL);
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, foreign[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_int_equal(extent_files(dir, 4095, see, &seen, &err), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(
	    seen.ids[0] + seen.ids[1] + seen.ids[2], 4095 + 4096 + 9000);
}

static void
opening_empties_tmp(void **state)
{
	char path[128];

	(void)state;
	extent_dir_close(dir);
	snprintf(path, sizeof(path), "%s/tmp/5", top);
	assert_int_equal(file_write(path, "x", 1, 0600, &err), 0);
	dir = extent_dir_open(top_fd, &err);
	assert_non_null(dir);
	assert_int_equal(access(path, F_OK), -1);
}

/* As on a file system without O_TMPFILE, or where /proc and capabilities lack.
 */
static void
every_way_of_naming_a_file_works(void **state)
{
	static const enum extent_naming ways[] = { NAMING_PROC, NAMING_RENAME };
	struct extent_writer *w;
	struct seen seen = { { 0 }, 0 };
	size_t i;
	int made;

	(void)state;
	for (i = 0; i < 2; i++) {
		dir->naming = ways[i];
		write_pieces(100 + i, 100000, 5000, SLICE_LITERAL("o"));
		expect_content(100 + i, 100000, SLICE_LITERAL("o"));
		w = extent_begin(dir, 1, &err);
		assert_int_equal(
		    extent_seal(w, 100 + i, SLICE_NULL, &made, &err), -1);
		assert_int_equal(err.kind, ERR_EXISTS);
		extent_free(w);
		w = extent_begin(dir, 1, &err);
		extent_free(w);
	}
	assert_int_equal(extent_files(dir, 0, see, &seen, &err), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(unlinkat(dir->data_fd, "tmp", AT_REMOVEDIR), 0);
}

static void
flip(uint64_t id, off_t at, int bit)
{
	char path[EXTENT_PATH_BYTES];
	uint8_t byte;
	int fd;

	extent_path(id, path);
	fd = openat(dir->extents_fd, path, O_RDWR);
	assert_int_not_equal(fd, -1);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= (uint8_t)(1 << bit);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Whether anything at all is found wrong with an extent of len bytes. */
static int
is_found_damaged(uint64_t id, size_t len)
{
	struct extent_reader *r;
	uint64_t bad;
	long n;
	int rc;

	if ((r = extent_open(dir, id, &err)) == NULL)
		goto damaged;
	assert_int_equal(extent_reader_size(r), len);
	n = extent_read_blocks(
	    r, 0, (size_t)extent_blocks(len), read_back, 0, &bad, &err);
	if (n > 0)
		assert_memory_equal(read_back, bytes, len);
	rc = extent_check_trailer(r, &err);
	extent_close(r);
	if (n > 0 && rc == 0)
		return 0;

damaged:
	assert_true(err.kind == ERR_DAMAGED || err.kind == ERR_FORMAT);
	return 1;
}

static void
a_flipped_bit_anywhere_in_the_trailer_is_found(void **state)
{
	const size_t len = EXTENT_BLOCK_BYTES + 100;
	const size_t trailer = 8 + 5 + EXTENT_FOOTER_BYTES;
	size_t at;
	int bit;

	(void)state;
	write_pieces(1, len, len, SLICE_LITERAL("owner"));
	for (at = len; at < len + trailer; at++)
		for (bit = 0; bit < 8; bit++) {
			flip(1, (off_t)at, bit);
			if (!is_found_damaged(1, len))
				fail_msg("byte %zu, bit %d", at - len, bit);
			flip(1, (off_t)at, bit);
		}
	assert_false(is_found_damaged(1, len));
}

static void
a_file_of_any_other_length_is_found(void **state)
{
	char path[EXTENT_PATH_BYTES];
	const size_t len = 300;
	struct extent_reader *r;
	off_t whole = 300 + 4 + 5 + EXTENT_FOOTER_BYTES, n;

	(void)state;
	extent_path(1, path);
	for (n = 0; n < whole + 60; n++) {
		if (n == whole)
			continue;
		write_pieces(1, len, len, SLICE_LITERAL("owner"));
		int fd = openat(dir->extents_fd, path, O_RDWR);
		assert_int_equal(ftruncate(fd, n), 0);
		close(fd);
		r = extent_open(dir, 1, &err);
		assert_null(r);
		assert_int_equal(err.kind, ERR_DAMAGED);
		assert_int_equal(extent_unlink(dir, 1, &err), 0);
	}
}

static void
a_flipped_bit_in_the_data_names_its_block(void **state)
{
	struct extent_reader *r;
	uint64_t bad = 0;

	(void)state;
	write_pieces(1, BYTES_MAX, 262144, SLICE_NULL);
	flip(1, 5 * EXTENT_BLOCK_BYTES + 77, 3);
	r = extent_open(dir, 1, &err);
	assert_int_equal(
	    extent_read_blocks(r, 2, 10, read_back, 0, &bad, &err), -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	assert_int_equal(bad, 5);
	assert_int_equal(extent_read_blocks(r, 6, 10, read_back, 0, &bad, &err),
	    10 * EXTENT_BLOCK_BYTES);
	extent_close(r);
}

static void
a_file_under_another_name_is_damage(void **state)
{
	(void)state;
	write_pieces(1, 100, 100, SLICE_NULL);
	assert_int_equal(
	    renameat(dir->extents_fd, "0/1", dir->extents_fd, "0/2"), 0);
	assert_null(extent_open(dir, 2, &err));
	assert_int_equal(err.kind, ERR_DAMAGED);
}

static void
a_newer_format_is_refused_as_such(void **state)
{
	struct extent_footer f = { .id = 1 };
	uint8_t footer[EXTENT_FOOTER_BYTES];

	(void)state;
	extent_footer_encode(&f, footer);
	footer[8] = EXTENT_FORMAT + 1;
	/* Its checksum as a newer program would write it. */
	be32_put(footer + 44, crc32c(0, footer, 44));
	assert_int_equal(
	    extent_footer_decode(footer, EXTENT_FOOTER_BYTES, 1, &f, &err), -1);
	assert_int_equal(err.kind, ERR_FORMAT);
}

static void
reading_without_waiting_serves_what_is_cached(void **state)
{
	struct extent_reader *r;
	uint64_t bad;
	int would_block;
	long n;

	(void)state;
	write_pieces(1, BYTES_MAX, 262144, SLICE_NULL);
	r = extent_open_nowait(dir, 1, &would_block, &err);
	assert_true(r != NULL || would_block);
	if (r == NULL)
		r = extent_open(dir, 1, &err);
	n = extent_read_blocks(r, 1, 2, read_back, 1, &bad, &err);
	assert_true(n == 2 * EXTENT_BLOCK_BYTES || n == -2);
	if (n > 0)
		assert_memory_equal(
		    read_back, bytes + EXTENT_BLOCK_BYTES, (size_t)n);
	extent_close(r);
	error_clear(&err);
	assert_null(extent_open_nowait(dir, 2, &would_block, &err));
	assert_true(would_block || err.kind == ERR_NOT_FOUND);
}

static void
a_full_disk_is_told_as_one(void **state)
{
	struct extent_writer *w;
	struct extent_dir *small;
	char path[128];
	int fd, rc, made, i;

	(void)state;
	snprintf(path, sizeof(path), "%s/small", top);
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("tmpfs", path, "tmpfs", 0, "size=1m") != 0) {
		print_message("skipped: cannot mount a tmpfs\n");
		return;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY);
	small = extent_dir_open(fd, &err);
	w = extent_begin(small, UINT64_MAX, &err);
	for (rc = i = 0; rc == 0 && i < 2; i++)
		rc = extent_append(w, bytes, 1000000, &err);
	extent_free(w);
	enum error_kind kind = err.kind;
	w = extent_begin(small, UINT64_MAX, &err);
	int again = extent_append(w, bytes, 100000, &err);
	int sealed = extent_seal(w, 1, SLICE_NULL, &made, &err);
	extent_free(w);
	extent_dir_close(small);
	close(fd);
	umount2(path, MNT_DETACH);
	assert_int_equal(rc, -1);
	assert_int_equal(kind, ERR_DISK_FULL);
	assert_int_equal(again, 0);
	assert_int_equal(sealed, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_top, remove_top)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_back_whatever_the_pieces),
		TEST(mixed_pieces_keep_their_order),
		TEST(more_or_less_than_announced_is_written),
		TEST(a_table_longer_than_the_window_is_read_piece_by_piece),
		TEST(a_writer_that_is_freed_leaves_nothing),
		TEST(an_id_is_written_once),
		TEST(a_new_directory_is_told_until_its_parent_is_synced),
		TEST(removing_is_repeatable_and_removes_empty_directories),
		TEST(files_are_visited_from_an_id_on_and_foreign_names_ignored),
		TEST(opening_empties_tmp),
		TEST(every_way_of_naming_a_file_works),
		TEST(a_flipped_bit_anywhere_in_the_trailer_is_found),
		TEST(a_file_of_any_other_length_is_found),
		TEST(a_flipped_bit_in_the_data_names_its_block),
		TEST(a_file_under_another_name_is_damage),
		TEST(a_newer_format_is_refused_as_such),
		TEST(reading_without_waiting_serves_what_is_cached),
		TEST(a_full_disk_is_told_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
