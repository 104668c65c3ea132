#ifndef CONSOLE_PROCESS_H
#define CONSOLE_PROCESS_H

#include <stdint.h>

/* What the system knows of this process; zero where it does not say. Any
 * thread. */
struct process_figures {
	double cpu_seconds;
	double start_seconds; /* since 1970 */
	uint64_t resident_bytes, virtual_bytes;
	uint64_t open_fds, max_fds;
};

void process_figures(struct process_figures *);

#endif
