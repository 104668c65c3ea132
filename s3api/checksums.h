#ifndef S3API_CHECKSUMS_H
#define S3API_CHECKSUMS_H

#include "s3api/checksum_alg.h"

/*
 * A stored checksum in answers: its header or element, its type (FULL_OBJECT,
 * COMPOSITE), "-parts" behind a composite one. Pure; any thread.
 */

const char *checksum_type(const struct checksum *);

#define CHECKSUM_SHOWN_BYTES (CHECKSUM_TEXT_BYTES + 16)
/* parts 0: not a multipart object's. */
void checksum_show(
    const struct checksum *, unsigned parts, char text[CHECKSUM_SHOWN_BYTES]);
/* As a client sends it: base64 with or without "-parts", which makes it
 * composite. 0, or -1. */
int checksum_read(enum checksum_kind, struct slice text, struct checksum *);
/* The algorithm of that element ("ChecksumCRC32"), or CHECKSUM_NONE. */
enum checksum_kind checksum_by_element(struct slice name);

/* Header or element of it, if there is one, and with type that of its type. */
void checksum_to_headers(
    struct buffer *, const struct checksum *, unsigned parts);
void checksum_to_xml(
    struct buffer *, const struct checksum *, unsigned parts, int type);

#endif
