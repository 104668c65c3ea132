#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Checksums at hardware speed: CRC-32 (ISO-HDLC, as zlib and gzip), CRC-32C
 * (Castagnoli, as iSCSI) by ISA-L; CRC-64/NVME by carry-less multiply with a
 * table where the processor has none. Each starts from 0 and continues from an
 * earlier result: crc32c(crc32c(0, a), b) is the sum over a then b.
 * Pure functions; any thread.
 */

uint32_t crc32_iso(uint32_t crc, const void *bytes, size_t len);
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);
uint64_t crc64_nvme(uint64_t crc, const void *bytes, size_t len);

/* The sum over a then b from the sums of each and b's length, in time
 * logarithmic in that length. For S3's FULL_OBJECT checksums of parts. */
uint32_t crc32_iso_combine(uint32_t a, uint32_t b, uint64_t b_len);
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_len);
uint64_t crc64_nvme_combine(uint64_t a, uint64_t b, uint64_t b_len);

#endif
