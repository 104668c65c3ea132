#ifndef REPLICATOR_SITE_H
#define REPLICATOR_SITE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/destination.h"
#include "replicator/filter.h"
#include "replicator/notes.h"
#include "replicator/replicator.h"
#include "replicator/schedule.h"
#include "replicator/settings.h"
#include "replicator/unsaved.h"
#include "replicator/upload.h"
#include "replicator/velero.h"
#include "replicator/window.h"
#include "store/store.h"

struct error;
struct store;

/*
 * A site: all that the replicator does for one destination. For its own files
 * alone; others use the functions at the end.
 *
 * One scheduler thread reads the journal into the window, makes the watermark
 * durable and looks after time. Jobs of small objects are done by the crew, a
 * thread with up to `concurrency` fibers; others by transfer threads. Each
 * fiber and thread has a session of its own. The lock guards everything below
 * it; it is held for bookkeeping only, never across a call to the destination,
 * and across one to the store only where that does not wait for its disk.
 */

#define SITE_BESIDE_BATCH 256
/* Objects up to this size go many at once on one thread, the crew's; others,
 * one a thread. */
#define SITE_SMALL_BYTES (64 * 1024)
#define RATE_SECONDS 60
#define DELETE_MINUTES 60
#define QUIET_SLOTS 1024

/* A backup whose velero-backup.json waits. */
struct held {
	char *bucket, *key; /* key: of the json */
	size_t directory;   /* length of "backups/NAME/" in it */
	uint64_t version;
	uint64_t last_sequence; /* of a change below its directory */
	int64_t last_ms;
	int64_t since_ms; /* of its first change that is not outside */
	int is_final;     /* -1: not looked at */
	int started;      /* being published */
};

struct site {
	struct store *store;
	char name[64];
	int from_config;
	const struct settings *settings; /* replaced only while no thread
					  * runs */
	struct filter filter;
	struct schedule schedule;
	struct destination *destination;
	const struct destination_protocol *table;
	struct destination_limits limits;
	struct note_names names;
	unsigned concurrency;
	uint64_t fold_bytes, fold_entries, fold_age_ms;
	int unordered, crash;        /* replicator_options' */
	_Atomic uint64_t hold_ms;    /* deletes are put off so long */
	void (*advanced)(void *arg); /* the watermark has moved */
	void *advanced_arg;

	/* NULL: the threads do all. [1] works while clients write so much that
	 * it had better stand back. */
	struct crew *crew[2];
	int stands_back;
	uint64_t writes_at_ms, writes_seen;
	pthread_t scheduler, owner, *threads;
	size_t n_threads;
	int scheduler_runs, owner_runs;
	atomic_int stopping;

	pthread_mutex_t lock;
	pthread_cond_t jobs; /* something may be ready to be done */
	pthread_cond_t work; /* the scheduler has something to do */
	pthread_cond_t look; /* somebody waits for whose the path is */

	/* What is durable. */
	uint64_t watermark;
	_Atomic uint64_t durable; /* = watermark, for the trimmer */
	uint64_t consistent_at;   /* consistent once this is published */
	int seeding, blank;       /* blank: nothing was there at the start */
	struct buffer seed_bucket, seed_key; /* everything up to it is done */
	uint64_t seed_done, seed_total;
	int claimed; /* the path was ours once */
	enum {
		RUNS,
		PAUSED_BY_PERSON,
		PAUSED_BY_BRAKE /* until a person agrees to the deletes */
	} paused;
	char pause_reason[320];
	uint64_t brake_from; /* deletes up to this sequence were agreed to */

	struct window window;
	struct note_batch batch; /* to be made durable with the watermark */
	int starved;       /* a change waits for an older one to be durable */
	int state_changed; /* the state note is to be written */
	int flushing;      /* the scheduler alone does */
	int parked_unsure; /* n_parked is to be counted again */
	uint64_t flushed_ms;

	/* Seeding: the walk's place, and what it has given out, in order. */
	struct buffer walk_bucket, walk_key;
	int walk_done;
	struct seed_step {
		struct seed_step *next;
		int done;
		size_t bucket_len, key_len;
		char names[];
	} * seed_first, *seed_last;
	size_t seed_steps;

	struct held *held;
	size_t n_held;
	size_t uploads; /* open, of items in the window */
	uint64_t n_dirty, n_parked, n_deferred, n_uploads;
	struct buffer dirty_after; /* how far the notes have been given out */
	uint64_t parked_at_ms, parked_wait_ms, deferred_at_ms, sweep_at_ms,
	    held_at_ms;

	/* The journal behind the window, counted. */
	uint64_t counted; /* up to this sequence */
	int counting;     /* more of it is to be counted first */
	uint64_t backlog_entries, backlog_bytes;
	int folding;
	int64_t
	    oldest_ms; /* commit time of the first unsettled entry; 0: none */
	uint64_t deletes[DELETE_MINUTES], deletes_minute;

