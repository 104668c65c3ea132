#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"
#include "store/store.h"

/* Destinations as they are saved, and their list in memory. */

struct entry *
entry_find(struct replicator *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n_entries; i++)
		if (strcmp(r->entries[i]->name, name) == 0)
			return r->entries[i];
	return NULL;
}

void
entry_start(struct replicator *r, struct entry *e)
{
	struct site_options options = { .store = r->store,
		.name = e->name,
		.from_config = e->from_config,
		.unordered = r->unordered,
		.crash = r->crash,
		.settings = e->settings,
		.hold_ms = atomic_load(&r->hold_ms),
		.advanced = trimmer_wake,
		.advanced_arg = r };
	struct error err = ERROR_INIT;

	e->reason[0] = '\0';
	e->site = site_start(&options, &err);
	if (e->site != NULL)
		return;
	snprintf(e->reason, sizeof(e->reason), "%s", err.text);
	log_line(LOG_ERROR, "replicator.start", "%s", err.text);
}

int
entry_add(struct replicator *r, const char *name, struct settings *settings,
    int from_config, struct error *err)
{
	struct entry *e, **more;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		return error_nomem(err);
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->settings = settings;
	e->from_config = from_config;
	pthread_mutex_lock(&r->list_lock);
	more = realloc(r->entries, (r->n_entries + 1) * sizeof(*more));
	if (more != NULL) {
		r->entries = more;
		r->entries[r->n_entries++] = e;
	}
	pthread_mutex_unlock(&r->list_lock);
	if (more != NULL)
		return 0;
	free(e);
	return error_nomem(err);
}

void
entry_set(struct replicator *r, struct entry *e, struct settings *settings)
{
	pthread_mutex_lock(&r->list_lock);
	e->settings = settings;
	pthread_mutex_unlock(&r->list_lock);
}

void
entry_drop(struct replicator *r, struct entry *e)
{
	size_t i;

	site_stop(e->site);
	e->site = NULL;
	pthread_mutex_lock(&r->list_lock);
	for (i = 0; r->entries[i] != e; i++)
		;
	memmove(&r->entries[i], &r->entries[i + 1],
	    (r->n_entries - i - 1) * sizeof(*r->entries));
	r->n_entries--;
	pthread_mutex_unlock(&r->list_lock);
	settings_free(e->settings);
	free(e);
}

int
replicator_save(struct replicator *r, const struct entry *e, struct error *err)
{
	struct note_batch batch = { 0 };
	struct note_names names;
	char key[NOTE_KEY_BYTES], *text;
	json_t *json;
	int failed;

	if (!r->sealed) {
		if (seal_open(&r->seal, r->dir, err) != 0)
			return -1;
		r->sealed = 1;
	}
	if ((json = settings_sealed(e->settings, &r->seal, err)) == NULL)
		return -1;
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return error_nomem(err);
	note_names_set(&names, e->name);
	note_plain(&names, 'c', key);
	batch_set(&batch, key, slice_text(text));
	failed = batch_commit(&batch, r->store, err);
	batch_free(&batch);
	free(text);
	return failed;
}

struct loading {
	struct replicator *replicator;
	struct error *err;
	int failed;
};

static int
load_saved(struct slice key, struct slice value, void *arg)
{
	struct loading *l = arg;
	struct replicator *r = l->replicator;
	struct settings *settings;
	char name[64];
	json_t *json;

	/* "r/NAME/c" */
	if (key.len < 5 || key.len - 4 >= sizeof(name) ||
	    memcmp(key.at + key.len - 2, "/c", 2) != 0 ||
	    memchr(key.at + 2, '/', key.len - 4) != NULL)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(key.len - 4), key.at + 2);
	if (entry_find(r, name) != NULL)
		return 0;
	if (!r->sealed) {
		if ((l->failed = seal_open(&r->seal, r->dir, l->err)) != 0)
			return 1;
		r->sealed = 1;
	}
	json = json_loadb(value.at, value.len, 0, NULL);
	settings = settings_unseal(json, &r->seal, l->err);
	json_decref(json);
	if (settings == NULL || entry_add(r, name, settings, 0, l->err) != 0) {
		settings_free(settings);
		error_add(l->err, "destination %s", name);
		l->failed = 1;
	}
	return l->failed;
}

static int
load_preset(struct replicator *r, const struct replicator_preset *preset,
    struct error *err)
{
	struct settings *settings;

