#include <lmdb.h>

#include "base/error.h"
#include "store/lmdb_error.h"
#include "store/pages.h"
#include "store/stamp.h"

int
lmdb_error(struct error *err, int rc, const char *what)
{
	enum error_kind kind;

	if (rc > 0)
		return error_sys(err, rc, "%s", what);
	switch (rc) {
	case STAMP_BROKEN:
		return error_set(err, ERR_DAMAGED,
		    "%s: it is damaged: a record has a wrong checksum: run"
		    " `holdfast check`",
		    what);
	case PAGES_BROKEN:
		return error_set(err, ERR_DAMAGED,
		    "%s: it is damaged: a page of it is not what it should be:"
		    " run `holdfast check`",
		    what);
	case MDB_MAP_FULL:
		kind = ERR_DISK_FULL;
		break;
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_NOTFOUND:
		kind = ERR_DAMAGED;
		break;
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		kind = ERR_FORMAT;
		break;
	case MDB_PANIC:
		return error_set(err, ERR_IO,
		    "%s: the index failed earlier and takes no more changes;"
		    " restart holdfast",
		    what);
	case MDB_READERS_FULL:
	case MDB_TXN_FULL:
		kind = ERR_BUSY;
		break;
	default:
		kind = ERR_INTERNAL;
		break;
	}
	return error_set(err, kind, "%s: %s", what, mdb_strerror(rc));
}
