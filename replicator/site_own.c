#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/owner.h"
#include "replicator/site.h"

/*
 * Whose path it is. That another store took it over is known only by looking,
 * so what a look finds is good for OWNER_LEASE_MS: nothing is begun behind that
 * without another look, and who takes a path over sends nothing for as long.
 * So two stores never write there at once, but for what the old one had begun.
 * Looks are made while there is something to send, and rarely else.
 */

#define LOOK_MS (OWNER_LEASE_MS / 3)
#define LOOK_IDLE_MS (120 * 1000)
#define LOOK_RETRY_MS 2000
#define LOOK_RETRY_MAX_MS (30 * 1000)
/* A link so slow that a look takes longer than its answer is good for still
 * sends something. */
#define LEASE_LEAST_MS (OWNER_LEASE_MS / 4)
#define GLANCE_MS 500

static void
set_ours(struct site *site, const struct owner_claim *claim, uint64_t asked_ms)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (!site->claimed) {
		site->blank = claim->blank;
		site->claimed = 1;
		site->state_changed = 1;
	}
	if (!site->ready && site->stopped) {
		site->stopped = 0;
		site->reason[0] = '\0';
	}
	site->ready = 1;
	site->owner_wait_ms = 0;
	snprintf(site->owner_seen, sizeof(site->owner_seen), "%s", claim->seen);
	site->owner_until_ms = asked_ms + OWNER_LEASE_MS;
	if (site->owner_until_ms < now_ms + LEASE_LEAST_MS)
		site->owner_until_ms = now_ms + LEASE_LEAST_MS;
	site->owner_look_ms = asked_ms + LOOK_MS;
	site->owner_at_ms = asked_ms + LOOK_IDLE_MS;
	if (claim->wait_ms > 0)
		site->path_from_ms = now_ms + claim->wait_ms;
	site_stir(site);
	pthread_cond_broadcast(&site->jobs);
}

/* Longer each time that nobody answers. */
static uint64_t
retry_wait(struct site *site, const struct fault *fault)
{
	site->owner_wait_ms = site->owner_wait_ms == 0 ? LOOK_RETRY_MS
	    : site->owner_wait_ms * 2 < LOOK_RETRY_MAX_MS
	    ? site->owner_wait_ms * 2
	    : LOOK_RETRY_MAX_MS;
	return fault->retry_after_ms > site->owner_wait_ms
	    ? fault->retry_after_ms
	    : site->owner_wait_ms;
}

/* Lets go of the lock meanwhile. */
static void
look(struct site *site, struct destination_session *session, uint64_t now_ms)
{
	struct owner_claim claim = { .take_over = site->settings->take_over &&
		    !site->claimed,
		.recheck = site->claimed };
	struct fault fault = FAULT_INIT;
	struct store_figures figures;
	int failed;

	store_figures(site->store, &figures);
	claim.store_empty =
	    figures.objects == 0 && figures.versions == 0 && !site->claimed;
	hex_encode(store_id(site->store), 16, claim.store);
	if (site->ready)
		memcpy(claim.seen, site->owner_seen, sizeof(claim.seen));
	pthread_mutex_unlock(&site->lock);
	failed =
	    owner_check(site->table, session, &site->limits, &claim, &fault);
	pthread_mutex_lock(&site->lock);
	site->holds_data = claim.holds_data;
	if (!failed) {
		set_ours(site, &claim, now_ms);
		return;
	}
	if (fault.kind == FAULT_STOPPED)
		return;
	site_note_error(site, &fault);
	if (fault.kind == FAULT_PERSON || fault.kind == FAULT_OBJECT) {
		site->ready = 0;
		site_stop_for_person(site, fault.text, now_ms);
		site->owner_at_ms = site->probe_ms;
	} else
		site->owner_at_ms = site->owner_look_ms =
		    now_ms + retry_wait(site, &fault);
}

void *
site_owner_thread(void *arg)
{
	struct site *site = arg;
	struct destination_session *session;
	struct error err = ERROR_INIT;
	uint64_t now_ms;

	session = destination_session_new(
	    site->destination, site_is_stopping, site, &err);
	if (session == NULL) {
		log_fields(LOG_ERROR, "replicator.session", err.text,
		    (const struct log_field[]){
			LOG_T("destination", site->name) },
		    1);
		return NULL;
	}
	pthread_mutex_lock(&site->lock);
	while (!atomic_load(&site->stopping)) {
		now_ms = clock_monotonic_ms();
		if (!site_is_halted(site) &&
		    (now_ms >= site->owner_at_ms ||
			(site->ready && site->window.first != NULL &&
			    now_ms >= site->owner_look_ms)))
			look(site, session, now_ms);
		else
			site_wait(site, &site->look, now_ms + GLANCE_MS);
	}
	pthread_mutex_unlock(&site->lock);
	destination_session_free(session);
	return NULL;
}
