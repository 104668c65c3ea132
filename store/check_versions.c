#include <inttypes.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/check_tree.h"
#include "store/names.h"
#include "store/stamp.h"

/* The checker's steps about objects and their other versions. */

static int
see_object(struct check_tree *t, size_t bucket, struct slice name,
    struct slice value, struct error *err)
{
	struct check_bucket *b = &t->c->buckets[bucket];
	struct check_owner owner = { "object", slice_text(b->name), name };
	struct error why = ERROR_INIT;
	struct object_record rec;
	char text[CHECK_NAME_BYTES];

	(void)err;
	t->c->result.objects++;
	if (object_decode(value, &rec, &why) != 0) {
		check_damage(t->c, FOUND_RECORD, "%s: %s",
		    check_name(&owner, text), why.text);
		return 0;
	}
	if (rec.delete_marker)
		check_damage(t->c, FOUND_VERSION,
		    "%s is a delete marker, but stands among the objects",
		    check_name(&owner, text));
	b->objects++;
	b->object_bytes += rec.size;
	check_unique(t->c, rec.version, &owner);
	check_content(t->c, rec.extent, rec.size, rec.parts, &owner);
	check_digest(t->c, rec.extent, rec.parts, rec.md5, &owner);
	return 0;
}

int
check_objects(struct check *c, struct error *err)
{
	struct check_tree t = { .c = c, .db = DB_OBJECTS, .see = see_object };

	return check_tree(&t, err);
}

/* ---- versions ---- */

/* What a name's list came to. */
struct list {
	uint64_t n, nulls, null_version;
	struct object_record newest;
};

static void
see_version(struct check_tree *t, struct check_bucket *b,
    struct check_owner *owner, uint64_t number, struct slice value,
    struct list *list)
{
	struct error why = ERROR_INIT;
	struct object_record rec;
	char text[CHECK_NAME_BYTES];

	t->c->result.versions++;
	if (object_decode(value, &rec, &why) != 0) {
		check_damage(t->c, FOUND_RECORD, "%s: %s",
		    check_name(owner, text), why.text);
		return;
	}
	if (rec.version != ~number)
		check_damage(t->c, FOUND_VERSION,
		    "%s: version %" PRIu64 " stands in the place of %" PRIu64,
		    check_name(owner, text), rec.version, ~number);
	if (rec.delete_marker && (rec.extent != 0 || rec.size != 0))
		check_damage(t->c, FOUND_VERSION,
		    "%s: a delete marker has bytes", check_name(owner, text));
	if (list->n++ == 0)
		list->newest = rec;
	if (rec.null_version) {
		list->nulls++;
		list->null_version = rec.version;
	}
	b->versions++;
	b->version_bytes += rec.size;
	check_unique(t->c, rec.version, owner);
	check_content(t->c, rec.extent, rec.size, rec.parts, owner);
	if (!rec.delete_marker)
		check_digest(t->c, rec.extent, rec.parts, rec.md5, owner);
}

/* That the list and the current object fit together. */
static void
check_list(struct check_tree *t, const struct check_bucket *b,
    struct check_owner *owner, const struct list *list, uint64_t null_version)
{
	struct object_record current;
	char text[CHECK_NAME_BYTES];
	struct slice value;
	int rc;

	if (list->nulls > 1 || list->null_version != null_version)
		check_damage(t->c, FOUND_VERSION,
		    "%s: its null version should be %" PRIu64
		    ", but is %" PRIu64,
		    check_name(owner, text), null_version, list->null_version);
	rc = names_get(t->c->txn, index_dbi(t->c->index, DB_OBJECTS), b->id,
	    owner->key, &value, NULL);
	if (rc == 0 && object_decode(value, &current, NULL) == 0) {
		if (current.version <= list->newest.version)
			check_damage(t->c, FOUND_VERSION,
			    "%s: the current one is older than another one",
			    check_name(owner, text));
		if (current.null_version && list->nulls > 0)
			check_damage(t->c, FOUND_VERSION,
			    "%s: there are two null versions",
			    check_name(owner, text));
	} else if (rc == 1 && !list->newest.delete_marker)
		check_damage(t->c, FOUND_VERSION,
		    "%s: the newest is no delete marker, but there is no "
		    "object",
		    check_name(owner, text));
}

static int
see_versions(struct check_tree *t, size_t bucket, struct slice name,
    struct slice value, struct error *err)
{
	struct check_bucket *b = &t->c->buckets[bucket];
	struct check_owner owner = { "a version of", slice_text(b->name),
		name };
	struct list list = { 0 };
	MDB_cursor *cursor;
	uint64_t n = 0;
	MDB_val k, v;
	int rc;

	rc = check_open_list(t, &owner, value, &cursor, &k, &v, err);
	for (; rc == 0 && check_in_list(value, &k); n++) {
		t->came_by++;
		see_version(t, b, &owner, be64_get((uint8_t *)k.mv_data + 8),
		    SLICE_OF(v), &list);
		rc = stamp_skip(cursor, &k, &v, MDB_NEXT);
	}
	if (list.n > 0)
		check_list(t, b, &owner, &list,
		    be64_get((const uint8_t *)value.at + 8));
	return check_close_list(t, &owner, cursor, n, rc, err);
}

int
check_versions(struct check *c, struct error *err)
{
	struct check_tree t = {
		.c = c, .db = DB_VERSIONS, .see = see_versions
	};

	return check_tree(&t, err);
}
