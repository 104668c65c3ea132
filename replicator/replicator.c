#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/audit.h"
#include "replicator/auditor.h"
#include "replicator/importer.h"
#include "replicator/notes.h"
#include "replicator/owner.h"
#include "replicator/replicator_private.h"
#include "store/store.h"

/* The list of destinations, and what a person may do to it. */

struct replicator *
replicator_start(struct store *store, const struct replicator_options *options,
    struct error *err)
{
	struct replicator *r;

	if (http_client_global_init(err) != 0)
		return NULL;
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	r->store = store;
	r->unordered = options->unordered;
	r->crash = options->crash;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_mutex_init(&r->list_lock, NULL);
	(void)pthread_mutex_init(&r->trim_lock, NULL);
	(void)pthread_mutex_init(&r->lent_lock, NULL);
	r->hold_keep_ms = options->hold_ms > 0 ? options->hold_ms : HOLD_MS;
	hold_load(r);
	(void)pthread_cond_init(&r->trim, NULL);
	if ((r->dir = strdup(options->dir)) == NULL) {
		error_nomem(err);
		goto fail;
	}
	if (importer_foresee(r, err) != 0 ||
	    replicator_load(r, options, err) != 0 || trimmer_start(r, err) != 0)
		goto fail;
	if (auditor_start(r, options->audit_interval_ms, err) != 0)
		goto fail;
	if (importer_resume(r, err) != 0)
		goto fail;
	replicator_lend(r);
	return r;

fail:
	replicator_stop(r);
	return NULL;
}

void
replicator_stop(struct replicator *r)
{
	if (r == NULL)
		return;
	replicator_withdraw(r);
	auditor_stop(r);
	importer_stop(atomic_exchange(&r->importer, NULL));
	lent_clear(r);
	/* The trimmer first: it would take an empty list for leave. */
	trimmer_stop(r);
	while (r->n_entries > 0)
		entry_drop(r, r->entries[r->n_entries - 1]);
	(void)pthread_mutex_destroy(&r->lock);
	(void)pthread_mutex_destroy(&r->list_lock);
	(void)pthread_mutex_destroy(&r->trim_lock);
	(void)pthread_mutex_destroy(&r->lent_lock);
	(void)pthread_cond_destroy(&r->trim);
	seal_wipe(&r->seal);
	free(r->entries);
	free(r->dir);
	free(r);
}

static int
check_name(const char *name, struct error *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > 63 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != len)
		return error_set(err, ERR_INVALID,
		    "a destination's name has 1 to 63 of the characters a-z, "
		    "0-9, - and _");
	return 0;
}

static int
no_such(struct error *err, const char *name)
{
	return error_set(err, ERR_NOT_FOUND,
	    "there is no destination \"%.63s\": `holdfast destination list` "
	    "shows them",
	    name);
}

/* Its own fields alone. */
static struct destination *
open_checked(const struct settings *s, struct error *err)
{
	struct schedule schedule;

	if (s->policy.brake_percent > 100) {
		error_set(err, ERR_INVALID,
		    "brake_percent: it is a share of at most 100");
		return NULL;
	}
	if (schedule_parse(&schedule, s->policy.window, err) != 0)
		return NULL;
	schedule_free(&schedule);
	return destination_open(&s->fields, err);
}

/* Refuses a path that is known to be another's. What cannot be asked now is
 * asked by the destination's own thread. */
static int
check_owner(struct replicator *r, const struct settings *s, struct error *err)
{
	struct owner_claim claim = { .take_over = s->take_over,
		.look_only = 1 };
	struct destination_session *session;
	struct destination_limits limits;
	struct fault fault = FAULT_INIT;
	struct store_figures figures;
	struct destination *d;
	int failed = 0;

	if ((d = open_checked(s, err)) == NULL)
		return -1;
	if ((session = destination_session_new(d, NULL, NULL, err)) == NULL) {
		destination_close(d);
		return -1;
	}
	store_figures(r->store, &figures);
	claim.store_empty = figures.objects == 0 && figures.versions == 0;
	hex_encode(store_id(r->store), 16, claim.store);
	destination_limits(d, &limits);
	if (owner_check(
		destination_table(d), session, &limits, &claim, &fault) != 0 &&
	    claim.foreign && !claim.holds_data)
		failed = error_set(err, ERR_EXISTS, "%s", fault.text);
	destination_session_free(session);
	destination_close(d);
	return failed;
}

