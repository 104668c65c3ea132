#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "replicator/replicator.h"

/* The destinations' figures in Prometheus' text format. */

#define STATUS(field) offsetof(struct destination_status, field)
#define DESTINATIONS_MAX 64

enum metric_kind {
	UNSIGNED,
	SIGNED,
	UNKNOWN_IS_INF, /* UINT64_MAX says that it is not known */
	STATE_IS        /* 1 in that state */
};

static const struct metric {
	const char *name;
	const char *type;
	const char *help;
	enum metric_kind kind;
	size_t offset;
	double divisor;
	enum destination_state state;
} metrics[] = {
	{ "consistent", "gauge",
	    "1 while what is outside is a consistent past of the store.",
	    STATE_IS, 0, 1, DESTINATION_CONSISTENT },
	{ "catching_up", "gauge", "1 while a folded backlog is published.",
	    STATE_IS, 0, 1, DESTINATION_CATCHING_UP },
	{ "seeding", "gauge",
	    "1 while objects that were there before are copied.", STATE_IS, 0,
	    1, DESTINATION_SEEDING },
	{ "paused", "gauge", "1 while paused by a person or the brake.",
	    STATE_IS, 0, 1, DESTINATION_PAUSED },
	{ "stopped", "gauge", "1 while it waits for a person.", STATE_IS, 0, 1,
	    DESTINATION_STOPPED },
	{ "safe_until_timestamp_seconds", "gauge",
	    "Everything committed before is outside; 0: nothing yet.", SIGNED,
	    STATUS(safe_until_ms), 1000, 0 },
	{ "lag_seconds", "gauge", "Age of the oldest change not outside.",
	    UNSIGNED, STATUS(lag_ms), 1000, 0 },
	{ "lag_bytes", "gauge", "Bytes of changes not outside.", UNSIGNED,
	    STATUS(lag_bytes), 1, 0 },
	{ "lag_entries", "gauge", "Changes not outside.", UNSIGNED,
	    STATUS(lag_entries), 1, 0 },
	{ "rate_bytes_per_second", "gauge", "Sent over the last minute.",
	    UNSIGNED, STATUS(rate_bytes_per_second), 1, 0 },
	{ "estimate_seconds", "gauge",
	    "Until it has caught up at the last minute's rate; Inf: no "
	    "telling.",
	    UNKNOWN_IS_INF, STATUS(estimate_s), 1, 0 },
	{ "published_total", "counter", "Objects published since the start.",
	    UNSIGNED, STATUS(published), 1, 0 },
	{ "bytes_total", "counter", "Bytes sent since the start.", UNSIGNED,
	    STATUS(bytes), 1, 0 },
	{ "deletes_total", "counter", "Objects removed since the start.",
	    UNSIGNED, STATUS(deletes), 1, 0 },
	{ "retries_total", "counter", "Requests to be made again.", UNSIGNED,
	    STATUS(retries), 1, 0 },
	{ "failures_total", "counter", "Requests that failed.", UNSIGNED,
	    STATUS(failures), 1, 0 },
	{ "parked_objects", "gauge",
	    "Objects that the destination could not take.", UNSIGNED,
	    STATUS(parked), 1, 0 },
	{ "held_backups", "gauge",
	    "Velero backups whose velero-backup.json waits for the rest.",
	    UNSIGNED, STATUS(held), 1, 0 },
	{ "kept_back_deletes", "gauge",
	    "Deletes that wait for their delay, or for the recovery hold's.",
	    UNSIGNED, STATUS(kept_back), 1, 0 },
	{ "clock_offset_seconds", "gauge",
	    "The provider's clock less this machine's.", SIGNED,
	    STATUS(clock_offset_ms), 1000, 0 },
};

#define FIGURE(field) offsetof(struct audit_figures, field)

static const struct audit_metric {
	const char *name, *type, *help;
	size_t offset;
	double divisor;
	int is_time; /* signed */
} audit_metrics[] = {
	{ "audit_timestamp_seconds", "gauge",
	    "When it was last compared; 0: not since the start.",
	    FIGURE(ended_ms), 1000, 1 },
	{ "audit_missing", "gauge",
	    "Objects that the last audit did not find there.", FIGURE(missing),
	    1, 0 },
	{ "audit_different", "gauge",
	    "Objects that differed there at the last audit.", FIGURE(different),
	    1, 0 },
	{ "audit_foreign", "gauge", "Objects that are there alone.",
	    FIGURE(foreign), 1, 0 },
	{ "audit_failures_total", "counter",
	    "Audits that did not come to their end, since the start.",
	    FIGURE(failures), 1, 0 },
};

static void
write_audit(struct replicator *r, struct buffer *out,
    const struct audit_metric *m, const struct destination_status *status,
    size_t n)
{
	struct audit_figures figures;
	const char *at;
	size_t j;

	buffer_printf(out,
	    "# HELP holdfast_destination_%s %s\n"
	    "# TYPE holdfast_destination_%s %s\n",
	    m->name, m->help, m->name, m->type);
	for (j = 0; j < n; j++) {
		if (replicator_audit_status(
			r, status[j].name, &figures, NULL, NULL, NULL) != 0)
			continue;
		at = (const char *)&figures + m->offset;
		buffer_printf(out,
		    "holdfast_destination_%s{destination=\"%s\"} %.17g\n",
		    m->name, status[j].name,
		    (m->is_time ? (double)*(const int64_t *)(const void *)at
				: (double)*(const uint64_t *)(const void *)at) /
			m->divisor);
	}
}

static double
value_of(const struct metric *m, const struct destination_status *s)
{
	const char *at = (const char *)s + m->offset;

	switch (m->kind) {
	case STATE_IS:
		return s->state == m->state;
	case UNKNOWN_IS_INF:
		if (*(const uint64_t *)(const void *)at == UINT64_MAX)
			return HUGE_VAL;
		return (double)*(const uint64_t *)(const void *)at / m->divisor;
	case SIGNED:
		return (double)*(const int64_t *)(const void *)at / m->divisor;
	default:
		return (double)*(const uint64_t *)(const void *)at / m->divisor;
	}
}

void
replicator_metrics(struct replicator *r, struct buffer *out)
{
	struct destination_status *status;
	struct hold_status hold;
	size_t n = 0, i, j;

	status = calloc(DESTINATIONS_MAX, sizeof(*status));
	if (status == NULL)
		return;
	while (n < DESTINATIONS_MAX && replicator_status(r, n, &status[n]) == 0)
		n++;
	replicator_hold_status(r, &hold);
	buffer_printf(out,
	    "# HELP holdfast_recovery_hold 1 while deletes are kept back after "
	    "a restore.\n# TYPE holdfast_recovery_hold gauge\n"
	    "holdfast_recovery_hold %d\n",
	    hold.active);
	for (i = 0; n > 0 && i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		buffer_printf(out,
		    "# HELP holdfast_destination_%s %s\n"
		    "# TYPE holdfast_destination_%s %s\n",
		    metrics[i].name, metrics[i].help, metrics[i].name,
		    metrics[i].type);
		for (j = 0; j < n; j++)
			buffer_printf(out,
			    "holdfast_destination_%s{destination=\"%s\"} "
			    "%.17g\n",
			    metrics[i].name, status[j].name,
			    value_of(&metrics[i], &status[j]));
	}
	for (i = 0;
	     n > 0 && i < sizeof(audit_metrics) / sizeof(audit_metrics[0]); i++)
		write_audit(r, out, &audit_metrics[i], status, n);
	free(status);
}
