#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct error;

/*
 * The records of the index: how each looks in memory, and (in record.c, byte by
 * byte) on disk. Decoding checks every bound, refuses a format that is newer
 * than this program (ERR_FORMAT) and calls anything else that is wrong
 * ERR_DAMAGED. Slices of a decoded record point into the bytes it was decoded
 * from. Encoding appends to a buffer. Pure functions; any thread.
 *
 * On disk a record is: format byte, number of tagged fields, then fixed fields,
 * then tagged ones {tag u8, length be32, bytes}, so that later releases add
 * some. A reader of the same format skips tags it does not know. Slices that
 * are empty are not written, and decode as SLICE_NULL. Times lie between the
 * years 1970 and 9999.
 */

#define KEY_MAX_BYTES 1024
#define BUCKET_NAME_MAX_BYTES 63
#define PARTS_MAX 10000
#define OBJECT_MAX_BYTES (5ULL << 40)
#define PART_MAX_BYTES (5ULL << 30)
#define PART_MIN_BYTES (5ULL << 20)

/* Stands for the "null" version where a version may be named. */
#define VERSION_NULL UINT64_MAX

enum checksum_kind {
	CHECKSUM_NONE,
	CHECKSUM_CRC32,
	CHECKSUM_CRC32C,
	CHECKSUM_CRC64NVME,
	CHECKSUM_SHA1,
	CHECKSUM_SHA256
};

#define CHECKSUM_MAX_BYTES 32

/* A checksum that a client gave or asked for. */
struct checksum {
	uint8_t kind;      /* enum checksum_kind */
	uint8_t composite; /* of the parts' checksums, not of the bytes */
	uint8_t value[CHECKSUM_MAX_BYTES];
};
size_t checksum_bytes(enum checksum_kind); /* 0, 4, 4, 8, 20, 32 */

/* Name and value pairs (headers, metadata, tags): {be16 len, name, be16 len,
 * value}*. pairs_next: 1 and the next pair, 0 at the end, -1 when damaged. */
void pairs_add(struct buffer *, struct slice name, struct slice value);
int pairs_next(struct slice *rest, struct slice *name, struct slice *value);
struct slice pairs_get(
    struct slice pairs, const char *name); /* or SLICE_NULL */
size_t pairs_count(struct slice pairs);

enum bucket_versioning {
	VERSIONING_OFF,
	VERSIONING_ENABLED,
	VERSIONING_SUSPENDED
};

struct bucket_record {
	uint64_t id; /* root of its names in every tree */
	int64_t created_ms;
	uint8_t versioning;
	uint64_t quota_bytes; /* 0: none */
	struct slice owner;
	struct slice tags;
	/* usage */
	uint64_t objects, object_bytes;
	uint64_t versions,
	    version_bytes; /* non-current ones and delete markers */
	uint64_t uploads, upload_bytes;
};

/* A version of an object, or a delete marker. */
struct object_record {
	uint64_t version; /* ascending in commit order, unique in the store */
	uint8_t null_version;
	uint8_t delete_marker;
	int64_t mtime_ms;
	uint64_t size;
	uint64_t extent; /* its content; 0 for none (empty) */
	uint8_t md5[16]; /* ETag; of a multipart object the MD5 of its parts'
			    MD5s */
	uint16_t parts;  /* 0: not multipart; ETag ends with -parts */
	struct checksum checksum;
	struct slice attributes; /* pairs: content headers and x-amz-meta-* */
	struct slice tags;       /* pairs */
	/* Room for later features; kept as they are. */
	struct slice retention, encryption, replication;
	uint8_t legal_hold;
};

struct upload_record {
	int64_t started_ms;
	uint8_t checksum_kind, checksum_composite;
	struct slice attributes, tags;
	struct slice initiator; /* access key */
	uint64_t nonce;         /* part of the id that clients see */
};

struct part_record {
	uint64_t extent; /* 0: empty */
	uint64_t size;
	int64_t mtime_ms;
	uint8_t md5[16];
	struct checksum checksum;
};

/* A part of a completed object. */
struct object_part {
	uint16_t number;
	uint64_t size;
	struct checksum checksum;
};

enum extent_kind {
	EXTENT_INLINE = 1, /* the bytes are in the record */
	EXTENT_FILE = 2,   /* the bytes are in extents/<id / 4096>/<id> */
	EXTENT_CHAIN = 3,  /* other extents, one behind another */
	EXTENT_REMOTE = 4  /* the bytes are elsewhere alone (store/remote.h) */
};

