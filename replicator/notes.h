#ifndef REPLICATOR_NOTES_H
#define REPLICATOR_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;
struct store;

/*
 * What the replicator keeps in the store's notes. Their keys, NAME being the
 * destination's, HASH 32 hex digits of a SHA-256 of bucket, '/' and key:
 *
 *     r/NAME/c             settings: JSON, its secrets sealed
 *     r/NAME/k             the place that the others are about, as
 *                          settings_place() says it
 *     r/NAME/b             what the Test button learnt of the provider: the
 *                          protocol's own text
 *     r/NAME/w             state: {format u8 = 1, watermark be64, consistent
 *                          at be64, brake from be64, paused u8, reason be16
 *                          length and text}
 *     r/NAME/s             seeding: {format u8 = 1, blank u8, done be64, total
 *                          be64, bucket be16 length.., key be16 length..};
 *                          gone when seeded
 *     r/NAME/d/HASH        a key of a folded backlog: a key note
 *     r/NAME/h/HASH        a key held back: a key note
 *     r/NAME/p/HASH        a key that was parked: a key note
 *     r/NAME/x/DUE/HASH    a delete that was put off until DUE (16 hex digits,
 *                          milliseconds): a key note
 *     r/NAME/l/HASH        a key of which a request was lost that may still
 *                          arrive, and when that was: a key note
 *     r/NAME/u/VERSION     an unfinished upload (16 hex digits): {format u8 =
 *                          1, part bytes be64, remote key be16 length..,
 *                          state be16 length..}; the state is empty until it
 *                          is known
 *     r/NAME/u/VERSION/PART  a part that was sent (8 hex digits): its ETag
 *     r/NAME/v/HASH        a Velero backup: replicator/verified.h
 *
 * A key note: {format u8 = 1, what u8, version be64, time be64, bucket be16
 * length.., key be16 length.., reason be16 length..}.
 */

#define NOTE_KEY_BYTES 160

struct note_names {
	char prefix[80]; /* "r/NAME/" */
};
void note_names_set(struct note_names *, const char *name);

/* Keys of notes, NUL-terminated, in the caller's memory. */
void note_plain(const struct note_names *, char kind, char key[NOTE_KEY_BYTES]);
void note_hashed(const struct note_names *, char kind, struct slice bucket,
    struct slice object_key, char key[NOTE_KEY_BYTES]);
void note_due(const struct note_names *, uint64_t due_ms, struct slice bucket,
    struct slice object_key, char key[NOTE_KEY_BYTES]);
void note_upload(
    const struct note_names *, uint64_t version, char key[NOTE_KEY_BYTES]);
void note_part(const struct note_names *, uint64_t version, uint32_t part,
    char key[NOTE_KEY_BYTES]);

struct key_note {
	uint8_t what;
	uint64_t version;
	int64_t time_ms;
	struct slice bucket, key, reason;
};
void key_note_encode(struct buffer *, const struct key_note *);
int key_note_decode(struct slice, struct key_note *);

/* Notes that are set at once. Copies what it is given. */
struct note_batch {
	struct buffer bytes; /* {set u8, be32 key, be32 value, bytes}* */
	size_t n;
};
void batch_set(struct note_batch *, const char *key, struct slice value);
void batch_remove(struct note_batch *, const char *key);
/* What it says of that note last: 1 set, -1 removed, 0 nothing. */
int batch_says(const struct note_batch *, const char *key);
void batch_free(struct note_batch *);
/* Makes them durable and empties the batch; waits. 0, or -1 and *err (the batch
 * is as it was). */
int batch_commit(struct note_batch *, struct store *, struct error *err);

/* Removes all notes below a prefix, some at a time. */
int notes_clear(struct store *, const char *prefix, struct error *err);
/* How many there are. */
uint64_t notes_count(struct store *, const char *prefix);

#endif