	/* How the destination takes it. */
	/* A look at the window found nothing to do for threads, or [1] for the
	 * crew, and nothing has changed since that could matter before then
	 * (monotonic). */
	int barren[2];
	uint64_t barren_until_ms[2];
	unsigned running, running_small, limit, successes;
	unsigned failing;       /* in a row */
	uint64_t not_before_ms; /* monotonic: nobody asks before */
	uint64_t slowed_ms;
	int ready;      /* ours, and looked at */
	int stopped;    /* waits for a person */
	int holds_data; /* P9: recovery, not sync */
	uint64_t probe_ms, probe_interval_ms;
	/* Whose path it is (site_own.c), monotonic. */
	uint64_t owner_at_ms;    /* looks again, whatever there is to send */
	uint64_t owner_look_ms;  /* when there is something to send */
	uint64_t owner_until_ms; /* nothing is begun behind it */
	uint64_t owner_wait_ms;  /* between looks that fail */
	uint64_t path_from_ms;   /* nor before: it was another's */
	char owner_seen[72];     /* the ETag of owner.json that was ours */
	char reason[512], last_error[512];
	int64_t last_error_ms;
	uint64_t tokens_at_us; /* bandwidth: when what was taken is paid for */
	/* Keys of which a request was given up that may still arrive. */
	struct late *late;
	size_t n_late;
	uint64_t late_undone;        /* what such ones did and was undone */
	uint64_t begun_ms, begun_at; /* the journal's end at the start */
	/* Before then a key is not changed again, by its hash. */
	uint64_t quiet_until_ms[QUIET_SLOTS];
	struct unsaved unsaved; /* settled behind the durable watermark */

	/* Totals. */
	uint64_t published, bytes, removed, retries, failures;
	struct {
		uint64_t second, bytes, objects;
	} rate[RATE_SECONDS];
};

/* ---- for the site's own files, with the lock held unless said ---- */

enum job_type {
	JOB_NONE,
	JOB_PUBLISH, /* one request, or what the key holds now */
	JOB_BEGIN,
	JOB_PART,
	JOB_FINISH
};
struct job {
	enum job_type type;
	struct item *item;
	uint32_t part;
	int small;
	uint64_t version, size; /* OUTCOME_LARGE: what the key holds now */
};
/* The next thing to do for the crew (small) or a thread, marked as under way;
 * or JOB_NONE and when to look again (monotonic, at most). */
struct job site_pick(
    struct site *, int small, uint64_t now_ms, uint64_t *again_ms);
/* There may be something to do that there was not before. */
void site_stir(struct site *);

enum outcome {
	OUTCOME_DONE,    /* the change is outside */
	OUTCOME_GOES_ON, /* a step of it is done */
	OUTCOME_LARGE,   /* what the key holds goes in parts */
	OUTCOME_THREADS, /* it is too large for the crew */
	OUTCOME_ANEW,    /* its upload is gone: from its first part again */
	OUTCOME_GONE,    /* the object is gone: to be looked up again */
	OUTCOME_FAULT
};
/* Without the lock. bytes: sent. */
enum outcome transfer_job(struct site *, struct destination_session *,
    struct job *, uint64_t *bytes, struct fault *);
void site_settle(struct site *, const struct job *, enum outcome,
    uint64_t bytes, const struct fault *);
/* An item is over: its notes go with the next batch, and it leaves. */
void site_release(struct site *, struct item *);
void site_park(struct site *, struct item *, const char *reason);
/* One was parked that was not before: it is tried again soon at first. */
void site_parked_anew(struct site *, uint64_t now_ms);

/* The crew. Without the lock. */
int crew_start(struct site *, struct error *err);
void crew_stop(struct site *); /* once site->stopping is set */
/* When nothing can wake them any more. */
void crew_free(struct site *);
/* With it: ends the wait for something to do. */
void crew_wake(struct site *);
/* With it, now and then: looks at how much clients write. */
void crew_look(struct site *, uint64_t now_ms);

/* Scheduler's steps. Each: whether it did something. */
int site_count_journal(struct site *);
int site_read_journal(struct site *);
int site_feed_beside(struct site *, uint64_t now_ms);
int site_flush(struct site *); /* lets go of the lock meanwhile */
int site_fold(struct site *);  /* likewise */
int site_load(struct site *, struct error *err);
void site_seed_done(struct site *, const struct item *);
note_visit site_note_found; /* arg: a uint64_t to count down */
void site_stop_for_person(struct site *, const char *reason, uint64_t now_ms);
void site_drop_window(struct site *);
void site_add_state(struct site *, struct note_batch *, uint64_t watermark);
void *site_owner_thread(void *site);
/* Removes uploads that no change needs any more; without the lock. */
void site_sweep(struct site *, struct destination_session *);
void site_held_published(
    struct site *, struct slice bucket, struct slice key, uint64_t version);
