#ifndef STORE_ADOPT_H
#define STORE_ADOPT_H

#include <stdint.h>

#include "base/buffer.h"
#include "store/store.h"

struct error;

/*
 * Objects that come back: their records are made from what is known elsewhere,
 * with contents that are there alone (EXTENT_REMOTE), and the contents are
 * fetched later. Nothing of it is journalled, since it is outside already.
 */

struct adopt_object {
	struct change change;
	struct slice bucket, key;
	/* In: size, md5, parts, mtime, attributes, tags and version, which is
	 * kept if it is given (0: a new one). */
	struct object_record record;
	struct slice place; /* what the remote knows the content by */
	int has_md5;        /* record.md5 is that of all bytes */
	int has_crc32c;
	uint32_t crc32c; /* of all bytes */
	/* Of record.parts parts, which come to the size; NULL: not known. */
	const uint64_t *part_sizes;
	int added; /* out: 0: the key has an object, or had one deleted */
};
int store_adopt(struct store *, struct adopt_object *);

/* For the store's own files, in a transaction: a chain of so many parts whose
 * sizes are not known, all bytes being in one content. */
struct store_txn;
int adopt_chain(struct store_txn *, unsigned parts, uint64_t size,
    uint64_t content, uint64_t *id, struct error *err);

/* Versions that are given from now on are not below. Before anything was. */
struct raise_versions {
	struct change change;
	uint64_t next;
};
int store_raise_versions(struct store *, struct raise_versions *);

/* Fetches an extent that is elsewhere alone, verifies it as a whole where its
 * MD5 is known, and keeps it. bucket and key: an object that holds it, for the
 * file's trailer. Blocks. 0 also when it is here already; -1 and *err. */
int fill_extent(struct store *, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err);
/* Reads it once, for the block table alone by which it is verified from then on
 * (where the disk has no room for more). */
int fill_table(struct store *, uint64_t extent, struct slice bucket,
    struct slice key, struct error *err);
/* Fetches an object's content; needed: also above the mark of tiering. As
 * store_fill(). */
int fill_object(struct store *, struct slice bucket, struct slice key,
    int needed, struct error *err);
/* Fetches an object's content, which is needed here. 1 when it was fetched, 0
 * when there was nothing to do, -1 and *err. */
int store_fill(
    struct store *, struct slice bucket, struct slice key, struct error *err);

#endif
