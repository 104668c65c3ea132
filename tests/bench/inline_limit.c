#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <lmdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "base/error.h"
#include "store/extent.h"
#include "store/names.h"

/*
 * Where should a small content live: in the index, or in a file? Writes
 * contents durably in both ways, with the store's own records, names and
 * extents, from 1 and from 64 threads, a committer settling all that is ready
 * in one transaction; then reads them from memory and from the disk. Prints a
 * table in Markdown, "index" beside "file".
 *
 *     make build/bench/inline_limit
 *     build/bench/inline_limit DIRECTORY [LIVE]
 *
 * With LIVE, each write beyond so many removes the oldest content and sizes
 * vary down to the half, so that space of all lengths is freed and used again.
 * What the device wrote counts everyone's writes: give the directory a file
 * system of its own to see it undisturbed.
 */

#define SECONDS 1.0
#define ROUNDS 5 /* of which the best counts: other programs disturb */
#define CLIENTS_MAX 64
#define IO_THREADS \
	16 /* that wait for files at the same time, as in the store */
#define READS 20000
#define COLD_READS 200
#define CONTENT_MAX_BYTES (256 * 1024)
#define MAP_BYTES (64ULL << 30)

struct request {
	uint64_t id;
	uint32_t crc;
	int made_directory;
	int ready, done;
	pthread_cond_t answered;
};

struct result {
	double ops, cpu_us, device, read_us, cold_us;
};

static const char *base;
static char dir[512];
static uint64_t live; /* 0: all of them */
static size_t content_bytes;
static int in_file, clients;

