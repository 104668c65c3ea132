#include <inttypes.h>
#include <stddef.h>
#include <time.h>

#include "base/buffer.h"
#include "base/version.h"
#include "console/admin.h"
#include "console/metrics.h"
#include "console/process.h"
#include "replicator/replicator.h"
#include "store/space.h"
#include "store/store.h"

enum metric_type {
	COUNTER,
	GAUGE
};

/* A figure of a structure of u64. divisor turns its unit into Prometheus'. */
struct metric {
	const char *name;
	enum metric_type type;
	size_t offset;
	double divisor;
	const char *help;
};

#define STORE(field) offsetof(struct store_figures, field)
#define HTTP(field) offsetof(struct http_counters, field)

static const struct metric store_metrics[] = {
	{ "buckets", GAUGE, STORE(buckets), 1, "Buckets." },
	{ "objects", GAUGE, STORE(objects), 1, "Objects, current versions." },
	{ "object_bytes", GAUGE, STORE(object_bytes), 1,
	    "Bytes of current versions." },
	{ "noncurrent_versions", GAUGE, STORE(versions), 1,
	    "Versions that are not current, and delete markers." },
	{ "noncurrent_version_bytes", GAUGE, STORE(version_bytes), 1,
	    "Bytes of versions that are not current." },
	{ "uploads", GAUGE, STORE(uploads), 1,
	    "Unfinished multipart uploads." },
	{ "upload_bytes", GAUGE, STORE(upload_bytes), 1,
	    "Bytes of the parts of unfinished multipart uploads." },
	{ "commits_total", COUNTER, STORE(commits), 1,
	    "Transactions of the index." },
	{ "commit_changes_total", COUNTER, STORE(commit_changes), 1,
	    "Changes that these transactions settled." },
	{ "commit_seconds_total", COUNTER, STORE(commit_us), 1e6,
	    "Time spent in these transactions." },
	{ "damaged_blocks_total", COUNTER, STORE(damaged_blocks), 1,
	    "Blocks that failed their checksum since the start." },
	{ "damaged_contents_total", COUNTER, STORE(damaged_contents), 1,
	    "Contents that were found damaged since the start." },
	{ "healed_contents_total", COUNTER, STORE(healed_contents), 1,
	    "Damaged contents that were made anew from copies outside." },
	{ "filled_contents_total", COUNTER, STORE(filled_contents), 1,
	    "Contents that were fetched from outside and are kept here." },
	{ "filled_bytes_total", COUNTER, STORE(filled_bytes), 1,
	    "Bytes of these." },
	{ "read_through_bytes_total", COUNTER, STORE(read_through_bytes), 1,
	    "Bytes read from copies outside because local ones were damaged "
	    "or are not here." },
	{ "away_contents", GAUGE, STORE(away_contents), 1,
	    "Contents that are at a destination alone." },
	{ "away_bytes", GAUGE, STORE(away_bytes), 1, "Bytes of these." },
	{ "tiered_contents_total", COUNTER, STORE(dropped_contents), 1,
	    "Contents given up here for room since the start." },
	{ "tiered_bytes_total", COUNTER, STORE(dropped_bytes), 1,
	    "Bytes of these." },
	{ "damaged_outside_total", COUNTER, STORE(damaged_elsewhere), 1,
	    "Reads from copies outside that failed their checksum." },
	{ "tier_high_bytes", GAUGE, STORE(tier_high_bytes), 1,
	    "Use of the disk above which contents are given up; 0: off." },
	{ "scrub_bytes_total", COUNTER, STORE(scrub_bytes), 1,
	    "Bytes that the scrubber has read." },
	{ "scrub_rounds_total", COUNTER, STORE(scrub_rounds), 1,
	    "Times that the scrubber has been through everything." },
	{ "scrub_last_timestamp_seconds", GAUGE, STORE(scrub_last_ms), 1e3,
	    "When it was last through; 0: never." },
	{ "index_copy_timestamp_seconds", GAUGE, STORE(copy_last_ms), 1e3,
	    "When the index was last copied; 0: not since the start." },
	{ "reap_waiting", GAUGE, STORE(reap_waiting), 1,
	    "Deleted contents whose space is yet to be given back." },
	{ "journal_entries", GAUGE, STORE(journal_entries), 1,
	    "Entries of the replication journal." },
	{ "journal_last", GAUGE, STORE(journal_last), 1,
	    "Number of the journal's last entry." },
	{ "index_bytes", GAUGE, STORE(index_bytes), 1, "Size of the index." },
	{ "index_free_bytes", GAUGE, STORE(index_free_bytes), 1,
	    "Of these, unused." },
	{ "disk_bytes", GAUGE, STORE(disk_bytes), 1,
	    "Size of the data directory's file system." },
	{ "disk_free_bytes", GAUGE, STORE(disk_free_bytes), 1,
	    "Of these, free." },
	{ "disk_reserve_bytes", GAUGE, STORE(reserve_bytes), 1,
	    "Free space below which only small writes and deletes are taken." },
};

