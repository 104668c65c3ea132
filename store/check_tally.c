#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/check_private.h"

/* What the checker keeps count of: numbers, names of extents, versions. */

#define NUMBERS_FIRST 64
#define KEY_SHOWN_BYTES 200

int
numbers_add(struct numbers *s, uint64_t number, struct error *err)
{
	uint64_t *at;
	size_t room;

	if (s->n == s->room) {
		room = s->room == 0 ? NUMBERS_FIRST : s->room * 2;
		if ((at = realloc(s->at, room * sizeof(*at))) == NULL)
			return error_nomem(err);
		s->at = at;
		s->room = room;
	}
	s->at[s->n++] = number;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void
numbers_sort(struct numbers *s)
{
	if (s->n > 0)
		qsort(s->at, s->n, sizeof(*s->at), compare);
}

int
numbers_have(const struct numbers *s, uint64_t number)
{
	return s->n > 0 &&
	    bsearch(&number, s->at, s->n, sizeof(*s->at), compare) != NULL;
}

const char *
check_name(const struct check_owner *o, char text[CHECK_NAME_BYTES])
{
	size_t i, n;

	n = (size_t)snprintf(text, CHECK_NAME_BYTES, "%s \"", o->what);
	for (i = 0; i < o->key.len && n < KEY_SHOWN_BYTES; i++)
		if (isprint((unsigned char)o->key.at[i]))
			text[n++] = o->key.at[i];
		else
			n += (size_t)snprintf(text + n, CHECK_NAME_BYTES - n,
			    "\\x%02x", (unsigned char)o->key.at[i]);
	snprintf(text + n, CHECK_NAME_BYTES - n, "%s\" in bucket \"%.*s\"",
	    i < o->key.len ? "..." : "", (int)o->bucket.len, o->bucket.at);
	return text;
}

long
check_find(const struct check *c, uint64_t id)
{
	const uint64_t *found;

	if (c->n_ids == 0)
		return -1;
	found = bsearch(&id, c->ids, c->n_ids, sizeof(*c->ids), compare);
	return found == NULL ? -1 : found - c->ids;
}

int
check_take(struct check *c, uint64_t id, const struct check_owner *owner,
    struct extent_record *rec)
{
	char name[CHECK_NAME_BYTES];
	struct slice value;
	long at;

	if ((at = check_find(c, id)) < 0 ||
	    index_get_u64(c->txn, index_dbi(c->index, DB_EXTENTS), id, &value,
		NULL) != 0) {
		check_damage(c, FOUND_NO_EXTENT,
		    "%s has the content %" PRIu64 ", which is not in the index",
		    check_name(owner, name), id);
		return 0;
	}
	if (c->named[at] < UINT32_MAX)
		c->named[at]++;
	/* One that cannot be read was reported when all were. */
	return extent_decode(value, rec, NULL) == 0;
}

void
check_content(struct check *c, uint64_t extent, uint64_t size, unsigned parts,
    const struct check_owner *owner)
{
	char name[CHECK_NAME_BYTES];
	struct extent_record rec;
	unsigned entries;

	if (extent == 0) {
		if (size != 0 || parts != 0)
			check_damage(c, FOUND_NO_EXTENT,
			    "%s should have %" PRIu64
			    " bytes, but names no content",
			    check_name(owner, name), size);
		return;
	}
	if (!check_take(c, extent, owner, &rec))
		return;
	if (rec.size != size)
		check_damage(c, FOUND_EXTENT,
		    "%s should have %" PRIu64 " bytes, but its content %" PRIu64
		    " has %" PRIu64,
		    check_name(owner, name), size, extent, rec.size);
	entries = rec.kind == EXTENT_CHAIN ? rec.n_entries : 0;
	if (entries != parts)
		check_damage(c, FOUND_EXTENT,
		    "%s should have %u parts, but its content %" PRIu64
		    " has %u",
		    check_name(owner, name), parts, extent, entries);
}

void
check_unique(struct check *c, uint64_t version, const struct check_owner *owner)
{
	size_t piece = (size_t)(version >> CHECK_VERSIONS_BITS), at;
	char name[CHECK_NAME_BYTES];
	uint8_t bit = (uint8_t)(1 << (version % 8)), **bits;

	if (!c->counters_known)
		return;
	if (version == 0 || version >= c->counters.next_version) {
		check_damage(c, FOUND_VERSION,
		    "%s has the version %" PRIu64
		    ", which was never given (the next is %" PRIu64 ")",
		    check_name(owner, name), version, c->counters.next_version);
		return;
	}
	if (piece >= c->n_versions)
		return;
	bits = &c->versions[piece];
	if (*bits == NULL &&
	    (*bits = calloc(1, 1U << (CHECK_VERSIONS_BITS - 3))) == NULL)
		return;
	at = (version & ((1U << CHECK_VERSIONS_BITS) - 1)) / 8;
	if ((*bits)[at] & bit)
		check_damage(c, FOUND_VERSION,
		    "%s has the version %" PRIu64 ", which another one has too",
		    check_name(owner, name), version);
	(*bits)[at] |= bit;
}
