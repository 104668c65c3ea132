#ifndef STORE_PROVE_H
#define STORE_PROVE_H

#include <stdint.h>

#include "store/record.h"

struct error;
struct slice;
struct store;

/*
 * A multipart object that came back has parts of which nothing is known but
 * the CRC32C of all of them together: its chain has it (has_sum) until it was
 * found right. Until then nothing of its parts is served but by who reads all
 * in order and looks at the sum himself, before the last byte.
 */

/* Reads what is not here for its block tables, compares, and notes that the
 * chain is proven. Blocks. 0, or -1 and *err; ERR_DAMAGED when the sum is
 * wrong: then the tables are given up again. */
int prove_chain(struct store *, uint64_t root, struct slice bucket,
    struct slice key, struct error *err);
/* The same once all tables or bytes are here; what is wrong is left. */
int prove_here(
    struct store *, uint64_t root, uint32_t crc32c, struct error *err);
/* A part that was fetched and is wrong is elsewhere again, as the record says.
 */
int prove_send_back(struct store *, uint64_t extent,
    const struct extent_record *, struct error *err);

#endif
