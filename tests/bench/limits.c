/*
 * What this machine can do at most, for the ratios of `make bench`: one JSON
 * object a line. Works in the directory that is given, and leaves nothing
 * there.
 *
 *     limits DIR
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#include <lmdb.h>
#include <openssl/evp.h>

#define SECONDS 3.0
#define GIB (1024UL * 1024 * 1024)
#define MIB (1024UL * 1024)
#define SMALL_BYTES 4096
/* What a record and 4 KiB of content come to. */
#define VALUE_BYTES 4400

static unsigned char block[MIB];

static double
now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "limits: %s: %s\n", what, why);
	exit(1);
}

static int
make_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1)
		die(name, strerror(errno));
	return fd;
}

static void
write_block(int fd, size_t len)
{
	if (write(fd, block, len) != (ssize_t)len)
		die("write", strerror(errno));
}

static void
measure_sync(void)
{
	double start, end;
	long n = 0;
	int fd = make_file("limits.sync");

	start = now();
	do {
		write_block(fd, SMALL_BYTES);
		if (fdatasync(fd) != 0)
			die("fdatasync", strerror(errno));
		n++;
	} while ((end = now()) - start < SECONDS);
	printf("{\"limit\": \"sync4k\", \"ops_s\": %.1f}\n",
	    (double)n / (end - start));
	(void)close(fd);
	(void)unlink("limits.sync");
}

static void
measure_disk(void)
{
	int fd = make_file("limits.disk");
	double start = now();
	size_t i;

	for (i = 0; i < GIB / MIB; i++)
		write_block(fd, MIB);
	if (fdatasync(fd) != 0)
		die("fdatasync", strerror(errno));
	printf("{\"limit\": \"disk1g\", \"mib_s\": %.1f}\n",
	    1024 / (now() - start));
	(void)close(fd);
	(void)unlink("limits.disk");
}

static void
measure_digest(const char *name, const EVP_MD *md)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	double start, end;
	long n = 0;

	if (ctx == NULL || EVP_DigestInit_ex(ctx, md, NULL) != 1)
		die(name, "there is no such digest");
	start = now();
	do {
		if (EVP_DigestUpdate(ctx, block, MIB) != 1)
			die(name, "failed");
		n++;
	} while ((end = now()) - start < SECONDS / 3);
	printf("{\"limit\": \"%s\", \"mib_s\": %.1f}\n", name,
	    (double)n / (end - start));
	EVP_MD_CTX_free(ctx);
}

static void
check(const char *what, int rc)
{
	if (rc != 0)
		die(what, mdb_strerror(rc));
}

/* Puts of random keys, so many in a transaction. */
static void
measure_lmdb(unsigned per_transaction)
{
	double start, end;
	unsigned i;
	long n = 0;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k, v;
	uint64_t key[4];

	if (mkdir("limits.lmdb", 0700) != 0)
		die("limits.lmdb", strerror(errno));
	check("env", mdb_env_create(&env));
	check("size", mdb_env_set_mapsize(env, 16 * GIB));
	check("open", mdb_env_open(env, "limits.lmdb", 0, 0600));
	srandom(1);
	start = now();
	do {
		check("begin", mdb_txn_begin(env, NULL, 0, &txn));
		check("dbi", mdb_dbi_open(txn, NULL, 0, &dbi));
		for (i = 0; i < per_transaction; i++, n++) {
			key[0] = (uint64_t)random();
			key[1] = (uint64_t)random();
			key[2] = key[3] = (uint64_t)n;
			k.mv_data = key;
			k.mv_size = sizeof(key);
			v.mv_data = block;
			v.mv_size = VALUE_BYTES;
			check("put", mdb_put(txn, dbi, &k, &v, 0));
		}
		check("commit", mdb_txn_commit(txn));
	} while ((end = now()) - start < SECONDS);
	printf("{\"limit\": \"lmdb%u\", \"ops_s\": %.1f}\n", per_transaction,
	    (double)n / (end - start));
	mdb_env_close(env);
	(void)unlink("limits.lmdb/data.mdb");
	(void)unlink("limits.lmdb/lock.mdb");
	(void)rmdir("limits.lmdb");
}

int
main(int argc, char **argv)
{
	size_t i;

	if (argc != 2 || chdir(argv[1]) != 0)
		die("usage", "limits DIR");
	for (i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)random();
	measure_sync();
	measure_lmdb(1);
	measure_lmdb(16);
	measure_lmdb(64);
	measure_digest("md5", EVP_md5());
	measure_digest("sha256", EVP_sha256());
	measure_disk();
	return 0;
}
