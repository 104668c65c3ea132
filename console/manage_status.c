#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/version.h"
#include "console/manage_routes.h"
#include "console/process.h"
#include "replicator/replicator.h"
#include "s3api/server.h"
#include "store/space.h"
#include "store/store.h"

static const char *const band_names[] = { [SPACE_OPEN] = "open",
	[SPACE_RESERVE] = "reserve",
	[SPACE_BALLAST] = "ballast" };

static json_t *
server_json(const struct manage *manage)
{
	struct process_figures process;
	struct http_counters counters;
	char started[CLOCK_TEXT_BYTES];

	http_server_counters(manage->server, &counters);
	process_figures(&process);
	clock_iso8601(manage->started_ms, started);
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:f}",
	    "endpoint", manage->endpoints, "admin", manage->admin_address,
	    "version", HOLDFAST_VERSION, "pid", (int)getpid(), "started",
	    started, "uptime_seconds",
	    (json_int_t)((clock_wall_ms() - manage->started_ms) / 1000),
	    "connections", (json_int_t)counters.connections, "accepted",
	    (json_int_t)counters.accepted, "refused",
	    (json_int_t)counters.refused, "requests",
	    (json_int_t)counters.requests, "received_bytes",
	    (json_int_t)counters.bytes_in, "sent_bytes",
	    (json_int_t)counters.bytes_out, "resident_bytes",
	    (json_int_t)process.resident_bytes, "cpu_seconds",
	    process.cpu_seconds);
}

static json_t *
disk_json(const struct store_figures *f)
{
	return json_pack("{s:I, s:I, s:I, s:s}", "bytes",
	    (json_int_t)f->disk_bytes, "free_bytes",
	    (json_int_t)f->disk_free_bytes, "reserve_bytes",
	    (json_int_t)f->reserve_bytes, "band",
	    f->band >= 0 && f->band <= SPACE_BALLAST ? band_names[f->band]
						     : "unknown");
}

int
manage_status(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	struct hold_status hold;
	struct store_figures f;
	char id[2 * 16 + 1];

	(void)name;
	(void)body;
	store_figures(manage->store, &f);
	hex_encode(store_id(manage->store), 16, id);
	*answer = json_pack("{s:s, s:o, s:o?, s:I, s:I, s:I, s:I, s:I, s:I, "
			    "s:I, s:I, s:I, s:I, s:I, "
			    "s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "store", id, "disk", disk_json(&f), "server",
	    manage->server == NULL ? NULL : server_json(manage), "buckets",
	    (json_int_t)f.buckets, "objects", (json_int_t)f.objects,
	    "object_bytes", (json_int_t)f.object_bytes, "noncurrent_versions",
	    (json_int_t)f.versions, "noncurrent_version_bytes",
	    (json_int_t)f.version_bytes, "uploads", (json_int_t)f.uploads,
	    "upload_bytes", (json_int_t)f.upload_bytes, "damaged_blocks",
	    (json_int_t)f.damaged_blocks, "damaged_contents",
	    (json_int_t)f.damaged_contents, "healed_contents",
	    (json_int_t)f.healed_contents, "scrub_rounds",
	    (json_int_t)f.scrub_rounds, "scrub_last_ms",
	    (json_int_t)f.scrub_last_ms, "index_bytes",
	    (json_int_t)f.index_bytes, "index_free_bytes",
	    (json_int_t)f.index_free_bytes, "away_contents",
	    (json_int_t)f.away_contents, "away_bytes", (json_int_t)f.away_bytes,
	    "tier_high_bytes", (json_int_t)f.tier_high_bytes, "tier_low_bytes",
	    (json_int_t)f.tier_low_bytes);
	if (*answer == NULL)
		return error_nomem(err);
	if (manage->replicator == NULL)
		return 200;
	replicator_hold_status(manage->replicator, &hold);
	(void)json_object_set_new(*answer, "hold",
	    json_pack("{s:b, s:o, s:I}", "active", hold.active, "since",
		manage_time(hold.since_ms), "kept_back",
		(json_int_t)hold.kept_back));
	return destinations_json(manage->replicator, *answer, err) != 0 ? -1
									: 200;
}
