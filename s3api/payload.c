#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "s3api/checksum_alg.h"
#include "s3api/payload.h"

/* Each digest passes over a slice before the next slice is touched. */
#define PAYLOAD_SLICE_BYTES ((size_t)16 * 1024)
#define TRAILERS_MAX_BYTES 256

static int
is_chunked(enum payload_kind kind)
{
	return kind == PAYLOAD_CHUNKED_SIGNED ||
	    kind == PAYLOAD_CHUNKED_SIGNED_TRAILER ||
	    kind == PAYLOAD_CHUNKED_UNSIGNED_TRAILER;
}

static int
init_length(
    struct payload *p, const struct http_head *head, struct s3_error *s3err)
{
	struct slice text = SLICE_NULL;

	if (is_chunked(p->kind))
		text = http_header_get(head, "x-amz-decoded-content-length");
	if (text.at != NULL) {
		if (parse_u64(
			text.at, text.len, 0, UINT64_MAX - 1, &p->length) != 0)
			return s3_error_set(s3err, S3_INVALID_ARGUMENT,
			    "x-amz-decoded-content-length is not a number.");
	} else if (head->has_length && !is_chunked(p->kind)) {
		p->length = head->content_length;
	} else if (head->has_length || head->chunked) {
		p->length = UINT64_MAX;
	} else {
		return s3_error_set(s3err, S3_MISSING_CONTENT_LENGTH, NULL);
	}
	if (p->length != UINT64_MAX && p->length > PART_MAX_BYTES)
		return s3_error_set(s3err, S3_ENTITY_TOO_LARGE,
		    "One request takes at most 5 GiB: upload larger objects in "
		    "parts.");
	return 0;
}

static int
init_md5(
    struct payload *p, const struct http_head *head, struct s3_error *s3err)
{
	struct slice text = http_header_get(head, "content-md5");

	if (text.at == NULL)
		return 0;
	if (base64_decode(text.at, text.len, p->content_md5, MD5_BYTES) !=
	    MD5_BYTES)
		return s3_error_set(s3err, S3_INVALID_DIGEST, NULL);
	p->has_content_md5 = 1;
	return 0;
}

/* The one checksum of the request is of that kind. */
static int
set_kind(struct payload *p, enum checksum_kind kind, struct s3_error *s3err)
{
	if (p->checksum.kind != CHECKSUM_NONE)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Expecting a single x-amz-checksum- header. Multiple "
		    "checksum Types are not allowed.");
	p->checksum.kind = (uint8_t)kind;
	return 0;
}

static int
init_checksum_header(
    struct payload *p, const struct http_header *header, struct s3_error *s3err)
{
	enum checksum_kind kind;

	if (!slice_starts(header->name, "x-amz-checksum-") ||
	    slice_is(header->name, "x-amz-checksum-algorithm") ||
	    slice_is(header->name, "x-amz-checksum-type") ||
	    slice_is(header->name, "x-amz-checksum-mode"))
		return 0;
	if ((kind = checksum_by_header(header->name)) == CHECKSUM_NONE)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The checksums supported are CRC32, CRC32C, CRC64NVME, "
		    "SHA1 "
		    "and SHA256.");
	if (set_kind(p, kind, s3err) != 0)
		return -1;
	if (checksum_decode(kind, header->value, &p->expected) != 0)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Value for %s header is invalid.", checksum_header(kind));
	p->has_expected = 1;
	return 0;
}

/* One value of x-amz-trailer, which may have several names; they are collected
 * in trailers. */
static int
init_trailer_header(struct payload *p, struct slice value, char *trailers,
    size_t *len, struct s3_error *s3err)
{
	struct slice name;
	enum checksum_kind kind;
	size_t i, start = 0;

	for (i = 0; i <= value.len; i++) {
		if (i < value.len && value.at[i] != ',')
			continue;
		name.at = value.at + start;
		name.len = i - start;
		start = i + 1;
		while (name.len > 0 && *name.at == ' ') {
			name.at++;
			name.len--;
		}
		while (name.len > 0 && name.at[name.len - 1] == ' ')
			name.len--;
		for (kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++)
			if (slice_is_nocase(name, checksum_header(kind)))
				break;
		if (kind > CHECKSUM_SHA256)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "The value specified in the x-amz-trailer header "
			    "is "
			    "not supported.");
		if (set_kind(p, kind, s3err) != 0)
			return -1;
		p->in_trailer = 1;
		memcpy(trailers, name.at, name.len);
		*len = name.len;
	}
	return 0;
}

