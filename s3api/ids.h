#ifndef S3API_IDS_H
#define S3API_IDS_H

#include <stdint.h>

#include "base/buffer.h"
#include "s3api/s3error.h"
#include "store/record.h"

/*
 * How the store's numbers look to clients: version ids (16 hex digits, or
 * "null"), upload ids (32 hex digits: number and nonce), continuation tokens
 * (base64 of a tag and the key to go on after), ETags in quotes. Pure; any
 * thread.
 */

#define VERSION_TEXT_BYTES 17
void version_text(const struct object_record *, char text[VERSION_TEXT_BYTES]);
void version_number_text(
    uint64_t version, int null_version, char text[VERSION_TEXT_BYTES]);
/* SLICE_NULL is 0: none named. 0, or -1 and *s3err (InvalidArgument). */
int version_parse(struct slice text, uint64_t *version, struct s3_error *s3err);

#define UPLOAD_TEXT_BYTES 33
void upload_text(uint64_t upload, uint64_t nonce, char text[UPLOAD_TEXT_BYTES]);
/* 0, or -1 when it is no upload id at all. */
int upload_parse(struct slice text, uint64_t *upload, uint64_t *nonce);

/* Appends the token for "go on after that key". */
void token_add(struct buffer *, struct slice key);
/* Appends the key of a token; 0, or -1 when it is none of ours. */
int token_parse(struct slice token, struct buffer *key);

#define ETAG_QUOTED_BYTES (ETAG_BYTES + 2)
void etag_quoted(const struct object_record *, char text[ETAG_QUOTED_BYTES]);

#endif
