#ifndef STORE_REMOTE_H
#define STORE_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;

/*
 * What a second copy of an extent would offer. The store defines it so that
 * reading through, healing and tiering are its own business; whoever keeps
 * copies elsewhere implements it. Without one, a damaged content is an error.
 */
struct remote {
	void *context;
	/* Reads bytes [offset, offset + len) of the extent's copy; blocks. The
	 * store verifies them against its own record. 0, or -1 and *err;
	 * ERR_NOT_FOUND when there is no copy. */
	int (*read)(void *context, uint64_t extent, uint64_t offset,
	    void *bytes, size_t len, struct error *err);
	/* Tells that an extent's local copy is damaged, so that its copy is
	 * kept and the local one remade. Brief, does not block. */
	void (*damaged)(void *context, uint64_t extent);
};

struct store;

/* Sets it before the store is used; NULL: none. Not owned. */
void store_set_remote(struct store *, const struct remote *);

#endif
