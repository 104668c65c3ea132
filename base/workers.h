#ifndef BASE_WORKERS_H
#define BASE_WORKERS_H

#include <stddef.h>

struct error;
struct workers;

/*
 * A pool of threads for work that may block on a disk. Jobs start in the order
 * in which they were submitted. The job is memory of the submitter, linked
 * without allocation, and must stay until its function has been called.
 */
struct job {
	void (*run)(struct job *);
	struct job *next; /* the pool's */
};

/* Starts n threads with the name (at most 15 bytes). NULL and *err on failure.
 */
struct workers *workers_start(const char *name, size_t n, struct error *err);
/* Any thread. Never fails. */
void workers_submit(struct workers *, struct job *);
/* How many jobs wait; for metrics. Any thread. */
size_t workers_waiting(struct workers *);
/* Runs what was submitted, then ends the threads and frees the pool. NULL is
 * allowed. */
void workers_stop(struct workers *);

#endif
