#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/audit.h"
#include "replicator/importer.h"
#include "replicator/owner.h"
#include "replicator/replicator_private.h"
#include "store/adopt.h"

/*
 * A restore: the path becomes this store's, what is there becomes known here,
 * and from then on the destination is one like any other, all of it being
 * outside already. Versions that are given here begin above those that the lost
 * store can have given.
 */

#define VERSIONS_PER_EPOCH_BITS 32

static int
error_of_fault(struct error *err, const struct fault *fault)
{
	return error_set(err,
	    fault->kind == FAULT_PERSON || fault->kind == FAULT_OBJECT
		? ERR_CONFLICT
		: ERR_BUSY,
	    "%s", fault->text);
}

static int
check_empty(struct replicator *r, struct error *err)
{
	struct store_figures f;

	if (atomic_load(&r->importer) != NULL)
		return error_set(err, ERR_CONFLICT,
		    "a restore was begun already: `holdfast restore` without a "
		    "name shows how far it is");
	store_figures(r->store, &f);
	if (f.objects + f.versions + f.uploads == 0)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "this store holds objects: a restore needs an empty one; stop the "
	    "server and start it on an empty data directory");
}

/* Takes the path, and makes the buckets that are there. */
static int
take_path(struct replicator *r, const struct settings *s, struct error *err)
{
	struct owner_claim claim = { .take_over = 1 };
	struct raise_versions raise = { .next = 0 };
	struct destination_session *session = NULL;
	struct fault fault = FAULT_INIT;
	struct destination_limits limits;
	struct destination *d;
	int failed = -1;

	if ((d = destination_open(&s->fields, err)) == NULL ||
	    (session = destination_session_new(d, NULL, NULL, err)) == NULL)
		goto out;
	destination_limits(d, &limits);
	hex_encode(store_id(r->store), 16, claim.store);
	store_set_incomplete(r->store, 1);
	if (owner_check(
		destination_table(d), session, &limits, &claim, &fault) != 0 ||
	    import_buckets(r->store, s, destination_table(d),
		destination_call(session), &fault) != 0) {
		error_of_fault(err, &fault);
		goto out;
	}
	raise.next = (claim.epoch < 15 ? claim.epoch : 15)
	    << VERSIONS_PER_EPOCH_BITS;
	if (store_raise_versions(r->store, &raise) != 0) {
		*err = raise.change.err;
		goto out;
	}
	failed = 0;
out:
	if (failed)
		store_set_incomplete(r->store, 0);
	destination_session_free(session);
	destination_close(d);
	return failed;
}

/* All that is there counts as published. */
static int
adopt_site(struct replicator *r, struct entry *e, struct error *err)
{
	struct note_batch batch = { 0 };
	struct site *site;
	char key[NOTE_KEY_BYTES];
	int failed;

	if ((site = calloc(1, sizeof(*site))) == NULL)
		return error_nomem(err);
	note_names_set(&site->names, e->name);
	site->store = r->store;
	site->claimed = 1;
	site->consistent_at = store_visible(r->store);
	site_add_state(site, &batch, site->consistent_at);
	note_plain(&site->names, 's', key);
	batch_remove(&batch, key);
	failed = batch_commit(&batch, r->store, err);
	batch_free(&batch);
	free(site);
	return failed;
}

int
replicator_restore(
    struct replicator *r, const char *name, const char *who, struct error *err)
{
	struct destination_fields none = { 0 };
	struct settings *settings = NULL;
	struct importer *im = NULL;
	struct entry *e;
	int failed;

	if (check_empty(r, err) != 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL)
		error_set(err, ERR_NOT_FOUND,
		    "there is no destination \"%.63s\": `holdfast destination "
		    "add` makes it known first",
		    name);
	else {
		none.provider = e->settings->fields.provider;
		settings = settings_make(e->settings, &none, NULL, err);
	}
	pthread_mutex_unlock(&r->lock);
	if (settings == NULL)
		return -1;
	failed = take_path(r, settings, err);
	settings_free(settings);
	if (failed || hold_begin(r, err) != 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) != NULL) {
		site_stop(e->site);
		e->site = NULL;
		if (adopt_site(r, e, err) == 0)
			im = importer_start(
			    r, name, IMPORT_BACKUPS, SLICE_NULL, 0, err);
		entry_start(r, e);
	} else
		error_set(err, ERR_CONFLICT, "it was removed meanwhile");
	pthread_mutex_unlock(&r->lock);
	if (im == NULL) {
		store_set_incomplete(r->store, 0);
		return -1;
	}
	importer_save(im);
	audit_write(r->dir, who, "destination.restore", name, NULL);
	return 0;
}

void
replicator_restore_status(struct replicator *r, struct restore_status *s)
{
	static const char *const phases[] = { [IMPORT_BACKUPS] = "backups",
		[IMPORT_ALL] = "listing",
		[IMPORT_FILL] = "filling",
		[IMPORT_KEPT] = "disk full enough",
		[IMPORT_DONE] = "done" };
	struct importer *im = atomic_load(&r->importer);

	*s = (struct restore_status){ 0 };
	if (im == NULL)
		return;
	pthread_mutex_lock(&im->lock);
	s->active = 1;
	s->done = im->phase == IMPORT_DONE;
	s->is_known = im->phase >= IMPORT_FILL;
	snprintf(s->name, sizeof(s->name), "%s", im->name);
	s->phase = phases[im->phase];
	s->known = im->known;
	s->failed = im->failed;
	s->filled = im->filled;
	s->fill_done = im->fill_done;
	s->fill_total = im->fill_total;
	snprintf(s->error, sizeof(s->error), "%s", im->error);
	pthread_mutex_unlock(&im->lock);
}

void
importer_state(struct replicator *r, struct destination_status *status)
{
	struct importer *im = atomic_load(&r->importer);

	if (im == NULL || strcmp(im->name, status->name) != 0 ||
	    status->state == DESTINATION_STOPPED ||
	    status->state == DESTINATION_PAUSED)
		return;
	pthread_mutex_lock(&im->lock);
	if (im->phase < IMPORT_FILL) {
		status->state = DESTINATION_RECOVERING;
		snprintf(status->reason, sizeof(status->reason),
		    "%" PRIu64 " objects that are there are known here so far",
		    im->known);
	} else if (im->phase < IMPORT_DONE && status->reason[0] == '\0')
		snprintf(status->reason, sizeof(status->reason),
		    "%" PRIu64 " of %" PRIu64 " objects are here again%s",
		    im->fill_done, im->fill_total,
		    im->phase == IMPORT_KEPT
			? "; the disk holds no more, the rest is read through"
			: "");
	pthread_mutex_unlock(&im->lock);
}
