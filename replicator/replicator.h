#ifndef REPLICATOR_REPLICATOR_H
#define REPLICATOR_REPLICATOR_H

#include <stdint.h>

#include "base/buffer.h"
#include "replicator/destination.h"
#include "store/store.h"

struct error;
struct json_t;
struct replicator;

/*
 * The replicator: keeps a copy of every acknowledged object at each
 * destination, in an order that makes the copy a consistent past of the store
 * at every instant. It consumes the store's journal: entry e may be published
 * when e.begin <= W, the destination's watermark; entries of one key go in
 * their sequence, each when the one before it is durably settled. Nothing is
 * dropped because it failed.
 *
 * Destinations are kept in the store's notes (secrets sealed with the store's
 * own key file, DIR/replicator.key, 0600), or given by the configuration file,
 * which wins. Any thread may call any of these.
 */

/* What a person sets for a destination beside the provider's fields. */
struct destination_policy {
	const char *source_bucket; /* this bucket's keys go directly below the
				    * path; NULL: every bucket's, each below
				    * its name */
	const char *include,
	    *exclude;              /* prefixes "bucket/prefix", comma separated;
				    * exclude NULL: restic's locks */
	uint64_t bytes_per_second; /* 0: unlimited */
	unsigned concurrency;      /* 0: 32 */
	const char *window; /* "22:00-06:00 Europe/Berlin"; NULL: always */
	uint64_t delete_delay_ms; /* 0: deletes follow at once */
	unsigned brake_percent;   /* share of deletes that pauses; 0: 30 */
	uint64_t fold_bytes, fold_entries, fold_age_ms; /* 0: defaults */
};

enum destination_state {
	DESTINATION_CONSISTENT,  /* a consistent past, moving on */
	DESTINATION_CATCHING_UP, /* a backlog is being folded */
	DESTINATION_SEEDING, /* objects that were there before are being copied
			      */
	DESTINATION_RECOVERING, /* the store is being rebuilt from it */
	DESTINATION_PAUSED,     /* by a person, or by the brake: see reason */
	DESTINATION_STOPPED     /* needs a person: see reason */
};
const char *destination_state_word(enum destination_state); /* "catching up" */

struct destination_status {
	char name[64];
	enum provider provider;
	char place[256]; /* "s3://bucket/path at endpoint", without secrets */
	enum destination_state state;
	char reason[512];
	int from_config;
	uint64_t watermark, journal_last;
	/* Everything acknowledged before is outside, but for what is parked
	 * and for deletes that are put off; 0: no such time. */
	int64_t safe_until_ms;
	uint64_t lag_ms, lag_bytes, lag_entries;
	uint64_t rate_bytes_per_second; /* over the last minute */
	uint64_t rate_objects_per_minute;
	uint64_t estimate_s; /* until caught up; UINT64_MAX: not known */
	uint64_t published, bytes, deletes, retries, failures; /* totals */
	uint64_t parked, held, seed_done, seed_total;
	uint64_t kept_back; /* deletes that are put off */
	char last_error[512];
	int64_t last_error_ms;
	int64_t clock_offset_ms;
};

/* A destination of the configuration file; nothing is owned. */
struct replicator_preset {
	const char *name;
	struct destination_fields fields;
	struct destination_policy policy;
	int take_over;
};

struct replicator_options {
	const char *dir; /* the data directory: key file, audit log */
	const struct replicator_preset *presets;
	size_t n_presets;
	uint64_t audit_interval_ms; /* 0: audits only when asked */
	uint64_t hold_ms; /* deletes under the recovery hold; 0: 7 days */
	/* For tests alone: the publish rule is off; nothing is written down at
	 * the end, as in a crash. */
	int unordered, crash;
};

/* Reads the destinations and starts a set of threads for each. */
struct replicator *replicator_start(
    struct store *, const struct replicator_options *, struct error *err);
/* Ends transfers at their next step; unfinished uploads go on after a restart.
 */
void replicator_stop(struct replicator *);

