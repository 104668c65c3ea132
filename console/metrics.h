#ifndef CONSOLE_METRICS_H
#define CONSOLE_METRICS_H

struct admin_sources;
struct buffer;

/* Appends all figures in Prometheus' text format (version 0.0.4). May wait for
 * the disk. */
void metrics_write(struct buffer *, const struct admin_sources *);

#endif