	settings = settings_make(NULL, &preset->fields, &preset->policy, err);
	if (settings == NULL)
		return -1;
	settings->take_over = preset->take_over;
	if (entry_add(r, preset->name, settings, 1, err) != 0) {
		settings_free(settings);
		return -1;
	}
	return 0;
}

/* What an earlier test found out of the provider. */
static void
look_up_learnt(struct replicator *r, const struct entry *e)
{
	struct buffer value = BUFFER_INIT;
	struct note_names names;
	char key[NOTE_KEY_BYTES];

	note_names_set(&names, e->name);
	note_plain(&names, 'b', key);
	if (store_note(r->store, slice_text(key), &value, NULL) == 0) {
		buffer_add_u8(&value, '\0');
		if (!value.failed)
			destination_recall(
			    e->settings->fields.provider, value.at);
	}
	buffer_free(&value);
}

/* The watermark that is durable, or -1 when the destination is new. */
static int
look_up_state(struct replicator *r, struct entry *e)
{
	struct buffer value = BUFFER_INIT;
	struct note_names names;
	char key[NOTE_KEY_BYTES];
	int found;

	note_names_set(&names, e->name);
	note_plain(&names, 'w', key);
	found = store_note(r->store, slice_text(key), &value, NULL) == 0;
	if (found && value.len >= 9)
		e->durable = be64_get((const uint8_t *)value.at + 1);
	buffer_free(&value);
	return found ? 0 : -1;
}

/* What is left of destinations that the configuration file no longer has. */
struct leftover {
	struct replicator *replicator;
	char name[64];
};

static int
see_leftover(struct slice key, struct slice value, void *arg)
{
	struct leftover *l = arg;
	const char *end;
	char name[64];

	(void)value;
	end = memchr(key.at + 2, '/', key.len - 2);
	if (end == NULL || end - key.at - 2 >= (long)sizeof(name))
		return 0;
	snprintf(
	    name, sizeof(name), "%.*s", (int)(end - key.at - 2), key.at + 2);
	/* While objects are there alone, nothing of it is forgotten. */
	if (entry_find(l->replicator, name) != NULL ||
	    importer_needs(l->replicator, name))
		return 0;
	snprintf(l->name, sizeof(l->name), "%s", name);
	return 1;
}

static int
forget_leftovers(struct replicator *r, struct error *err)
{
	struct leftover l = { .replicator = r };

	do {
		l.name[0] = '\0';
		if (store_notes(r->store, SLICE_LITERAL("r/"), SLICE_NULL,
			see_leftover, &l, err) != 0)
			return -1;
		if (l.name[0] != '\0' &&
		    site_forget(r->store, l.name, err) != 0)
			return -1;
	} while (l.name[0] != '\0');
	return 0;
}

/* The configuration file names another place than before: not while something
 * is at that one alone. */
static int
check_place(struct replicator *r, const struct entry *e, struct error *err)
{
	if (importer_needs(r, e->name))
		error_set(err, ERR_CONFLICT,
		    "the store is being restored from %s", e->name);
	else if (place_is_sole(r, e->name, err) == 0)
		return 0;
	return error_add(err,
	    "the configuration file names another place for the destination %s",
	    e->name);
}

int
replicator_load(struct replicator *r, const struct replicator_options *options,
    struct error *err)
{
	struct loading l = { r, err, 0 };
	struct entry *e;
	int about;
	size_t i;

	for (i = 0; i < options->n_presets; i++)
		if (load_preset(r, &options->presets[i], err) != 0)
			return -1;
	if (store_notes(r->store, SLICE_LITERAL("r/"), SLICE_NULL, load_saved,
		&l, err) != 0 ||
	    l.failed || forget_leftovers(r, err) != 0 ||
	    replicator_set_journal(r, err) != 0)
		return -1;
	for (i = 0; i < r->n_entries; i++) {
		e = r->entries[i];
		look_up_learnt(r, e);
		about = site_is_about(r->store, e->name, e->settings);
		if (!about && check_place(r, e, err) != 0)
			return -1;
		if ((!about || look_up_state(r, e) != 0) &&
		    (site_begin_anew(r->store, e->name, e->settings, err) !=
			    0 ||
			look_up_state(r, e) != 0))
			return -1;
		entry_start(r, e);
	}
	return 0;
}
