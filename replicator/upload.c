#include <stdlib.h>

#include "replicator/upload.h"

/* What a cut or a kill costs of each transfer, against requests. */
#define PART_BYTES_WANTED (16ULL << 20)
#define PART_BYTES_STEP (1ULL << 20)
#define PARTS_WANTED 900 /* some providers take no more than 1,000 */

uint64_t
upload_part_bytes(uint64_t size, const struct destination_limits *limits)
{
	uint64_t parts = PARTS_WANTED, bytes;

	if (limits->parts_max > 0 && limits->parts_max < parts)
		parts = limits->parts_max;
	bytes = (size + parts - 1) / parts;
	bytes =
	    (bytes + PART_BYTES_STEP - 1) / PART_BYTES_STEP * PART_BYTES_STEP;
	if (bytes < PART_BYTES_WANTED)
		bytes = PART_BYTES_WANTED;
	if (limits->part_max_bytes > 0 && bytes > limits->part_max_bytes)
		bytes = limits->part_max_bytes;
	if (bytes < limits->part_min_bytes)
		bytes = limits->part_min_bytes;
	return bytes;
}

struct item_upload *
upload_new(void)
{
	return calloc(1, sizeof(struct item_upload));
}

int
upload_size(struct item_upload *u, uint64_t size)
{
	uint64_t n;

	n = (size + u->remote.part_bytes - 1) / u->remote.part_bytes;
	u->n_parts = (uint32_t)(n == 0 ? 1 : n);
	u->n_done = u->next = 0;
	free(u->parts);
	u->parts = calloc(u->n_parts, 1);
	return u->parts == NULL ? -1 : 0;
}

void
upload_free(struct item_upload *u)
{
	if (u != NULL)
		free(u->parts);
	free(u);
}
