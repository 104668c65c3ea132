#include "replicator/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/store.h"

#define PAGE 64

struct run {
	uint64_t size, count;
};

/* 0, or -1 when there is no room. */
static int
add_run(char *text, const struct run *run)
{
	size_t len = strlen(text);
	const char *comma = len > 0 ? "," : "";
	int n;

	if (run->count == 0)
		return 0;
	n = run->count == 1
	    ? snprintf(text + len, REMOTE_PARTS_BYTES - len, "%s%" PRIu64,
		  comma, run->size)
	    : snprintf(text + len, REMOTE_PARTS_BYTES - len,
		  "%s%" PRIu64 "x%" PRIu64, comma, run->size, run->count);
	return n > 0 && (size_t)n < REMOTE_PARTS_BYTES - len ? 0 : -1;
}

void
parts_describe(struct store *store, const struct object_record *rec,
    char text[REMOTE_PARTS_BYTES])
{
	struct object_part parts[PAGE];
	struct run run = { 0, 0 };
	size_t seen = 0;
	long n, i;

	text[0] = '\0';
	while (
	    (n = store_object_parts(store, rec, seen, parts, PAGE, NULL)) > 0) {
		for (i = 0; i < n; i++) {
			if (parts[i].number != ++seen)
				goto none;
			if (run.count > 0 && parts[i].size == run.size) {
				run.count++;
				continue;
			}
			if (add_run(text, &run) != 0)
				goto none;
			run = (struct run){ parts[i].size, 1 };
		}
	}
	if (n == 0 && seen == rec->parts && add_run(text, &run) == 0)
		return;
none:
	text[0] = '\0';
}

/* Takes "SIZE" or "SIZExCOUNT" off *text. 0, or -1. */
static int
take_run(const char **text, struct run *run)
{
	size_t len = strcspn(*text, ","), digits = strcspn(*text, "x,");
	const char *at = *text;

	*text += len + (at[len] == ',');
	run->count = 1;
	if (parse_u64(at, digits, 0, OBJECT_MAX_BYTES, &run->size) != 0)
		return -1;
	return digits == len ? 0
			     : parse_u64(at + digits + 1, len - digits - 1, 1,
				   PARTS_MAX, &run->count);
}

uint64_t *
parts_sizes(const char *text, size_t n, uint64_t size)
{
	uint64_t *sizes, sum = 0, i;
	struct run run;
	size_t at = 0;

	if (*text == '\0' || n == 0 ||
	    (sizes = calloc(n, sizeof(*sizes))) == NULL)
		return NULL;
	while (*text != '\0') {
		if (take_run(&text, &run) != 0 || run.count > n - at)
			goto fail;
		for (i = 0; i < run.count; i++) {
			if (run.size > size - sum)
				goto fail;
			sizes[at++] = run.size;
			sum += run.size;
		}
	}
	if (at == n && sum == size)
		return sizes;
fail:
	free(sizes);
	return NULL;
}