int
replicator_add(struct replicator *r, const char *name,
    const struct destination_fields *fields,
    const struct destination_policy *policy, int take_over, const char *who,
    struct error *err)
{
	struct settings *settings;
	struct entry *e;

	if (check_name(name, err) != 0 ||
	    (settings = settings_make(NULL, fields, policy, err)) == NULL)
		return -1;
	settings->take_over = take_over;
	if (check_owner(r, settings, err) != 0) {
		settings_free(settings);
		return -1;
	}
	pthread_mutex_lock(&r->lock);
	if (entry_find(r, name) != NULL) {
		error_set(err, ERR_EXISTS,
		    "there is a destination \"%s\" already", name);
		goto fail;
	}
	if (entry_add(r, name, settings, 0, err) != 0)
		goto fail;
	e = r->entries[r->n_entries - 1];
	settings = NULL; /* the entry's */
	e->durable = store_visible(r->store);
	if (replicator_set_journal(r, err) != 0 ||
	    site_create(r->store, name, e->settings, err) != 0 ||
	    replicator_save(r, e, err) != 0) {
		entry_drop(r, e);
		(void)site_forget(r->store, name, NULL);
		(void)replicator_set_journal(r, NULL);
		goto fail;
	}
	entry_start(r, e);
	audit_write(
	    r->dir, who, "destination.add", name, settings_public(e->settings));
	pthread_mutex_unlock(&r->lock);
	return 0;

fail:
	pthread_mutex_unlock(&r->lock);
	settings_free(settings);
	return -1;
}

static int
change(struct replicator *r, struct entry *e, struct settings *settings,
    struct error *err)
{
	int elsewhere = settings_are_elsewhere(e->settings, settings);
	struct settings *old = e->settings;

	if (elsewhere && importer_needs(r, e->name))
		return error_set(err, ERR_CONFLICT,
		    "the store is being restored from %s: some of its contents "
		    "are there alone",
		    e->name);
	if (elsewhere && place_is_sole(r, e->name, err) != 0)
		return -1;
	site_stop(e->site);
	e->site = NULL;
	entry_set(r, e, settings);
	lent_clear(r);
	if ((elsewhere &&
		site_begin_anew(r->store, e->name, settings, err) != 0) ||
	    replicator_save(r, e, err) != 0) {
		entry_set(r, e, old);
		lent_clear(r);
		entry_start(r, e);
		return -1;
	}
	if (elsewhere)
		e->durable = store_visible(r->store);
	settings_free(old);
	entry_start(r, e);
	return 0;
}

int
replicator_set(struct replicator *r, const char *name, const json_t *changes,
    const char *who, struct error *err)
{
	struct settings *settings = NULL;
	json_t *difference = NULL;
	struct destination *d;
	struct entry *e;
	int failed = -1;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL) {
		no_such(err, name);
		goto out;
	}
	if (e->from_config) {
		error_set(err, ERR_CONFLICT,
		    "the configuration file sets the destination %s: change it "
		    "there",
		    name);
		goto out;
	}
	settings = settings_change(e->settings, changes, err);
	if (settings == NULL || (d = open_checked(settings, err)) == NULL)
		goto out;
	destination_close(d);
	difference = settings_difference(e->settings, settings);
	if (change(r, e, settings, err) != 0)
		goto out;
	settings = NULL;
	audit_write(r->dir, who, "destination.set", name, difference);
	difference = NULL;
	failed = 0;
