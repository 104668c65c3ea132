#ifndef S3API_PAYLOAD_H
#define S3API_PAYLOAD_H

#include <stdint.h>

#include "base/digest.h"
#include "s3api/awschunked.h"
#include "store/record.h"

/*
 * The body of a PutObject or an UploadPart on its way from the connection to
 * the store: the aws-chunked envelope is taken off and everything that is
 * checked at the end is computed in one pass, in slices that stay in the
 * processor's cache: the MD5 that becomes the ETag, the SHA-256 of a signed
 * payload, and the checksum that the client gave in a header, announced in a
 * trailer, or asked for by x-amz-sdk-checksum-algorithm. What nobody asked for
 * is not computed.
 *
 * Lives where the caller puts it. One thread at a time, any thread.
 */
struct payload {
	/* Without the envelope; UINT64_MAX when the request does not say. */
	uint64_t length;
	uint64_t total; /* payload bytes so far */

	/* After payload_finish(); checksum.kind is set from the beginning. */
	uint8_t md5[MD5_BYTES];
	struct checksum checksum;

	/* The rest is payload.c's. */
	enum payload_kind kind;
	uint8_t sha256[SHA256_BYTES]; /* PAYLOAD_SIGNED */
	int has_content_md5;
	uint8_t content_md5[MD5_BYTES];
	int has_expected; /* the client's checksum is known: */
	struct checksum expected;
	int in_trailer;              /* it will be, behind the payload */
	struct aws_chunked *chunked; /* NULL without envelope */
	int at_once;                 /* the whole payload came in one run */
	struct digest *digests[DIGEST_SHA256 + 1]; /* those in use */
	uint8_t hashes[DIGEST_SHA256 + 1][SHA256_BYTES];
	uint64_t crc;
};

/* Checks the headers and prepares. 0, or -1 and *s3err: InvalidDigest,
 * InvalidRequest (two checksums, an unknown one, or another than is named),
 * InvalidArgument, MissingContentLength, EntityTooLarge, InternalError. sig and
 * key (which may be NULL unless the chunks are signed) need not stay. Whether
 * it fails or not, payload_free() is due. */
int payload_init(struct payload *, const struct http_head *,
    const struct sigv4 *, const struct sigv4_key *, struct s3_error *s3err);
/* Prepares for bytes of our own, of that length, with nothing to check: a copy.
 */
void payload_plain(struct payload *, uint64_t length, enum checksum_kind);
/* Before the first byte: compute that checksum if the client named none. */
void payload_want(struct payload *, enum checksum_kind);
/* Turns bytes[0, len) of the body into payload at the same place, *out_len of
 * it. 0, or -1 and *s3err. */
int payload_feed(struct payload *, char *bytes, size_t len, size_t *out_len,
    struct s3_error *s3err);
/* After the last byte: checks everything and fills in md5 and checksum. 0, or
 * -1 and *s3err (IncompleteBody, BadDigest, XAmzContentSHA256Mismatch,
 * SignatureDoesNotMatch, MalformedTrailerError): nothing of the payload may
 * then become visible. */
int payload_finish(struct payload *, struct s3_error *s3err);
void payload_free(struct payload *);

#endif
