#include <string.h>

#include "cli/nearest.h"

#define WORD_MAX_BYTES 40

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau's distance in its simple form (no letter is changed twice). */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[3][WORD_MAX_BYTES + 1];
	size_t *before = row[0], *last = row[1], *this = row[2], *swap;
	size_t i, j, changed;

	for (j = 0; j <= b_len; j++)
		last[j] = before[j] = j;
	for (i = 1; i <= a_len; i++) {
		this[0] = i;
		for (j = 1; j <= b_len; j++) {
			changed = last[j - 1] + (a[i - 1] != b[j - 1]);
			this[j] =
			    least(least(last[j] + 1, this[j - 1] + 1), changed);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				this[j] = least(this[j], before[j - 2] + 1);
		}
		swap = before;
		before = last;
		last = this;
		this = swap;
	}
	return last[b_len];
}

void
nearest_begin(struct nearest *nearest, const char *word, size_t len)
{
	nearest->word = word;
	nearest->len = len;
	nearest->distance = len / 3 + 2;
	nearest->found = NULL;
}

void
nearest_try(struct nearest *nearest, const char *name)
{
	size_t len = strlen(name), d;

	if (nearest->len > WORD_MAX_BYTES || len > WORD_MAX_BYTES)
		return;
	d = distance(nearest->word, nearest->len, name, len);
	/* A name that the word begins, or that begins the word, is near. */
	if (nearest->len >= 3 && len >= 3 &&
	    strncmp(nearest->word, name, least(nearest->len, len)) == 0)
		d = least(d, 1);
	if (d < nearest->distance) {
		nearest->distance = d;
		nearest->found = name;
	}
}
