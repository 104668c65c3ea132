#ifndef REPLICATOR_SIDE_OBJECT_H
#define REPLICATOR_SIDE_OBJECT_H

#include <stdint.h>

#include "base/buffer.h"
#include "replicator/destination.h"

/*
 * What a destination's own metadata cannot hold of an object goes into one
 * small object beside it, so that a restore gives back the same object.
 *
 * Its key, below the destination's path, is
 *
 *     plugins/holdfast/meta/SHA256/VERSION.json
 *
 * with the SHA-256 of the object's key in lower-case hex and the store's
 * version number in decimal, so that overwriting an object never touches what
 * belongs to the copy that is still to be seen. It is written before its object
 * and removed after it. The object itself has the metadata entry holdfast-side
 * with the value 1. The contents are JSON:
 *
 *     { "format": 1, "key": TEXT, "version": 17,
 *       "attributes": [[NAME, TEXT], ...], "tags": [[TEXT, TEXT], ...] }
 *
 * with all attributes and tags, also those that the metadata could hold. TEXT
 * is a string, or {"base64": "..."} when the bytes are not UTF-8. A reader
 * ignores members that it does not know, and refuses a format above 1.
 *
 * Pure functions; any thread.
 */

#define REMOTE_META_SIDE "holdfast-side"
#define SIDE_OBJECT_MAX_BYTES (1U << 20)

/* Appends the key's own prefix, ending with '/'. */
void side_object_prefix(struct slice key, struct buffer *out);
/* Appends the key of the side object. */
void side_object_key(struct slice key, uint64_t version, struct buffer *out);
/* Appends the contents. out is failed without memory. */
void side_object_encode(const struct remote_object *, struct buffer *out);
/* Appends the pairs that the contents name. 0, or -1 when they are not
 * understood. */
int side_object_decode(
    struct slice contents, struct buffer *attributes, struct buffer *tags);

#endif
