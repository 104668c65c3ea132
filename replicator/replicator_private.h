#ifndef REPLICATOR_REPLICATOR_PRIVATE_H
#define REPLICATOR_REPLICATOR_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "replicator/replicator.h"
#include "replicator/seal.h"
#include "replicator/site.h"
#include "store/remote.h"

/* What the replicator's own files share. */

struct entry {
	char name[64];
	struct settings *settings;
	struct site *site; /* NULL: it could not be started, for the reason */
	uint64_t durable;  /* its watermark, if there is no site */
	char reason[512];
	int from_config;
};

struct replicator {
	struct store *store;
	char *dir;
	int unordered, crash;
	struct seal seal;
	int sealed; /* the key is there */

	/* Of the list. Taken before a site's lock; held while a site stops, so
	 * that no thread of a site may want it. */
	pthread_mutex_t lock;
	/* Taken under it for changes of the list and of an entry's settings, so
	 * that either is enough to read them. Held briefly, for memory alone.
	 */
	pthread_mutex_t list_lock;
	struct entry **entries;
	size_t n_entries;

	struct auditor *auditor;

	/* The way back. */
	_Atomic uint64_t hold_ms; /* deletes are kept back so long; 0: not */
	uint64_t hold_keep_ms;    /* under a hold */
	_Atomic(struct importer *) importer; /* NULL: nothing was restored */
	atomic_int restoring;                /* one was begun */
	pthread_mutex_t lent_lock;           /* of the four below; taken last */
	struct lent_place *places;
	struct lent *lent;
	size_t n_lent;
	unsigned lent_generation;

	/* What the store reads through. */
	struct remote remote;
	atomic_int ending;

	/* The thread that trims the journal. trim_lock is taken after all
	 * others. */
	pthread_t trimmer;
	int trimmer_runs, stopping, moved;
	pthread_mutex_t trim_lock;
	pthread_cond_t trim;
};

/* With the lock held. */
struct entry *entry_find(struct replicator *, const char *name);
/* Starts its site, or notes why that cannot be. */
void entry_start(struct replicator *, struct entry *);
int entry_add(struct replicator *, const char *name, struct settings *,
    int from_config, struct error *err);
void entry_drop(struct replicator *, struct entry *);
void entry_set(struct replicator *, struct entry *, struct settings *);

int trimmer_start(struct replicator *, struct error *err);
void trimmer_stop(struct replicator *);
void trimmer_wake(void *replicator);
/* Journalling is on while there is a destination. */
int replicator_set_journal(struct replicator *, struct error *err);

/* The recovery hold. */
#define HOLD_MS (7ULL * 24 * 3600 * 1000)
int hold_begin(struct replicator *, struct error *err);
void hold_load(struct replicator *);

/* The destinations as the store's copies elsewhere, and no longer. */
void replicator_lend(struct replicator *);
void replicator_withdraw(struct replicator *);

int replicator_save(
    struct replicator *, const struct entry *, struct error *err);
/* Reads saved and preset destinations. */
int replicator_load(
    struct replicator *, const struct replicator_options *, struct error *err);

/* remote.c, for remote_verify.c. */
int remote_error(struct error *err, const struct fault *fault);
int remote_archived(struct error *err, const char *storage_class);
/* struct remote's verify(). */
int remote_verify(void *context, struct slice bucket, struct slice key,
    const struct object_record *, struct buffer *place, struct error *err);

#endif
