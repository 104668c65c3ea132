#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "store/content.h"
#include "store/record.h"

/*
 * The store: objects on local disk, an index in LMDB, and the committer that
 * settles every ready change in one transaction. Nothing here knows of HTTP.
 *
 * Changes are asynchronous: the caller fills in a change, submits it, and its
 * `done` is called on the committer's thread once the change is durable or has
 * failed; done must be brief and not block. The change is the caller's memory
 * and must stay until then, with all that it points to. With done NULL the
 * submitting function waits and returns the outcome: 0, or -1 and change.err
 * (for the command line, tests, start-up; never on an event loop).
 *
 * Reads are synchronous, answered from the index's memory map on the calling
 * thread. Reads of contents may be asked not to wait for the disk.
 *
 * Any thread may call any of these.
 */

struct store;
struct store_txn; /* store/txn.h: the write transaction, for the store's own
		     files */
struct workers;

struct store_options {
	const char *dir;
	size_t readers;             /* threads that read at once; 0: 64 */
	uint64_t map_bytes;         /* 0: 256 GiB; address space, not disk */
	uint64_t inline_max_bytes;  /* 0: INLINE_MAX_BYTES_DEFAULT */
	uint64_t reserve_bytes;     /* 0: from the size of the file system */
	uint64_t upload_max_age_ms; /* stale uploads are aborted; 0: 24 h */
	uint64_t scrub_bytes_per_second; /* 0: off */
	uint64_t scrub_interval_ms;      /* from round to round; 0: 7 days */
	uint64_t copy_interval_ms;       /* hot copies of the index; 0: off */
	size_t io_threads;               /* 0: 16 */
	/* Above how much use of the file system contents are kept at the
	 * destination alone: one of the two, or neither (store/tier.h). */
	uint64_t tier_high_bytes;
	unsigned tier_high_percent;
};

/* Opens, or makes, the store in dir: lock, self-check, index, clean-up of what
 * a crash left. NULL and *err, a sentence with the remedy. */
struct store *store_open(const struct store_options *, struct error *err);
/* Settles what was submitted, then closes. */
void store_close(struct store *);
/* Where blocking work of requests is done. */
struct workers *store_workers(struct store *);
/* The same for what waits for the network, so that it holds nobody up. */
struct workers *store_far_workers(struct store *);
/* The largest content that is kept in the index, in bytes. */
uint64_t store_inline_max(struct store *);
/* 16 random bytes made with the store: its identity. */
const uint8_t *store_id(struct store *);

/* ---- changes ---- */

struct change {
	/* Runs in the write transaction, on the committer's thread; may run
	 * again if the transaction had to be begun anew. 0, or -1 and
	 * change->err having changed nothing. Set by the submitting functions.
	 */
	int (*apply)(struct store_txn *, struct change *);
	/* Called once, on the committer's thread. */
	void (*done)(struct change *); /* NULL: the submitter waits */
	int failed;
	struct error err;
	uint64_t
	    begin; /* store_visible() when the request began, for the journal */
	void *arg; /* the submitter's, for done */
	/* The store's own. */
	struct content_writer *sealed;
	struct waiter *waiter;
	int frees; /* goes through on a full disk */
	struct change *next;
};

/* The newest journal sequence number that is visible. */
uint64_t store_visible(struct store *);

/* A condition on what a change replaces, evaluated inside the transaction.
 * current is NULL when the key has no (visible) object. 0, or -1 and *err
 * (ERR_CONDITION, ERR_NOT_FOUND, ...). */
typedef int object_check(
    const struct object_record *current, void *arg, struct error *err);

struct put_bucket {
	struct change change;
	struct slice name;
	struct slice owner; /* access key of who made it */
	int64_t created_ms; /* out */
};
int store_create_bucket(struct store *, struct put_bucket *); /* ERR_EXISTS */

struct delete_bucket {
	struct change change;
	struct slice name;
};
int store_delete_bucket(
    struct store *, struct delete_bucket *); /* ERR_NOT_EMPTY */

struct set_bucket {
	struct change change;
	struct slice name;
	enum {
		BUCKET_SET_VERSIONING,
		BUCKET_SET_TAGS,
		BUCKET_SET_QUOTA
	} what;
	enum bucket_versioning versioning;
	struct slice tags; /* encoded pairs (store/record.h); empty removes */
	uint64_t quota_bytes; /* 0: none */
};
int store_set_bucket(struct store *, struct set_bucket *);

