#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "replicator/filter.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"
#include "store/remote.h"

/* The destinations as the store's copies elsewhere (store/remote.h). Each copy
 * that is open has a connection of its own, made from the destination's fields,
 * so that nothing which a person does to a destination waits for it. */

struct copy {
	struct replicator *replicator;
	struct lent *lent; /* owns the two below, if it is there */
	struct destination *destination;
	struct destination_session *session;
	struct buffer key;
};

static int
is_ending(void *arg)
{
	struct replicator *r = arg;

	return atomic_load(&r->ending);
}

static void
copy_close(void *arg)
{
	struct copy *c = arg;

	if (c == NULL)
		return;
	if (c->lent != NULL)
		lent_give(c->replicator, c->lent);
	else {
		destination_session_free(c->session);
		destination_close(c->destination);
	}
	buffer_free(&c->key);
	free(c);
}

int
remote_error(struct error *err, const struct fault *fault)
{
	switch (fault->kind) {
	case FAULT_MISSING:
		return error_set(err, ERR_NOT_FOUND, "%s", fault->text);
	case FAULT_STOPPED:
		return error_set(err, ERR_CLOSING, "the server is stopping");
	case FAULT_RETRY:
	case FAULT_PERSON:
		return error_set(err, ERR_AWAY,
		    "the bytes are at the destination alone, which cannot be "
		    "read now: %s",
		    fault->text);
	default:
		return error_set(err, ERR_IO, "%s", fault->text);
	}
}

int
remote_archived(struct error *err, const char *storage_class)
{
	return error_set(err, ERR_ARCHIVED,
	    "the bytes are at the destination alone, in the class %s, which "
	    "cannot be read at once: restore the object there, or move it to "
	    "another class, and read it again when that is done",
	    storage_class[0] != '\0' ? storage_class : "\"archive\"");
}

/* The next destination from *next on that takes the key, opened. 1 when there
 * is none. */
static int
next_copy(struct replicator *r, struct slice bucket, struct slice key,
    unsigned *next, struct copy *c, struct error *err)
{
	const struct settings *s;
	struct filter filter;
	int rc = 1;

	pthread_mutex_lock(&r->list_lock);
	while (rc == 1 && *next < r->n_entries) {
		s = r->entries[(*next)++]->settings;
		filter = (struct filter){ s->policy.include, s->policy.exclude,
			s->policy.source_bucket };
		if (!filter_takes(&filter, bucket, key))
			continue;
		buffer_clear(&c->key);
		if (filter.bucket == NULL) {
			buffer_add_slice(&c->key, bucket);
			buffer_add_u8(&c->key, '/');
		}
		buffer_add_slice(&c->key, key);
		c->destination = destination_open(&s->fields, err);
		rc = c->destination == NULL ? -1 : 0;
	}
	pthread_mutex_unlock(&r->list_lock);
	return rc;
}

/* Whether what is outside is what the record says. What was read of it is
 * verified anyway. */
static int
is_same(struct copy *c, const struct object_record *rec, struct error *err)
{
	struct remote_stat stat;
	struct fault fault = FAULT_INIT;
	char etag[ETAG_BYTES];
	int same;

	memset(&stat, 0, sizeof(stat));
	if (destination_table(c->destination)
		->stat(destination_call(c->session), buffer_slice(&c->key),
		    &stat, &fault) != 0) {
		remote_error(err, &fault);
		buffer_free(&stat.memory);
		return 0;
	}
	object_etag(rec, etag);
	same = stat.size == rec->size &&
	    (stat.version == rec->version ||
		strcmp(stat.original_etag, etag) == 0 ||
		strcmp(stat.etag, etag) == 0);
	if (same && stat.archived) {
		remote_archived(err, stat.storage_class);
		same = 0;
	} else if (!same)
		error_set(err, ERR_NOT_FOUND,
		    "the copy outside is of another version");
	buffer_free(&stat.memory);
	return same;
}

static void *
copy_open(void *context, struct slice bucket, struct slice key,
    const struct object_record *rec, unsigned *next, struct error *err)
{
	struct replicator *r = context;
	struct copy *c;
	int rc;

	error_set(err, ERR_NOT_FOUND, "there is no copy elsewhere");
	for (;;) {
		if ((c = calloc(1, sizeof(*c))) == NULL) {
			error_nomem(err);
			return NULL;
		}
		c->replicator = r;
		if ((rc = next_copy(r, bucket, key, next, c, err)) == 1)
			break;
		if (rc == 0 &&
		    (c->session = destination_session_new(
			 c->destination, is_ending, r, err)) != NULL &&
		    is_same(c, rec, err))
			return c;
		copy_close(c);
	}
	copy_close(c);
	return NULL;
}