/* name: 1 to 63 of a-z 0-9 - _. who: for the audit log. ERR_EXISTS,
 * ERR_INVALID. A destination that holds data while the store is empty is not
 * synced to: it waits for `restore` (state stopped, with the reason). A path
 * that another store owns is refused unless take_over. */
int replicator_add(struct replicator *, const char *name,
    const struct destination_fields *, const struct destination_policy *,
    int take_over, const char *who, struct error *err);
/* Changes what the JSON object names, by the names of the fields and of the
 * policy: null takes a setting away. */
int replicator_set(struct replicator *, const char *name,
    const struct json_t *changes, const char *who, struct error *err);
/* Forgets it, and its pins; nothing outside is changed. */
int replicator_remove(
    struct replicator *, const char *name, const char *who, struct error *err);
/* accept_deletes: agrees to what the brake asks about, without which a pause of
 * the brake's is not ended (ERR_CONFLICT, with its question). */
int replicator_pause(struct replicator *, const char *name, int pause,
    int accept_deletes, const char *who, struct error *err);
/* The Test button, with saved fields (name) or with given ones (name NULL). */
int replicator_test(struct replicator *, const char *name,
    const struct destination_fields *, probe_visit *, void *arg,
    struct error *err);

/* The i-th destination's status: 0, or 1 behind the last. */
int replicator_status(
    struct replicator *, size_t i, struct destination_status *);
/* Its fields as JSON for people to edit: secrets are left out. */
int replicator_fields_json(struct replicator *, const char *name,
    struct buffer *json, struct error *err);
/* x-amz-replication-status of a version: "COMPLETED", "PENDING", "FAILED" (a
 * destination could not take it, and it is parked); "REPLICA" when no
 * destination wants it and it is another holdfast's copy; else NULL. */
const char *replicator_object_status(struct replicator *, struct slice bucket,
    struct slice key, const struct object_record *);

/* Who changed what, oldest first: lines of JSON {"time", "who", "what", "name",
 * "detail"}, until visit returns nonzero. */
typedef int change_visit(const char *line, size_t len, void *arg);
int replicator_changes(
    struct replicator *, change_visit *, void *arg, struct error *err);

/* Objects that a destination could not take: name, key and why. */
typedef int parked_visit(const char *destination, struct slice bucket,
    struct slice key, const char *reason, int64_t since_ms, void *arg);
int replicator_parked(
    struct replicator *, parked_visit *, void *arg, struct error *err);

/* Velero's backups found in the store and how far each is outside. */
enum backup_state {
	BACKUP_LOCAL,
	BACKUP_PARTLY,
	BACKUP_OUTSIDE,
	BACKUP_VERIFIED
};
struct backup_status {
	char bucket[64], prefix[256], name[256], phase[64];
	uint64_t bytes, objects;
	int64_t started_ms;
	enum backup_state state;
	/* BACKUP_VERIFIED: when an audit compared all of it, unchanged since,
	 * and whether it read every byte. */
	int64_t verified_ms;
	int verified_by_reading;
};
typedef int backup_visit(const struct backup_status *, void *arg);
int replicator_backups(struct replicator *, const char *destination,
    backup_visit *, void *arg, struct error *err);

/* An audit compares a destination's listing with what is here, and sends again
 * what is missing or differs there. What is there alone is told, never removed.
 */
struct audit_options {
	int read_data;             /* every byte is read and compared */
	uint64_t bytes_per_second; /* of what is read; 0: 32 MiB */
	int scheduled;
};
enum audit_finding {
	AUDIT_MISSING,
	AUDIT_DIFFERENT,
	AUDIT_FOREIGN
};
struct audit_figures {
	int running, waiting;
	int64_t started_ms, ended_ms; /* 0: never */
	uint64_t objects, total;      /* seen, and how many there are */
	uint64_t bytes_read;
	uint64_t missing, different, foreign, sent_again;
	uint64_t pending; /* not compared: a change of them is under way */
	uint64_t parked;  /* not compared: the destination cannot take them */
	uint64_t runs, failures; /* since the start */
	char error[512];         /* why the last one did not come to its end */
};
typedef void audit_visit(
    enum audit_finding, const char *key, const char *text, void *arg);
