#ifndef REPLICATOR_IMPORTER_H
#define REPLICATOR_IMPORTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/destination.h"
#include "replicator/replicator.h"
#include "replicator/settings.h"
#include "store/remote.h"

/*
 * The way back: a destination's path is taken over, the objects that are there
 * become known here (phases "backups" and "all", by its listing and a question
 * for each object), and are fetched then ("fill"). For the importer's own files
 * and the replicator's.
 *
 * One thread walks; others do what it gives them, a page at a time. A key is
 * claimed while it is asked for, so that a request for it waits, and nothing
 * that was deleted meanwhile comes back.
 *
 * The note r/NAME/i: {format u8 = 2, phase u8, begin be64, known be64, failed
 * be64, skipped be64, cursor be16 length..}. It is there from before the path
 * is taken until all is here, so that a start after a crash goes on, and never
 * takes the emptiness for a store's own.
 */

#define IMPORT_PAGE 1000
#define IMPORT_WORKERS 48 /* that ask; a question is mostly waiting */
#define IMPORT_FILLERS 16 /* of these fetch, each with a MiB */
#define IMPORT_OURS "plugins/holdfast/"

enum import_phase {
	IMPORT_TAKE,    /* the path becomes this store's */
	IMPORT_BACKUPS, /* what is below backups/ of each bucket */
	IMPORT_ALL,     /* everything, in order, behind the cursor */
	IMPORT_FILL,    /* all is known; contents are fetched */
	IMPORT_KEPT,    /* the disk does not hold more; the rest is read
			 * through */
	IMPORT_DONE
};

struct claim {
	struct claim *next;
	struct slice bucket, key;
};

struct import_entry { /* of the page at work */
	struct slice bucket, key;
	uint64_t size; /* of what is to be fetched */
};

/* What is durable of it. */
struct import_note {
	enum import_phase phase;
	uint64_t begin; /* the journal's end when the store was empty */
	uint64_t known, failed, skipped;
	struct slice cursor;
};

struct importer {
	struct replicator *replicator;
	char name[64];
	struct settings *settings;
	pthread_t walker, workers[IMPORT_WORKERS];
	size_t n_workers;
	int walks;
	atomic_int stopping;

	pthread_mutex_t lock; /* of all below; under it the store's own alone */
	pthread_cond_t work, done, released;
	enum import_phase phase;
	uint64_t begin;
	struct buffer cursor; /* keys there up to it are known */
	uint64_t known;       /* objects that are known */
	uint64_t failed;      /* that could not be made known */
	uint64_t skipped;     /* whose names are no objects' here */
	/* Of this round of filling: */
	uint64_t filled, filled_bytes; /* fetched */
	uint64_t fill_done, fill_total, fill_done_bytes, fill_total_bytes;
	uint64_t unfilled;       /* could not be fetched */
	uint64_t archived;       /* of them, for being in an archive class */
	uint64_t fetching_bytes; /* by all workers now */
	uint64_t fill_began_ms;  /* monotonic */
	char error[512];
	struct claim *claims;
	struct import_entry page[IMPORT_PAGE];
	struct buffer names; /* what the page's slices point into */
	size_t built;        /* of the page that is being put together */
	size_t n, next, running;
	int filling; /* the page is to be fetched, else to be made known */
	int again;   /* something of the page passes by itself */
	int full;    /* the disk's room is used up */
};

/* Makes what is there of a key known here, unless it is or was. 0, or -1 and
 * *fault. */
int import_key(struct replicator *, const char *name, struct slice bucket,
    struct slice key, struct fault *);
/* The same with its claim. */
int importer_import(
    struct importer *, struct slice bucket, struct slice key, struct fault *);
/* For requests: unless it is known. */
int importer_want(
    struct importer *, struct slice bucket, struct slice key, struct error *);
int importer_knows(struct importer *, struct slice bucket, struct slice prefix);

/* With the replicator's lock held, or before others can take it. */
struct importer *importer_start(struct replicator *, const char *name,
    const struct import_note *, struct error *err);
void importer_stop(struct importer *); /* and frees it; NULL is allowed */
/* Before the destinations start: whether a restore goes on, so that nothing
 * takes what is here for all there is. 0, or -1 and *err. */
int importer_foresee(struct replicator *, struct error *err);
/* Goes on with what a restart has cut off. */
int importer_resume(struct replicator *, struct error *err);
void importer_save(struct importer *);
int import_note_save(struct replicator *, const char *name,
    const struct import_note *, struct error *err);
int import_note_drop(struct replicator *, const char *name, struct error *err);
/* While not all is known, the destination is one to be recovered from. */
void importer_state(struct replicator *, struct destination_status *);
/* Whether contents may be at that destination alone. */
int importer_needs(struct replicator *, const char *name);

/* Makes the path this store's, its buckets, and all that is there count as
 * published; other destinations begin anew, with what comes back. May be
 * repeated. *owned: the path is ours, there is no way back. 0, or -1 and
 * *fault. */
int restore_take(struct replicator *, const char *name, const struct settings *,
    uint64_t begin, int *owned, struct fault *);

/* What is there, or at a glance what the first question tells; and why that is
 * not to be restored from (0, or -1 and *err).
 */
int restore_look(struct replicator *, const struct settings *, int glance,
    struct restore_survey *, survey_visit *, void *arg, struct error *err);
int restore_refuse(
    const struct restore_survey *, int take_over, struct error *err);

/* The importer's steps: 0, or -1 when stopping. */
int import_take(struct importer *);
int import_listing(struct importer *);
int import_fill(struct importer *);
void *importer_worker(void *importer);
/* Hands the page out and waits for it. 0, or -1 when stopping. */
int importer_do_page(struct importer *, int filling);
int importer_rest(struct importer *, unsigned ms);
void importer_add(
    struct importer *, struct slice bucket, struct slice key, uint64_t size);
void importer_clear(struct importer *);
/* Bucket and key of one there: 0, 1 when it is holdfast's own, or -1 when it is
 * no object's name here. */
int import_split(const struct settings *, struct slice remote,
    struct slice *bucket, struct slice *key);
/* Visits the buckets that are there, in their order, by a question each. visit:
 * 0, or -1 and *fault, which ends it. */
typedef int import_bucket_visit(
    struct slice bucket, void *arg, struct fault *fault);
int import_buckets(const struct settings *, const struct destination_protocol *,
    void *call, import_bucket_visit *, void *arg, struct fault *);

/* Connections to a destination by its name, kept for the next. */
struct lent_place {
	struct lent_place *next;
	char name[64];
	unsigned generation; /* of the list's settings */
	unsigned users;
	struct destination *destination;
	/* Whether its plain ETags are MD5s, as far as was seen. */
	atomic_int etags;
};
enum {
	ETAGS_UNKNOWN,
	ETAGS_MD5,
	ETAGS_OTHER
};
struct lent {
	struct lent *next;
	char name[64];
	struct lent_place *place;
	struct destination *destination; /* the place's */
	struct destination_session *session;
};
struct lent *lent_take(struct replicator *, const char *name, struct error *);
void lent_give(struct replicator *, struct lent *);
void lent_clear(struct replicator *);

/* An EXTENT_REMOTE's place: {format u8 = 2, then each be16 length..: the
 * destination's name, the key there, the object's ETag here, its ETag there}.
 */
struct place {
	struct slice name, key, etag, provider_etag;
};
void place_encode(struct buffer *, const struct place *);
int place_decode(struct slice, struct place *, struct error *err);
/* 0, or -1 and ERR_CONFLICT when contents are at that destination alone. */
int place_is_sole(struct replicator *, const char *name, struct error *err);

#endif
