#include <sys/stat.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/names.h"

/*
 * What the index costs by itself, without a server: a million names with
 * objects' records, read by pages, by prefixes and one by one, then written in
 * transactions of several sizes, LMDB in full sync mode.
 *
 *     make build/bench/names && build/bench/names DIRECTORY
 */

#define NAMES 1000000
#define PREFIXES 1000
#define PAGE 1000
#define LOAD_BATCH 20000
#define CONTENT_BYTES 4096
#define MAP_BYTES (32ULL << 30)
#define WRITE_SECONDS 3.0
#define RANDOM_STEP UINT64_C(2654435761) /* odd: visits every name */

static MDB_env *env;
static MDB_dbi names, extents;
static uint64_t last_number = 1000;
static struct error err;

static void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.text);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t
next_number(void *arg)
{
	(void)arg;
	return ++last_number;
}

static struct slice
name_of(char text[80], uint64_t i)
{
	int len;

	len = snprintf(text, 80, "velero/kopia/namespace-%04u/p%016llx%016llx",
	    (unsigned)(i * PREFIXES / NAMES),
	    (unsigned long long)(i * UINT64_C(0x9e3779b97f4a7c15)),
	    (unsigned long long)i);
	return (struct slice){ text, (size_t)len };
}

static void
object_of(struct buffer *out, uint64_t i)
{
	static struct buffer pairs;
	struct object_record rec = { .version = i,
		.extent = i,
		.size = 4096,
		.mtime_ms = 1764000000000 };

	if (pairs.len == 0) {
		pairs_add(&pairs, SLICE_LITERAL("content-type"),
		    SLICE_LITERAL("application/octet-stream"));
		pairs_add(&pairs, SLICE_LITERAL("x-amz-meta-mtime"),
		    SLICE_LITERAL("1764000000"));
	}
	rec.checksum.kind = CHECKSUM_CRC32;
	rec.attributes = buffer_slice(&pairs);
	buffer_clear(out);
	object_encode(out, &rec);
}

static void
begin(MDB_txn **txn, unsigned flags)
{
	int rc;

	if ((rc = mdb_txn_begin(env, NULL, flags, txn)) != 0) {
		error_set(&err, ERR_IO, "%s", mdb_strerror(rc));
		die("transaction");
	}
}

static void
put(MDB_txn *txn, uint64_t i, struct buffer *out)
{
	char text[80];

	object_of(out, i);
	if (names_put(txn, names, 1, name_of(text, i), buffer_slice(out),
		next_number, NULL, &err) != 0)
		die("put");
}

static void
load(void)
{
	struct buffer out = BUFFER_INIT;
	MDB_txn *txn;
	double start;
	uint64_t i;

	start = now();
	begin(&txn, 0);
	if (mdb_dbi_open(txn, "names", MDB_CREATE, &names) != 0 ||
	    mdb_dbi_open(txn, "extents", MDB_CREATE, &extents) != 0)
		die("databases");
	for (i = 0; i < NAMES; i++) {
		put(txn, i * RANDOM_STEP % NAMES, &out);
		if (i % LOAD_BATCH == 0) {
			mdb_txn_commit(txn);
			begin(&txn, 0);
		}
	}
	mdb_txn_commit(txn);
	printf("load: %d names, records of %zu bytes, %.1f s\n", NAMES, out.len,
	    now() - start);
	buffer_free(&out);
}