#define EXTENT_DAMAGED 1 /* a block failed its check: to be healed */
#define EXTENT_ADOPTED \
	2 /* a chain that came back from elsewhere: all bytes \
	     are in its first part, the sizes of the parts \
	     that were being forgotten */

struct chain_entry {
	uint64_t extent; /* 0: empty part */
	uint64_t end;    /* offset behind its last byte in the whole */
	uint16_t number; /* of the part */
	uint8_t checksum[CHECKSUM_MAX_BYTES];
};

/* References: one for each object or version, part, chain and journal entry
 * that names it. At zero it is removed (inline) or queued for the reaper. */
struct extent_record {
	uint8_t kind, flags;
	uint32_t references;
	uint64_t size;
	uint32_t crc32c;    /* EXTENT_INLINE; see has_sum */
	struct slice bytes; /* EXTENT_INLINE */
	uint32_t n_entries; /* EXTENT_CHAIN */
	uint8_t checksum_kind;
	struct slice entries; /* EXTENT_CHAIN: encoded; use chain_get */
	struct slice place;   /* EXTENT_REMOTE: what the remote knows it by */
	struct slice md5;     /* EXTENT_REMOTE: of all bytes; may be empty */
	/* EXTENT_REMOTE: crc32c is that of all bytes. EXTENT_CHAIN: the same,
	 * and it is yet to be found right (store/prove.h). */
	int has_sum;
	uint64_t place_offset; /* EXTENT_REMOTE: where its bytes begin there */
};

enum key_right {
	RIGHT_READ = 1,
	RIGHT_WRITE = 2,
	RIGHT_LIST = 4,
	RIGHT_DELETE = 8,
	RIGHT_ADMIN = 16 /* buckets, settings of buckets; implies the others */
};

struct key_record {
	struct slice access_key; /* 1 .. 128 bytes */
	struct slice secret;
	struct slice name;
	uint8_t rights;
	struct slice bucket; /* empty: all */
	struct slice prefix; /* empty: all of the bucket */
	int64_t created_ms;
};

enum journal_what {
	JOURNAL_PUT = 1,    /* object or copy or complete */
	JOURNAL_DELETE = 2, /* the key no longer has a current object */
	JOURNAL_TAGS = 3,
	JOURNAL_DELETE_VERSION = 4,
	JOURNAL_BUCKET = 5, /* made, or its settings changed */
	JOURNAL_DELETE_BUCKET = 6
};

struct journal_record {
	uint64_t begin;
	uint8_t what;
	int64_t time_ms;
	uint64_t version, extent, size; /* extent is pinned by a reference */
	struct slice bucket, key;
	struct slice object; /* of a put, or of tags: the encoded record */
};

void bucket_encode(struct buffer *, const struct bucket_record *);
int bucket_decode(struct slice, struct bucket_record *, struct error *err);
/* Writes the record's usage into an encoded one that could be decoded. */
void bucket_set_usage(void *encoded, const struct bucket_record *);
void object_encode(struct buffer *, const struct object_record *);
int object_decode(struct slice, struct object_record *, struct error *err);
void upload_encode(struct buffer *, const struct upload_record *);
int upload_decode(struct slice, struct upload_record *, struct error *err);
void part_encode(struct buffer *, const struct part_record *);
int part_decode(struct slice, struct part_record *, struct error *err);
void extent_encode(struct buffer *, const struct extent_record *);
int extent_decode(struct slice, struct extent_record *, struct error *err);
/* The references of an encoded record without decoding it: *ok is 0 when it is
 * too short or of another format. Setting them in place needs a record that
 * passed. */
uint32_t extent_references(struct slice encoded, int *ok);
void extent_set_references(void *encoded, uint32_t references);
/* The bytes within an encoded record that is inline, else SLICE_NULL; nothing
 * else of it is looked at. */
struct slice extent_content(struct slice encoded);
void key_encode(struct buffer *, const struct key_record *);
int key_decode(struct slice, struct key_record *, struct error *err);
void journal_encode(struct buffer *, const struct journal_record *);
int journal_decode(struct slice, struct journal_record *, struct error *err);

/* A chain's entries: appended one by one for encoding; read by index, in
 * constant time. chain_get: 0, or -1 when there is no such entry or it is
 * damaged. */
void chain_add(
    struct buffer *entries, enum checksum_kind, const struct chain_entry *);
int chain_get(const struct extent_record *, size_t i, struct chain_entry *);

/* The quoted-less ETag: 32 hex digits, and "-parts" for a multipart object. */
#define ETAG_BYTES 40
void object_etag(const struct object_record *, char text[ETAG_BYTES]);

#endif
