#ifndef REPLICATOR_PARTS_H
#define REPLICATOR_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "replicator/destination.h"

struct object_record;
struct store;

/*
 * The sizes of a multipart object's parts, as a destination keeps them beside
 * its ETag, so that a restore gives the parts back: "SIZE" or "SIZExCOUNT",
 * joined by commas, of the parts 1, 2, 3 and so on ("5242880x199,1234"). Where
 * they are too many different ones, or not numbered so, nothing is kept.
 */

/* Of an object here. text "": they are not known, or do not fit. */
void parts_describe(struct store *, const struct object_record *,
    char text[REMOTE_PARTS_BYTES]);
/* The sizes of n parts that come to size bytes; the caller frees them. NULL:
 * the text does not say so, or there is no memory. */
uint64_t *parts_sizes(const char *text, size_t n, uint64_t size);

#endif