static int
init_checksum(struct payload *p, const struct http_head *head, char *trailers,
    size_t *trailers_len, struct s3_error *s3err)
{
	const struct http_header *header;
	struct slice text;
	enum checksum_kind kind;
	size_t i;

	for (i = 0; i < head->n_headers; i++) {
		header = &head->headers[i];
		if (init_checksum_header(p, header, s3err) != 0)
			return -1;
		if (slice_is(header->name, "x-amz-trailer") &&
		    init_trailer_header(
			p, header->value, trailers, trailers_len, s3err) != 0)
			return -1;
	}
	if (p->in_trailer && p->kind != PAYLOAD_CHUNKED_SIGNED_TRAILER &&
	    p->kind != PAYLOAD_CHUNKED_UNSIGNED_TRAILER)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "x-amz-trailer needs an x-amz-content-sha256 that ends in "
		    "-TRAILER.");

	text = http_header_get(head, "x-amz-sdk-checksum-algorithm");
	if (text.at == NULL)
		return 0;
	if ((kind = checksum_by_name(text)) == CHECKSUM_NONE)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Value for x-amz-sdk-checksum-algorithm header is invalid: "
		    "CRC32, CRC32C, CRC64NVME, SHA1 and SHA256 are supported.");
	if (p->checksum.kind != CHECKSUM_NONE && p->checksum.kind != kind)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "Value for x-amz-sdk-checksum-algorithm header is invalid: "
		    "the checksum that is sent is %s.",
		    checksum_name((enum checksum_kind)p->checksum.kind));
	p->checksum.kind = (uint8_t)kind;
	return 0;
}

int
payload_init(struct payload *p, const struct http_head *head,
    const struct sigv4 *sig, const struct sigv4_key *key,
    struct s3_error *s3err)
{
	char trailers[TRAILERS_MAX_BYTES];
	size_t trailers_len = 0;

	memset(p, 0, sizeof(*p));
	p->kind = sig->payload;
	if (p->kind == PAYLOAD_SIGNED)
		memcpy(p->sha256, sig->payload_sha256, SHA256_BYTES);
	if (init_length(p, head, s3err) != 0 || init_md5(p, head, s3err) != 0 ||
	    init_checksum(p, head, trailers, &trailers_len, s3err) != 0)
		return -1;
	if (!is_chunked(p->kind))
		return 0;
	p->chunked = aws_chunked_new(p->kind, sig, key, p->length,
	    (struct slice){ trailers, trailers_len });
	if (p->chunked == NULL)
		return s3_error_set(
		    s3err, S3_INTERNAL_ERROR, "No memory for this request.");
	return 0;
}

void
payload_plain(struct payload *p, uint64_t length, enum checksum_kind kind)
{
	memset(p, 0, sizeof(*p));
	p->kind = PAYLOAD_UNSIGNED;
	p->length = length;
	p->checksum.kind = (uint8_t)kind;
}

void
payload_want(struct payload *p, enum checksum_kind kind)
{
	if (p->checksum.kind == CHECKSUM_NONE)
		p->checksum.kind = (uint8_t)kind;
}

static int
is_needed(const struct payload *p, enum digest_kind kind)
{
	switch (kind) {
	case DIGEST_MD5:
		return 1;
	case DIGEST_SHA1:
		return p->checksum.kind == CHECKSUM_SHA1;
	case DIGEST_SHA256:
		return p->checksum.kind == CHECKSUM_SHA256 ||
		    p->kind == PAYLOAD_SIGNED;
	}
	return 0;
}

static void
update_crc(struct payload *p, const char *bytes, size_t len)
{
	switch ((enum checksum_kind)p->checksum.kind) {
	case CHECKSUM_CRC32:
		p->crc = crc32_iso((uint32_t)p->crc, bytes, len);
		break;
	case CHECKSUM_CRC32C:
		p->crc = crc32c((uint32_t)p->crc, bytes, len);
		break;
	case CHECKSUM_CRC64NVME:
		p->crc = crc64_nvme(p->crc, bytes, len);
		break;
	case CHECKSUM_NONE:
	case CHECKSUM_SHA1:
	case CHECKSUM_SHA256:
		break;
	}
}

/* A payload that is there as a whole needs no contexts. */
static void
digest_whole(struct payload *p, const char *bytes, size_t len)
{
	enum digest_kind kind;

	for (kind = DIGEST_MD5; kind <= DIGEST_SHA256; kind++)
		if (is_needed(p, kind))
			digest_once(kind, bytes, len, p->hashes[kind]);
	p->at_once = 1;
}

static int
digest_slice(
    struct payload *p, const char *bytes, size_t len, struct s3_error *s3err)
{
	enum digest_kind kind;

