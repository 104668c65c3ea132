#ifndef STORE_REAP_H
#define STORE_REAP_H

struct error;
struct reaper;
struct store;

/*
 * The reaper: a thread that gives back what extents without references hold. It
 * removes files and lets go of chains' parts, then their records, and leaves
 * extents that are being read for later. The queue is in the index, so what a
 * crash interrupts goes on with the next start.
 */
struct reaper *reaper_start(struct store *, struct error *err);
/* There may be something to do. Any thread; NULL is allowed. */
void reaper_wake(struct reaper *);
void reaper_stop(struct reaper *);

#endif
