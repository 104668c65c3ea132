#ifndef STORE_CHECK_PRIVATE_H
#define STORE_CHECK_PRIVATE_H

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/check.h"
#include "store/extent.h"
#include "store/index.h"
#include "store/record.h"

/* What check*.c share. All in one thread. */

/* Kinds of findings, so that one kind cannot drown the others. */
enum finding {
	FOUND_INDEX,   /* pages, settings, counters */
	FOUND_KEY,     /* a database's key that no record has */
	FOUND_RECORD,  /* a record that cannot be read or contradicts itself */
	FOUND_TREE,    /* names: nodes, continuations, lists of versions */
	FOUND_VERSION, /* order and uniqueness of versions */
	FOUND_NO_EXTENT, /* something names an extent that is not there */
	FOUND_EXTENT,    /* an extent is not what is said of it */
	FOUND_REFERENCES,
	FOUND_REAP,
	FOUND_USAGE,
	FOUND_PART,
	FOUND_JOURNAL,
	FOUND_ORPHAN, /* files that nothing names */
	FOUND_CUT_OFF,
	FOUND_NO_FILE,
	FOUND_FILE,
	FOUND_DATA,
	FOUND_MARKED, /* known to be damaged */
	FINDINGS
};

struct check_bucket {
	uint64_t id;
	char name[BUCKET_NAME_MAX_BYTES + 1];
	struct bucket_record recorded; /* its slices are not kept */
	/* as counted */
	uint64_t objects, object_bytes, versions, version_bytes;
	uint64_t uploads, upload_bytes;
};

struct check_upload {
	uint64_t id;
	size_t bucket; /* index in buckets */
};

/* A growing array of numbers, sorted before it is searched. */
struct numbers {
	uint64_t *at;
	size_t n, room;
};

#define MARK_FILE 1    /* the extent's bytes are in a file */
#define MARK_SEEN 2    /* which is there */
#define MARK_REAPED 4  /* it is in the queue of the reaper */
#define MARK_DECODED 8 /* its record could be read */
#define MARK_READ 16   /* all its bytes were read, and are sound */
#define MARK_REMOTE 32 /* its bytes are elsewhere */

#define CHECK_READ_BLOCKS 16 /* at once */

struct check {
	struct check_options options;
	struct check_result result;
	uint64_t found[FINDINGS];
	int fd; /* where sentences go */

	struct index *index;
	MDB_txn *txn;
	struct extent_dir *extents; /* NULL: files are left alone */
	char *memory;               /* CHECK_READ_BLOCKS blocks */
	struct digest *md5;
	struct index_counters counters;
	int counters_known;

	/* All extents' ids, ascending; how often each is named. */
	uint64_t *ids;
	uint32_t *named;
	uint8_t *marks;
	size_t n_ids, room_ids;

	struct check_bucket *buckets; /* ascending by id */
	size_t n_buckets;
	struct check_upload *uploads; /* ascending by id */
	size_t n_uploads, room_uploads;
	/* A bit for each number below counters.next_version, in pieces that are
	 * there once one of them was seen: with each recovery numbers begin far
	 * above those before. */
	uint8_t **versions;
	size_t n_versions;
};
#define CHECK_VERSIONS_BITS 24 /* of a piece */

/* As store_check() of an index in dir, by a name of its own, without the lock.
 */
int check_in_child(const char *dir, const char *index, int with_files,
    const struct check_options *, void (*report)(const char *, void *),
    void *arg, struct check_result *, struct error *err);

void check_damage(struct check *, enum finding, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void check_note(struct check *, enum finding, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "and so many more" for kinds that were cut short. */
void check_tell_rest(struct check *);

/* 0, or -1 and *err. */
int numbers_add(struct numbers *, uint64_t, struct error *err);
void numbers_sort(struct numbers *);
int numbers_have(const struct numbers *, uint64_t);

/* Whose content an extent is, for sentences. */
struct check_owner {
	const char *what; /* "object", "version", "part 7 of the upload of" */
	struct slice bucket, key;
};
#define CHECK_NAME_BYTES 320
/* "object "key" in bucket "b"", printable, cut off when long. */
const char *check_name(const struct check_owner *, char text[CHECK_NAME_BYTES]);

/* Each step: 0, or -1 and *err when the check cannot go on. In this order. */
int check_pages(struct check *, struct error *err);
int check_settings(struct check *, struct error *err);
int check_extents(struct check *, struct error *err); /* fills ids */
int check_buckets(struct check *, struct error *err); /* fills buckets */
int check_objects(struct check *, struct error *err);
int check_versions(struct check *, struct error *err);
int check_uploads(struct check *, struct error *err);
int check_parts(struct check *, struct error *err);
int check_journal(struct check *, struct error *err);
int check_keys(struct check *, struct error *err);
int check_references(struct check *, struct error *err);
int check_usage(struct check *, struct error *err);
int check_files(struct check *, struct error *err);

/* Whether it is a bucket's number. */
int check_is_bucket(const struct check *, uint64_t id);
/* The place of an extent in ids, or -1. */
long check_find(const struct check *, uint64_t id);
/* Counts that something names the extent, and reads its record. 1, or 0 when
 * there is none to speak of, which is then reported. id is not 0. */
int check_take(struct check *, uint64_t id, const struct check_owner *,
    struct extent_record *);
/* Compares an object's or part's claims with its extent, counting the name. */
void check_content(struct check *, uint64_t extent, uint64_t size,
    unsigned parts, const struct check_owner *);
/* With read_data: that bytes come to an ETag. */
void check_digest(struct check *, uint64_t extent, unsigned parts,
    const uint8_t md5[16], const struct check_owner *);
/* That no two have the number. */
void check_unique(struct check *, uint64_t version, const struct check_owner *);

#define SLICE_OF(val) \
	((struct slice){ (const char *)(val).mv_data, (val).mv_size })

#endif
