#include "replicator/auditor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/audit.h"
#include "replicator/replicator_private.h"

/* The thread that audits, and what others may ask of it. When the last audit of
 * a destination ended is in the note r/NAME/a: {format u8 = 1, ms be64}. */

#define RATE_DEFAULT (32ULL * 1024 * 1024)
#define LOOK_MS 5000
#define RETRY_MS (3600 * 1000)

static void
forget_notes(struct audit_job *job)
{
	while (job->n_notes > 0)
		free(job->notes[--job->n_notes].key);
}

static struct audit_job *
find_job(struct auditor *a, const char *name)
{
	struct audit_job *job;

	for (job = a->jobs; job != NULL; job = job->next)
		if (strcmp(job->name, name) == 0)
			return job;
	return NULL;
}

static struct audit_job *
make_job(struct auditor *a, const char *name, int64_t due_ms)
{
	struct audit_job *job;

	if ((job = find_job(a, name)) != NULL)
		return job;
	if ((job = calloc(1, sizeof(*job))) == NULL)
		return NULL;
	snprintf(job->name, sizeof(job->name), "%s", name);
	job->due_ms = due_ms;
	job->next = a->jobs;
	a->jobs = job;
	return job;
}

void
audit_find(struct auditing *a, enum audit_finding kind, struct slice key,
    const char *fmt, ...)
{
	struct audit_job *job = a->job;
	struct audit_note *note;
	va_list ap;

	pthread_mutex_lock(&a->auditor->lock);
	job->figures.missing += kind == AUDIT_MISSING;
	job->figures.different += kind == AUDIT_DIFFERENT;
	job->figures.foreign += kind == AUDIT_FOREIGN;
	if (job->n_notes < AUDIT_FINDINGS_MAX) {
		note = &job->notes[job->n_notes];
		note->kind = kind;
		va_start(ap, fmt);
		vsnprintf(note->text, sizeof(note->text), fmt, ap);
		va_end(ap);
		if ((note->key = slice_copy(key)) != NULL)
			job->n_notes++;
	}
	pthread_mutex_unlock(&a->auditor->lock);
}

/* ---- when ---- */

static void
note_key(const char *name, char key[NOTE_KEY_BYTES])
{
	struct note_names names;

	note_names_set(&names, name);
	note_plain(&names, 'a', key);
}

static int64_t
last_audit(struct replicator *r, const char *name)
{
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int64_t at = 0;

	note_key(name, key);
	if (store_note(r->store, slice_text(key), &value, NULL) == 0 &&
	    value.len == 9)
		at = (int64_t)be64_get((const uint8_t *)value.at + 1);
	buffer_free(&value);
	return at;
}

static void
save_last(struct replicator *r, const char *name, int64_t at)
{
	struct note_batch batch = { 0 };
	struct error err = ERROR_INIT;
	char key[NOTE_KEY_BYTES];
	uint8_t value[9] = { 1 };

	be64_put(value + 1, (uint64_t)at);
	note_key(name, key);
	batch_set(&batch, key, (struct slice){ (char *)value, sizeof(value) });
	if (batch_commit(&batch, r->store, &err) != 0)
		log_line(LOG_WARN, "replicator.audit", "%s", err.text);
	batch_free(&batch);
}

/* Asks for those whose time has come: of destinations that are in order. */
static void
look_at_schedule(struct auditor *a)
{
	struct destination_status status;
	int64_t now = clock_wall_ms(), last;
	struct audit_job *job;
	size_t i;

	for (i = 0; replicator_status(a->replicator, i, &status) == 0; i++) {
		pthread_mutex_lock(&a->lock);
		job = find_job(a, status.name);
		pthread_mutex_unlock(&a->lock);
		last = job == NULL ? last_audit(a->replicator, status.name) : 0;
		if (last == 0 || last > now)
			last = now;
		pthread_mutex_lock(&a->lock);
		job = make_job(a, status.name, last + (int64_t)a->interval_ms);
		if (job != NULL && !job->figures.waiting &&
		    now >= job->due_ms &&
		    status.state == DESTINATION_CONSISTENT) {
			job->options =
			    (struct audit_options){ .bytes_per_second =
							RATE_DEFAULT / 4,
				    .scheduled = 1 };
			job->figures.waiting = 1;
		}
		pthread_mutex_unlock(&a->lock);
	}
}

/* ---- the thread ---- */

static void
tell(const struct audit_job *job)
{
	const struct audit_figures *f = &job->figures;
	const struct log_field fields[] = {
		LOG_T("destination", job->name),
		LOG_N("objects", f->objects),
		LOG_N("missing", f->missing),
		LOG_N("different", f->different),
		LOG_N("foreign", f->foreign),
		LOG_N("sent_again", f->sent_again),
	};

	if (f->error[0] != '\0')
		log_fields(LOG_WARN, "replicator.audit", f->error, fields, 6);
	else
		log_fields(f->missing + f->different > 0 ? LOG_ERROR : LOG_INFO,
		    "replicator.audit", "the copy outside was compared", fields,
		    6);
}

