#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

/* A bar on standard error while something goes on, drawn over again; nothing
 * when that is not a terminal. */

/* total 0: not known. note: a few words behind it. */
void progress_show(
    unsigned long long done, unsigned long long total, const char *note);
/* Takes it away. */
void progress_end(void);

#endif
