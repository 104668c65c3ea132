#ifndef STORE_AWAY_H
#define STORE_AWAY_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;
struct remote;
struct store;

/*
 * Bytes of extents that are elsewhere alone (EXTENT_REMOTE): those that came
 * back by a restore and are not fetched yet, and those that were given up here
 * for room. Nothing that is read here is verified: that is the callers' part.
 */

struct away {
	struct store *store;
	uint64_t extent, size;
	struct slice place; /* the caller's, as long as this is used */
	uint64_t place_offset;
	const struct remote *remote;
	void *copy; /* opened with the first read */
};

/* Bytes [offset, offset + len) of the extent; blocks. 0, or -1 and *err:
 * ERR_AWAY (out of reach now), ERR_ARCHIVED (that is remembered for a while,
 * and not asked again), ERR_DAMAGED (it is not there any more), ERR_CLOSING. */
int away_read(
    struct away *, uint64_t offset, void *bytes, size_t len, struct error *err);
void away_close(struct away *);

#define ARCHIVED_MAX 256
#define ARCHIVED_MS (10 * 1000)

/* What was found in an archive class lately. */
struct away_state {
	pthread_mutex_t lock;
	size_t next;
	struct {
		uint64_t extent, until_ms;
		char text[256];
	} archived[ARCHIVED_MAX];
};
void away_init(struct store *);
void away_destroy(struct store *);

#endif
