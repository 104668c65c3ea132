#ifndef REPLICATOR_UPLOAD_H
#define REPLICATOR_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "replicator/destination.h"

/*
 * An upload in parts, for the time that its change is in memory. What must
 * survive a restart is in notes (replicator/notes.h).
 */
enum part_state {
	PART_TODO,
	PART_RUNNING,
	PART_DONE
};

struct item_upload {
	struct remote_upload remote;
	int begun;
	uint32_t n_parts, n_done, next; /* next: none before it is to do */
	uint8_t *parts;                 /* enum part_state, n_parts of them */
};

/* Equal parts, few enough for the limits. */
uint64_t upload_part_bytes(uint64_t size, const struct destination_limits *);
struct item_upload *upload_new(void);
/* Once part_bytes is known: 0, or -1 without memory. */
int upload_size(struct item_upload *, uint64_t size);
void upload_free(struct item_upload *); /* NULL is allowed */

#endif
