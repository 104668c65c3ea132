#include <stdlib.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/internal.h"
#include "store/lmdb_error.h"

/* Which extents were found damaged, and which objects hold them: there is no
 * way back in the index from an extent to its names, so all are looked through,
 * which is fast enough for something so rare. */

int
heal_record(struct store *store, uint64_t extent, struct extent_record *rec,
    struct buffer *memory, struct error *err)
{
	struct slice value;
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = index_get_u64(
	    txn, index_dbi(store->index, DB_EXTENTS), extent, &value, err);
	buffer_clear(memory);
	if (rc == 0)
		buffer_add_slice(memory, value);
	index_read_end(store->index, txn);
	if (rc == 1)
		return error_set(
		    err, ERR_NOT_FOUND, "extent %" PRIu64 " is gone", extent);
	if (rc != 0)
		return -1;
	if (memory->failed)
		return error_nomem(err);
	return extent_decode(buffer_slice(memory), rec, err);
}

/* Visits extents that are in use. */
typedef int record_visit(uint64_t id, const struct extent_record *, void *arg);

struct walk {
	record_visit *visit;
	void *arg;
};

static int
visit_value(void *arg, struct slice key, struct slice value, struct error *err)
{
	struct walk *w = arg;
	struct extent_record rec;

	(void)err;
	if (key.len != 8 || extent_decode(value, &rec, NULL) != 0 ||
	    rec.references == 0)
		return 0;
	return w->visit(be64_get((const uint8_t *)key.at), &rec, w->arg);
}

static int
walk_extents(struct store *store, uint64_t from, record_visit *visit, void *arg,
    struct error *err)
{
	struct walk w = { visit, arg };
	uint8_t be[8];

	be64_put(be, from);
	return read_walk(store, DB_EXTENTS,
	    (struct slice){ (char *)be, sizeof(be) }, 0, visit_value, &w, err);
}

struct marked {
	uint64_t *ids;
	size_t n, room;
};

static int
take_marked(uint64_t id, const struct extent_record *rec, void *arg)
{
	struct marked *m = arg;

	if ((rec->flags & EXTENT_DAMAGED) && rec->kind != EXTENT_CHAIN)
		m->ids[m->n++] = id;
	return m->n == m->room;
}

long
heal_marked(struct store *store, uint64_t from, uint64_t *ids, size_t room,
    struct error *err)
{
	struct marked m = { ids, 0, room };

	if (walk_extents(store, from, take_marked, &m, err) != 0)
		return -1;
	return (long)m.n;
}

/* ---- objects ---- */

struct finding {
	struct wanted *wanted;
	size_t n;
	struct slice bucket;
};

static struct wanted *
find_extent(const struct finding *f, uint64_t id)
{
	size_t low = 0, high = f->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (f->wanted[mid].extent < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->n && f->wanted[low].extent == id ? &f->wanted[low]
							 : NULL;
}

static int
see_chain(uint64_t id, const struct extent_record *rec, void *arg)
{
	struct finding *f = arg;
	struct chain_entry e;
	struct wanted *w;
	size_t i;

	for (i = 0; i < rec->n_entries; i++)
		if (chain_get(rec, i, &e) == 0 &&
		    (w = find_extent(f, e.extent)) != NULL)
			w->root = id;
	return 0;
}

static int
see_object(const struct list_entry *entry, void *arg)
{
	struct finding *f = arg;
	struct wanted *w;

	if (entry->object == NULL || entry->object->extent == 0)
		return 0;
	for (w = f->wanted; w < f->wanted + f->n; w++)
		if (w->root == entry->object->extent && w->n < WANTED_NAMES) {
			buffer_add_slice(&w->names[w->n].bucket, f->bucket);
			buffer_add_slice(&w->names[w->n].key, entry->key);
			w->n++;
		}
	return 0;
}

struct names {
	struct buffer after;
	int found;
};

static int
take_name(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct names *n = arg;

	(void)rec;
	buffer_clear(&n->after);
	buffer_add_slice(&n->after, name);
	n->found = 1;
	return 1;
}

int
heal_find(
    struct store *store, struct wanted *wanted, size_t n, struct error *err)
{
	struct finding f = { wanted, n, SLICE_NULL };
	struct names names = { BUFFER_INIT, 0 };
	struct buffer bucket = BUFFER_INIT;
	struct list_query query = { 0 };
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		wanted[i].root = wanted[i].extent;
	rc = walk_extents(store, 0, see_chain, &f, err);
	while (rc == 0) {
		names.found = 0;
		rc = store_buckets(
		    store, buffer_slice(&bucket), take_name, &names, err);
		if (rc != 0 || !names.found)
			break;
		buffer_clear(&bucket);
		buffer_add_slice(&bucket, buffer_slice(&names.after));
		query.bucket = f.bucket = buffer_slice(&bucket);
		rc = store_list_objects(store, &query, see_object, &f, err);
		if (rc != 0 && err->kind == ERR_NO_BUCKET)
			rc = 0;
	}
	buffer_free(&names.after);
	buffer_free(&bucket);
	return rc;
}
