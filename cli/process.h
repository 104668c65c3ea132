#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stddef.h>

struct error;

/*
 * What a server is to the system: its limits, its memory, its secrets, and the
 * service manager that started it.
 */

/* Before any thread is started and anything secret read. Files are made for
 * their owner alone; as many descriptors as the hard limit allows; small
 * stacks; memory goes back to the system; no dumps unless dumpable. Logs what
 * it cannot have. */
void process_prepare(int dumpable);

/* Gives memory that a peak of work has left free back to the system; brief, for
 * a timer. Any thread. */
void process_relax(void);

/* How many files and connections may be open at once. */
size_t process_descriptors(void);

/* Tells the service manager (sd_notify(3)), if there is one: "READY=1". */
void process_notify(const char *state);

#endif
