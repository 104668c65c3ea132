#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/internal.h"
#include "store/remote.h"
#include "store/tier.h"

/* What may be given up, and what is away. */

#define PAGE 512

/* ---- candidates ---- */

struct entry {
	struct buffer key;
	uint64_t extent;
};

struct finding {
	struct store *store;
	struct slice bucket;
	struct entry page[PAGE];
	size_t n_page;
	struct tier_candidate *found; /* ascending by read_s */
	size_t n;
};

/* Velero's own files stay, so that a list of backups never waits. */
static int
stays(struct slice key)
{
	static const char name[] = "/backups/";

	return slice_starts(key, "backups/") ||
	    memmem(key.at, key.len, name, sizeof(name) - 1) != NULL;
}

static int
take_object(const struct list_entry *entry, void *arg)
{
	struct finding *f = arg;
	struct entry *e = &f->page[f->n_page];

	buffer_clear(&e->key);
	buffer_add_slice(&e->key, entry->key);
	e->extent = entry->object->size >= TIER_MIN_BYTES && !stays(entry->key)
	    ? entry->object->extent
	    : 0;
	return ++f->n_page == PAGE;
}

/* When a file was read last, and whether there is anything to give up. */
static void
ask_file(struct store *store, uint64_t extent, int64_t *read_s, int *any)
{
	struct extent_stat st;

	if (extent_look(store->extents, extent, &st) != 0)
		return;
	if (st.read_s > *read_s)
		*read_s = st.read_s;
	*any = 1;
}

static void
ask_part(struct store *store, uint64_t extent, int64_t *read_s, int *any)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;

	if (heal_record(store, extent, &rec, &memory, NULL) == 0 &&
	    rec.kind == EXTENT_FILE && rec.references == 1 &&
	    rec.size >= TIER_MIN_BYTES)
		ask_file(store, extent, read_s, any);
	buffer_free(&memory);
}

/* 1 and *read_s when an object's content may be given up. */
static int
may_go(struct store *store, uint64_t extent, int64_t *read_s)
{
	struct buffer memory = BUFFER_INIT;
	struct extent_record rec;
	struct chain_entry e;
	int any = 0;
	size_t i;

	*read_s = 0;
	if (heal_record(store, extent, &rec, &memory, NULL) == 0 &&
	    rec.references == 1) {
		if (rec.kind == EXTENT_FILE && rec.size >= TIER_MIN_BYTES)
			ask_file(store, extent, read_s, &any);
		for (i = 0; rec.kind == EXTENT_CHAIN && i < rec.n_entries; i++)
			if (chain_get(&rec, i, &e) == 0 && e.extent != 0)
				ask_part(store, e.extent, read_s, &any);
	}
	buffer_free(&memory);
	return any;
}

/* Keeps the least recently read: a sorted array that is full loses its last. */
static void
offer(struct finding *f, const struct entry *e, int64_t read_s)
{
	struct tier_candidate c = { .read_s = read_s };
	size_t at = f->n;

	if (f->n == TIER_CANDIDATES) {
		if (read_s >= f->found[f->n - 1].read_s)
			return;
		tier_candidates_clear(&f->found[f->n - 1], 1);
		at = --f->n;
	}
	while (at > 0 && f->found[at - 1].read_s > read_s)
		at--;
	buffer_add_slice(&c.bucket, f->bucket);
	buffer_add_slice(&c.key, buffer_slice(&e->key));
	memmove(&f->found[at + 1], &f->found[at],
	    (f->n - at) * sizeof(f->found[0]));
	f->found[at] = c;
	f->n++;
}

static int
find_in_bucket(struct finding *f, struct slice bucket, struct error *err)
{
	struct list_query query = { .bucket = bucket };
	struct buffer after = BUFFER_INIT;
	int64_t read_s;
	size_t i;
	int rc;

	f->bucket = bucket;
	do {
		f->n_page = 0;
		query.after = buffer_slice(&after);
		rc = store_list_objects(f->store, &query, take_object, f, err);
		for (i = 0; rc == 0 && i < f->n_page; i++)
			if (f->page[i].extent != 0 &&
			    may_go(f->store, f->page[i].extent, &read_s))
				offer(f, &f->page[i], read_s);
		buffer_clear(&after);
		if (f->n_page > 0)
			buffer_add_slice(
			    &after, buffer_slice(&f->page[f->n_page - 1].key));
	} while (rc == 0 && f->n_page == PAGE &&
	    !atomic_load(&f->store->tier.stopping));
	buffer_free(&after);
	return rc != 0 && err->kind != ERR_NO_BUCKET ? -1 : 0;
}

