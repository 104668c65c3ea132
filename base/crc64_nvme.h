#ifndef BASE_CRC64_NVME_H
#define BASE_CRC64_NVME_H

#include <stddef.h>
#include <stdint.h>

/*
 * The ways to compute CRC-64/NVME, of which crc64_nvme() in checksum.h takes
 * the fastest that the processor has. They are named here so that tests compare
 * each with the definition. Chaining as in checksum.h. Any thread.
 */
struct crc64_nvme_way {
	const char *name;
	uint64_t (*run)(uint64_t crc, const void *bytes, size_t len);
	int (*usable)(void); /* whether this processor has it */
};

/* Fastest first; by tables, which is always usable, last; then a row of NULL.
 */
extern const struct crc64_nvme_way crc64_nvme_ways[];

#endif
