#ifndef STORE_EXTENT_PRIVATE_H
#define STORE_EXTENT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/extent.h"

/* What extent*.c share; for nobody else but their tests. */

/* How a finished file gets its name. */
enum extent_naming {
	NAMING_EMPTY_PATH, /* O_TMPFILE, linkat(AT_EMPTY_PATH) */
	NAMING_PROC,       /* O_TMPFILE, linkat(/proc/self/fd/N) */
	NAMING_RENAME      /* a name below tmp/, renamed */
};

struct extent_dir {
	int data_fd, extents_fd, tmp_fd;
	enum extent_naming naming;
	atomic_uint_fast64_t next_tmp; /* NAMING_RENAME: names below tmp/ */
	atomic_uint_fast64_t last_unlinked; /* its directory + 1; 0: none */
	/* Directories made, and how many of them a sync of extents/ has
	 * covered. As long as they differ, whoever links a file must have
	 * extents/ synced, also when another thread made the directory. */
	pthread_mutex_t lock;
	uint64_t made, synced;
};

/* "<id / 4096>/<id>", relative to extents_fd. */
#define EXTENT_PATH_BYTES 48
void extent_path(uint64_t id, char path[EXTENT_PATH_BYTES]);

/* Gives the open file its name. tmp_name: the one it has (NAMING_RENAME). */
int extent_link(struct extent_dir *, int fd, const char *tmp_name, uint64_t id,
    int *made_directory, struct error *err);

/* Gives it the name of a file that is there, or was. */
int extent_relink(struct extent_dir *, int fd, const char *tmp_name,
    uint64_t id, struct error *err);

/* The trailer's last bytes; see extent_format.c. */
#define EXTENT_FORMAT 1
#define EXTENT_FOOTER_BYTES 48
#define EXTENT_OWNER_MAX (1024 * 1024)

struct extent_footer {
	int shed; /* the data is not here: the file is sparse in its place */
	uint64_t id;
	uint64_t size; /* of the data */
	uint32_t owner_len;
	uint32_t table_crc, owner_crc;
};

uint64_t extent_blocks(uint64_t size);
void extent_footer_encode(
    const struct extent_footer *, uint8_t bytes[EXTENT_FOOTER_BYTES]);
/* Checks everything that the footer and the length of the file tell. */
int extent_footer_decode(const uint8_t bytes[EXTENT_FOOTER_BYTES],
    uint64_t file_len, uint64_t id, struct extent_footer *, struct error *err);

/* A reader of an open file, which it owns from then on; closed on failure. */
struct extent_reader *extent_reader_of(
    int fd, uint64_t id, int nowait, int *would_block, struct error *err);

#endif
