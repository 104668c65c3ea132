#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/record_fields.h"

/*
 * Extent record, format 1. Its references stay where they are in later formats:
 * they are changed in place.
 *
 *	 0  u8    format, 1
 *	 1  u8    number of fields
 *	 2  u8    kind: 1 inline, 2 file, 3 chain, 4 remote
 *	 3  u8    flags: 1 damaged, 2 adopted
 *	 4  be32  references
 *	 8  be64  size
 *	16  be32  CRC32C of the bytes (inline), else 0
 *	20  u8    kind of the entries' checksums (chain), else 0
 *	21  fields {tag u8, length be32, bytes}:
 *	    1 bytes (inline): size of them
 *	    2 entries (chain), each {extent be64, end be64, number be16,
 *checksum as long as its kind says}; `end` never falls, and the last is size
 *	    3 place (remote)
 *	    4 MD5 of the bytes (remote), if it is known
 *	    6 be32: CRC32C of the bytes (remote; chain, until it is proven)
 *	    5 be64: where they begin at the place (remote), if not at 0
 */

#define EXTENT_FORMAT 1
#define EXTENT_FIXED_BYTES 21
#define REFERENCES_AT 4
#define ENTRY_FIXED_BYTES 18

enum extent_tag {
	EXTENT_BYTES = 1,
	EXTENT_ENTRIES,
	EXTENT_PLACE,
	EXTENT_MD5,
	EXTENT_PLACE_OFFSET,
	EXTENT_SUM
};

void
extent_encode(struct buffer *out, const struct extent_record *rec)
{
	struct record_fields fields;
	uint8_t offset[8], sum[4], *p;

	memset(&fields, 0, sizeof(fields));
	if (rec->kind == EXTENT_INLINE)
		fields.at[EXTENT_BYTES] = rec->bytes;
	if (rec->kind == EXTENT_CHAIN)
		fields.at[EXTENT_ENTRIES] = rec->entries;
	if (rec->kind == EXTENT_REMOTE) {
		fields.at[EXTENT_PLACE] = rec->place;
		fields.at[EXTENT_MD5] = rec->md5;
		be64_put(offset, rec->place_offset);
		if (rec->place_offset != 0)
			fields.at[EXTENT_PLACE_OFFSET] =
			    (struct slice){ (char *)offset, sizeof(offset) };
	}
	if ((rec->kind == EXTENT_REMOTE || rec->kind == EXTENT_CHAIN) &&
	    rec->has_sum) {
		be32_put(sum, rec->crc32c);
		fields.at[EXTENT_SUM] =
		    (struct slice){ (char *)sum, sizeof(sum) };
	}
	p = record_begin(out, EXTENT_FORMAT, EXTENT_FIXED_BYTES, &fields);
	if (p == NULL)
		return;

	p[2] = rec->kind;
	p[3] = rec->flags;
	be32_put(p + REFERENCES_AT, rec->references);
	be64_put(p + 8, rec->size);
	be32_put(p + 16, rec->kind == EXTENT_INLINE ? rec->crc32c : 0);
	p[20] = rec->kind == EXTENT_CHAIN ? rec->checksum_kind : 0;
}

/* The offset behind the last entry, 0 when there is none. */
static uint64_t
chain_end(const struct extent_record *rec, size_t entry_len)
{
	if (rec->entries.len == 0)
		return 0;
	return be64_get((const uint8_t *)rec->entries.at + rec->entries.len -
	    entry_len + 8);
}