/* Begins one, or is content with one that waits. */
int replicator_audit(struct replicator *, const char *name,
    const struct audit_options *, const char *who, struct error *err);
/* The last one's figures, and its first findings (visit NULL: none). */
int replicator_audit_status(struct replicator *, const char *name,
    struct audit_figures *, audit_visit *, void *arg, struct error *err);

/* What is at a destination, before it is adopted. */
struct restore_survey {
	char owner[33], own[33]; /* store ids; owner "": nobody */
	char owner_since[32];
	uint64_t buckets, objects, bytes;
	int more;         /* there are more objects than were counted */
	uint64_t backups; /* of Velero */
	char newest_backup[256];
	int64_t last_written_ms; /* of what was looked at; 0: nothing there */
};
typedef void survey_visit(struct slice bucket, void *arg);
/* Of a destination by its name, or of given fields (name NULL). Also tells, in
 * *refusal (kind ERR_NONE: nothing), why a restore would be refused. */
int replicator_survey(struct replicator *, const char *name,
    const struct destination_fields *, const struct destination_policy *,
    int take_over, struct restore_survey *, survey_visit *, void *arg,
    struct error *refusal, struct error *err);

/* The store, which is empty, is made anew from what is at a destination. Reads
 * are right at once; the rest goes on behind them, also over restarts. Refused
 * when nothing is there, or when another store seems to be at work there and
 * take_over is not set. */
int replicator_restore(struct replicator *, const char *name, int take_over,
    const char *who, struct error *err);
/* The same from a destination that is not known yet: it is added under that
 * name, and not if it is refused. */
int replicator_restore_from(struct replicator *, const char *name,
    const struct destination_fields *, const struct destination_policy *,
    int take_over, const char *who, struct error *err);
struct restore_status {
	int active; /* there is one, or was since the start */
	int done;
	int is_known; /* all that is there is known here */
	char name[64];
	const char *phase;
	uint64_t known;            /* objects */
	uint64_t failed, skipped;  /* not adopted; no objects' names here */
	uint64_t filled, unfilled; /* fetched; could not be, this round */
	uint64_t fill_done, fill_total, fill_done_bytes, fill_total_bytes;
	uint64_t estimate_s; /* until all is here; UINT64_MAX: not known */
	char error[512];     /* the last one */
};
void replicator_restore_status(struct replicator *, struct restore_status *);

/* The recovery hold: deletes are kept back outside for some days. */
struct hold_status {
	int active;
	int64_t since_ms;
	uint64_t keep_ms;   /* how long */
	uint64_t kept_back; /* deletes, of all destinations */
};
void replicator_hold_status(struct replicator *, struct hold_status *);
/* Deletes that are kept back, by the hold or by a destination's delay, soonest
 * first; until visit returns nonzero. */
typedef int kept_visit(const char *destination, struct slice bucket,
    struct slice key, int64_t due_ms, void *arg);
int replicator_kept(
    struct replicator *, kept_visit *, void *arg, struct error *err);
enum hold_kept {
	HOLD_ASK,  /* ERR_CONFLICT if there are any */
	HOLD_SEND, /* they follow at once */
	HOLD_WAIT  /* each follows when its time has come */
};
/* Ends it, also when there is none: what is kept back then is the delay's. */
int replicator_hold_end(
    struct replicator *, enum hold_kept, const char *who, struct error *err);
/* Gives an object back whose delete is kept back. */
int replicator_undelete(struct replicator *, struct slice bucket,
    struct slice key, const char *who, struct error *err);

/* Whether there is any destination. */
int replicator_is_used(struct replicator *);

/* Prometheus text. */
void replicator_metrics(struct replicator *, struct buffer *);

#endif
