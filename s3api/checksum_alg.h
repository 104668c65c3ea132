#ifndef S3API_CHECKSUM_ALG_H
#define S3API_CHECKSUM_ALG_H

#include "base/buffer.h"
#include "store/record.h"

/*
 * S3's names for the checksums that the store keeps ("Checking object integrity
 * in Amazon S3"). Pure functions; any thread.
 */

/* Room for any checksum in base64 with a final NUL. */
#define CHECKSUM_TEXT_BYTES 48

/* "CRC32C"; "" for CHECKSUM_NONE. */
const char *checksum_name(enum checksum_kind);
/* The algorithm of that name in any case; CHECKSUM_NONE if there is none. */
enum checksum_kind checksum_by_name(struct slice name);
/* "x-amz-checksum-crc32c"; and the XML element "ChecksumCRC32C". */
const char *checksum_header(enum checksum_kind);
const char *checksum_element(enum checksum_kind);
/* The algorithm whose header that is (lower case), or CHECKSUM_NONE. */
enum checksum_kind checksum_by_header(struct slice name);

/* May a multipart object's checksum be of that type? SHA-1 and SHA-256 can only
 * be COMPOSITE, CRC-64/NVME only FULL_OBJECT, the others either; what is not
 * named is COMPOSITE where it can be. */
int checksum_may_be_composite(enum checksum_kind);
int checksum_may_be_full(enum checksum_kind);

/* Base64 of the value. */
void checksum_encode(const struct checksum *, char text[CHECKSUM_TEXT_BYTES]);
/* 0, or -1 unless text is the base64 of exactly as many bytes as kind has.
 * composite becomes 0. */
int checksum_decode(enum checksum_kind, struct slice text, struct checksum *);

#endif
