#ifndef REPLICATOR_SOURCE_H
#define REPLICATOR_SOURCE_H

#include "replicator/destination.h"
#include "store/record.h"

struct content;
struct error;
struct item;
struct site;

/*
 * What is sent of a change: its record, and its bytes, verified as they are
 * read and slowed to the bandwidth limit. One thread at a time.
 */
#define SOURCE_ROOM_BYTES (256 * 1024)

struct sending {
	struct site *site;
	struct object_record record;
	struct remote_object object;
	struct remote_source source;
	struct buffer memory, key;
	struct slice bucket, object_key; /* the item's */
	/* Bytes */
	struct content *content;
	char *room;
	size_t room_bytes;
	const char *run; /* verified bytes from run_offset on */
	uint64_t run_offset;
	size_t run_len;
	uint64_t sent;
};

/* Looks the record up: the journal's for its entries, else that of the item's
 * version, or with `current` of what the key holds now. 0; 1 when there is none
 * (any more); -1 and *fault. sending_end() in every case. */
int sending_begin(struct sending *, struct site *, const struct item *,
    int current, struct fault *);
/* Takes the sum of all bytes along where the object has no MD5. */
void sending_sum(struct sending *);
/* Opens the content. 0; 1 when it is gone; -1 and *fault. */
int sending_open(struct sending *, struct fault *);
void sending_end(struct sending *);
int fault_of_error(struct fault *, const struct error *);

#endif