static void
read_pages(void)
{
	struct names_walk walk;
	struct object_record rec;
	MDB_txn *txn;
	char text[80];
	double start;
	int depth, i, rounds;

	begin(&txn, MDB_RDONLY);
	for (depth = 0; depth < 10; depth += 3) {
		start = now();
		for (rounds = 0; rounds < 50; rounds++) {
			names_open(&walk, txn, names, 1);
			if (names_seek(&walk,
				name_of(text, (uint64_t)depth * NAMES / 10),
				&err) != 0)
				die("seek");
			for (i = 0; i < PAGE; i++) {
				if (object_decode(walk.value, &rec, &err) !=
					0 ||
				    names_next(&walk, &err) != 0)
					die("walk");
			}
			names_close(&walk);
		}
		printf("page of %d at %d0 %%: %.0f us, %.3f us a name\n", PAGE,
		    depth, (now() - start) / rounds * 1e6,
		    (now() - start) / rounds / PAGE * 1e6);
	}

	start = now();
	names_open(&walk, txn, names, 1);
	rounds = 0;
	for (i = names_seek(&walk, SLICE_NULL, &err); i == 0; rounds++) {
		i = names_skip(&walk,
		    (struct slice){ (char *)walk.name,
			sizeof("velero/kopia/namespace-0000/") - 1 },
		    &err);
	}
	names_close(&walk);
	printf("skip: %d prefixes, %.2f us each\n", rounds,
	    (now() - start) / rounds * 1e6);
	mdb_txn_abort(txn);
}

static void
read_single(void)
{
	struct object_record rec;
	struct slice value;
	MDB_txn *txn;
	char text[80];
	double start;
	uint64_t i;

	begin(&txn, MDB_RDONLY);
	start = now();
	for (i = 0; i < NAMES; i++) {
		if (i % 100 == 0) {
			mdb_txn_reset(txn);
			mdb_txn_renew(txn);
		}
		if (names_get(txn, names, 1,
			name_of(text, i * RANDOM_STEP % NAMES), &value,
			&err) != 0 ||
		    object_decode(value, &rec, &err) != 0)
			die("get");
	}
	printf("get: %.2f us (making the name included)\n",
	    (now() - start) / NAMES * 1e6);
	mdb_txn_abort(txn);
}

static void
write_batches(int batch, int with_names, int content, unsigned flags)
{
	static char bytes[CONTENT_BYTES];
	static uint64_t n = NAMES, id;
	struct extent_record rec = { .kind = EXTENT_INLINE,
		.references = 1,
		.size = sizeof(bytes),
		.bytes = { bytes, sizeof(bytes) } };
	struct buffer out = BUFFER_INIT;
	MDB_val key, value;
	MDB_txn *txn;
	uint8_t number[8];
	double start;
	uint64_t puts;
	int i;

	start = now();
	for (puts = 0; now() - start < WRITE_SECONDS; puts += (uint64_t)batch) {
		begin(&txn, 0);
		for (i = 0; i < batch; i++) {
			if (with_names)
				put(txn, n++ * RANDOM_STEP % (100 * NAMES),
				    &out);
			if (!content)
				continue;
			buffer_clear(&out);
			extent_encode(&out, &rec);
			be64_put(number, ++id);
			key = (MDB_val){ sizeof(number), number };
			value = (MDB_val){ out.len, out.at };
			if (mdb_put(txn, extents, &key, &value, flags) != 0)
				die("put");
		}
		if (mdb_txn_commit(txn) != 0)
			die("commit");
	}
	printf("%-16s %-16s %2d a transaction: %7.0f puts/s, %5.0f us each\n",
	    with_names ? "random names" : "",
	    !content    ? ""
		: flags ? "4 KiB, append"
			: "4 KiB, put",
	    batch, (double)puts / (now() - start),
	    (now() - start) / (double)puts * 1e6);
	buffer_free(&out);
}

int
main(int argc, char *argv[])
{
	static const int batches[] = { 1, 16, 64 };
	size_t i;

	if (argc != 2 || (mkdir(argv[1], 0700) != 0 && errno != EEXIST)) {
		fprintf(stderr, "usage: names DIRECTORY (an empty one)\n");
		return 1;
	}
	if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 2) != 0 ||
	    mdb_env_set_mapsize(env, MAP_BYTES) != 0 ||
	    mdb_env_open(env, argv[1], MDB_NORDAHEAD, 0600) != 0)
		die("environment");
	load();
	read_pages();
	read_single();
	for (i = 0; i < 3; i++) {
		write_batches(batches[i], 1, 0, 0);
		write_batches(batches[i], 0, 1, 0);
		write_batches(batches[i], 0, 1, MDB_APPEND);
		write_batches(batches[i], 1, 1, MDB_APPEND);
	}
	mdb_env_close(env);
	return 0;
}
