#include "base/clock.h"
#include "replicator/site.h"

/*
 * What to do next. An entry may be published when e.begin <= W, everything up
 * to W being outside: so the destination never shows a write without those that
 * were acknowledged before it began. Parts of large objects go ahead of that
 * rule, since nobody sees them before the finishing call.
 *
 * A crash forgets what was published behind the durable watermark, and it is
 * published again. That changes nothing as long as it is what its key shows. So
 * a change also waits until the one before it of its key is settled, durably:
 * behind the durable watermark no key has more than one that may be outside,
 * and none ever goes back to an older one.
 */

#define SCAN_BEHIND 1024 /* entries behind the first that must wait */
#define FAILING_ALONE 4  /* failures in a row: one request at a time */
#define AGAIN_MS 1000

static int
may_publish(struct site *site, const struct item *item)
{
	int ordered = item->source == FROM_JOURNAL && !site->unordered;

	if (ordered && item->begin > site->window.low)
		return 0;
	if (!window_is_first(&site->window, item))
		return 0;
	if (!ordered)
		return 1;
	if (!unsaved_has(&site->unsaved, item->hash, site->watermark))
		return 1;
	site->starved = 1;
	return 0;
}

static int
is_mine(const struct site *site, const struct item *item, int small)
{
	return site->crew[0] == NULL || item->small == small;
}

/* The next step of an object that goes in parts. */
static struct job
pick_part(struct site *site, struct item *item, int publish)
{
	struct item_upload *u = item->upload;
	struct job job = { .type = JOB_NONE, .item = item };

	if (u == NULL) {
		if (site->uploads >= 2 * (size_t)site->concurrency ||
		    item->running > 0)
			return job;
		if ((item->upload = upload_new()) == NULL)
			return job;
		site->uploads++;
		job.type = JOB_BEGIN;
		return job;
	}
	if (!u->begun)
		return job;
	while (u->next < u->n_parts && u->parts[u->next] != PART_TODO)
		u->next++;
	if (u->next < u->n_parts) {
		if (site->limits.parts_in_order && item->running > 0)
			return job;
		job.type = JOB_PART;
		job.part = u->next;
		u->parts[u->next++] = PART_RUNNING;
	} else if (u->n_done == u->n_parts && item->running == 0 && publish)
		job.type = JOB_FINISH;
	return job;
}

static struct job
pick_item(struct site *site, struct item *item, int publish)
{
	struct job job = { .type = JOB_NONE, .item = item };

	if (item->large &&
	    (item->kind == ITEM_PUT || item->kind == ITEM_CURRENT))
		return pick_part(site, item, publish);
	if (item->running == 0 && publish)
		job.type = JOB_PUBLISH;
	return job;
}

static int
is_open(struct site *site, int small, uint64_t now_ms, uint64_t *again_ms)
{
	unsigned share = site->failing >= FAILING_ALONE ? 1 : site->limit;

	if (atomic_load(&site->stopping) || !site->ready || site->folding ||
	    site_is_halted(site))
		return 0;
	if (site->stopped) {
		if (now_ms >= site->probe_ms)
			return site->running == 0;
		if (site->probe_ms < *again_ms)
			*again_ms = site->probe_ms;
		return 0;
	}
	if (now_ms < site->path_from_ms) {
		if (site->path_from_ms < *again_ms)
			*again_ms = site->path_from_ms;
		return 0;
	}
	if (now_ms >= site->owner_until_ms) {
		pthread_cond_signal(&site->look);
		return 0;
	}
	if (now_ms < site->not_before_ms) {
		if (site->not_before_ms < *again_ms)
			*again_ms = site->not_before_ms;
		return 0;
	}
	if (site->running >= share)
		return 0;
	/* The crew takes what it frees at once: the threads have a part that
	 * it leaves alone. */
	if (!small || site->window.items == site->window.small || share < 4)
		return 1;
	return site->running_small < share - share / 4;
}

void
site_stir(struct site *site)
{
	site->barren[0] = site->barren[1] = 0;
	crew_wake(site);
	if (site->crew[0] == NULL || site->window.items > site->window.small)
		pthread_cond_signal(&site->jobs);
}

struct job
site_pick(struct site *site, int small, uint64_t now_ms, uint64_t *again_ms)
{
	struct job job = { .type = JOB_NONE };
	unsigned ahead_max = site->limit - site->limit / 4;
	struct item *item, *ahead = NULL;
	int publish, behind = 0;

	*again_ms = now_ms + AGAIN_MS;
	if (!is_open(site, small, now_ms, again_ms))
		return job;
	if (site->barren[small] && now_ms < site->barren_until_ms[small]) {
		*again_ms = site->barren_until_ms[small];
		return job;
	}
	for (item = site->window.first; item != NULL; item = item->next) {
		if (behind > 0 && ++behind > SCAN_BEHIND)
			break;
		if (item->settled || item->upload_gone ||
		    !is_mine(site, item, small) ||
		    (item->running > 0 && !item->large))
			continue;
		if (item->not_before_ms > now_ms) {
			if (item->not_before_ms < *again_ms)
				*again_ms = item->not_before_ms;
			continue;
		}
		publish = may_publish(site, item);
		if (!publish && behind == 0)
			behind = 1;
		if (!publish && (ahead != NULL || !item->large))
			continue;
		if (!publish) {
			ahead = item;
			continue;
		}
		job = pick_item(site, item, publish);
		if (job.type != JOB_NONE)
			break;
	}
	/* Parts that wait for nothing, oldest first. */
	for (item = ahead; job.type == JOB_NONE && item != NULL &&
	     site->running - site->running_small < ahead_max;
	     item = item->next)
		if (item->large && !item->settled && !item->upload_gone &&
		    item->not_before_ms <= now_ms)
			job = pick_item(site, item, 0);
	site->barren[small] = job.type == JOB_NONE;
	site->barren_until_ms[small] = *again_ms;
	if (job.type == JOB_NONE)
		return job;
	job.small = job.item->small;
	job.item->running++;
	site->running++;
	site->running_small += (unsigned)job.small;
	return job;
}
