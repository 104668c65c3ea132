#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"

/* What is durable of a restore (replicator/importer.h says how it looks). */

#define NOTE_FORMAT 2

static void
note_key(const char *name, char key[NOTE_KEY_BYTES])
{
	struct note_names names;

	note_names_set(&names, name);
	note_plain(&names, 'i', key);
}

int
import_note_save(struct replicator *r, const char *name,
    const struct import_note *note, struct error *err)
{
	struct note_batch batch = { 0 };
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int failed;

	note_key(name, key);
	buffer_add_u8(&value, NOTE_FORMAT);
	buffer_add_u8(&value, (uint8_t)note->phase);
	buffer_add_be64(&value, note->begin);
	buffer_add_be64(&value, note->known);
	buffer_add_be64(&value, note->failed);
	buffer_add_be64(&value, note->skipped);
	buffer_add_be16(&value, (uint16_t)note->cursor.len);
	buffer_add_slice(&value, note->cursor);
	batch_set(&batch, key, buffer_slice(&value));
	failed = batch_commit(&batch, r->store, err);
	batch_free(&batch);
	buffer_free(&value);
	return failed;
}

int
import_note_drop(struct replicator *r, const char *name, struct error *err)
{
	struct note_batch batch = { 0 };
	char key[NOTE_KEY_BYTES];
	int failed;

	note_key(name, key);
	batch_remove(&batch, key);
	failed = batch_commit(&batch, r->store, err);
	batch_free(&batch);
	return failed;
}

void
importer_save(struct importer *im)
{
	struct buffer cursor = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct import_note note;
	int failed;

	pthread_mutex_lock(&im->lock);
	note = (struct import_note){ im->phase, im->begin, im->known,
		im->failed, im->skipped, SLICE_NULL };
	buffer_add_slice(&cursor, buffer_slice(&im->cursor));
	pthread_mutex_unlock(&im->lock);
	note.cursor = buffer_slice(&cursor);
	failed = note.phase == IMPORT_DONE
	    ? import_note_drop(im->replicator, im->name, &err)
	    : import_note_save(im->replicator, im->name, &note, &err);
	if (failed)
		log_line(LOG_WARN, "replicator.restore", "%s", err.text);
	buffer_free(&cursor);
}

struct resuming {
	char name[64];
	struct import_note note;
	struct buffer cursor;
	int found, unreadable;
};

static int
see_note(struct slice key, struct slice value, void *arg)
{
	struct resuming *s = arg;
	struct reader in = reader_of(value.at, value.len);
	struct slice cursor;
	uint8_t format;

	/* "r/NAME/i" */
	if (key.len < 5 || key.len - 4 >= sizeof(s->name) ||
	    memcmp(key.at + key.len - 2, "/i", 2) != 0 ||
	    memchr(key.at + 2, '/', key.len - 4) != NULL)
		return 0;
	snprintf(
	    s->name, sizeof(s->name), "%.*s", (int)(key.len - 4), key.at + 2);
	s->found = 1;
	format = reader_u8(&in);
	s->note.phase = reader_u8(&in);
	s->note.begin = reader_be64(&in);
	s->note.known = reader_be64(&in);
	s->note.failed = reader_be64(&in);
	s->note.skipped = reader_be64(&in);
	cursor = reader_slice16(&in);
	buffer_add_slice(&s->cursor, cursor);
	s->unreadable =
	    in.failed || format != NOTE_FORMAT || s->note.phase >= IMPORT_DONE;
	return 1;
}

/* 0 (found or not), or -1 and *err. */
static int
find_note(struct replicator *r, struct resuming *s, struct error *err)
{
	if (store_notes(r->store, SLICE_LITERAL("r/"), SLICE_NULL, see_note, s,
		err) != 0)
		return -1;
	if (s->found && s->unreadable)
		return error_set(err, ERR_FORMAT,
		    "the restore from %s was begun by another version of "
		    "holdfast: go on with that one",
		    s->name);
	s->note.cursor = buffer_slice(&s->cursor);
	return 0;
}

int
importer_foresee(struct replicator *r, struct error *err)
{
	struct resuming s = { .found = 0 };
	int rc = find_note(r, &s, err);

	if (rc == 0 && s.found && s.note.phase < IMPORT_FILL)
		store_set_incomplete(r->store, 1);
	atomic_store(&r->restoring, s.found);
	buffer_free(&s.cursor);
	return rc;
}

int
importer_resume(struct replicator *r, struct error *err)
{
	struct resuming s = { .found = 0 };
	int rc = find_note(r, &s, err);

	if (rc == 0 && s.found) {
		pthread_mutex_lock(&r->lock);
		if (importer_start(r, s.name, &s.note, err) == NULL)
			rc = -1;
		pthread_mutex_unlock(&r->lock);
	}
	buffer_free(&s.cursor);
	return rc;
}

int
importer_needs(struct replicator *r, const char *name)
{
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int needs;

	note_key(name, key);
	needs = store_note(r->store, slice_text(key), &value, NULL) == 0;
	buffer_free(&value);
	return needs;
}
