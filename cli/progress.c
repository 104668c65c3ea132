#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_CELLS 30
#define LINE_MS 10000 /* where nobody can see a bar move */
#define LINE_LEAST_MS 1000

static void
show_bar(unsigned long long done, unsigned long long total, const char *note)
{
	char bar[BAR_CELLS + 1];
	size_t cells;

	cells = (size_t)((double)done / (double)total * BAR_CELLS);
	memset(bar, '.', BAR_CELLS);
	memset(bar, '#', cells);
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r\033[K[%s] %3.0f %%  %llu of %llu  %s", bar,
	    100.0 * (double)done / (double)total, done, total, note);
}

/* A line now and then: at each tenth, and at least every few seconds. */
static void
show_line(unsigned long long done, unsigned long long total, const char *note)
{
	static unsigned long long tenth;
	static uint64_t shown_ms;
	unsigned long long now_tenth = total == 0 ? 0 : done * 10 / total;
	uint64_t now_ms = clock_monotonic_ms();

	if (shown_ms == 0) {
		shown_ms = now_ms;
		tenth = now_tenth;
		return;
	}
	if (now_ms - shown_ms < (now_tenth > tenth ? LINE_LEAST_MS : LINE_MS))
		return;
	shown_ms = now_ms;
	tenth = now_tenth;
	if (total == 0)
		fprintf(stderr, "%llu  %s\n", done, note);
	else
		fprintf(stderr, "%3.0f %%  %llu of %llu  %s\n",
		    100.0 * (double)done / (double)total, done, total, note);
}

void
progress_show(
    unsigned long long done, unsigned long long total, const char *note)
{
	if (total > 0 && done > total)
		done = total;
	if (!isatty(STDERR_FILENO))
		show_line(done, total, note);
	else if (total == 0)
		fprintf(stderr, "\r\033[K%llu  %s", done, note);
	else
		show_bar(done, total, note);
}

void
progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

const char *
progress_left(unsigned long long done, unsigned long long total, char text[40])
{
	static unsigned long long first;
	static uint64_t began_ms;
	uint64_t now_ms = clock_monotonic_ms(), seconds;

	text[0] = '\0';
	if (began_ms == 0 || done < first) {
		began_ms = now_ms;
		first = done;
	}
	if (done == first || now_ms - began_ms < 1000 || total <= done)
		return text;
	seconds = (uint64_t)((double)(now_ms - began_ms) / 1000 *
	    (double)(total - done) / (double)(done - first));
	if (seconds < 120)
		snprintf(text, 40, "; about %llu s to go",
		    (unsigned long long)seconds + 1);
	else if (seconds < 7200)
		snprintf(text, 40, "; about %llu min to go",
		    (unsigned long long)seconds / 60);
	else
		snprintf(text, 40, "; about %llu h to go",
		    (unsigned long long)seconds / 3600);
	return text;
}