static void
run_job(struct auditor *a, struct audit_job *job)
{
	struct audit_figures *f = &job->figures;
	struct auditing run = { .auditor = a, .job = job };
	int failed;

	f->waiting = 0;
	f->running = 1;
	f->started_ms = clock_wall_ms();
	f->objects = f->total = f->bytes_read = 0;
	f->missing = f->different = f->foreign = f->sent_again = 0;
	f->pending = f->parked = 0;
	f->error[0] = '\0';
	forget_notes(job);
	pthread_mutex_unlock(&a->lock);
	failed = audit_run(&run);
	if (!failed)
		save_last(a->replicator, job->name, clock_wall_ms());
	pthread_mutex_lock(&a->lock);
	f->ended_ms = clock_wall_ms();
	job->due_ms =
	    f->ended_ms + (failed ? RETRY_MS : (int64_t)a->interval_ms);
	if (failed)
		snprintf(f->error, sizeof(f->error), "%s", run.err.text);
	f->runs++;
	f->failures += failed != 0;
	f->running = 0;
	if (!audit_is_stopping(&run))
		tell(job);
}

static void *
run(void *arg)
{
	struct auditor *a = arg;
	struct audit_job *job;
	struct timespec until;

	pthread_mutex_lock(&a->lock);
	while (!atomic_load(&a->stopping)) {
		for (job = a->jobs; job != NULL; job = job->next)
			if (job->figures.waiting)
				break;
		if (job != NULL) {
			run_job(a, job);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_MS / 1000;
		(void)pthread_cond_timedwait(&a->wake, &a->lock, &until);
		if (a->interval_ms == 0 || atomic_load(&a->stopping))
			continue;
		pthread_mutex_unlock(&a->lock);
		look_at_schedule(a);
		pthread_mutex_lock(&a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

int
auditor_start(struct replicator *r, uint64_t interval_ms, struct error *err)
{
	pthread_condattr_t attr;
	struct auditor *a;
	int rc;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return error_nomem(err);
	r->auditor = a;
	a->replicator = r;
	a->interval_ms = interval_ms;
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&a->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	rc = pthread_create(&a->thread, NULL, run, a);
	a->runs = rc == 0;
	if (rc != 0)
		return error_sys(err, rc, "starting the auditor");
	(void)pthread_setname_np(a->thread, "auditor");
	return 0;
}

void
auditor_stop(struct replicator *r)
{
	struct auditor *a = r->auditor;
	struct audit_job *job;

	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	atomic_store(&a->stopping, 1);
	pthread_cond_broadcast(&a->wake);
	pthread_mutex_unlock(&a->lock);
	if (a->runs)
		(void)pthread_join(a->thread, NULL);
	while ((job = a->jobs) != NULL) {
		a->jobs = job->next;
		forget_notes(job);
		free(job);
	}
	(void)pthread_mutex_destroy(&a->lock);
	(void)pthread_cond_destroy(&a->wake);
	free(a);
	r->auditor = NULL;
}

/* ---- for others ---- */

static int
check_known(struct replicator *r, const char *name, struct error *err)
{
	int known;

	pthread_mutex_lock(&r->lock);
	known = entry_find(r, name) != NULL;
	pthread_mutex_unlock(&r->lock);
	if (known)
		return 0;
	return error_set(err, ERR_NOT_FOUND,
	    "there is no destination \"%.63s\": `holdfast destination list` "
	    "shows them",
	    name);
}

int
replicator_audit(struct replicator *r, const char *name,
    const struct audit_options *options, const char *who, struct error *err)
{
	struct auditor *a = r->auditor;
	struct audit_job *job;

	if (check_known(r, name, err) != 0)
		return -1;
	pthread_mutex_lock(&a->lock);
	job = make_job(a, name, clock_wall_ms() + (int64_t)a->interval_ms);
	if (job != NULL && !job->figures.running) {
		job->options = *options;
		if (job->options.bytes_per_second == 0)
			job->options.bytes_per_second = RATE_DEFAULT;
		job->figures.waiting = 1;
		pthread_cond_signal(&a->wake);
	}
	pthread_mutex_unlock(&a->lock);
	if (job == NULL)
		return error_nomem(err);
	audit_write(r->dir, who, "destination.audit", name, NULL);
	return 0;
}

int
replicator_audit_status(struct replicator *r, const char *name,
    struct audit_figures *figures, audit_visit *visit, void *arg,
    struct error *err)
{
	struct auditor *a = r->auditor;
	struct audit_job *job;
	size_t i;

	if (check_known(r, name, err) != 0)
		return -1;
	*figures = (struct audit_figures){ 0 };
	pthread_mutex_lock(&a->lock);
	if ((job = find_job(a, name)) != NULL) {
		*figures = job->figures;
		for (i = 0; visit != NULL && i < job->n_notes; i++)
			visit(job->notes[i].kind, job->notes[i].key,
			    job->notes[i].text, arg);
	}
	pthread_mutex_unlock(&a->lock);
	return 0;
}
