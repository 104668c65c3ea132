#include <string.h>

#include "base/error.h"
#include "store/internal.h"
#include "store/objects.h"

/* A new object, or a copy that shares the content of its source. */

static int
take_source(struct store_txn *txn, struct put_object *p, struct buffer *memory,
    struct error *err)
{
	struct txn_bucket *b;
	struct slice bytes;
	int is_current, rc;

	if ((b = txn_bucket(txn, p->source_bucket, err)) == NULL)
		return -1;
	rc = objects_find(txn->txn, txn->index, b->record.id, p->source_key,
	    p->source_version, &bytes, &is_current, err);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return error_set(err,
		    p->source_version ? ERR_NO_VERSION : ERR_NOT_FOUND,
		    "the source of the copy does not exist");
	buffer_add_slice(memory, bytes);
	if (memory->failed)
		return error_nomem(err);
	if (object_decode(buffer_slice(memory), &p->source, err) != 0)
		return -1;
	if (p->source.delete_marker)
		return error_set(err, ERR_DELETE_MARKER,
		    "the source of the copy is a delete marker");
	if (p->source_check != NULL)
		return p->source_check(&p->source, p->source_check_arg, err);
	return 0;
}

static int
apply_put(struct store_txn *txn, struct change *change)
{
	struct put_object *p = change_of(change, struct put_object, change);
	struct buffer memory = BUFFER_INIT;
	struct object_record rec = p->record;
	struct error *err = &change->err;
	struct txn_bucket *b;

	if ((b = txn_bucket(txn, p->bucket, err)) == NULL)
		return -1;
	p->versioning = b->record.versioning;
	if (objects_check(
		txn, b->record.id, p->key, p->check, p->check_arg, err) != 0)
		return -1;
	if (p->content != NULL) {
		rec.size = content_size(p->content);
		if (txn_extent_content(txn, p->content, &rec.extent, err) != 0)
			return -1;
	} else {
		if (take_source(txn, p, &memory, err) != 0)
			goto fail;
		if (objects_keep_here(txn, p->source_bucket, p->source_key,
			p->source.extent, err) != 0)
			goto fail;
		rec.size = p->source.size;
		rec.extent = p->source.extent;
		memcpy(rec.md5, p->source.md5, sizeof(rec.md5));
		rec.parts = p->source.parts;
		if (!p->replace_checksum)
			rec.checksum = p->source.checksum;
		if (!p->replace_attributes)
			rec.attributes = p->source.attributes;
		if (!p->replace_tags)
			rec.tags = p->source.tags;
		if (txn_extent_ref(txn, rec.extent, err) != 0)
			goto fail;
		/* The source's bucket may have taken the place of ours. */
		if ((b = txn_bucket(txn, p->bucket, err)) == NULL)
			goto fail;
	}
	if (objects_place(txn, change, b, p->key, &rec, err) != 0)
		goto fail;
	/* What came from the source points into memory that goes away. */
	p->record = rec;
	if (p->content == NULL) {
		if (!p->replace_attributes)
			p->record.attributes = SLICE_NULL;
		if (!p->replace_tags)
			p->record.tags = SLICE_NULL;
		p->source.attributes = p->source.tags = SLICE_NULL;
	}
	buffer_free(&memory);
	return 0;

fail:
	buffer_free(&memory);
	return -1;
}

int
store_put_object(struct store *store, struct put_object *p)
{
	return store_submit(store, &p->change, apply_put, p->content, 0);
}
