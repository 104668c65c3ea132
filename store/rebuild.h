#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include <stdint.h>

struct error;

/*
 * Makes a new index for a data directory whose own is lost or damaged: from the
 * newest hot copy of it that is sound, less what is gone since, and from the
 * trailers of the files that came later. Nothing is destroyed: the old index is
 * set aside as index.damaged-<time>, files that cannot be placed go to lost/.
 * The directory is as before until the new index takes its place at the end.
 *
 * What cannot come back is in the index alone: small objects (which live in
 * it), copies, tags and settings that are newer than the hot copy. A multipart
 * upload that was completed since then comes back as an unfinished one, since
 * its parts do not say whether they are all. An object that was deleted since
 * may be back.
 *
 * A check of the index is done in a child process; the caller should have no
 * other threads.
 */

struct rebuild_options {
	int force; /* even though the index is sound */
};

struct rebuild_result {
	char copy[64];        /* name of the hot copy; empty: there was none */
	uint64_t from_copy;   /* objects and versions in it */
	uint64_t dropped;     /* of these: their content is gone */
	uint64_t added;       /* objects from trailers */
	uint64_t added_parts; /* parts of uploads from trailers */
	uint64_t set_aside;   /* files moved to lost/ */
	uint64_t buckets_made;
};

/* report is called with a sentence for each thing that is lost, doubtful or to
 * be done. 0, or -1 and *err: ERR_LOCKED, ERR_INVALID when the index is sound,
 * ERR_FORMAT, ERR_IO, ERR_DISK_FULL. */
int store_rebuild(const char *dir, const struct rebuild_options *,
    void (*report)(const char *sentence, void *arg), void *arg,
    struct rebuild_result *, struct error *err);

#endif