out:
	pthread_mutex_unlock(&r->lock);
	json_decref(difference);
	settings_free(settings);
	return failed;
}

int
replicator_remove(
    struct replicator *r, const char *name, const char *who, struct error *err)
{
	struct entry *e;
	int failed = -1;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL)
		no_such(err, name);
	else if (e->from_config)
		error_set(err, ERR_CONFLICT,
		    "the configuration file has the destination %s: remove it "
		    "there",
		    name);
	else if (importer_needs(r, name))
		error_set(err, ERR_CONFLICT,
		    "the store is being restored from %s: some of its contents "
		    "are there alone",
		    name);
	else if (place_is_sole(r, name, err) == 0) {
		entry_drop(r, e);
		lent_clear(r);
		failed = site_forget(r->store, name, err);
		if (r->n_entries == 0 && replicator_set_journal(r, err) != 0)
			failed = -1;
		audit_write(r->dir, who, "destination.remove", name, NULL);
	}
	pthread_mutex_unlock(&r->lock);
	trimmer_wake(r);
	return failed;
}

int
replicator_pause(struct replicator *r, const char *name, int pause,
    int accept_deletes, const char *who, struct error *err)
{
	struct entry *e;
	int failed = -1;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL)
		no_such(err, name);
	else if (e->site == NULL)
		error_set(err, ERR_CONFLICT, "%s", e->reason);
	else
		failed = site_pause(e->site, pause, accept_deletes, err);
	if (!failed)
		audit_write(r->dir, who,
		    pause ? "destination.pause" : "destination.resume", name,
		    accept_deletes ? json_pack("{s:b}", "accept_deletes", 1)
				   : NULL);
	pthread_mutex_unlock(&r->lock);
	return failed;
}

static struct settings *
settings_of(struct replicator *r, const char *name, struct error *err)
{
	struct settings *settings = NULL;
	struct entry *e;

	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL)
		no_such(err, name);
	else
		settings = settings_make(e->settings, NULL, NULL, err);
	pthread_mutex_unlock(&r->lock);
	return settings;
}

/* What the test found out of the provider is known after a restart, too. */
static void
keep_learnt(struct replicator *r, const char *name, const struct destination *d)
{
	struct note_batch batch = { 0 };
	struct error err = ERROR_INIT;
	char text[REMOTE_LEARNT_BYTES], key[NOTE_KEY_BYTES];
	struct note_names names;

	destination_learnt(d, text);
	if (text[0] == '\0')
		return;
	note_names_set(&names, name);
	note_plain(&names, 'b', key);
	batch_set(&batch, key, slice_text(text));
	if (batch_commit(&batch, r->store, &err) != 0)
		log_line(LOG_WARN, "replicator", "%s", err.text);
	batch_free(&batch);
}

int
replicator_test(struct replicator *r, const char *name,
    const struct destination_fields *fields, probe_visit *visit, void *arg,
    struct error *err)
{
	struct destination_session *session;
	struct fault fault = FAULT_INIT;
	struct settings *settings;
	struct destination *d;
	struct entry *e;
	int failed = -1;

	settings = name != NULL ? settings_of(r, name, err)
				: settings_make(NULL, fields, NULL, err);
	if (settings == NULL)
		return -1;
	if ((d = open_checked(settings, err)) == NULL)
		goto out;
	if ((session = destination_session_new(d, NULL, NULL, err)) != NULL) {
		failed = destination_table(d)->probe(
		    destination_call(session), visit, arg, &fault);
		if (failed)
			error_set(err, ERR_CONFLICT, "%s", fault.text);
		else if (name != NULL)
			keep_learnt(r, name, d);
	}
	destination_session_free(session);
	destination_close(d);
	pthread_mutex_lock(&r->lock);
	if (name != NULL && (e = entry_find(r, name)) != NULL &&
	    e->site != NULL)
		site_nudge(e->site);
	pthread_mutex_unlock(&r->lock);
out:
	settings_free(settings);
	return failed;
}