static const struct metric http_metrics[] = {
	{ "http_connections", GAUGE, HTTP(connections), 1,
	    "Open connections." },
	{ "http_connections_accepted_total", COUNTER, HTTP(accepted), 1,
	    "Connections that were accepted." },
	{ "http_connections_refused_total", COUNTER, HTTP(refused), 1,
	    "Connections that were refused, being too many." },
	{ "http_requests_total", COUNTER, HTTP(requests), 1,
	    "Requests of all ports." },
	{ "http_received_bytes_total", COUNTER, HTTP(bytes_in), 1,
	    "Bytes received." },
	{ "http_sent_bytes_total", COUNTER, HTTP(bytes_out), 1, "Bytes sent." },
	{ "http_timeouts_total", COUNTER, HTTP(timeouts), 1,
	    "Connections that were closed for being too slow." },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void
write_head(struct buffer *out, const char *prefix, const char *name,
    enum metric_type type, const char *help)
{
	buffer_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name,
	    help, prefix, name, type == COUNTER ? "counter" : "gauge");
}

static void
write_one(struct buffer *out, const char *prefix, const char *name,
    enum metric_type type, double value, const char *help)
{
	write_head(out, prefix, name, type, help);
	buffer_printf(out, "%s%s %.17g\n", prefix, name, value);
}

static void
write_table(struct buffer *out, const struct metric *table, size_t n,
    const void *figures)
{
	const struct metric *m;
	uint64_t value;

	for (m = table; m < table + n; m++) {
		value = *(const uint64_t *)((const char *)figures + m->offset);
		if (m->divisor > 1)
			write_one(out, "holdfast_", m->name, m->type,
			    (double)value / m->divisor, m->help);
		else {
			write_head(out, "holdfast_", m->name, m->type, m->help);
			buffer_printf(
			    out, "holdfast_%s %" PRIu64 "\n", m->name, value);
		}
	}
}

static void
write_band(struct buffer *out, int band)
{
	static const char *const names[] = { [SPACE_OPEN] = "open",
		[SPACE_RESERVE] = "reserve",
		[SPACE_BALLAST] = "ballast" };
	size_t i;

	write_head(out, "holdfast_", "disk_band", GAUGE,
	    "1 for what the disk allows: open: everything; reserve: small "
	    "writes "
	    "and deletes; ballast: deletes.");
	for (i = 0; i < N(names); i++)
		buffer_printf(out, "holdfast_disk_band{band=\"%s\"} %d\n",
		    names[i], band == (int)i);
}

static void
write_process(struct buffer *out)
{
	struct process_figures p;

	process_figures(&p);
	write_one(out, "process_", "cpu_seconds_total", COUNTER, p.cpu_seconds,
	    "User and system time.");
	write_one(out, "process_", "resident_memory_bytes", GAUGE,
	    (double)p.resident_bytes, "Resident memory.");
	write_one(out, "process_", "virtual_memory_bytes", GAUGE,
	    (double)p.virtual_bytes,
	    "Address space, most of it the index's sparse map.");
	write_one(out, "process_", "start_time_seconds", GAUGE, p.start_seconds,
	    "When the process began.");
	write_one(out, "process_", "open_fds", GAUGE, (double)p.open_fds,
	    "Open descriptors.");
	write_one(out, "process_", "max_fds", GAUGE, (double)p.max_fds,
	    "How many may be open.");
}

void
metrics_write(struct buffer *out, const struct admin_sources *sources)
{
	struct store_figures figures;
	struct http_counters counters;
	long days;

	write_head(out, "holdfast_", "build_info", GAUGE,
	    "1, with the version as a label.");
	buffer_add_text(
	    out, "holdfast_build_info{version=\"" HOLDFAST_VERSION "\"} 1\n");

	store_figures(sources->store, &figures);
	write_table(out, store_metrics, N(store_metrics), &figures);
	write_band(out, figures.band);
	http_server_counters(sources->server, &counters);
	write_table(out, http_metrics, N(http_metrics), &counters);
	if (sources->door_metrics != NULL)
		sources->door_metrics(sources->door, out);
	if (sources->replicator != NULL)
		replicator_metrics(sources->replicator, out);
	if (sources->certificate != NULL) {
		days = sources->certificate_days(sources->certificate);
		write_one(out, "holdfast_",
		    "tls_certificate_expiry_timestamp_seconds", GAUGE,
		    (double)time(NULL) + (double)days * 24 * 3600,
		    "When the TLS certificate expires, to the day.");
	}
	write_process(out);
}
