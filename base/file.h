#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Whole reads and writes over short ones and EINTR. 0, or -1 and *err; an end
 * of file before len bytes is ERR_DAMAGED. Any thread. */
int pread_full(
    int fd, void *bytes, size_t len, uint64_t offset, struct error *err);
int pwrite_full(
    int fd, const void *bytes, size_t len, uint64_t offset, struct error *err);
int write_full(int fd, const void *bytes, size_t len, struct error *err);

/* A whole small file with a final NUL (not counted in *len), which the caller
 * frees; NULL and *err if it is larger than max. */
char *file_read(const char *path, size_t max, size_t *len, struct error *err);
/* Writes a file durably and at once: a temporary beside it, fsync, rename,
 * fsync of the directory. mode as open(2). */
int file_write(const char *path, const void *bytes, size_t len, mode_t mode,
    struct error *err);

#endif
