#ifndef REPLICATOR_SETTINGS_H
#define REPLICATOR_SETTINGS_H

#include <jansson.h>

#include "replicator/destination.h"
#include "replicator/replicator.h"

struct error;
struct seal;

/*
 * What a person set for a destination, owned: as a structure, as JSON for
 * people (without secrets), and as JSON for the store's notes (secrets sealed).
 * The names of members are those of the fields.
 */
struct settings {
	struct destination_fields fields;
	struct destination_policy policy;
	int take_over; /* the path is taken from another store */
};

const char *provider_name(enum provider); /* "aws", "google", ... */
int provider_parse(const char *text, enum provider *);

/* Copies what is given over `base` (NULL: nothing): texts that are not NULL,
 * numbers that are not 0 (also the policy if that is given). NULL and *err. */
struct settings *settings_make(const struct settings *base,
    const struct destination_fields *, const struct destination_policy *,
    struct error *err);
void settings_free(struct settings *); /* wipes; NULL is allowed */

/* For people: secrets are left out. NULL without memory. */
json_t *settings_public(const struct settings *);
/* What says which place it is, and what of the store goes there: a text whose
 * bytes differ when what is outside so far says nothing of what shall be there.
 * Appended. */
void settings_place(const struct settings *, struct buffer *);
int settings_are_elsewhere(const struct settings *, const struct settings *);
/* For the notes. NULL and *err. */
json_t *settings_sealed(
    const struct settings *, const struct seal *, struct error *err);
struct settings *settings_unseal(
    const json_t *, const struct seal *, struct error *err);
/* From what a person sent (secrets in the clear); members that are not known
 * are refused. The caller frees both with settings_free(). */
struct settings *settings_parse(const json_t *, struct error *err);
/* The same over a copy of `base` (NULL: over nothing): what is not named stays,
 * null takes away, and 0, false and the empty text are values as any other. */
struct settings *settings_change(
    const struct settings *base, const json_t *, struct error *err);
/* For people: {member: {"from", "to"}}; of a secret only that it changed. NULL
 * without memory. */
json_t *settings_difference(
    const struct settings *was, const struct settings *is);

#endif
