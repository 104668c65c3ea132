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
#define EPOCHS_MAX 0xffff

/* ---- taking the path ---- */

static int
make_bucket(struct slice name, void *arg, struct fault *fault)
{
	struct put_bucket put = { .name = name };

	if (store_create_bucket(arg, &put) == 0 ||
	    put.change.err.kind == ERR_EXISTS)
		return 0;
	return fault_set(fault, FAULT_RETRY, "%s", put.change.err.text);
}

static int
own_path(struct replicator *r, const char *name, const struct settings *s,
    uint64_t *epoch, struct fault *fault)
{
	struct owner_claim claim = { .take_over = 1 };
	const struct destination_protocol *table;
	struct error err = ERROR_INIT;
	struct destination_limits limits;
	struct lent *l;
	int failed;

	if ((l = lent_take(r, name, &err)) == NULL)
		return fault_set(fault, FAULT_PERSON, "%s", err.text);
	table = destination_table(l->destination);
	destination_limits(l->destination, &limits);
	hex_encode(store_id(r->store), 16, claim.store);
	failed = import_buckets(s, table, destination_call(l->session),
		     make_bucket, r->store, fault) != 0 ||
	    owner_check(table, l->session, &limits, &claim, fault) != 0;
	*epoch = claim.epoch;
	lent_give(r, l);
	return failed ? -1 : 0;
}

/* Its site may have gone past buckets that were made since the restore began,
 * and the journal may have been trimmed behind it. */
static uint64_t
watermark_of(struct replicator *r, const struct note_names *names)
{
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	uint64_t watermark = 0;

	note_plain(names, 'w', key);
	if (store_note(r->store, slice_text(key), &value, NULL) == 0 &&
	    value.len >= 9)
		watermark = be64_get((const uint8_t *)value.at + 1);
	buffer_free(&value);
	return watermark;
}

/* All that is there counts as published. */
static int
adopt_site(
    struct replicator *r, struct entry *e, uint64_t begin, struct error *err)
{
	struct note_batch batch = { 0 };
	struct site *site;
	char key[NOTE_KEY_BYTES];
	uint64_t durable;
	int failed;

	if ((site = calloc(1, sizeof(*site))) == NULL)
		return error_nomem(err);
	note_names_set(&site->names, e->name);
	if ((durable = watermark_of(r, &site->names)) > begin)
		begin = durable;
	site->store = r->store;
	site->claimed = 1;
	site->consistent_at = begin;
	site_add_state(site, &batch, begin);
	site_add_place(&site->names, e->settings, &batch);
	note_plain(&site->names, 's', key);
	batch_remove(&batch, key);
	failed = batch_commit(&batch, r->store, err);
	batch_free(&batch);
	free(site);
	if (!failed)
		e->durable = begin;
	return failed;
}

/* What comes back is new to it: its copy begins again. Nothing is noted of the
 * store's life before, which was another's. */
static int
begin_again(struct replicator *r, struct entry *e, struct error *err)
{
	static const char kinds[] = "dhpx";
	struct note_names names;
	char key[NOTE_KEY_BYTES];
	size_t i;

	note_names_set(&names, e->name);
	for (i = 0; kinds[i] != '\0'; i++) {
		snprintf(key, sizeof(key), "%s%c/", names.prefix, kinds[i]);
		if (notes_clear(r->store, key, err) != 0)
			return -1;
	}
	if (site_create(r->store, e->name, e->settings, err) != 0)
		return -1;
	e->durable = store_visible(r->store);
	return 0;
}

static int
set_sites(
    struct replicator *r, const char *name, uint64_t begin, struct error *err)
{
	struct entry *e;
	size_t i;
	int failed = 0;