static MDB_env *env;
static MDB_dbi names, extents;
static struct extent_dir *files;
static char content[CONTENT_MAX_BYTES];
static struct buffer object;
static sem_t io;
static struct request requests[CLIENTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static atomic_uint_fast64_t last_id;
static atomic_int stop;
static uint64_t answered;

static void
die(const char *what, const struct error *err)
{
	fprintf(stderr, "%s: %s\n", what, err == NULL ? "failed" : err->text);
	exit(1);
}

static void
check(int rc)
{
	if (rc != 0) {
		fprintf(stderr, "the index: %s\n", mdb_strerror(rc));
		exit(1);
	}
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double
device_written(void)
{
	char path[64];
	uint64_t sectors;
	struct stat st;
	FILE *f;

	sectors = 0;
	if (stat(base, &st) != 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat",
	    major(st.st_dev), minor(st.st_dev));
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	if (fscanf(f, "%*s %*s %*s %*s %*s %*s %" SCNu64, &sectors) != 1)
		sectors = 0;
	fclose(f);
	return (double)sectors * 512;
}

/* A well mixed number for each id. */
static uint64_t
mixed(uint64_t id)
{
	id *= UINT64_C(0x9e3779b97f4a7c15);
	return id ^ id >> 29;
}

static size_t
size_of(uint64_t id)
{
	return live == 0
	    ? content_bytes
	    : content_bytes - (size_t)(mixed(id) % (content_bytes / 2));
}

static uint64_t
no_node(void *arg)
{
	(void)arg;
	abort();
}

static struct slice
name_of(char text[64], uint64_t id)
{
	int len;

	len =
	    snprintf(text, 64, "velero/kopia/default/p%016" PRIx64, mixed(id));
	return (struct slice){ text, (size_t)len };
}

static void
make_file(struct request *request)
{
	struct extent_writer *writer;
	struct error err;
	size_t len;

	len = size_of(request->id);
	sem_wait(&io);
	if ((writer = extent_begin(files, len, &err)) == NULL ||
	    extent_append(writer, content, len, &err) != 0 ||
	    extent_seal(writer, request->id, buffer_slice(&object),
		&request->made_directory, &err) != 0)
		die("file", &err);
	extent_free(writer);
	sem_post(&io);
}

static void *
client(void *arg)
{
	struct request *request = arg;
	struct error err;
	uint64_t oldest;

	while (!atomic_load(&stop)) {
		request->id = atomic_fetch_add(&last_id, 1) + 1;
		request->crc = crc32c(0, content, size_of(request->id));
		if (in_file)
			make_file(request);
		pthread_mutex_lock(&lock);
		request->ready = 1;
		request->done = 0;
		pthread_cond_signal(&work);
		while (!request->done)
			pthread_cond_wait(&request->answered, &lock);
		answered++;
		pthread_mutex_unlock(&lock);

		oldest = request->id - live;
		if (in_file && live > 0 && request->id > live &&
		    extent_unlink(files, oldest, &err) != 0)
			die("removing", &err);
	}
	return NULL;
}

static void
settle(MDB_txn *txn, const struct request *request)
{
	static struct buffer out;
	struct extent_record rec = { .references = 1 };
	struct error err;
	uint8_t number[8];
	MDB_val key, value;
	char text[64];
	int rc;

	rec.kind = in_file ? EXTENT_FILE : EXTENT_INLINE;
	rec.crc32c = request->crc;
	rec.size = size_of(request->id);
	rec.bytes = (struct slice){ content, rec.size };
	buffer_clear(&out);
	extent_encode(&out, &rec);
	be64_put(number, request->id);
	key = (MDB_val){ sizeof(number), number };
	value = (MDB_val){ out.len, out.at };
	check(mdb_put(txn, extents, &key, &value, 0));
	if (names_put(txn, names, 1, name_of(text, request->id),
		buffer_slice(&object), no_node, NULL, &err) != 0)
		die("name", &err);

	if (live == 0 || request->id <= live)
		return;
	be64_put(number, request->id - live);
	rc = mdb_del(txn, extents, &key, NULL);
	if (rc != MDB_NOTFOUND)
		check(rc);
	if (names_delete(
		txn, names, 1, name_of(text, request->id - live), &err) < 0)
		die("name", &err);
}

/* Settles all that is ready in one transaction, until told to stop. */
static void *
committer(void *arg)
{
	struct request *batch[CLIENTS_MAX];
	struct error err;
	uint64_t synced;
	MDB_txn *txn;
	int i, n;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&lock);
		for (n = 0; n == 0;) {
			for (i = 0; i < clients; i++) {
				if (requests[i].ready)
					batch[n++] = &requests[i];
			}
			if (n > 0)
				break;
			if (atomic_load(&stop) == 2) {
				pthread_mutex_unlock(&lock);
				return NULL;
			}
			pthread_cond_wait(&work, &lock);
		}
		for (i = 0; i < n; i++)
			batch[i]->ready = 0;
		pthread_mutex_unlock(&lock);

		synced = UINT64_MAX;
		check(mdb_txn_begin(env, NULL, 0, &txn));
		for (i = 0; i < n; i++) {
			if (in_file &&
			    (batch[i]->made_directory ||
				batch[i]->id / EXTENTS_PER_DIRECTORY !=
				    synced)) {
				synced = batch[i]->id / EXTENTS_PER_DIRECTORY;
				if (extent_sync_directory(files, batch[i]->id,
					batch[i]->made_directory, &err) != 0)
					die("directory", &err);
			}
			settle(txn, batch[i]);
		}
		check(mdb_txn_commit(txn));

		pthread_mutex_lock(&lock);
		for (i = 0; i < n; i++) {
			batch[i]->done = 1;
			pthread_cond_signal(&batch[i]->answered);
		}
		pthread_mutex_unlock(&lock);
	}
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
open_index(void)
{
	MDB_txn *txn;

	check(mdb_env_create(&env));
	check(mdb_env_set_maxdbs(env, 2));
	check(mdb_env_set_mapsize(env, MAP_BYTES));
	check(mdb_env_open(env, dir, MDB_NORDAHEAD, 0600));
	check(mdb_txn_begin(env, NULL, 0, &txn));
	check(mdb_dbi_open(txn, "names", MDB_CREATE, &names));
	check(mdb_dbi_open(txn, "extents", MDB_CREATE, &extents));
	check(mdb_txn_commit(txn));
}

static void
open_all(void)
{
	struct error err;
	int fd;

	snprintf(dir, sizeof(dir), "%s/inline_limit", base);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(dir, 0700) != 0 ||
	    (fd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		die(dir, NULL);
	if ((files = extent_dir_open(fd, &err)) == NULL)
		die("extents", &err);
	close(fd);
	open_index();
}

static void
close_all(void)
{
	mdb_env_close(env);
	extent_dir_close(files);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	sync();
}

static void
read_inline(MDB_txn *txn, uint64_t id)
{
	struct extent_record rec;
	struct error err;
	uint8_t number[8];
	MDB_val key, value;

	check(mdb_txn_renew(txn));
	be64_put(number, id);
	key = (MDB_val){ sizeof(number), number };
	check(mdb_get(txn, extents, &key, &value));
	if (extent_decode((struct slice){ value.mv_data, value.mv_size }, &rec,
		&err) != 0)
		die("record", &err);
	if (crc32c(0, rec.bytes.at, rec.bytes.len) != rec.crc32c)
		die("bytes", NULL);
	mdb_txn_reset(txn);
}

static void
read_file(uint64_t id)
{
	static char memory[CONTENT_MAX_BYTES];
	struct extent_reader *reader;
	struct error err;
	uint64_t bad;

	if ((reader = extent_open(files, id, &err)) == NULL ||
	    extent_read_blocks(reader, 0,
		(size_of(id) + EXTENT_BLOCK_BYTES - 1) / EXTENT_BLOCK_BYTES,
		memory, 0, &bad, &err) != (long)size_of(id))
		die("file", &err);
	extent_close(reader);
}

/* Lets the page cache forget a file. */
static void
forget(const char *path)
{
	int fd;

	if ((fd = open(path, O_RDONLY)) < 0)
		return;
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* Microseconds for a read of one of the newest contents. */
static double
read_some(int reads, int cold)
{
	char path[600];
	uint64_t id, n, newest, seen;
	MDB_txn *txn;
	double spent, start;
	int i;

	newest = atomic_load(&last_id);
	n = live > 0 && newest > live ? live / 2 : newest;
	if (cold) {
		mdb_env_close(env);
		snprintf(path, sizeof(path), "%s/data.mdb", dir);
		forget(path);
		open_index();
	}
	check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	mdb_txn_reset(txn);
	spent = 0;
	for (i = 0; i < reads; i++) {
		seen = (uint64_t)i;
		id = newest - (cold ? mixed(seen) : seen) % n;
		if (cold && in_file) {
			snprintf(path, sizeof(path),
			    "%s/extents/%" PRIu64 "/%" PRIu64, dir,
			    id / EXTENTS_PER_DIRECTORY, id);
			forget(path);
		}
		start = now();
		if (in_file)
			read_file(id);
		else
			read_inline(txn, id);
		spent += now() - start;
	}
	mdb_txn_abort(txn);
	return spent / reads * 1e6;
}

static struct result
run(void)
{
	pthread_t committing, threads[CLIENTS_MAX];
	struct timespec nap = { (time_t)SECONDS,
		(long)((SECONDS - (double)(time_t)SECONDS) * 1e9) };
	struct result result;
	double cpu, device, n, start;
	int i;

	open_all();
	atomic_store(&last_id, 0);
	atomic_store(&stop, 0);
	answered = 0;
	device = device_written();
	cpu = cpu_seconds();
	start = now();
	pthread_create(&committing, NULL, committer, NULL);
	for (i = 0; i < clients; i++)
		pthread_create(&threads[i], NULL, client, &requests[i]);
	nanosleep(&nap, NULL);
	atomic_store(&stop, 1);
	for (i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_lock(&lock);
	atomic_store(&stop, 2);
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&lock);
	pthread_join(committing, NULL);

	n = (double)answered;
	result.ops = n / (now() - start);
	result.cpu_us = (cpu_seconds() - cpu) / n * 1e6;
	sync();
	result.device = (device_written() - device) / n;
	result.read_us = read_some(READS, 0);
	result.cold_us = read_some(COLD_READS, 1);
	close_all();
	return result;
}

static int
by_ops(const void *a, const void *b)
{
	const struct result *x = a, *y = b;

	return (x->ops > y->ops) - (x->ops < y->ops);
}

static void
print_row(struct result results[2][ROUNDS])
{
	struct result *f, *x;

	qsort(results[0], ROUNDS, sizeof(struct result), by_ops);
	qsort(results[1], ROUNDS, sizeof(struct result), by_ops);
	x = &results[0][ROUNDS - 1];
	f = &results[1][ROUNDS - 1];
	printf("| %d | %zu | %.0f, %.0f | %.0f, %.0f | %.0f, %.0f | "
	       "%.1f, %.1f | %.0f, %.0f |\n",
	    clients, content_bytes / 1024, x->ops, f->ops, x->cpu_us, f->cpu_us,
	    x->device / 1024, f->device / 1024, x->read_us, f->read_us,
	    x->cold_us, f->cold_us);
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	static const size_t sizes[] = { 2048, 4096, 8192, 16384, 32768, 65536,
		131072 };
	static const int counts[] = { 1, CLIENTS_MAX };
	struct object_record rec = { .size = 1, .mtime_ms = 1764000000000 };
	struct result results[2][ROUNDS];
	struct buffer pairs = BUFFER_INIT;
	size_t c, round, s;

	if (argc < 2) {
		fprintf(stderr, "usage: inline_limit DIRECTORY [LIVE]\n");
		return 1;
	}
	base = argv[1];
	live = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	for (s = 0; s < sizeof(content); s++)
		content[s] = (char)(s * 31 + s / 251);
	pairs_add(&pairs, SLICE_LITERAL("content-type"),
	    SLICE_LITERAL("application/octet-stream"));
	pairs_add(&pairs, SLICE_LITERAL("x-amz-meta-mtime"),
	    SLICE_LITERAL("1764000000.123456789"));
	rec.attributes = buffer_slice(&pairs);
	object_encode(&object, &rec);
	sem_init(&io, 0, IO_THREADS);
	for (c = 0; c < CLIENTS_MAX; c++)
		pthread_cond_init(&requests[c].answered, NULL);

	printf("| clients | KiB | writes/s | CPU us | disk KiB | read us | "
	       "cold read us |\n|--:|--:|--:|--:|--:|--:|--:|\n");
	for (c = 0; c < 2; c++) {
		clients = counts[c];
		for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			content_bytes = sizes[s];
			for (round = 0; round < ROUNDS; round++) {
				for (in_file = 0; in_file < 2; in_file++)
					results[in_file][round] = run();
			}
			print_row(results);
		}
	}
	buffer_free(&pairs);
	buffer_free(&object);
	return 0;
}
