#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/site.h"
#include "replicator/velero.h"
#include "store/content.h"

/*
 * Velero writes backups/NAME/velero-backup.json before the backup's contents,
 * and again when the backup has ended; whoever lists a place takes a backup for
 * restorable as soon as that file is there. So it is held back until
 *  - its phase is a final one,
 *  - backups/NAME/NAME.tar.gz is there, if the phase promises contents,
 *  - everything else below backups/NAME/ that was written is outside, and
 *  - nothing more was written there for some seconds (releases before 1.11
 *    write the final phase first and the other files in any order).
 * Nothing else waits for it.
 */

#define QUIET_MS 5000
#define JSON_MAX_BYTES (4 * 1024 * 1024)
#define CHECK_MS 500

int
velero_is_backup(struct slice key, size_t *directory)
{
	static const char file[] = "velero-backup.json";
	size_t at, name_end;

	if (key.len <= sizeof(file) - 1 ||
	    memcmp(key.at + key.len - (sizeof(file) - 1), file,
		sizeof(file) - 1) != 0)
		return 0;
	*directory = key.len - (sizeof(file) - 1);
	if (key.at[*directory - 1] != '/')
		return 0;
	name_end = *directory - 1;
	for (at = name_end; at > 0 && key.at[at - 1] != '/'; at--)
		;
	/* at: the name's first byte */
	return at < name_end && at >= sizeof("backups/") - 1 &&
	    memcmp(key.at + at - 8, "backups/", 8) == 0 &&
	    (at == 8 || key.at[at - 9] == '/');
}

/* ---- looking into it ---- */

static int
read_json(struct store *store, const struct object_record *rec,
    struct buffer *bytes, struct error *err)
{
	struct content *content;
	uint64_t offset;
	const char *at;
	char *room;
	long n = 0;

	if (rec->size > JSON_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "it is too large");
	if (rec->extent == 0)
		return 0;
	if ((content = content_open(store, rec->extent, err)) == NULL)
		return -1;
	if ((room = malloc(CONTENT_BLOCK_BYTES)) == NULL)
		n = error_nomem(err);
	for (offset = 0; n >= 0 && offset < rec->size; offset += (uint64_t)n) {
		n = content_read(content, offset, rec->size, room,
		    CONTENT_BLOCK_BYTES, 0, &at, err);
		if (n <= 0)
			break;
		buffer_add(bytes, at, (size_t)n);
	}
	free(room);
	content_close(content);
	return n < 0 || bytes->failed ? -1 : 0;
}

void
velero_phase_read(struct slice content, char phase[VELERO_PHASE_BYTES])
{
	const char *text;
	json_t *json;
	size_t len;

	phase[0] = '\0';
	json =
	    json_loadb(content.len > 0 ? content.at : "", content.len, 0, NULL);
	text = json_string_value(
	    json_object_get(json_object_get(json, "status"), "phase"));
	len = text == NULL ? 0 : strlen(text);
	if (len > 0 && len < VELERO_PHASE_BYTES)
		memcpy(phase, text, len + 1);
	json_decref(json);
}

int
velero_phase(struct store *store, const struct object_record *rec,
    char phase[VELERO_PHASE_BYTES], struct error *err)
{
	struct buffer bytes = BUFFER_INIT;

	phase[0] = '\0';
	if (read_json(store, rec, &bytes, err) != 0) {
		buffer_free(&bytes);
		return -1;
	}
	velero_phase_read(buffer_slice(&bytes), phase);
	buffer_free(&bytes);
	return 0;
}

int
velero_phase_is_final(const char *phase)
{
	static const char *const final[] = { "Completed", "PartiallyFailed",
		"Failed", "FailedValidation", "Deleting" };
	size_t i;

	for (i = 0; i < sizeof(final) / sizeof(final[0]); i++)
		if (strcmp(final[i], phase) == 0)
			return 1;
	return 0;
}

static int
has_contents(struct store *store, struct slice bucket, struct slice directory)
{
	struct buffer key = BUFFER_INIT, memory = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct object_record rec;
	size_t at;
	int there;

	for (at = directory.len - 1; at > 0 && directory.at[at - 1] != '/';
	     at--)
		;
	buffer_add_slice(&key, directory);
	buffer_add(&key, directory.at + at, directory.len - 1 - at);
	buffer_add_text(&key, ".tar.gz");
	there = !key.failed &&
	    store_object(store, bucket, buffer_slice(&key), 0, &rec, &memory,
		NULL, NULL, &err) == 0;
	buffer_free(&key);
	buffer_free(&memory);
	return there;
}

/* 1: it may go out as far as the store's content says; 0: not yet; -1: its
 * entry has been overtaken, another will come. */
static int
is_whole(struct site *site, struct held *h)
{
	struct slice bucket = slice_text(h->bucket), key = slice_text(h->key);
	struct buffer memory = BUFFER_INIT;
	char phase[VELERO_PHASE_BYTES];
	struct error err = ERROR_INIT;
	struct object_record rec;
	int whole = 0;

	if (store_object(site->store, bucket, key, 0, &rec, &memory, NULL, NULL,
		&err) != 0 ||
	    rec.version != h->version)
		whole = -1;
	else if (h->is_final < 0) {
		if (velero_phase(site->store, &rec, phase, &err) == 0)
			h->is_final = !velero_phase_is_final(phase) ? 0
			    : strncmp(phase, "Failed", 6) == 0      ? 2
								    : 1;
	}
	buffer_free(&memory);
	if (whole < 0)
		return -1;
	return h->is_final == 2 ||
	    (h->is_final == 1 &&
		has_contents(site->store, bucket,
		    (struct slice){ h->key, h->directory }));
}