	pthread_mutex_lock(&r->lock);
	for (i = 0; i < r->n_entries && !failed; i++) {
		e = r->entries[i];
		site_stop(e->site);
		e->site = NULL;
		failed = strcmp(e->name, name) == 0
		    ? adopt_site(r, e, begin, err)
		    : begin_again(r, e, err);
	}
	for (i = 0; i < r->n_entries; i++)
		if (r->entries[i]->site == NULL)
			entry_start(r, r->entries[i]);
	pthread_mutex_unlock(&r->lock);
	return failed ? -1 : 0;
}

int
restore_take(struct replicator *r, const char *name,
    const struct settings *settings, uint64_t begin, int *owned,
    struct fault *fault)
{
	struct raise_versions raise = { .next = 0 };
	struct error err = ERROR_INIT;
	uint64_t epoch = 0;

	if (own_path(r, name, settings, &epoch, fault) != 0)
		return -1;
	*owned = 1;
	raise.next = (epoch < EPOCHS_MAX ? epoch : EPOCHS_MAX)
	    << VERSIONS_PER_EPOCH_BITS;
	if (store_raise_versions(r->store, &raise) != 0)
		return fault_set(
		    fault, FAULT_RETRY, "%s", raise.change.err.text);
	if (hold_begin(r, &err) != 0 || set_sites(r, name, begin, &err) != 0)
		return fault_set(fault, FAULT_RETRY, "%s", err.text);
	return 0;
}

/* ---- beginning ---- */

static int
check_empty(struct replicator *r, struct error *err)
{
	struct store_figures f;

	store_figures(r->store, &f);
	if (f.objects + f.versions + f.uploads == 0)
		return 0;
	return error_set(err, ERR_CONFLICT,
	    "this store holds objects: a restore needs an empty one; stop the "
	    "server and start it on an empty data directory");
}

static struct settings *
settings_of(struct replicator *r, const char *name, struct error *err)
{
	struct destination_fields none = { 0 };
	struct settings *settings = NULL;
	struct entry *e;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL)
		error_set(err, ERR_NOT_FOUND,
		    "there is no destination \"%.63s\": `holdfast destination "
		    "list` shows them; or give the fields of one",
		    name);
	else {
		none.provider = e->settings->fields.provider;
		settings = settings_make(e->settings, &none, NULL, err);
	}
	pthread_mutex_unlock(&r->lock);
	return settings;
}

static int
refused_now(struct replicator *r, const struct settings *settings,
    int take_over, struct error *err)
{
	struct restore_survey survey;

	return check_empty(r, err) != 0 ||
	    restore_look(r, settings, 1, &survey, NULL, NULL, err) != 0 ||
	    restore_refuse(&survey, take_over, err) != 0;
}

/* Gives up before the path was taken. */
static void
give_up(struct replicator *r, const char *name)
{
	struct entry *e;

	(void)import_note_drop(r, name, NULL);
	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) != NULL && e->site == NULL)
		entry_start(r, e);
	pthread_mutex_unlock(&r->lock);
}

static int
begin_restore(struct replicator *r, const char *name,
    const struct settings *settings, uint64_t begin, struct error *err)
{
	struct import_note note = { .phase = IMPORT_TAKE, .begin = begin };
	struct fault fault = FAULT_INIT;
	struct importer *im;
	struct entry *e;
	int owned = 0;

	if (import_note_save(r, name, &note, err) != 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) != NULL) {
		site_stop(e->site);
		e->site = NULL;
		snprintf(e->reason, sizeof(e->reason), "a restore begins");
	}
	pthread_mutex_unlock(&r->lock);
	if (restore_take(r, name, settings, begin, &owned, &fault) == 0)
		note.phase = IMPORT_BACKUPS;
	else if (!owned) {
		give_up(r, name);
		return error_set(err,
		    fault.kind == FAULT_RETRY ? ERR_BUSY : ERR_CONFLICT, "%s",
		    fault.text);
	}
	if (note.phase == IMPORT_BACKUPS &&
	    import_note_save(r, name, &note, err) != 0)
		note.phase = IMPORT_TAKE;
	error_clear(err);
	pthread_mutex_lock(&r->lock);
	im = importer_start(r, name, &note, err);
	pthread_mutex_unlock(&r->lock);
	return im == NULL ? -1 : 0;
}

