#ifndef REPLICATOR_AUDITOR_H
#define REPLICATOR_AUDITOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/destination.h"
#include "replicator/replicator.h"
#include "replicator/settings.h"
#include "replicator/verified.h"
#include "store/store.h"

/*
 * Audits: a destination's listing is compared with what is here, at a limited
 * rate, by one thread, one destination at a time: when a person asks and once
 * in an interval. For the auditor's own files alone; others use replicator.h.
 */

#define AUDIT_FINDINGS_MAX 1000

struct audit_note { /* a finding that is kept */
	enum audit_finding kind;
	char *key; /* at the destination */
	char text[160];
};

/* One destination's. */
struct audit_job {
	struct audit_job *next;
	char name[64];
	struct audit_options options;
	int64_t due_ms; /* wall; the next by schedule */
	struct audit_figures figures;
	struct audit_note notes[AUDIT_FINDINGS_MAX];
	size_t n_notes;
};

struct auditor {
	struct replicator *replicator;
	uint64_t interval_ms;
	pthread_t thread;
	int runs;
	pthread_mutex_t lock; /* of all below; no other is taken under it */
	pthread_cond_t wake;
	struct audit_job *jobs;
	atomic_int stopping;
};

int auditor_start(struct replicator *, uint64_t interval_ms, struct error *err);
void auditor_stop(struct replicator *);

/* What is here, in the order of a listing there. */
struct local_entry {
	struct slice bucket, key; /* until the next step */
	struct slice remote_key;
	struct object_record record; /* without its slices */
};
struct local_walk;
struct local_walk *local_walk_new(
    struct store *, const struct settings *, struct error *err);
void local_walk_free(struct local_walk *); /* NULL is allowed */
/* The entry at hand; NULL: behind the last, or *err is set. */
const struct local_entry *local_walk_at(struct local_walk *, struct error *err);
void local_walk_step(struct local_walk *);
/* How many objects there are. */
uint64_t local_walk_total(const struct local_walk *);

/* One audit under way. */
struct auditing {
	struct auditor *auditor;
	struct audit_job *job;
	struct settings *settings;
	struct destination *destination;
	struct destination_session *session;
	struct local_walk *walk;
	uint64_t paid_us;
	char *room;             /* two chunks */
	int unread;             /* its bytes could not be compared */
	int by_facts;           /* only its size and what we noted of it were */
	enum compared compared; /* what became of the object at hand */
	struct verifying verifying;
	struct error err;
};
#define AUDIT_CHUNK_BYTES ((size_t)1024 * 1024)

/* 0 when it came to its end; -1 and a->err. */
int audit_run(struct auditing *);
/* Sleeps so that so many microseconds of work are spread; nonzero: stop. */
int audit_pay(struct auditing *, uint64_t us);
int audit_is_stopping(const struct auditing *);
void audit_find(struct auditing *, enum audit_finding, struct slice remote_key,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* An object that is here and, by the listing, there (entry NULL: it is not).
 * 0, or -1 and a->err. */
int audit_object(
    struct auditing *, const struct local_entry *, const struct remote_entry *);
/* One that is there alone. */
int audit_foreign(struct auditing *, const struct remote_entry *);

#endif