	if (len == 0)
		return 0;
	if (len > PART_MAX_BYTES - p->total)
		return s3_error_set(s3err, S3_ENTITY_TOO_LARGE,
		    "One request takes at most 5 GiB: upload larger objects in "
		    "parts.");
	if (p->length != UINT64_MAX && len > p->length - p->total)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The body is longer than the request says.");
	update_crc(p, bytes, len);
	if (p->total == 0 && len == p->length)
		digest_whole(p, bytes, len);
	p->total += len;
	if (p->at_once)
		return 0;

	for (kind = DIGEST_MD5; kind <= DIGEST_SHA256; kind++) {
		if (!is_needed(p, kind))
			continue;
		if (p->digests[kind] == NULL &&
		    (p->digests[kind] = digest_new(kind)) == NULL)
			return s3_error_set(s3err, S3_INTERNAL_ERROR,
			    "No memory for this request.");
		digest_update(p->digests[kind], bytes, len);
	}
	return 0;
}

int
payload_feed(struct payload *p, char *bytes, size_t len, size_t *out_len,
    struct s3_error *s3err)
{
	size_t at, n, got, out = 0;

	*out_len = 0;
	for (at = 0; at < len; at += n) {
		n = len - at < PAYLOAD_SLICE_BYTES ? len - at
						   : PAYLOAD_SLICE_BYTES;
		got = n;
		if (p->chunked != NULL &&
		    aws_chunked_decode(p->chunked, bytes + at, n, &got, s3err) <
			0)
			return -1;
		if (digest_slice(p, bytes + at, got, s3err) != 0)
			return -1;
		if (out != at)
			memmove(bytes + out, bytes + at, got);
		out += got;
	}
	*out_len = out;
	return 0;
}

/* The checksum's value from what was computed. */
static void
finish_checksum(struct payload *p)
{
	uint8_t *value = p->checksum.value;

	switch ((enum checksum_kind)p->checksum.kind) {
	case CHECKSUM_CRC32:
	case CHECKSUM_CRC32C:
		be32_put(value, (uint32_t)p->crc);
		break;
	case CHECKSUM_CRC64NVME:
		be64_put(value, p->crc);
		break;
	case CHECKSUM_SHA1:
		memcpy(value, p->hashes[DIGEST_SHA1], SHA1_BYTES);
		break;
	case CHECKSUM_SHA256:
		memcpy(value, p->hashes[DIGEST_SHA256], SHA256_BYTES);
		break;
	case CHECKSUM_NONE:
		break;
	}
}

static int
check_checksum(struct payload *p, struct s3_error *s3err)
{
	enum checksum_kind kind = (enum checksum_kind)p->checksum.kind;
	struct slice text;

	if (p->in_trailer) {
		text = aws_chunked_trailer(p->chunked, checksum_header(kind));
		if (text.at == NULL ||
		    checksum_decode(kind, text, &p->expected) != 0)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "Value for %s trailing header is invalid.",
			    checksum_header(kind));
		p->has_expected = 1;
	}
	if (!p->has_expected ||
	    memcmp(p->expected.value, p->checksum.value,
		checksum_bytes(kind)) == 0)
		return 0;
	return s3_error_set(s3err, S3_BAD_DIGEST,
	    "The %s you specified did not match the calculated checksum.",
	    checksum_name(kind));
}

int
payload_finish(struct payload *p, struct s3_error *s3err)
{
	enum digest_kind kind;

	if (p->chunked != NULL && aws_chunked_ended(p->chunked, s3err) != 0)
		return -1;
	if (p->length != UINT64_MAX && p->total != p->length)
		return s3_error_set(s3err, S3_INCOMPLETE_BODY, NULL);
	if (p->total == 0)
		digest_whole(p, "", 0);
	for (kind = DIGEST_MD5; kind <= DIGEST_SHA256 && !p->at_once; kind++)
		if (p->digests[kind] != NULL)
			digest_final(p->digests[kind], p->hashes[kind]);
	memcpy(p->md5, p->hashes[DIGEST_MD5], MD5_BYTES);
	finish_checksum(p);

	if (p->has_content_md5 &&
	    memcmp(p->content_md5, p->md5, MD5_BYTES) != 0)
		return s3_error_set(s3err, S3_BAD_DIGEST,
		    "The Content-MD5 you specified did not match what we "
		    "received.");
	if (p->kind == PAYLOAD_SIGNED &&
	    memcmp(p->sha256, p->hashes[DIGEST_SHA256], SHA256_BYTES) != 0)
		return s3_error_set(s3err, S3_UNSIGNED_CONTENT, NULL);
	return check_checksum(p, s3err);
}

void
payload_free(struct payload *p)
{
	enum digest_kind kind;

	for (kind = DIGEST_MD5; kind <= DIGEST_SHA256; kind++) {
		digest_free(p->digests[kind]);
		p->digests[kind] = NULL;
	}
	aws_chunked_free(p->chunked);
	p->chunked = NULL;
}