int
replicator_restore(struct replicator *r, const char *name, int take_over,
    const char *who, struct error *err)
{
	uint64_t begin = store_visible(r->store);
	struct settings *settings;
	int failed;

	if (atomic_exchange(&r->restoring, 1))
		return error_set(err, ERR_CONFLICT,
		    "a restore was begun already: `holdfast restore` without a "
		    "name shows how far it is");
	/* From here on nothing is written that is not known outside. */
	store_set_incomplete(r->store, 1);
	settings = settings_of(r, name, err);
	failed = settings == NULL || refused_now(r, settings, take_over, err) ||
	    begin_restore(r, name, settings, begin, err) != 0;
	settings_free(settings);
	/* Once the path is taken there is no way back: the next start goes on.
	 */
	if (failed && !importer_needs(r, name)) {
		store_set_incomplete(r->store, 0);
		atomic_store(&r->restoring, 0);
	}
	if (failed)
		return -1;
	audit_write(r->dir, who, "destination.restore", name, NULL);
	return 0;
}

int
replicator_restore_from(struct replicator *r, const char *name,
    const struct destination_fields *fields,
    const struct destination_policy *policy, int take_over, const char *who,
    struct error *err)
{
	struct settings *settings;
	struct error ignored = ERROR_INIT;
	int refused;

	if (atomic_load(&r->restoring) == 0) {
		if ((settings = settings_make(NULL, fields, policy, err)) ==
		    NULL)
			return -1;
		refused = refused_now(r, settings, take_over, err);
		settings_free(settings);
		if (refused)
			return -1;
		if (replicator_add(r, name, fields, policy, 0, who, err) != 0)
			return -1;
		if (replicator_restore(r, name, take_over, who, err) == 0)
			return 0;
		(void)replicator_remove(r, name, who, &ignored);
		return -1;
	}
	return replicator_restore(r, name, take_over, who, err);
}

int
replicator_survey(struct replicator *r, const char *name,
    const struct destination_fields *fields,
    const struct destination_policy *policy, int take_over,
    struct restore_survey *survey, survey_visit *visit, void *arg,
    struct error *refusal, struct error *err)
{
	struct settings *settings;
	int failed;

	settings = name != NULL ? settings_of(r, name, err)
				: settings_make(NULL, fields, policy, err);
	if (settings == NULL)
		return -1;
	failed = restore_look(r, settings, 0, survey, visit, arg, err);
	settings_free(settings);
	if (!failed && check_empty(r, refusal) == 0)
		(void)restore_refuse(survey, take_over, refusal);
	return failed;
}

/* ---- how far it is ---- */

/* By what was fetched since the round began. */
static uint64_t
estimate(const struct importer *im)
{
	uint64_t ms = clock_monotonic_ms() - im->fill_began_ms;
	uint64_t left = im->fill_total_bytes > im->fill_done_bytes
	    ? im->fill_total_bytes - im->fill_done_bytes
	    : 0;

	if (im->phase == IMPORT_DONE)
		return 0;
	if (im->phase != IMPORT_FILL || im->filled_bytes == 0 || ms < 1000)
		return UINT64_MAX;
	return (uint64_t)((double)left * (double)ms / 1000.0 /
	    (double)im->filled_bytes);
}

void
replicator_restore_status(struct replicator *r, struct restore_status *s)
{
	static const char *const phases[] = { [IMPORT_TAKE] = "taking over",
		[IMPORT_BACKUPS] = "backups",
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
	s->skipped = im->skipped;
	s->filled = im->filled;
	s->unfilled = im->unfilled;
	s->fill_done = im->fill_done;
	s->fill_total = im->fill_total;
	s->fill_done_bytes = im->fill_done_bytes;
	s->fill_total_bytes = im->fill_total_bytes;
	s->estimate_s = estimate(im);
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
