#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <lmdb.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;

/*
 * The index: the LMDB environment in <data>/index and its databases. LMDB keeps
 * its full sync mode. Readers borrow a transaction for the time of one look-up;
 * the one writer is the committer.
 *
 *   buckets   name -> bucket record
 *   objects   names tree below the bucket's id -> object record (current ones)
 *   versions  names tree below the bucket's id -> {node be64, null version
 * be64}; {node be64, ~version be64} -> object record (all that are not current,
 * and delete markers), so newest first uploads   names tree below the bucket's
 * id -> {node be64}; {node be64, upload be64} -> upload record parts {upload
 * be64, number be16} -> part record extents   id be64 -> extent record reap id
 * be64 -> nothing: extents without references whose file is still to be
 * removed, or whose chain is still to be let go journal   sequence be64 ->
 * journal record keys      access key -> key record settings  name -> value
 */
enum index_db {
	DB_BUCKETS,
	DB_OBJECTS,
	DB_VERSIONS,
	DB_UPLOADS,
	DB_PARTS,
	DB_EXTENTS,
	DB_REAP,
	DB_JOURNAL,
	DB_KEYS,
	DB_SETTINGS,
	DB_NOTES,
	INDEX_DBS
};

#define INDEX_FORMAT 2
/* LMDB numbers databases in the order in which they are opened. The numbers
 * above are part of the format (store/stamp.h): new ones come last. */
#define INDEX_DBI_FIRST 2

struct index;

/* Opens, or makes, the environment in dir (a path); of a new one the names are
 * not durable until dir and its parent are synced. A newer format is
 * ERR_FORMAT. With read_only nothing is made. NULL and *err. */
struct index *index_open(const char *dir, uint64_t map_bytes, unsigned readers,
    int read_only, struct error *err);
void index_close(struct index *);
/* The environment, which stays open until it is released; NULL when LMDB gave
 * it up and it could not be opened again. Whoever holds it, or a transaction,
 * does not wait for the committer. Any thread. */
MDB_env *index_hold(struct index *);
void index_release(struct index *);
/* The same for the committer, who alone may have it opened anew, and for tools
 * that have no committer. */
MDB_env *index_env(struct index *);
/* After a failed commit LMDB may have given its environment up (MDB_PANIC);
 * then opens it anew. 0 when there was no need; 1 when it was done: whether the
 * commit took place must be looked up; -1 and *err. Only the committer, holding
 * nothing. */
int index_mend(struct index *, struct error *err);
MDB_dbi index_dbi(const struct index *, enum index_db);
const char *index_db_name(enum index_db);

/* A read transaction on the newest state, to be given back soon: while it is
 * out, no page that it sees is used again. NULL and *err. Any thread. */
MDB_txn *index_read(struct index *, struct error *err);
void index_read_end(struct index *, MDB_txn *);

/* Gives the map's pages back to the page cache, so that what was read once does
 * not count as this process's memory. Cheap; any thread. */
void index_relax(struct index *);

/* A value by key: 0 and *value, 1 when there is none, -1 and *err. One whose
 * stamp is wrong is ERR_DAMAGED. */
int index_get(MDB_txn *, MDB_dbi, const void *key, size_t key_len,
    struct slice *value, struct error *err);
int index_get_u64(
    MDB_txn *, MDB_dbi, uint64_t key, struct slice *value, struct error *err);

/* The settings' counters, one record written with each transaction:
 * {format u8 = 1, next version, next node, next extent, settled extent, journal
 * sequence: be64 each}. Extents below `settled` have records or are gone. */
struct index_counters {
	uint64_t next_version; /* also of uploads */
	uint64_t next_node;    /* also of buckets */
	uint64_t next_extent;
	uint64_t settled_extent;
	uint64_t journal;
};
#define SETTING_COUNTERS "counters"
#define SETTING_FORMAT "format"
#define SETTING_STORE_ID "store_id"
#define SETTING_JOURNAL "journal" /* "on": changes are journalled */
void counters_encode(struct buffer *, const struct index_counters *);
int counters_decode(struct slice, struct index_counters *, struct error *err);

#endif
