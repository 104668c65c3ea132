#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"
#include "store/remote.h"

/* Connections that reads of what is elsewhere use one after another. */

#define LENT_MAX 64

static int
is_ending(void *arg)
{
	struct replicator *r = arg;

	return atomic_load(&r->ending);
}

/* With lent_lock held: nobody uses it, and its settings are no more. */
static void
drop_unused(struct replicator *r)
{
	struct lent_place **p = &r->places, *place;

	while ((place = *p) != NULL) {
		if (place->users > 0 ||
		    place->generation == r->lent_generation) {
			p = &place->next;
			continue;
		}
		*p = place->next;
		destination_close(place->destination);
		free(place);
	}
}

static void
lent_free(struct replicator *r, struct lent *l)
{
	if (l == NULL)
		return;
	destination_session_free(l->session);
	if (l->place != NULL) {
		pthread_mutex_lock(&r->lent_lock);
		l->place->users--;
		drop_unused(r);
		pthread_mutex_unlock(&r->lent_lock);
	}
	free(l);
}

static struct lent *
pop(struct replicator *r, const char *name)
{
	struct lent **p, *l = NULL;

	pthread_mutex_lock(&r->lent_lock);
	for (p = &r->lent; *p != NULL; p = &(*p)->next)
		if (strcmp((*p)->name, name) == 0) {
			l = *p;
			*p = l->next;
			r->n_lent--;
			break;
		}
	pthread_mutex_unlock(&r->lent_lock);
	return l;
}

/* The destination that all its connections share: credentials are asked for
 * once, and what is learnt of it is known to all. */
static struct lent_place *
place_take(struct replicator *r, const char *name, struct error *err)
{
	struct lent_place *place;
	struct entry *e;

	pthread_mutex_lock(&r->list_lock);
	pthread_mutex_lock(&r->lent_lock);
	for (place = r->places; place != NULL; place = place->next)
		if (place->generation == r->lent_generation &&
		    strcmp(place->name, name) == 0)
			break;
	if (place != NULL) {
		place->users++;
		goto out;
	}
	if ((e = entry_find(r, name)) == NULL) {
		error_set(err, ERR_NOT_FOUND,
		    "there is no destination \"%s\" any more", name);
		goto out;
	}
	if ((place = calloc(1, sizeof(*place))) == NULL) {
		error_nomem(err);
		goto out;
	}
	place->destination = destination_open(&e->settings->fields, err);
	if (place->destination == NULL) {
		free(place);
		place = NULL;
		goto out;
	}
	snprintf(place->name, sizeof(place->name), "%s", name);
	place->generation = r->lent_generation;
	place->users = 1;
	place->next = r->places;
	r->places = place;
out:
	pthread_mutex_unlock(&r->lent_lock);
	pthread_mutex_unlock(&r->list_lock);
	return place;
}

struct lent *
lent_take(struct replicator *r, const char *name, struct error *err)
{
	struct lent *l;

	if ((l = pop(r, name)) != NULL)
		return l;
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	snprintf(l->name, sizeof(l->name), "%s", name);
	if ((l->place = place_take(r, name, err)) == NULL) {
		lent_free(r, l);
		return NULL;
	}
	l->destination = l->place->destination;
	l->session = destination_session_new(l->destination, is_ending, r, err);
	if (l->session == NULL) {
		lent_free(r, l);
		return NULL;
	}
	return l;
}

void
lent_give(struct replicator *r, struct lent *l)
{
	pthread_mutex_lock(&r->lent_lock);
	/* Of settings that were replaced meanwhile, it is of no use any more.
	 */
	if (r->n_lent < LENT_MAX &&
	    l->place->generation == r->lent_generation) {
		l->next = r->lent;
		r->lent = l;
		r->n_lent++;
		l = NULL;
	}
	pthread_mutex_unlock(&r->lent_lock);
	lent_free(r, l);
}

void
lent_clear(struct replicator *r)
{
	struct lent *l;

	pthread_mutex_lock(&r->lent_lock);
	r->lent_generation++;
	pthread_mutex_unlock(&r->lent_lock);
	for (;;) {
		pthread_mutex_lock(&r->lent_lock);
		if ((l = r->lent) != NULL) {
			r->lent = l->next;
			r->n_lent--;
		} else
			drop_unused(r);
		pthread_mutex_unlock(&r->lent_lock);
		if (l == NULL)
			return;
		lent_free(r, l);
	}
}

/* ---- what the store remembers of a copy ---- */

#define PLACE_FORMAT 2

int
place_is_sole(struct replicator *r, const char *name, struct error *err)
{
	struct buffer prefix = BUFFER_INIT;
	struct place_use use = { 0 };
	char size[32];
	int rc;

	buffer_add_u8(&prefix, PLACE_FORMAT);
	buffer_add_be16(&prefix, (uint16_t)strlen(name));
	buffer_add_text(&prefix, name);
	rc = prefix.failed
	    ? error_nomem(err)
	    : store_place_use(r->store, buffer_slice(&prefix), &use, err);
	buffer_free(&prefix);
	if (rc != 0 || use.contents == 0)
		return rc;
	format_size(use.bytes, size, sizeof(size));
	return error_set(err, ERR_CONFLICT,
	    "%" PRIu64 " contents (%s) are at %s alone: give the disk room and "
	    "run without --tier-high-water, until `holdfast status` says that "
	    "none is away any more",
	    use.contents, size, name);
}

void
place_encode(struct buffer *out, const struct place *place)
{
	buffer_add_u8(out, PLACE_FORMAT);
	buffer_add_be16(out, (uint16_t)place->name.len);
	buffer_add_slice(out, place->name);
	buffer_add_be16(out, (uint16_t)place->key.len);
	buffer_add_slice(out, place->key);
	buffer_add_be16(out, (uint16_t)place->etag.len);
	buffer_add_slice(out, place->etag);
	buffer_add_be16(out, (uint16_t)place->provider_etag.len);
	buffer_add_slice(out, place->provider_etag);
}

int
place_decode(struct slice bytes, struct place *place, struct error *err)
{
	struct reader in = reader_of(bytes.at, bytes.len);
	uint8_t format = reader_u8(&in);

	place->name = reader_slice16(&in);
	place->key = reader_slice16(&in);
	place->etag = reader_slice16(&in);
	place->provider_etag = reader_slice16(&in);
	if (format == PLACE_FORMAT && !in.failed && place->name.len < 64)
		return 0;
	return error_set(err, ERR_FORMAT,
	    "what is remembered of a copy outside cannot be read");
}
