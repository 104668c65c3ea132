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
 * The way back: objects that are at a destination become known here (phases
 * "backups" and "all", by its listing and a question for each object), and are
 * fetched then ("fill"). For the importer's own files and the replicator's.
 *
 * One thread walks; others do what it gives them, a page at a time. A key is
 * claimed while it is asked for, so that a request for it waits, and nothing
 * that was deleted meanwhile comes back.
 *
 * The note r/NAME/i: {format u8 = 1, phase u8, known be64, failed be64, cursor
 * be16 length..}; gone when all is here.
 */

#define IMPORT_PAGE 1000
#define IMPORT_WORKERS 16
#define IMPORT_OURS "plugins/holdfast/"

enum import_phase {
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
};

struct importer {
	struct replicator *replicator;
	char name[64];
	struct settings *settings;
	pthread_t walker, workers[IMPORT_WORKERS];
	size_t n_workers;
	int walks;
	atomic_int stopping;

	pthread_mutex_t lock; /* of all below; no other is taken under it */
	pthread_cond_t work, done, released;
	enum import_phase phase;
	struct buffer cursor; /* keys there up to it are known */
	uint64_t known, failed, filled, fill_done, fill_total;
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
/* The same with its claim, for requests. */
int importer_want(
    struct importer *, struct slice bucket, struct slice key, struct error *);
int importer_knows(struct importer *, struct slice bucket, struct slice prefix);

struct importer *importer_start(struct replicator *, const char *name,
    enum import_phase, struct slice cursor, uint64_t known, struct error *err);
void importer_stop(struct importer *); /* and frees it; NULL is allowed */
/* Goes on with what a restart has cut off. */
int importer_resume(struct replicator *, struct error *err);
void importer_save(struct importer *);
/* While not all is known, the destination is one to be recovered from. */
void importer_state(struct replicator *, struct destination_status *);
/* Whether contents may be at that destination alone. */
int importer_needs(struct replicator *, const char *name);

/* The importer's steps: 0, or -1 when stopping. */
int import_listing(struct importer *);
int import_fill(struct importer *);
/* Hands the page out and waits for it. 0, or -1 when stopping. */
int importer_do_page(struct importer *, int filling);
int importer_rest(struct importer *, unsigned ms);
void importer_add(struct importer *, struct slice bucket, struct slice key);
void importer_clear(struct importer *);
/* Bucket and key of one there: 0, or -1 when it is none. */
int import_split(const struct settings *, struct slice remote,
    struct slice *bucket, struct slice *key);
/* Buckets that are there, made here. */
int import_buckets(struct store *, const struct settings *,
    const struct destination_protocol *, void *call, struct fault *);

/* Connections to a destination by its name, kept for the next. */
struct lent {
	struct lent *next;
	char name[64];
	struct destination *destination;
	struct destination_session *session;
};
struct lent *lent_take(struct replicator *, const char *name, struct error *);
void lent_give(struct replicator *, struct lent *);
void lent_clear(struct replicator *);
/* An EXTENT_REMOTE's place. */
void place_encode(struct buffer *, const char *name, struct slice remote_key);

#endif
