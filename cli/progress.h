#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

/* How far something is, on standard error: a bar that is drawn over again on a
 * terminal, and elsewhere a line at each tenth, at least every ten seconds. */

/* total 0: not known. note: a few words behind it. */
void progress_show(
    unsigned long long done, unsigned long long total, const char *note);
/* Takes it away. */
void progress_end(void);

/* How long the rest takes at the pace since the first call, as "; about 3 min
 * to go"; "" while that cannot be told. */
const char *progress_left(
    unsigned long long done, unsigned long long total, char text[40]);

#endif