/* ---- what is held ---- */

static struct held *
find(const struct site *site, struct slice bucket, struct slice key)
{
	size_t i;

	for (i = 0; i < site->n_held; i++)
		if (slice_is(key, site->held[i].key) &&
		    slice_is(bucket, site->held[i].bucket))
			return &site->held[i];
	return NULL;
}

int
site_is_held(const struct site *site, struct slice bucket, struct slice key)
{
	return find(site, bucket, key) != NULL;
}

static void
drop(struct site *site, struct held *h)
{
	free(h->bucket);
	free(h->key);
	*h = site->held[--site->n_held];
}

static struct held *
grow(struct site *site, struct slice bucket, struct slice key)
{
	struct held *more, *h;

	more = realloc(site->held, (site->n_held + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	site->held = more;
	h = &more[site->n_held];
	memset(h, 0, sizeof(*h));
	h->bucket = slice_copy(bucket);
	h->key = slice_copy(key);
	if (h->bucket == NULL || h->key == NULL) {
		free(h->bucket);
		free(h->key);
		return NULL;
	}
	site->n_held++;
	return h;
}

/* Its note has as its reason when its first change came that is not outside.
 */
static int
hold(struct site *site, const struct key_note *given, int64_t since_ms)
{
	struct key_note note = *given;
	struct buffer value = BUFFER_INIT;
	char note_key[NOTE_KEY_BYTES], since[24];
	struct held *h;

	if ((h = find(site, note.bucket, note.key)) == NULL &&
	    (h = grow(site, note.bucket, note.key)) == NULL)
		return -1;
	if (h->since_ms == 0 || since_ms < h->since_ms)
		h->since_ms = since_ms;
	snprintf(since, sizeof(since), "%" PRId64, h->since_ms);
	note.reason = slice_text(since);
	key_note_encode(&value, &note);
	note_hashed(&site->names, 'h', note.bucket, note.key, note_key);
	batch_set(&site->batch, note_key, buffer_slice(&value));
	buffer_free(&value);
	(void)velero_is_backup(note.key, &h->directory);
	h->version = note.version;
	h->is_final = -1;
	h->started = 0;
	if (site->counted > h->last_sequence)
		h->last_sequence = site->counted;
	if (note.time_ms > h->last_ms)
		h->last_ms = note.time_ms;
	return 0;
}

int
site_held_add(struct site *site, struct slice bucket, struct slice key,
    uint64_t version, int64_t time_ms)
{
	struct key_note note = { .what = JOURNAL_PUT,
		.version = version,
		.time_ms = time_ms,
		.bucket = bucket,
		.key = key };

	return hold(site, &note, time_ms);
}

void
site_held_load(struct site *site, const struct key_note *note)
{
	uint64_t since_ms = 0;

	if (parse_u64(note->reason.at, note->reason.len, 0, INT64_MAX,
		&since_ms) != 0)
		since_ms = (uint64_t)note->time_ms;
	(void)hold(site, note, (int64_t)since_ms);
}

void
site_held_drop(struct site *site, struct slice bucket, struct slice key)
{
	struct held *h = find(site, bucket, key);
	char note_key[NOTE_KEY_BYTES];

	if (h == NULL)
		return;
	note_hashed(&site->names, 'h', bucket, key, note_key);
	batch_remove(&site->batch, note_key);
	drop(site, h);
}

void
site_held_published(
    struct site *site, struct slice bucket, struct slice key, uint64_t version)
{
	struct held *h = find(site, bucket, key);

	if (h != NULL && h->version == version)
		site_held_drop(site, bucket, key);
}

void
site_held_seen(
    struct site *site, uint64_t sequence, const struct journal_record *rec)
{
	struct held *h;
	size_t i;

	for (i = 0; i < site->n_held; i++) {
		h = &site->held[i];
		if (rec->key.len < h->directory ||
		    memcmp(rec->key.at, h->key, h->directory) != 0 ||
		    !slice_is(rec->bucket, h->bucket))
			continue;
		h->last_sequence = sequence;
		h->last_ms = rec->time_ms;
	}
}

int
site_held_check(struct site *site, uint64_t now_ms)
{
	int64_t now_wall = clock_wall_ms();
	struct item *item;
	struct held *h;
	size_t i;
	int rc, did = 0;

	if (site->n_held == 0 || now_ms < site->held_at_ms || site->seeding ||
	    site->n_dirty > 0)
		return 0;
	site->held_at_ms = now_ms + CHECK_MS;
	for (i = 0; i < site->n_held; i++) {
		h = &site->held[i];
		/* Its content is in the index's memory or small: a look does
		 * not wait long. */
		if (h->started || site->watermark < h->last_sequence ||
		    now_wall - h->last_ms < QUIET_MS || h->is_final == 0 ||
		    window_has_prefix(&site->window, slice_text(h->bucket),
			(struct slice){ h->key, h->directory }))
			continue;
		if ((rc = is_whole(site, h)) <= 0) {
			if (rc < 0)
				site_held_drop(site, slice_text(h->bucket),
				    slice_text(h->key));
			continue;
		}
		item = window_add(&site->window, FROM_HELD, ITEM_CURRENT, 0,
		    slice_text(h->bucket), slice_text(h->key));
		if (item == NULL)
			continue;
		item->version = h->version;
		h->started = 1;
		did = 1;
	}
	return did;
}

void
site_held_free(struct site *site)
{
	while (site->n_held > 0)
		drop(site, &site->held[0]);
	free(site->held);
	site->held = NULL;
}
