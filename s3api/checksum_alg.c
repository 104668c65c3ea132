#include <string.h>

#include "base/encode.h"
#include "s3api/checksum_alg.h"

#define KINDS (CHECKSUM_SHA256 + 1)

static const struct {
	const char *name, *header, *element;
	int may_be_composite, may_be_full;
} kinds[KINDS] = {
	[CHECKSUM_NONE] = { "", "", "", 0, 0 },
	[CHECKSUM_CRC32] = { "CRC32", "x-amz-checksum-crc32", "ChecksumCRC32",
	    1, 1 },
	[CHECKSUM_CRC32C] = { "CRC32C", "x-amz-checksum-crc32c",
	    "ChecksumCRC32C", 1, 1 },
	[CHECKSUM_CRC64NVME] = { "CRC64NVME", "x-amz-checksum-crc64nvme",
	    "ChecksumCRC64NVME", 0, 1 },
	[CHECKSUM_SHA1] = { "SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 1,
	    0 },
	[CHECKSUM_SHA256] = { "SHA256", "x-amz-checksum-sha256",
	    "ChecksumSHA256", 1, 0 },
};

const char *
checksum_name(enum checksum_kind kind)
{
	return kinds[kind].name;
}

const char *
checksum_header(enum checksum_kind kind)
{
	return kinds[kind].header;
}

const char *
checksum_element(enum checksum_kind kind)
{
	return kinds[kind].element;
}

enum checksum_kind
checksum_by_name(struct slice name)
{
	size_t i;

	for (i = CHECKSUM_CRC32; i < KINDS; i++)
		if (slice_is_nocase(name, kinds[i].name))
			return (enum checksum_kind)i;
	return CHECKSUM_NONE;
}

enum checksum_kind
checksum_by_header(struct slice name)
{
	size_t i;

	for (i = CHECKSUM_CRC32; i < KINDS; i++)
		if (slice_is(name, kinds[i].header))
			return (enum checksum_kind)i;
	return CHECKSUM_NONE;
}

int
checksum_may_be_composite(enum checksum_kind kind)
{
	return kinds[kind].may_be_composite;
}

int
checksum_may_be_full(enum checksum_kind kind)
{
	return kinds[kind].may_be_full;
}

void
checksum_encode(const struct checksum *sum, char text[CHECKSUM_TEXT_BYTES])
{
	base64_encode(
	    sum->value, checksum_bytes((enum checksum_kind)sum->kind), text);
}

int
checksum_decode(
    enum checksum_kind kind, struct slice text, struct checksum *sum)
{
	long n;

	memset(sum, 0, sizeof(*sum));
	sum->kind = (uint8_t)kind;
	n = base64_decode(text.at, text.len, sum->value, sizeof(sum->value));
	return n >= 0 && (size_t)n == checksum_bytes(kind) ? 0 : -1;
}
