#ifndef STORE_SCRUB_H
#define STORE_SCRUB_H

#include <stdint.h>

struct error;
struct scrubber;
struct store;

/*
 * The scrubber: a thread that reads every content, from the disk, not faster
 * than store_options.scrub_bytes_per_second, and remembers what is damaged, so
 * that it is known while another copy still exists. A round goes through all
 * extents by their ids; its position is saved now and then, so that a restart
 * goes on where it was. A round begins when store_options.scrub_interval_ms
 * have passed since the last one did.
 */
struct scrubber *scrubber_start(struct store *, struct error *err);
void scrubber_stop(struct scrubber *); /* NULL is allowed */

struct scrub_figures {
	uint64_t bytes;    /* read since the start of the process */
	uint64_t rounds;   /* that came to their end, ever */
	uint64_t last_ms;  /* when the last one did; 0: none */
	uint64_t position; /* the extent that comes next */
};
/* All zero for NULL. */
void scrubber_figures(struct scrubber *, struct scrub_figures *);

#endif
