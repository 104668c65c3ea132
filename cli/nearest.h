#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/* Finds the name that someone may have meant: the one with the fewest single
 * letters added, left out, exchanged with the next or replaced, if those are
 * few. */
struct nearest {
	const char *word;
	size_t len;
	size_t distance;
	const char *found; /* NULL: none is near */
};

void nearest_begin(struct nearest *, const char *word, size_t len);
void nearest_try(struct nearest *, const char *name);

#endif
