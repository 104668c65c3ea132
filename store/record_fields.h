#ifndef STORE_RECORD_FIELDS_H
#define STORE_RECORD_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/record.h"

/*
 * What all records share on disk: a format byte, the number of tagged fields,
 * fixed fields, and behind them the tagged ones: {tag u8, length be32, bytes}.
 * An empty field is not written. For the files record*.c only.
 */

#define RECORD_TAGS_MAX 8 /* one above the highest tag that a record knows */

/* Fields by their tag; fields[0] is unused. */
struct record_fields {
	struct slice at[RECORD_TAGS_MAX];
};

/* Reserves memory once for a whole record, appends its fields, and returns its
 * fixed_len first bytes, of which the caller fills all from the third on; NULL
 * when out is failed. */
uint8_t *record_begin(struct buffer *out, uint8_t format, size_t fixed_len,
    const struct record_fields *);

/* Checks format and length and finds the fields, skipping tags it does not
 * know. The record's first byte, or NULL and *err. */
const uint8_t *record_open(const char *what, struct slice bytes, uint8_t format,
    size_t fixed_len, struct record_fields *, struct error *err);

/* ERR_DAMAGED; -1. */
int record_damaged(struct error *err, const char *what, const char *why);

/* Times are from 1970 to 9999, so that every one of them can be written out. */
int record_time_ok(int64_t ms);

/* A checksum is one fixed byte, its kind, with bit 7 for composite, and a field
 * with its value. record_checksum_get: 0, or -1 when they do not fit together.
 */
uint8_t record_checksum_byte(const struct checksum *);
struct slice record_checksum_value(const struct checksum *);
int record_checksum_get(uint8_t byte, struct slice value, struct checksum *);

#endif