/* Which class it is in, for the sentence. */
static int
tell_class(struct copy *c, struct error *err)
{
	struct remote_stat stat;
	struct fault fault = FAULT_INIT;

	memset(&stat, 0, sizeof(stat));
	if (destination_table(c->destination)
		->stat(destination_call(c->session), buffer_slice(&c->key),
		    &stat, &fault) != 0)
		stat.storage_class[0] = '\0';
	buffer_free(&stat.memory);
	return remote_archived(err, stat.storage_class);
}

/* What passes by itself is tried again, not so long that a client gives up. */
#define TRIES 3
#define PAUSE_NS 100000000L

static int
copy_read(
    void *copy, uint64_t offset, void *bytes, size_t len, struct error *err)
{
	struct copy *c = copy;
	struct fault fault;
	unsigned tries = 0;

	for (;;) {
		fault = (struct fault)FAULT_INIT;
		if (destination_table(c->destination)
			->get(destination_call(c->session),
			    buffer_slice(&c->key), offset, len, bytes,
			    &fault) == 0)
			return 0;
		if (fault.archived)
			return tell_class(c, err);
		if (fault.kind != FAULT_RETRY || ++tries == TRIES ||
		    is_ending(c->replicator))
			return remote_error(err, &fault);
		nanosleep(&(struct timespec){ 0, PAUSE_NS << tries }, NULL);
	}
}

/* ---- what is there alone ---- */

/* Smaller ones are fetched whole and verified by their MD5, but for those whose
 * ETag is none. */
#define LOOK_FIRST_BYTES (8 * 1024 * 1024)

/* Whether what is there is still what was adopted. 0, or -1 and *err. */
static int
check_place(
    struct copy *c, const struct place *place, uint64_t size, struct error *err)
{
	struct remote_stat stat;
	struct fault fault = FAULT_INIT;
	int same;

	memset(&stat, 0, sizeof(stat));
	if (destination_table(c->destination)
		->stat(destination_call(c->session), buffer_slice(&c->key),
		    &stat, &fault) != 0) {
		remote_error(err, &fault);
		if (fault.kind == FAULT_MISSING)
			err->kind = ERR_IO;
		buffer_free(&stat.memory);
		return -1;
	}
	same = stat.size >= size &&
	    (slice_is(place->etag, stat.original_etag) ||
		slice_is(place->etag, stat.etag) ||
		slice_is(place->provider_etag, stat.etag));
	if (!same)
		error_set(err, ERR_DAMAGED,
		    "its copy outside was overwritten by others, and it is "
		    "there alone");
	else if (stat.archived)
		remote_archived(err, stat.storage_class);
	buffer_free(&stat.memory);
	return err->kind == ERR_NONE ? 0 : -1;
}

static void *
place_open(
    void *context, struct slice encoded, uint64_t size, struct error *err)
{
	struct replicator *r = context;
	struct place place;
	char name[64];
	struct copy *c;

	if (place_decode(encoded, &place, err) != 0)
		return NULL;
	memcpy(name, place.name.at, place.name.len);
	name[place.name.len] = '\0';
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	c->replicator = r;
	buffer_add_slice(&c->key, place.key);
	if (c->key.failed)
		error_nomem(err);
	else
		c->lent = lent_take(r, name, err);
	if (c->lent == NULL) {
		if (err->kind == ERR_NOT_FOUND)
			err->kind = ERR_AWAY;
		goto fail;
	}
	c->destination = c->lent->destination;
	c->session = c->lent->session;
	if ((size <= LOOK_FIRST_BYTES &&
		memchr(place.etag.at, '-', place.etag.len) == NULL) ||
	    check_place(c, &place, size, err) == 0)
		return c;
fail:
	copy_close(c);
	return NULL;
}

static int
want(void *context, struct slice bucket, struct slice key, struct error *err)
{
	struct replicator *r = context;
	struct importer *im = atomic_load(&r->importer);

	if (im == NULL)
		return error_set(
		    err, ERR_BUSY, "the store's restore is about to begin");
	return importer_want(im, bucket, key, err);
}

static int
knows(void *context, struct slice bucket, struct slice prefix)
{
	struct replicator *r = context;
	struct importer *im = atomic_load(&r->importer);

	return im != NULL && importer_knows(im, bucket, prefix);
}

void
replicator_lend(struct replicator *r)
{
	r->remote = (struct remote){ r, copy_open, copy_read, copy_close,
		place_open, remote_verify, want, knows };
	store_set_remote(r->store, &r->remote);
}

void
replicator_withdraw(struct replicator *r)
{
	atomic_store(&r->ending, 1);
	store_set_remote(r->store, NULL);
}