/* A new object, or a copy of one. */
struct put_object {
	struct change change;
	struct slice bucket, key;
	/* In: everything but size, extent, version, flags, mtime, which the
	 * store sets. Out: the record as stored (slices are the caller's own).
	 */
	struct object_record record;
	struct content_writer
	    *content;        /* sealed; consumed by the change. NULL: copy */
	object_check *check; /* may be NULL */
	void *check_arg;
	/* Copy only: the source, read inside the transaction. Attributes and
	 * tags come from it unless replaced. */
	struct slice source_bucket, source_key;
	uint64_t source_version; /* 0: the current one; VERSION_NULL */
	object_check *source_check;
	void *source_check_arg;
	int replace_attributes, replace_tags, replace_checksum;
	struct object_record
	    source; /* out: size, etag, version, mtime, checksum */
	/* Out, also of the bucket. */
	enum bucket_versioning versioning;
};
int store_put_object(struct store *, struct put_object *);

struct delete_item {
	struct slice key;
	uint64_t version; /* 0: none named; VERSION_NULL; else a version */
	object_check *check;
	void *check_arg;
	/* out */
	struct error err; /* kind ERR_NONE: deleted, or was not there */
	int made_marker; /* a delete marker was made: its version in new_version
			  */
	int was_marker;  /* the version removed was a delete marker */
	uint64_t new_version;
	int null_version; /* the marker made or removed is the null version */
};
struct delete_objects {
	struct change change; /* fails only as a whole (no bucket, disk) */
	struct slice bucket;
	struct delete_item *items;
	size_t n_items;
};
int store_delete_objects(struct store *, struct delete_objects *);

struct set_tags {
	struct change change;
	struct slice bucket, key;
	uint64_t version;            /* 0: current */
	struct slice tags;           /* encoded pairs; empty removes */
	struct object_record record; /* out: version */
};
int store_set_tags(struct store *, struct set_tags *);

struct create_upload {
	struct change change;
	struct slice bucket, key;
	struct upload_record
	    record;      /* in: attributes, tags, checksum algorithm */
	uint64_t upload; /* out: its id */
};
int store_create_upload(struct store *, struct create_upload *);

struct put_part {
	struct change change;
	struct slice bucket, key;
	uint64_t upload;
	uint16_t number;           /* 1 .. 10000 */
	struct part_record record; /* in: md5, checksum; out: mtime, size */
	struct content_writer *content; /* sealed; consumed */
};
int store_put_part(struct store *, struct put_part *);

struct complete_part {
	uint16_t number;
	uint8_t md5[16];
	struct checksum checksum; /* kind CHECKSUM_NONE: not named */
};
struct complete_upload {
	struct change change;
	struct slice bucket, key;
	uint64_t upload;
	const struct complete_part *parts;
	size_t n_parts;
	/* What the object must come to; kind CHECKSUM_NONE and UINT64_MAX: not
	 * named. */
	struct checksum checksum;
	uint64_t size;
	object_check *check;
	void *check_arg;
	struct object_record record; /* out */
	struct buffer
	    memory; /* what record's slices point into; caller frees */
	enum bucket_versioning versioning;
};
int store_complete_upload(struct store *, struct complete_upload *);

struct abort_upload {
	struct change change;
	struct slice bucket, key;
	uint64_t upload;
};
int store_abort_upload(struct store *, struct abort_upload *);

struct set_key {
	struct change change;
	struct slice
	    name; /* what people call it; the access key is in the record */
	struct key_record record;
	int remove; /* by record.access_key or, that being empty, by name */
};
int store_set_key(struct store *, struct set_key *);

struct set_setting {
	struct change change;
	const char *name;
	struct slice value; /* empty removes */
};
int store_set_setting(struct store *, struct set_setting *);

/* Notes: what the journal's consumer keeps (watermarks, unfinished uploads,
 * keys still to be looked at), opaque to the store, changed many at once. A key
 * has 1 to 500 bytes. */
struct note {
	struct slice key;
	struct slice value; /* at NULL: the note is removed */
};
struct set_notes {
	struct change change;
	const struct note *notes;
	size_t n_notes;
};
int store_set_notes(struct store *, struct set_notes *);

/* Lets go of journal entries up to `through` and of what they pinned, some at a
 * time: again while *more is set. */
struct trim_journal {
	struct change change;
	uint64_t through;
	int more; /* out */
};
int store_trim_journal(struct store *, struct trim_journal *);

/* ---- reads ---- */

/* Each fills a record whose slices point into *memory (cleared first), which
 * the caller frees in the end and may use again. 0, or -1 and *err. */
int store_bucket(struct store *, struct slice name, struct bucket_record *,
    struct buffer *memory, struct error *err);

/* version 0: the current one (ERR_NOT_FOUND if there is none; if that is
 * because of a delete marker, record->delete_marker is set and its version is
 * there); a version: ERR_NO_VERSION. ERR_DELETE_MARKER when the named version
 * is one. With inline_bytes not NULL, contents that live in the index are
 * verified and appended to it in the same snapshot, and *inline_found is set.
 */
int store_object(struct store *, struct slice bucket, struct slice key,
    uint64_t version, struct object_record *, struct buffer *memory,
    struct buffer *inline_bytes, int *inline_found, struct error *err);

