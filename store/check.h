#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdint.h>

struct error;

/*
 * The offline checker: every invariant of a data directory that no server uses.
 * It changes nothing. An index whose pages are destroyed may end whoever reads
 * it, so that is done in a child process, whose end is one more finding; the
 * caller should have no other threads.
 *
 * Memory: 13 bytes an extent, and a bit for each version that ever was.
 */

struct check_options {
	int read_data; /* also each block of each file, and the index's contents
			*/
	/* Of one kind of finding, so many are told one by one; 0: 20. */
	unsigned sentences_max;
};

struct check_result {
	uint64_t damage; /* findings that mean loss or a broken invariant */
	uint64_t notes;  /* findings that the next start settles, or news */
	uint64_t buckets, objects, versions, uploads, parts, extents, files;
	uint64_t journal_entries;
	uint64_t bytes_read; /* of files' data */
};

/* report is called with each finding, a sentence that begins with "damage: " or
 * "note: ". 0 when the check came to its end, whatever it found; -1 and *err
 * when it could not (ERR_LOCKED, ERR_NOT_FOUND, ERR_FORMAT, ERR_IO). */
int store_check(const char *dir, const struct check_options *,
    void (*report)(const char *sentence, void *arg), void *arg,
    struct check_result *, struct error *err);

#endif
