#ifndef REPLICATOR_VERIFIED_H
#define REPLICATOR_VERIFIED_H

#include <stdint.h>

#include "base/buffer.h"

struct auditing;
struct digest;
struct error;
struct local_entry;
struct store;

/*
 * Which Velero backups an audit has found whole outside. The note r/NAME/v/HASH
 * (of the backup's bucket and directory) is {format u8 = 1, verified be64 (0:
 * not), read u8, seen be64, sum 32 bytes}: the sum is over the names and
 * version numbers of all objects of the backup, so that a change of any of them
 * takes the word back by itself.
 */

#define BACKUP_SUM_BYTES 32

/* The length of ".../backups/NAME/" at the start of a key below a backup; 0 of
 * another. */
size_t backup_directory(struct slice key);

struct backup_sum {
	struct digest *digest;
	uint64_t objects;
};
/* In the order of the keys. */
void backup_sum_add(struct backup_sum *, struct slice key, uint64_t version);
/* Ends it: 0, or -1 without memory. */
int backup_sum_end(struct backup_sum *, uint8_t sum[BACKUP_SUM_BYTES]);

struct verified {
	int64_t ms;
	int by_reading;
};
/* Whether that sum was verified at the destination: 1, and *verified. */
int backup_is_verified(struct store *, const char *destination,
    struct slice bucket, struct slice directory,
    const uint8_t sum[BACKUP_SUM_BYTES], struct verified *verified);

/* ---- for an audit ---- */

enum compared {
	COMPARED_SAME, /* by size and checksum, or byte by byte */
	COMPARED_NOT,  /* changes of it are under way, or it could not be */
	COMPARED_DIFFERS
};
struct verifying {
	struct buffer bucket,
	    directory; /* of the backup at hand; empty: none */
	struct backup_sum sum;
	int whole, differs, by_facts;
	int was_verified; /* as it is now: nothing of it need be read again */
};
/* 0, or -1 and a->err: before an object is compared, and after. */
int verify_enter(struct auditing *, const struct local_entry *);
void verify_result(struct auditing *, const struct local_entry *);
/* The audit has come to its end. */
int verify_end(struct auditing *);
void verify_free(struct auditing *);

#endif
