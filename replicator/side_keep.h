#ifndef REPLICATOR_SIDE_KEEP_H
#define REPLICATOR_SIDE_KEEP_H

#include <stdatomic.h>

#include "replicator/destination.h"
#include "replicator/side_object.h"

/*
 * Side objects at a destination, as all protocols keep them. A session's
 * thread.
 */

/* What is known of them, once for all sessions. Most destinations never have
 * one. */
enum sides {
	SIDES_UNKNOWN,
	SIDES_NONE,
	SIDES_SOME
};

/* Puts the pairs into *st, in the place of what is there. 0, or -1 and *fault.
 */
int side_keep_pairs(struct remote_stat *, const struct buffer *attributes,
    const struct buffer *tags, struct fault *);

/* What the side object says goes before what the metadata could hold. rc and
 * *fault are those of fetching it. One that is gone or cannot be read takes
 * nothing else of the object along: st->side_lost says so. */
int side_keep_read(
    int rc, struct slice contents, struct remote_stat *st, struct fault *fault);

/* Removes side objects of the key but that of keep_version (0: all); what
 * fails is left for later. */
void side_keep_clear(const struct destination_protocol *, void *session,
    atomic_int *sides, struct slice key, uint64_t keep_version);

#endif
