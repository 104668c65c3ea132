#include <stdlib.h>

#include "base/error.h"
#include "store/record.h"

/*
 * The first byte chooses a kind of record, the others are one. What is decoded
 * must be readable to its end, and must decode again once it is encoded.
 */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Pairs added one by one are the bytes that they came from. */
static void
read_pairs(struct slice pairs)
{
	struct buffer again = BUFFER_INIT;
	struct slice name, rest, value;

	rest = pairs;
	while (pairs_next(&rest, &name, &value) == 1)
		pairs_add(&again, name, value);
	pairs.len -= rest.len;
	if (!again.failed && !slice_equal(pairs, buffer_slice(&again)))
		abort();
	buffer_free(&again);
}

static void
read_bucket(const struct bucket_record *rec)
{
	read_pairs(rec->tags);
}

static void
read_object(const struct object_record *rec)
{
	char text[ETAG_BYTES];

	object_etag(rec, text);
	read_pairs(rec->attributes);
	read_pairs(rec->tags);
}

static void
read_upload(const struct upload_record *rec)
{
	read_pairs(rec->attributes);
	read_pairs(rec->tags);
}

static void
read_extent(const struct extent_record *rec)
{
	struct chain_entry entry;
	size_t i;

	for (i = 0; i <= rec->n_entries; i++) {
		if (chain_get(rec, i, &entry) == 0 && i == rec->n_entries)
			abort();
	}
}

/* What these point to is read when they are encoded again. */
static void
read_part(const struct part_record *rec)
{
	(void)rec;
}

static void
read_key(const struct key_record *rec)
{
	(void)rec;
}

static void
read_journal(const struct journal_record *rec)
{
	(void)rec;
}

#define KIND(name) \
	static void try_##name(struct slice bytes, struct buffer *out) \
	{ \
		struct name##_record rec; \
		struct error err; \
\
		if (name##_decode(bytes, &rec, &err) != 0) { \
			if (err.kind != ERR_DAMAGED && err.kind != ERR_FORMAT) \
				abort(); \
			return; \
		} \
		read_##name(&rec); \
		name##_encode(out, &rec); \
		if (!out->failed && \
		    name##_decode(buffer_slice(out), &rec, &err) != 0) \
			abort(); \
	}

KIND(bucket)
KIND(object)
KIND(upload)
KIND(part)
KIND(extent)
KIND(key)
KIND(journal)

static void (*const tries[])(struct slice, struct buffer *) = { try_bucket,
	try_object, try_upload, try_part, try_extent, try_key, try_journal };

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buffer out = BUFFER_INIT;

	if (len == 0 || bytes[0] >= sizeof(tries) / sizeof(tries[0]))
		return -1;
	tries[bytes[0]](
	    (struct slice){ (const char *)bytes + 1, len - 1 }, &out);
	buffer_free(&out);
	return 0;
}
