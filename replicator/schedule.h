#ifndef REPLICATOR_SCHEDULE_H
#define REPLICATOR_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

struct error;

/*
 * When a destination may be sent to: "22:00-06:00 Europe/Berlin", several
 * spans separated by commas, and a time zone of the system's database (without
 * one: UTC). The zone's rules are read once.
 */
#define SCHEDULE_SPANS 8

struct zone_change {
	int64_t from_s; /* UTC */
	int32_t offset_s;
};
struct schedule {
	size_t n_spans; /* 0: always */
	struct {
		int from, to; /* minutes of the day */
	} spans[SCHEDULE_SPANS];
	struct zone_change *zone; /* ascending; NULL: UTC */
	size_t n_zone;
};

/* text NULL or empty: always. 0, or -1 and *err. */
int schedule_parse(struct schedule *, const char *text, struct error *err);
void schedule_free(struct schedule *);
int schedule_is_open(const struct schedule *, int64_t wall_ms);

#endif
