#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/notes.h"
#include "store/store.h"

#define NOTE_FORMAT 1
#define CLEAR_BATCH 500

void
note_names_set(struct note_names *names, const char *name)
{
	snprintf(names->prefix, sizeof(names->prefix), "r/%.63s/", name);
}

void
note_plain(const struct note_names *names, char kind, char key[NOTE_KEY_BYTES])
{
	snprintf(key, NOTE_KEY_BYTES, "%s%c", names->prefix, kind);
}

static void
hash_text(struct slice bucket, struct slice object_key, char text[33])
{
	struct digest *digest = digest_new(DIGEST_SHA256);
	uint8_t hash[SHA256_BYTES];

	if (digest == NULL)
		abort();
	digest_update(digest, bucket.at, bucket.len);
	digest_update(digest, "/", 1);
	digest_update(digest, object_key.at, object_key.len);
	digest_final(digest, hash);
	digest_free(digest);
	hex_encode(hash, 16, text);
}

void
note_hashed(const struct note_names *names, char kind, struct slice bucket,
    struct slice object_key, char key[NOTE_KEY_BYTES])
{
	char hash[33];

	hash_text(bucket, object_key, hash);
	snprintf(key, NOTE_KEY_BYTES, "%s%c/%s", names->prefix, kind, hash);
}

void
note_due(const struct note_names *names, uint64_t due_ms, struct slice bucket,
    struct slice object_key, char key[NOTE_KEY_BYTES])
{
	char hash[33];

	hash_text(bucket, object_key, hash);
	snprintf(key, NOTE_KEY_BYTES, "%sx/%016" PRIx64 "/%s", names->prefix,
	    due_ms, hash);
}

void
note_upload(
    const struct note_names *names, uint64_t version, char key[NOTE_KEY_BYTES])
{
	snprintf(
	    key, NOTE_KEY_BYTES, "%su/%016" PRIx64, names->prefix, version);
}

void
note_part(const struct note_names *names, uint64_t version, uint32_t part,
    char key[NOTE_KEY_BYTES])
{
	snprintf(key, NOTE_KEY_BYTES, "%su/%016" PRIx64 "/%08x", names->prefix,
	    version, part);
}

static void
add_slice16(struct buffer *out, struct slice s)
{
	size_t len = s.len > UINT16_MAX ? UINT16_MAX : s.len;

	buffer_add_be16(out, (uint16_t)len);
	buffer_add(out, s.at, len);
}

void
key_note_encode(struct buffer *out, const struct key_note *note)
{
	buffer_add_u8(out, NOTE_FORMAT);
	buffer_add_u8(out, note->what);
	buffer_add_be64(out, note->version);
	buffer_add_be64(out, (uint64_t)note->time_ms);
	add_slice16(out, note->bucket);
	add_slice16(out, note->key);
	add_slice16(out, note->reason);
}

int
key_note_decode(struct slice bytes, struct key_note *note)
{
	struct reader r = reader_of(bytes.at, bytes.len);

	if (reader_u8(&r) != NOTE_FORMAT)
		return -1;
	note->what = reader_u8(&r);
	note->version = reader_be64(&r);
	note->time_ms = (int64_t)reader_be64(&r);
	note->bucket = reader_slice16(&r);
	note->key = reader_slice16(&r);
	note->reason = reader_slice16(&r);
	return r.failed ? -1 : 0;
}

static void
add_note(struct note_batch *batch, int set, const char *key, struct slice value)
{
	struct slice name = slice_text(key);

	buffer_add_u8(&batch->bytes, (uint8_t)set);
	buffer_add_be32(&batch->bytes, (uint32_t)name.len);
	buffer_add_be32(&batch->bytes, (uint32_t)value.len);
	buffer_add_slice(&batch->bytes, name);
	buffer_add_slice(&batch->bytes, value);
	batch->n++;
}

void
batch_set(struct note_batch *batch, const char *key, struct slice value)
{
	add_note(batch, 1, key, value);
}

void
batch_remove(struct note_batch *batch, const char *key)
{
	add_note(batch, 0, key, SLICE_NULL);
}

int
batch_says(const struct note_batch *batch, const char *key)
{
	struct reader r = reader_of(batch->bytes.at, batch->bytes.len);
	struct slice name;
	uint32_t key_len, value_len;
	int set, says = 0;
	size_t i;

	for (i = 0; i < batch->n && !r.failed; i++) {
		set = reader_u8(&r);
		key_len = reader_be32(&r);
		value_len = reader_be32(&r);
		name = reader_take(&r, key_len);
		(void)reader_take(&r, value_len);
		if (!r.failed && slice_is(name, key))
			says = set ? 1 : -1;
	}
	return says;
}

void
batch_free(struct note_batch *batch)
{
	buffer_free(&batch->bytes);
	batch->n = 0;
}

int
batch_commit(struct note_batch *batch, struct store *store, struct error *err)
{
	struct set_notes change = { .n_notes = batch->n };
	struct note *notes;
	struct reader r;
	uint32_t key_len, value_len;
	size_t i;
	int set, failed;

	if (batch->n == 0)
		return 0;
	if (batch->bytes.failed ||
	    (notes = calloc(batch->n, sizeof(*notes))) == NULL)
		return error_nomem(err);
	r = reader_of(batch->bytes.at, batch->bytes.len);
	for (i = 0; i < batch->n; i++) {
		set = reader_u8(&r);
		key_len = reader_be32(&r);
		value_len = reader_be32(&r);
		notes[i].key = reader_take(&r, key_len);
		notes[i].value = reader_take(&r, value_len);
		if (!set)
			notes[i].value = SLICE_NULL;
	}
	change.notes = notes;
	failed = store_set_notes(store, &change);
	free(notes);
	if (failed) {
		if (err != NULL)
			*err = change.change.err;
		return -1;
	}
	buffer_clear(&batch->bytes);
	batch->n = 0;
	return 0;
}

struct clearing {
	struct note_batch batch;
	size_t n;
};

static int
clear_one(struct slice key, struct slice value, void *arg)
{
	struct clearing *c = arg;
	char text[512];

	(void)value;
	snprintf(text, sizeof(text), "%.*s", (int)key.len, key.at);
	batch_remove(&c->batch, text);
	return ++c->n >= CLEAR_BATCH;
}

int
notes_clear(struct store *store, const char *prefix, struct error *err)
{
	struct clearing c = { 0 };
	int failed;

	do {
		c.n = 0;
		failed = store_notes(store, slice_text(prefix), SLICE_NULL,
			     clear_one, &c, err) != 0 ||
		    batch_commit(&c.batch, store, err) != 0;
	} while (!failed && c.n > 0);
	batch_free(&c.batch);
	return failed ? -1 : 0;
}

static int
count_one(struct slice key, struct slice value, void *arg)
{
	(void)key;
	(void)value;
	++*(uint64_t *)arg;
	return 0;
}

uint64_t
notes_count(struct store *store, const char *prefix)
{
	uint64_t n = 0;

	(void)store_notes(
	    store, slice_text(prefix), SLICE_NULL, count_one, &n, NULL);
	return n;
}
