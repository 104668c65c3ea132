#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS 30

void
progress_show(
    unsigned long long done, unsigned long long total, const char *note)
{
	char bar[BAR_CELLS + 1];
	size_t cells;

	if (!isatty(STDERR_FILENO))
		return;
	if (total == 0) {
		fprintf(stderr, "\r\033[K%llu  %s", done, note);
		return;
	}
	if (done > total)
		done = total;
	cells = (size_t)((double)done / (double)total * BAR_CELLS);
	memset(bar, '.', BAR_CELLS);
	memset(bar, '#', cells);
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r\033[K[%s] %3.0f %%  %llu of %llu  %s", bar,
	    100.0 * (double)done / (double)total, done, total, note);
}

void
progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}
