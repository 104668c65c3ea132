#ifndef REPLICATOR_PROBE_ROW_H
#define REPLICATOR_PROBE_ROW_H

#include "replicator/destination.h"

/* Rows of the Test button, as all protocols write them. */

struct probe_writer {
	probe_visit *visit;
	void *arg;
	uint64_t started_us;      /* of the step that runs */
	int failed;               /* a row failed */
	struct fault first_fault; /* of the first that did */
};

/* A step begins. */
void probe_start(struct probe_writer *);
/* Its row: what was found. */
void probe_ok(struct probe_writer *, const char *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void probe_warn(struct probe_writer *, const char *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void probe_skip(struct probe_writer *, const char *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Its row: what failed, with the fault's sentence. */
void probe_fail(struct probe_writer *, const char *step, const struct fault *);
/* The rows resolve, connect and tls from the first call, which made a new
 * connection: 0, or -1 when one failed. */
int probe_network(struct probe_writer *, const struct http_call *, int https);

#endif
