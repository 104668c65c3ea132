#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"

/* Connections that reads of what is elsewhere use one after another. */

#define LENT_MAX 32

static int
is_ending(void *arg)
{
	struct replicator *r = arg;

	return atomic_load(&r->ending);
}

static void
lent_free(struct lent *l)
{
	if (l == NULL)
		return;
	destination_session_free(l->session);
	destination_close(l->destination);
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

struct lent *
lent_take(struct replicator *r, const char *name, struct error *err)
{
	struct entry *e;
	struct lent *l;

	if ((l = pop(r, name)) != NULL)
		return l;
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	snprintf(l->name, sizeof(l->name), "%s", name);
	pthread_mutex_lock(&r->lock);
	if ((e = entry_find(r, name)) == NULL)
		error_set(err, ERR_NOT_FOUND,
		    "there is no destination \"%s\" any more", name);
	else
		l->destination = destination_open(&e->settings->fields, err);
	pthread_mutex_unlock(&r->lock);
	if (l->destination == NULL ||
	    (l->session = destination_session_new(
		 l->destination, is_ending, r, err)) == NULL) {
		lent_free(l);
		return NULL;
	}
	return l;
}

void
lent_give(struct replicator *r, struct lent *l)
{
	pthread_mutex_lock(&r->lent_lock);
	if (r->n_lent < LENT_MAX) {
		l->next = r->lent;
		r->lent = l;
		r->n_lent++;
		l = NULL;
	}
	pthread_mutex_unlock(&r->lent_lock);
	lent_free(l);
}

void
lent_clear(struct replicator *r)
{
	struct lent *l;

	for (;;) {
		pthread_mutex_lock(&r->lent_lock);
		if ((l = r->lent) != NULL) {
			r->lent = l->next;
			r->n_lent--;
		}
		pthread_mutex_unlock(&r->lent_lock);
		if (l == NULL)
			return;
		lent_free(l);
	}
}

void
place_encode(struct buffer *out, const char *name, struct slice remote_key)
{
	buffer_add_u8(out, 1);
	buffer_add_be16(out, (uint16_t)strlen(name));
	buffer_add_text(out, name);
	buffer_add_be16(out, (uint16_t)remote_key.len);
	buffer_add_slice(out, remote_key);
}