int
extent_decode(struct slice bytes, struct extent_record *rec, struct error *err)
{
	struct record_fields fields;
	const uint8_t *p;
	size_t entry_len;

	p = record_open(
	    "extent", bytes, EXTENT_FORMAT, EXTENT_FIXED_BYTES, &fields, err);
	if (p == NULL)
		return -1;

	rec->kind = p[2];
	rec->flags = p[3];
	rec->references = be32_get(p + REFERENCES_AT);
	rec->size = be64_get(p + 8);
	rec->crc32c = be32_get(p + 16);
	rec->checksum_kind = p[20];
	rec->bytes = fields.at[EXTENT_BYTES];
	rec->entries = fields.at[EXTENT_ENTRIES];
	rec->place = fields.at[EXTENT_PLACE];
	rec->md5 = fields.at[EXTENT_MD5];
	rec->place_offset = fields.at[EXTENT_PLACE_OFFSET].len == 8
	    ? be64_get((const uint8_t *)fields.at[EXTENT_PLACE_OFFSET].at)
	    : 0;
	rec->has_sum = fields.at[EXTENT_SUM].len == 4;
	if (rec->has_sum)
		rec->crc32c =
		    be32_get((const uint8_t *)fields.at[EXTENT_SUM].at);
	rec->n_entries = 0;

	if (rec->kind < EXTENT_INLINE || rec->kind > EXTENT_REMOTE)
		return record_damaged(err, "extent", "its kind is unknown");
	if ((rec->flags & ~(EXTENT_DAMAGED | EXTENT_ADOPTED)) != 0)
		return record_damaged(err, "extent", "a flag is unknown");
	if (rec->size > OBJECT_MAX_BYTES)
		return record_damaged(err, "extent", "its size is wrong");
	if (rec->bytes.len != (rec->kind == EXTENT_INLINE ? rec->size : 0))
		return record_damaged(
		    err, "extent", "its bytes are not as many as its size");
	if (rec->kind == EXTENT_REMOTE &&
	    (rec->place.len == 0 || (rec->md5.len != 0 && rec->md5.len != 16)))
		return record_damaged(err, "extent", "its place is wrong");
	if ((fields.at[EXTENT_PLACE_OFFSET].len != 0 &&
		(rec->kind != EXTENT_REMOTE ||
		    fields.at[EXTENT_PLACE_OFFSET].len != 8)) ||
	    rec->place_offset > OBJECT_MAX_BYTES)
		return record_damaged(err, "extent", "its place is wrong");
	if (fields.at[EXTENT_SUM].len != 0 &&
	    ((rec->kind != EXTENT_REMOTE && rec->kind != EXTENT_CHAIN) ||
		!rec->has_sum))
		return record_damaged(err, "extent", "its sum is wrong");
	if (rec->checksum_kind > CHECKSUM_SHA256)
		return record_damaged(err, "extent", "its checksum is unknown");
	if (rec->kind != EXTENT_CHAIN && rec->entries.len > 0)
		return record_damaged(err, "extent", "it is not a chain");
	if (rec->kind == EXTENT_CHAIN) {
		entry_len =
		    ENTRY_FIXED_BYTES + checksum_bytes(rec->checksum_kind);
		if (rec->entries.len % entry_len != 0 ||
		    rec->entries.len / entry_len > PARTS_MAX ||
		    chain_end(rec, entry_len) != rec->size)
			return record_damaged(
			    err, "extent", "its chain is wrong");
		rec->n_entries = (uint32_t)(rec->entries.len / entry_len);
	}
	return 0;
}

uint32_t
extent_references(struct slice encoded, int *ok)
{
	const uint8_t *p;

	p = (const uint8_t *)encoded.at;
	*ok = encoded.len >= EXTENT_FIXED_BYTES && p[0] == EXTENT_FORMAT;
	return *ok ? be32_get(p + REFERENCES_AT) : 0;
}

void
extent_set_references(void *encoded, uint32_t references)
{
	be32_put((uint8_t *)encoded + REFERENCES_AT, references);
}

struct slice
extent_content(struct slice encoded)
{
	const uint8_t *p = (const uint8_t *)encoded.at;
	size_t at = EXTENT_FIXED_BYTES, len;
	uint8_t n;

	if (encoded.len < EXTENT_FIXED_BYTES || p[2] != EXTENT_INLINE)
		return SLICE_NULL;
	for (n = p[1]; n > 0 && encoded.len - at >= 5; n--) {
		len = be32_get(p + at + 1);
		if (len > encoded.len - at - 5)
			break;
		if (p[at] == EXTENT_BYTES)
			return (struct slice){ encoded.at + at + 5, len };
		at += 5 + len;
	}
	return SLICE_NULL;
}

void
chain_add(struct buffer *entries, enum checksum_kind kind,
    const struct chain_entry *entry)
{
	size_t sum_len;

	sum_len = checksum_bytes(kind);
	if (buffer_reserve(entries, ENTRY_FIXED_BYTES + sum_len) != 0)
		return;
	buffer_add_be64(entries, entry->extent);
	buffer_add_be64(entries, entry->end);
	buffer_add_be16(entries, entry->number);
	buffer_add(entries, entry->checksum, sum_len);
}

int
chain_get(const struct extent_record *rec, size_t i, struct chain_entry *entry)
{
	const uint8_t *p;
	size_t entry_len, sum_len;

	if (i >= rec->n_entries)
		return -1;
	sum_len = checksum_bytes(rec->checksum_kind);
	entry_len = ENTRY_FIXED_BYTES + sum_len;
	p = (const uint8_t *)rec->entries.at + i * entry_len;
	entry->extent = be64_get(p);
	entry->end = be64_get(p + 8);
	entry->number = be16_get(p + 16);
	memset(entry->checksum, 0, sizeof(entry->checksum));
	memcpy(entry->checksum, p + ENTRY_FIXED_BYTES, sum_len);
	if (entry->end > rec->size || entry->number == 0 ||
	    entry->number > PARTS_MAX ||
	    (i > 0 && entry->end < be64_get(p - entry_len + 8)))
		return -1;
	return 0;
}