int site_held_add(struct site *, struct slice bucket, struct slice key,
    uint64_t version, int64_t time_ms);
int site_is_held(const struct site *, struct slice bucket, struct slice key);
void site_held_load(struct site *, const struct key_note *);
void site_held_drop(struct site *, struct slice bucket, struct slice key);
void site_held_seen(
    struct site *, uint64_t sequence, const struct journal_record *);
int site_held_check(struct site *, uint64_t now_ms);
int site_late_load(struct site *, struct error *err);
/* A request of that change was lost. */
void site_late_add(struct site *, const struct item *, uint64_t now_ms);
/* A change of a key is outside. */
void site_late_done(struct site *, const struct item *, uint64_t now_ms);
/* Looks whether a late request has undone a newer one, one key a call; lets go
 * of the lock meanwhile. Whether there is more to do. */
int site_late_look(
    struct site *, struct destination_session *, uint64_t now_ms);
void site_late_free(struct site *);
/* Whether a delete of the key was put off. */
int site_is_deferred(struct site *, struct slice bucket, struct slice key);
void site_held_free(struct site *);

/* Waits until the scheduler has written down what is to be noted; lets go of
 * the lock meanwhile. 0, or -1 when that takes too long. */
int site_write_down(struct site *);
/* A delete that is put off until then. */
void site_defer(
    struct site *, struct slice bucket, struct slice key, uint64_t due_ms);

/* Waits for the bandwidth limit's and schedule's leave to send len bytes;
 * without the lock. Nonzero when stopping. */
int site_throttle(struct site *, size_t len);
/* Until the condition or the time, with the lock; not when stopping. */
void site_wait(struct site *, pthread_cond_t *, uint64_t until_ms);
int site_is_stopping(void *site); /* for sessions */
/* Whether a person's or the schedule's word keeps it from working. */
int site_is_halted(const struct site *);
/* The key at the destination. Appended. */
void site_remote_key(const struct site *, struct slice bucket, struct slice key,
    struct buffer *);
enum destination_state site_state(const struct site *, const char **reason);
void site_note_error(struct site *, const struct fault *);

/* ---- for the replicator ---- */

struct site_options {
	struct store *store;
	const char *name;
	int from_config, unordered, crash;
	const struct settings *settings; /* must outlive the site */
	uint64_t hold_ms;
	void (*advanced)(void *arg);
	void *advanced_arg;
};
/* A destination's first day: where its copy begins. Notes are made durable. */
int site_create(struct store *, const char *name, const struct settings *,
    struct error *err);
/* Notes the place that they are about, with what is noted of it. */
void site_add_place(
    const struct note_names *, const struct settings *, struct note_batch *);
/* Whether what is noted of that name is about the place that the settings name:
 * the configuration file may have been changed, or have had another. */
int site_is_about(struct store *, const char *name, const struct settings *);
/* Forgets what is noted of another place, and creates it. */
int site_begin_anew(struct store *, const char *name, const struct settings *,
    struct error *err);
struct site *site_start(const struct site_options *, struct error *err);
void site_stop(struct site *); /* and frees it; NULL is allowed */
/* Removes all that the store keeps of it. */
int site_forget(struct store *, const char *name, struct error *err);
int site_pause(struct site *, int pause, int accept_deletes, struct error *err);
void site_nudge(struct site *); /* try again at once */
void site_status(struct site *, struct destination_status *);
/* How long a delete is put off: by policy, or by the recovery hold. */
uint64_t site_delete_delay(struct site *);
/* Deletes that are put off; and one that is not to be done. 1 if there was. */
uint64_t site_deferred(struct site *);
int site_undelete(
    struct site *, struct slice bucket, struct slice key, uint64_t *due_ms);
void site_keep_back(
    struct site *, struct slice bucket, struct slice key, uint64_t due_ms);
/* Those that are put off follow at once. */
int site_send_deferred(struct site *, struct error *err);
/* Whether a change of the key is noted here and may not be outside, exactly, by
 * what is durable: the journal behind the durable watermark, and the notes that
 * are committed together with it; -1 when the journal cannot be read. Not on
 * an event loop. */
int site_is_unsettled(struct site *, struct slice bucket, struct slice key);
/* The same, and what seeding has not come to. */
int site_is_under_way(struct site *, struct slice bucket, struct slice key);
/* Whether the key has a durable note of that kind (replicator/notes.h). */
int site_has_note(
    struct site *, char kind, struct slice bucket, struct slice key);
/* The same, with the lock held, of a note that may not be durable yet; -1 while
 * that cannot be told. */
int site_is_noted(
    struct site *, char kind, struct slice bucket, struct slice key);
/* What the key holds now goes out again. */
void site_send_again(
    struct site *, struct slice bucket, struct slice key, uint64_t version);
const char *site_object_status(struct site *, struct slice bucket,
    struct slice key, const struct object_record *);

#endif