struct next_bucket {
	struct buffer name;
	int found;
};

/* Buckets with versions are left out. */
static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct next_bucket *next = arg;

	if (rec->versioning != VERSIONING_OFF)
		return 0;
	buffer_clear(&next->name);
	buffer_add_slice(&next->name, name);
	next->found = 1;
	return 1;
}

long
tier_find(struct store *store, struct tier_candidate *found, struct error *err)
{
	struct next_bucket next = { BUFFER_INIT, 0 };
	struct buffer bucket = BUFFER_INIT;
	struct finding *f;
	size_t i;
	long n;
	int rc = 0;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return error_nomem(err);
	f->store = store;
	f->found = found;
	while (rc == 0 && !atomic_load(&store->tier.stopping)) {
		next.found = 0;
		rc = store_buckets(
		    store, buffer_slice(&bucket), take_bucket, &next, err);
		if (rc != 0 || !next.found)
			break;
		buffer_clear(&bucket);
		buffer_add_slice(&bucket, buffer_slice(&next.name));
		rc = find_in_bucket(f, buffer_slice(&bucket), err);
	}
	n = (long)f->n;
	if (rc != 0) {
		tier_candidates_clear(found, f->n);
		n = -1;
	}
	for (i = 0; i < PAGE; i++)
		buffer_free(&f->page[i].key);
	free(f);
	buffer_free(&bucket);
	buffer_free(&next.name);
	return n;
}

void
tier_candidates_clear(struct tier_candidate *c, size_t n)
{
	for (; n > 0; n--, c++) {
		buffer_free(&c->bucket);
		buffer_free(&c->key);
	}
}

/* ---- what is away ---- */

#define WALK 4096

struct counting {
	uint64_t contents, bytes, last;
	uint64_t ids[WALK];
	size_t n, seen;
};

static int
see_extent(void *arg, struct slice key, struct slice value, struct error *err)
{
	struct counting *c = arg;
	struct extent_record rec;

	(void)err;
	if (key.len != 8)
		return 0;
	c->last = be64_get((const uint8_t *)key.at);
	if (extent_decode(value, &rec, NULL) == 0 && rec.references > 0 &&
	    rec.kind == EXTENT_REMOTE) {
		c->contents++;
		c->bytes += rec.size;
		c->ids[c->n++] = c->last;
	}
	return ++c->seen == WALK;
}

struct using
{
	struct slice prefix;
	struct place_use *use;
};

static int
see_place(void *arg, struct slice key, struct slice value, struct error *err)
{
	struct using *u = arg;
	struct extent_record rec;

	(void)key;
	(void)err;
	if (extent_decode(value, &rec, NULL) == 0 && rec.references > 0 &&
	    rec.kind == EXTENT_REMOTE && rec.place.len >= u->prefix.len &&
	    memcmp(rec.place.at, u->prefix.at, u->prefix.len) == 0) {
		u->use->contents++;
		u->use->bytes += rec.size;
	}
	return 0;
}

int
store_place_use(struct store *store, struct slice prefix, struct place_use *use,
    struct error *err)
{
	struct using u = { prefix, use };

	*use = (struct place_use){ 0 };
	return read_walk(store, DB_EXTENTS, SLICE_NULL, 0, see_place, &u, err);
}

static void
take_back(struct store *store, uint64_t id)
{
	struct error err = ERROR_INIT;
	struct extent_reader *r;
	struct extent_stat st;

	if (extent_look(store->extents, id, &st) != 0 || st.allocated < st.size)
		return;
	if ((r = extent_open(store->extents, id, NULL)) == NULL)
		return;
	if (!extent_is_shed(r) && tier_take_back(store, id, &err) == 0)
		tier_moved(store);
	extent_close(r);
}

int
tier_count(struct store *store, int also_back, struct error *err)
{
	struct counting *c;
	uint8_t be[8] = { 0 };
	size_t i;
	int rc, behind = 0;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return error_nomem(err);
	do {
		c->n = c->seen = 0;
		rc = read_walk(store, DB_EXTENTS,
		    (struct slice){ (char *)be, behind ? sizeof(be) : 0 },
		    behind, see_extent, c, err);
		for (i = 0; also_back && rc == 0 && i < c->n; i++)
			take_back(store, c->ids[i]);
		be64_put(be, c->last);
		behind = 1;
	} while (
	    rc == 0 && c->seen == WALK && !atomic_load(&store->tier.stopping));
	if (rc == 0) {
		atomic_store(&store->tier.away_contents, c->contents);
		atomic_store(&store->tier.away_bytes, c->bytes);
	}
	free(c);
	return rc;
}