/* The parts of a completed multipart object, from index `first`, at most n; how
 * many were filled in (0 for an object that has none), or -1. Sizes and
 * numbers. One that came back from elsewhere without the sizes of its parts
 * counts as one of one part. */
long store_object_parts(struct store *, const struct object_record *,
    size_t first, struct object_part *, size_t n, struct error *err);

/* Whether some of the bytes of a content are elsewhere alone. Where they are
 * needed here (for a copy), store_fill() of store/adopt.h fetches them. */
int store_is_away(struct store *, uint64_t extent);

int store_upload(struct store *, struct slice bucket, struct slice key,
    uint64_t upload, struct upload_record *, struct buffer *memory,
    struct error *err);

/* Visits parts with number > after, ascending, until visit returns nonzero. */
typedef int part_visit(uint16_t number, const struct part_record *, void *arg);
int store_parts(struct store *, struct slice bucket, struct slice key,
    uint64_t upload, uint16_t after, part_visit *, void *arg,
    struct error *err);

typedef int bucket_visit(
    struct slice name, const struct bucket_record *, void *arg);
int store_buckets(struct store *, struct slice after, bucket_visit *, void *arg,
    struct error *err);

/*
 * Listings. Visits entries in byte order of the key, starting after `after`
 * (with after_version / after_upload: after that one of the same key), until
 * visit returns nonzero. With a delimiter, all keys that share a prefix up to
 * it (looking behind `prefix`) are visited once as a common prefix, and skipped
 * by a seek. `after` that is itself a common prefix skips all below it.
 */
struct list_query {
	struct slice bucket, prefix, delimiter, after;
	uint64_t after_version; /* versions: 0: all of `after` is done */
	uint64_t after_upload;  /* uploads: the same */
};
struct list_entry {
	struct slice key;                   /* or the common prefix */
	int common_prefix;                  /* then nothing below is set */
	int is_latest;                      /* versions only */
	uint64_t upload;                    /* uploads only */
	const struct object_record *object; /* objects and versions */
	const struct upload_record *upload_record;
};
typedef int list_visit(const struct list_entry *, void *arg);
int store_list_objects(struct store *, const struct list_query *, list_visit *,
    void *arg, struct error *err);
int store_list_versions(struct store *, const struct list_query *, list_visit *,
    void *arg, struct error *err);
int store_list_uploads(struct store *, const struct list_query *, list_visit *,
    void *arg, struct error *err);

typedef int key_visit(const struct key_record *, void *arg);
int store_keys(struct store *, key_visit *, void *arg, struct error *err);
/* Rises with each change of a key; lets a cache of keys know that it is old. */
uint64_t store_keys_generation(struct store *);

/* 0 and the value in *value, or -1 and ERR_NOT_FOUND. */
int store_setting(
    struct store *, const char *name, struct buffer *value, struct error *err);

/* 0 and the value in *value, or -1 and ERR_NOT_FOUND. */
int store_note(
    struct store *, struct slice key, struct buffer *value, struct error *err);
/* Visits notes whose key starts with prefix, in their order, from behind
 * `after` (empty: from the first), until visit returns nonzero. */
typedef int note_visit(struct slice key, struct slice value, void *arg);
int store_notes(struct store *, struct slice prefix, struct slice after,
    note_visit *, void *arg, struct error *err);

/* Visits journal entries behind `after` in their sequence, until visit returns
 * nonzero. */
typedef int journal_visit(
    uint64_t sequence, const struct journal_record *, void *arg);
int store_journal(struct store *, uint64_t after, journal_visit *, void *arg,
    struct error *err);

/* ---- figures ---- */

struct store_figures {
	uint64_t buckets, objects, versions,
	    uploads; /* versions: non-current */
	uint64_t object_bytes, version_bytes, upload_bytes;
	uint64_t commits, commit_changes, commit_us; /* totals */
	uint64_t damaged_blocks, damaged_contents;
	uint64_t healed_contents;    /* from copies elsewhere */
	uint64_t read_through_bytes; /* served from there meanwhile */
	uint64_t filled_contents, filled_bytes;   /* fetched and kept */
	uint64_t away_contents, away_bytes;       /* elsewhere alone */
	uint64_t dropped_contents, dropped_bytes; /* given up for room */
	uint64_t damaged_elsewhere; /* came from there and was wrong */
	uint64_t tier_high_bytes, tier_low_bytes; /* 0: off */
	uint64_t scrub_bytes, scrub_rounds, scrub_last_ms;
	uint64_t copy_last_ms; /* when the index was last copied; 0: not yet */
	uint64_t reap_waiting; /* deleted, space not yet given back */
	uint64_t journal_entries, journal_last;
	uint64_t index_bytes, index_free_bytes;
	uint64_t disk_bytes, disk_free_bytes, reserve_bytes;
	int band; /* store/space.h */
};
void store_figures(struct store *, struct store_figures *);

#endif
