#include <sys/resource.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fiber.h"
#include "replicator/http_client.h"
#include "replicator/site.h"

/*
 * The crew: one thread that publishes many small objects at the same time, each
 * on a fiber. What a small object costs is mostly threads that go to sleep and
 * wake one another; here one thread settles all that is done, picks all that
 * may be done next, and sleeps once.
 *
 * Clients go first: while they write much, a second thread of a low priority
 * takes the place of the first. It has what they leave of the processors. (A
 * thread's own priority can be lowered, but not raised again.)
 */

#define STACK_BYTES (256 * 1024)
#define WAIT_MS 1000
#define NICE 19
#define LOOK_MS 250
#define MUCH_PER_SECOND 500

struct member {
	struct member *next; /* idle, begun or done */
	struct crew *crew;
	struct fiber *fiber;
	struct destination_session *session;
	struct job job;
	enum outcome outcome;
	uint64_t bytes;
	struct fault fault;
};

struct crew {
	struct site *site;
	struct http_group *group;
	pthread_t thread;
	int second;
	int sleeps; /* with the site's lock: it is to be woken */

	/* The thread's own. */
	struct member **members, *idle, *begun, *done;
	size_t n_members, n_busy, max;
	int ending;
};

static int
is_stopping(void *arg)
{
	struct site *site = arg;

	return atomic_load(&site->stopping);
}

static void
member_run(void *arg)
{
	struct member *m = arg;
	struct crew *crew = m->crew;

	while (!crew->ending) {
		memset(&m->fault, 0, sizeof(m->fault));
		m->outcome = transfer_job(
		    crew->site, m->session, &m->job, &m->bytes, &m->fault);
		m->next = crew->done;
		crew->done = m;
		fiber_yield();
	}
}

static void
member_free(struct member *m)
{
	if (m == NULL)
		return;
	fiber_free(m->fiber);
	destination_session_free(m->session);
	free(m);
}

/* One more, as long as there may be and there is memory. */
static struct member *
member_new(struct crew *crew)
{
	struct member *m;

	if (crew->n_members == crew->max || (m = calloc(1, sizeof(*m))) == NULL)
		return NULL;
	m->crew = crew;
	m->session = destination_session_new(
	    crew->site->destination, is_stopping, crew->site, NULL);
	m->fiber = fiber_new(STACK_BYTES, member_run, m, NULL);
	if (m->session == NULL || m->fiber == NULL) {
		member_free(m);
		return NULL;
	}
	destination_session_join(m->session, crew->group);
	crew->members[crew->n_members++] = m;
	return m;
}

/* With the lock. When to look again. */
static uint64_t
pick_all(struct crew *crew, uint64_t now_ms)
{
	struct site *site = crew->site;
	uint64_t again_ms = now_ms + WAIT_MS;
	struct member *m;
	struct job job;

	while (!atomic_load(&site->stopping) &&
	    site->stands_back == crew->second &&
	    (crew->idle != NULL || (crew->idle = member_new(crew)) != NULL)) {
		job = site_pick(site, 1, now_ms, &again_ms);
		if (job.type == JOB_NONE) {
			if (site->starved)
				pthread_cond_signal(&site->work);
			break;
		}
		m = crew->idle;
		crew->idle = m->next;
		m->job = job;
		m->next = crew->begun;
		crew->begun = m;
		crew->n_busy++;
	}
	return again_ms;
}

/* With the lock. */
static void
settle_all(struct crew *crew)
{
	struct member *m;

	while ((m = crew->done) != NULL) {
		crew->done = m->next;
		site_settle(
		    crew->site, &m->job, m->outcome, m->bytes, &m->fault);
		crew->n_busy--;
		m->next = crew->idle;
		crew->idle = m;
	}
}

static void
begin_all(struct crew *crew)
{
	struct member *m;

	while ((m = crew->begun) != NULL) {
		crew->begun = m->next;
		fiber_resume(m->fiber);
	}
}

static void *
crew_thread(void *arg)
{
	struct crew *crew = arg;
	struct site *site = crew->site;
	uint64_t now_ms, again_ms;

	if (crew->second)
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&site->lock);
	while (!atomic_load(&site->stopping) || crew->n_busy > 0) {
		now_ms = clock_monotonic_ms();
		again_ms = pick_all(crew, now_ms);
		crew->sleeps = 1;
		pthread_mutex_unlock(&site->lock);
		begin_all(crew);
		http_group_run(crew->group,
		    crew->done != NULL || again_ms <= now_ms
			? 0
			: again_ms - now_ms);
		pthread_mutex_lock(&site->lock);
		crew->sleeps = 0;
		settle_all(crew);
	}
	pthread_mutex_unlock(&site->lock);
	crew->ending = 1;
	for (; crew->idle != NULL; crew->idle = crew->idle->next)
		fiber_resume(crew->idle->fiber);
	return NULL;
}

static void
free_one(struct crew *crew)
{
	size_t i;

	if (crew == NULL)
		return;

	/* Connections are closed by the clients that opened them. */
	http_group_free(crew->group);
	for (i = 0; i < crew->n_members; i++)
		member_free(crew->members[i]);
	free(crew->members);
	free(crew);
}

static int
start(struct site *site, int second, struct error *err)
{
	pthread_attr_t attr;
	struct crew *crew;
	int rc;

	if ((crew = calloc(1, sizeof(*crew))) == NULL)
		return error_nomem(err);
	crew->site = site;
	crew->second = second;
	crew->max = site->concurrency;
	crew->group = http_group_new(crew->max, err);
	crew->members = calloc(crew->max, sizeof(struct member *));
	if (crew->group == NULL || crew->members == NULL) {
		if (crew->group != NULL)
			error_nomem(err);
		free_one(crew);
		return -1;
	}
	site->crew[second] = crew;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, 2 * STACK_BYTES);
	rc = pthread_create(&crew->thread, &attr, crew_thread, crew);
	(void)pthread_attr_destroy(&attr);
	if (rc != 0) {
		site->crew[second] = NULL;
		free_one(crew);
		return error_sys(
		    err, rc, "starting the threads of %s", site->name);
	}
	return 0;
}

int
crew_start(struct site *site, struct error *err)
{
	return start(site, 0, err) != 0 || start(site, 1, err) != 0 ? -1 : 0;
}

void
crew_stop(struct site *site)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (site->crew[i] == NULL)
			continue;
		http_group_wake(site->crew[i]->group);
		(void)pthread_join(site->crew[i]->thread, NULL);
	}
}

void
crew_free(struct site *site)
{
	int i;

	for (i = 0; i < 2; i++) {
		free_one(site->crew[i]);
		site->crew[i] = NULL;
	}
}

void
crew_wake(struct site *site)
{
	struct crew *crew = site->crew[site->stands_back];

	if (crew == NULL || !crew->sleeps)
		return;
	crew->sleeps = 0;
	http_group_wake(crew->group);
}

void
crew_look(struct site *site, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - site->writes_at_ms;
	uint64_t seen = store_visible(site->store);
	int much;

	if (passed_ms < LOOK_MS)
		return;
	much = (seen - site->writes_seen) * 1000 / passed_ms >= MUCH_PER_SECOND;
	site->writes_at_ms = now_ms;
	site->writes_seen = seen;
	if (much == site->stands_back)
		return;
	site->stands_back = much;
	site_stir(site);
}
