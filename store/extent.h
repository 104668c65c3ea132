#ifndef STORE_EXTENT_H
#define STORE_EXTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;

/*
 * Extent files: immutable runs of bytes, extents/<id / 4096>/<id> in decimal
 * below the data directory, with a CRC32C for each block of 64 KiB and a
 * trailer that says whose bytes these are. The format is written down in
 * extent_format.c. The directory may be used by any thread.
 *
 * Until extent_seal() the file has no name (O_TMPFILE; where the file system
 * has none, a name below tmp/ which start-up removes), so a crash leaves
 * nothing behind. A writer or reader belongs to one thread at a time.
 */

#define EXTENT_BLOCK_BYTES (64 * 1024)
#define EXTENTS_PER_DIRECTORY 4096

struct extent_dir; /* the open data directory: descriptors, what the file system
		      can */

/* Opens (makes) extents/ and tmp/ below data_dirfd, finds out whether O_TMPFILE
 * works, and empties tmp/. NULL and *err. */
struct extent_dir *extent_dir_open(int data_dirfd, struct error *err);
/* For whoever only reads and removes: nothing is made, nothing emptied. */
struct extent_dir *extent_dir_look(int data_dirfd, struct error *err);
void extent_dir_close(struct extent_dir *); /* NULL is allowed */
/* Whether files stay without a name until they are sealed. */
int extent_has_tmpfile(const struct extent_dir *);

struct extent_writer;

/* size: expected bytes (preallocates the block table), or UINT64_MAX. */
struct extent_writer *extent_begin(
    struct extent_dir *, uint64_t size, struct error *err);
/* Appends. Starts write-back as it goes, so that the final sync has little
 * left. */
int extent_append(
    struct extent_writer *, const void *bytes, size_t len, struct error *err);
uint64_t extent_size(const struct extent_writer *);
/* Writes the trailer, makes bytes and trailer durable (fdatasync), and links
 * the file as id; an existing name is ERR_EXISTS. The directory is not synced:
 * see extent_sync_directory(). *made_directory is set when the file is in a
 * directory whose own name may not be durable yet (this call or a concurrent
 * one made it), so that extents/ must be synced too. After -1 the writer can
 * only be freed. */
int extent_seal(struct extent_writer *, uint64_t id, struct slice owner,
    int *made_directory, struct error *err);
/* The same for an extent whose file is damaged or gone: takes its name at once,
 * durably. Who reads the old file goes on with that. */
int extent_replace(
    struct extent_writer *, uint64_t id, struct slice owner, struct error *err);
/* Before the first byte: the data is only summed, and what is sealed or takes
 * the name is a file whose data is not here (extent_is_shed()): a hole in its
 * place, with the block table by which copies elsewhere are verified. */
void extent_sum_only(struct extent_writer *);
/* Frees the writer; the file too if it was not sealed. NULL is allowed. */
void extent_free(struct extent_writer *);

/* Gives up the data of a file: one whose data is not here, with the same block
 * table and this owner, takes its name at once, durably. Who reads the old file
 * goes on with that. */
int extent_shed(
    struct extent_dir *, uint64_t id, struct slice owner, struct error *err);

/* Makes the names in the directory of id durable; with parent, extents/ too. */
int extent_sync_directory(
    struct extent_dir *, uint64_t id, int parent, struct error *err);
/* What is known of a file without opening it. 0, or -1 when it is not there. */
struct extent_stat {
	uint64_t size, allocated; /* of the file, in bytes */
	int64_t read_s;           /* when extent_touch() last told of a read */
};
int extent_look(struct extent_dir *, uint64_t id, struct extent_stat *);
/* Removes the file; one that is not there is no error. */
int extent_unlink(struct extent_dir *, uint64_t id, struct error *err);

/* Makes removals from the directory of id durable; if that has been removed
 * itself, its own removal. Before it, a power cut may bring the files back. */
int extent_sync_removed(struct extent_dir *, uint64_t id, struct error *err);

struct extent_reader;

/* Opens and checks the footer. ERR_NOT_FOUND, ERR_DAMAGED, ERR_FORMAT, ERR_IO.
 */
struct extent_reader *extent_open(
    struct extent_dir *, uint64_t id, struct error *err);
/* The same without waiting for the disk; NULL, *would_block and no error when
 * that would be needed. */
struct extent_reader *extent_open_nowait(
    struct extent_dir *, uint64_t id, int *would_block, struct error *err);
/* For scrubbing: data comes from the disk past the page cache, where the file
 * system can, and does not displace what is there. memory of
 * extent_read_blocks() must then be aligned to EXTENT_ALIGNMENT and be of whole
 * blocks. */
#define EXTENT_ALIGNMENT 4096
struct extent_reader *extent_open_direct(
    struct extent_dir *, uint64_t id, struct error *err);
void extent_close(struct extent_reader *); /* NULL is allowed */
uint64_t extent_reader_size(const struct extent_reader *);
/* Whether its data is not here. Its blocks then cannot be read, but verify what
 * comes from elsewhere. */
int extent_is_shed(const struct extent_reader *);
/* The block table's entries [first, first + n), big-endian. 0, or -1 and *err.
 */
int extent_table(struct extent_reader *, uint64_t first, size_t n, void *table,
    struct error *err);
/* Someone reads it: remembered in the file's access time, which nothing else
 * changes, when that is an hour old. Never synced. */
void extent_touch(struct extent_reader *);
/* The file, which begins with the data; for sendfile(2). The reader owns it. */
int extent_reader_fd(const struct extent_reader *);
/* Reads blocks [first, first + n), n >= 1, into memory and verifies them; bytes
 * read, or -1 and *err (ERR_DAMAGED: *bad_block says which), or -2 with nowait
 * when they are not in the page cache (preadv2 RWF_NOWAIT). */
long extent_read_blocks(struct extent_reader *, uint64_t first, size_t n,
    void *memory, int nowait, uint64_t *bad_block, struct error *err);
/* Whether bytes from elsewhere are those of a block: 0, or -1 and *err. */
int extent_verify_block(struct extent_reader *, uint64_t block,
    const void *bytes, size_t len, struct error *err);
/* The owner's bytes of the trailer appended to *owner. */
int extent_owner(
    struct extent_reader *, struct buffer *owner, struct error *err);
/* Verifies what opening and reading blocks leave out: the sums over the whole
 * block table and the owner. 0, or -1 and *err. */
int extent_check_trailer(struct extent_reader *, struct error *err);

/* Visits the ids of all files >= from in no order; foreign names are ignored.
 * Cost depends on the number of files from there on (and of directories).
 * visit may remove the file; nonzero from it ends the visits, which is no
 * error. */
typedef int extent_visit(uint64_t id, void *arg);
int extent_files(struct extent_dir *, uint64_t from, extent_visit *, void *arg,
    struct error *err);

#endif
