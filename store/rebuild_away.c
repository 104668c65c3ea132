#include <stdlib.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/content.h"
#include "store/extents.h"
#include "store/lmdb_error.h"
#include "store/rebuild_private.h"
#include "store/stamp.h"

/* Contents that were given up here since the copy was made, or whose index was
 * lost with them: their files say where the bytes are. */

static int
is_shed(struct rebuild *r, uint64_t id)
{
	struct extent_reader *reader;
	int shed;

	if ((reader = extent_open(r->extents, id, NULL)) == NULL)
		return 0;
	shed = extent_is_shed(reader);
	extent_close(reader);
	return shed;
}

/* Which extents have a file without data, though the index knows nothing of
 * that. */
static int
find_shed(struct rebuild *r, struct numbers *ids, struct error *err)
{
	struct extent_record rec;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	rc = mdb_cursor_open(r->txn.txn, txn_dbi(&r->txn, DB_EXTENTS), &cursor);
	if (rc != 0)
		return lmdb_error(err, rc, "reading extents");
	for (rc = stamp_step(cursor, &k, &v, MDB_FIRST); rc == 0;
	     rc = stamp_step(cursor, &k, &v, MDB_NEXT))
		if (k.mv_size == 8 &&
		    extent_decode((struct slice){ v.mv_data, v.mv_size }, &rec,
			NULL) == 0 &&
		    rec.kind == EXTENT_FILE &&
		    is_shed(r, be64_get(k.mv_data)) &&
		    (rc = numbers_add(ids, be64_get(k.mv_data), err)) != 0)
			break;
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == -1 ? -1 : lmdb_error(err, rc, "reading extents");
}

/* One whose file does not say where it is stays as it is: it reads as damaged,
 * and is healed from outside, if it is there. */
static int
send_away(struct rebuild *r, uint64_t id, struct error *err)
{
	struct buffer memory = BUFFER_INIT;
	struct content_owner owner;
	struct extent_reader *reader;
	struct extent_record rec;
	int rc;

	if ((reader = extent_open(r->extents, id, NULL)) == NULL)
		return 0;
	rc = extent_owner(reader, &memory, NULL) == 0 &&
		content_owner_decode(buffer_slice(&memory), &owner, NULL) ==
		    0 &&
		owner.place.len > 0
	    ? extents_need(r->txn.txn, r->txn.index, id, &rec, err)
	    : 1;
	if (rc == 0) {
		rec.kind = EXTENT_REMOTE;
		rec.place = owner.place;
		rec.place_offset = owner.place_offset;
		rec.md5 = SLICE_NULL;
		rc = extents_put(&r->txn, id, &rec, err);
	}
	extent_close(reader);
	buffer_free(&memory);
	return rc < 0 ? -1 : 0;
}

int
rebuild_send_away(struct rebuild *r, struct error *err)
{
	struct numbers ids = { NULL, 0, 0 };
	size_t i;
	int rc;

	rc = find_shed(r, &ids, err);
	for (i = 0; i < ids.n && rc == 0; i++)
		rc = send_away(r, ids.at[i], err) != 0 || rebuild_step(r, err)
		    ? -1
		    : 0;
	if (rc == 0 && ids.n > 0)
		rebuild_say(r,
		    "%zu contents are at a destination alone: add it again, "
		    "by the same name, so that they can be read",
		    ids.n);
	free(ids.at);
	return rc;
}
