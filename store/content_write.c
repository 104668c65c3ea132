#include "store/content.h"

#include <stdlib.h>

#include "base/checksum.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"

/* Contents on their way in; the way out is content_read.c. */

struct content_writer {
	struct store *store;
	uint64_t size_hint;
	struct buffer bytes; /* while it may become inline */
	uint32_t crc32c;
	struct extent_writer *file; /* beyond that */
	uint64_t id;                /* the file's, once sealed */
	int made_directory;
};

void
content_owner_encode(struct buffer *b, const struct content_owner *o)
{
	buffer_add_u8(b, o->place.len > 0 ? 2 : 1);
	buffer_add_be64(b, o->upload);
	buffer_add_be16(b, o->part);
	buffer_add_be16(b, (uint16_t)o->bucket.len);
	buffer_add_slice(b, o->bucket);
	buffer_add_be16(b, (uint16_t)o->key.len);
	buffer_add_slice(b, o->key);
	buffer_add_be32(b, (uint32_t)o->record.len);
	buffer_add_slice(b, o->record);
	if (o->place.len == 0)
		return;
	buffer_add_be16(b, (uint16_t)o->place.len);
	buffer_add_slice(b, o->place);
	buffer_add_be64(b, o->place_offset);
}

int
content_owner_decode(
    struct slice bytes, struct content_owner *o, struct error *err)
{
	struct reader r = reader_of(bytes.at, bytes.len);
	uint8_t format;

	format = reader_u8(&r);
	if (format > 2)
		return error_set(err, ERR_FORMAT,
		    "an extent's owner has format %u, this program knows up to "
		    "2",
		    format);
	o->upload = reader_be64(&r);
	o->part = reader_be16(&r);
	o->bucket = reader_slice16(&r);
	o->key = reader_slice16(&r);
	o->record = reader_slice32(&r);
	o->place = format == 2 ? reader_slice16(&r) : SLICE_NULL;
	o->place_offset = format == 2 ? reader_be64(&r) : 0;
	if (r.failed || format == 0)
		return error_set(
		    err, ERR_DAMAGED, "an extent's owner cannot be read");
	return 0;
}

struct content_writer *
content_begin(struct store *store, uint64_t size, struct error *err)
{
	struct content_writer *w;

	if (space_admit(store->space, size, err) != 0)
		return NULL;
	if ((w = calloc(1, sizeof(*w))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	w->store = store;
	w->size_hint = size;
	if (size <= store->inline_max_bytes &&
	    buffer_reserve(&w->bytes, (size_t)size) != 0) {
		error_nomem(err);
		free(w);
		return NULL;
	}
	return w;
}

/* Leaves memory for a file. */
static int
spill(struct content_writer *w, struct error *err)
{
	w->file = extent_begin(w->store->extents, w->size_hint, err);
	if (w->file == NULL)
		return -1;
	if (w->bytes.len > 0 &&
	    extent_append(w->file, w->bytes.at, w->bytes.len, err) != 0)
		return -1;
	buffer_free(&w->bytes);
	return 0;
}

int
content_write(
    struct content_writer *w, const void *bytes, size_t len, struct error *err)
{
	if (w->file == NULL) {
		if (w->bytes.len + len <= w->store->inline_max_bytes) {
			buffer_add(&w->bytes, bytes, len);
			return w->bytes.failed ? error_nomem(err) : 0;
		}
		if (spill(w, err) != 0)
			return -1;
	}
	if (space_write(w->store->space, extent_size(w->file), len, err) != 0)
		return -1;
	return extent_append(w->file, bytes, len, err);
}

uint64_t
content_size(const struct content_writer *w)
{
	return w->file != NULL ? extent_size(w->file) : w->bytes.len;
}

int
content_blocks(const struct content_writer *w)
{
	return w->file != NULL || w->size_hint > w->store->inline_max_bytes;
}

int
content_seal(struct content_writer *w, const struct content_owner *owner,
    struct error *err)
{
	struct buffer encoded = BUFFER_INIT;
	uint64_t id;

	if (w->file == NULL) {
		w->crc32c = crc32c(0, w->bytes.at, w->bytes.len);
		return 0;
	}
	content_owner_encode(&encoded, owner);
	if (encoded.failed || (id = ids_fly(&w->store->ids)) == 0) {
		error_nomem(err);
		goto fail;
	}
	if (extent_seal(w->file, id, buffer_slice(&encoded), &w->made_directory,
		err) != 0) {
		ids_land(&w->store->ids, id);
		goto fail;
	}
	w->id = id;
	buffer_free(&encoded);
	return 0;

fail:
	buffer_free(&encoded);
	return -1;
}

static void
release(struct content_writer *w)
{
	if (w->id != 0)
		ids_land(&w->store->ids, w->id);
	extent_free(w->file);
	buffer_free(&w->bytes);
	free(w);
}

void
content_drop(struct content_writer *w)
{
	struct error err = ERROR_INIT;

	if (w == NULL)
		return;
	/* A file that cannot be removed for good stays in flight, so that the
	 * next start still finds it. */
	if (w->id != 0 &&
	    (extent_unlink(w->store->extents, w->id, &err) != 0 ||
		extent_sync_removed(w->store->extents, w->id, &err) != 0)) {
		log_line(LOG_WARN, "store.drop", "%s", err.text);
		w->id = 0;
	}
	release(w);
}

void
content_abandon(struct content_writer *w)
{
	if (w == NULL)
		return;
	w->id = 0; /* it stays in flight */
	release(w);
}

void
content_committed(struct content_writer *w)
{
	if (w != NULL)
		release(w);
}

void
content_record(const struct content_writer *w, struct extent_record *rec)
{
	*rec = (struct extent_record){ 0 };
	rec->references = 1;
	rec->size = content_size(w);
	if (w->file != NULL) {
		rec->kind = EXTENT_FILE;
		return;
	}
	rec->kind = EXTENT_INLINE;
	rec->crc32c = w->crc32c;
	rec->bytes = buffer_slice(&w->bytes);
}

uint64_t
content_file_id(const struct content_writer *w)
{
	return w->id;
}

int
content_made_directory(const struct content_writer *w)
{
	return w->made_directory;
}
