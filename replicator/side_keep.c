#include <string.h>

#include "replicator/side_keep.h"

#define OWN_PREFIX "plugins/holdfast/"

int
side_keep_pairs(struct remote_stat *st, const struct buffer *attributes,
    const struct buffer *tags, struct fault *fault)
{
	buffer_clear(&st->memory);
	buffer_add(&st->memory, attributes->at, attributes->len);
	buffer_add(&st->memory, tags->at, tags->len);
	if (attributes->failed || tags->failed || st->memory.failed)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	st->attributes = (struct slice){ st->memory.at, attributes->len };
	st->tags = (struct slice){
		st->memory.at != NULL ? st->memory.at + attributes->len : NULL,
		tags->len
	};
	return 0;
}

int
side_keep_read(
    int rc, struct slice contents, struct remote_stat *st, struct fault *fault)
{
	struct buffer attributes = BUFFER_INIT, tags = BUFFER_INIT;

	if (rc != 0 && fault->kind != FAULT_MISSING)
		return -1;
	if (rc != 0 || side_object_decode(contents, &attributes, &tags) != 0) {
		st->side_lost = 1;
		*fault = (struct fault)FAULT_INIT;
		rc = 0;
	} else
		rc = side_keep_pairs(st, &attributes, &tags, fault);
	buffer_free(&attributes);
	buffer_free(&tags);
	return rc;
}

static int
any(const struct remote_entry *e, void *arg)
{
	(void)e;
	*(int *)arg = 1;
	return 1;
}

/* Asking costs one listing a process. Who may not list cannot clear any. */
static int
may_have_sides(
    const struct destination_protocol *table, void *session, atomic_int *sides)
{
	struct fault ignored = FAULT_INIT;
	int found = 0, expected = SIDES_UNKNOWN;

	if (atomic_load(sides) == SIDES_UNKNOWN) {
		if (table->list(session, SLICE_LITERAL(OWN_PREFIX "meta/"),
			SLICE_NULL, any, &found, &ignored) != 0 &&
		    ignored.kind != FAULT_PERSON)
			return 0;
		atomic_compare_exchange_strong(
		    sides, &expected, found ? SIDES_SOME : SIDES_NONE);
	}
	return atomic_load(sides) == SIDES_SOME;
}

struct clearing {
	struct buffer keep;
	struct buffer found; /* keys, NUL-terminated, one behind another */
};

static int
note(const struct remote_entry *e, void *arg)
{
	struct clearing *c = arg;

	if (!slice_equal(e->key, buffer_slice(&c->keep))) {
		buffer_add_slice(&c->found, e->key);
		buffer_add_u8(&c->found, '\0');
	}
	return 0;
}

void
side_keep_clear(const struct destination_protocol *table, void *session,
    atomic_int *sides, struct slice key, uint64_t keep_version)
{
	struct clearing c = { .keep = BUFFER_INIT };
	struct buffer prefix = BUFFER_INIT;
	struct fault ignored = FAULT_INIT;
	const char *at;

	if (slice_starts(key, OWN_PREFIX) ||
	    !may_have_sides(table, session, sides))
		return;
	side_object_prefix(key, &prefix);
	if (keep_version != 0)
		side_object_key(key, keep_version, &c.keep);
	if (table->list(session, buffer_slice(&prefix), SLICE_NULL, note, &c,
		&ignored) == 0 &&
	    !c.found.failed && c.found.len > 0)
		for (at = c.found.at; at < c.found.at + c.found.len;
		     at += strlen(at) + 1)
			table->remove(session, slice_text(at), &ignored);
	buffer_free(&prefix);
	buffer_free(&c.keep);
	buffer_free(&c.found);
}
