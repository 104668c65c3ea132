/*
 * The smallest store that keeps its promises, for testing the recorder and
 * the replayer themselves: small values in LMDB, large ones in files that are
 * written without a name, synced, linked, and then named in LMDB.
 *
 *	toy serve DIR	reads lines "KEY SEED SIZE"; answers "KEY SEED" when
 *			the value is durable
 *	toy check DIR	prints "KEY SEED" for each value; exits 1 on damage
 */
#include <fcntl.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INLINE_MAX 4096u

struct value {
	uint64_t seed, size, file; /* file 0: the bytes follow */
};

static MDB_env *env;
static MDB_dbi dbi;
static int root;

#define CHECK(what) \
	do { \
		int rc_ = (what); \
		if (rc_ != 0) { \
			fprintf(stderr, "toy: %s: %d %m\n", #what, rc_); \
			exit(1); \
		} \
	} while (0)

static void
fill(uint8_t *bytes, uint64_t seed, uint64_t size)
{
	uint64_t i, x = seed * 0x9e3779b97f4a7c15u + 1;

	for (i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)x;
	}
}

static void
open_index(const char *dir)
{
	char path[4096];
	MDB_txn *txn;
	int fd;

	root = open(dir, O_RDONLY | O_DIRECTORY);
	CHECK(root < 0);
	mkdirat(root, "extents", 0700);
	mkdirat(root, "index", 0700);
	snprintf(path, sizeof(path), "%s/index", dir);
	CHECK(mdb_env_create(&env));
	CHECK(mdb_env_set_mapsize(env, 1u << 28));
	CHECK(mdb_env_open(env, path, 0, 0600));
	CHECK(fsync(root));
	fd = openat(root, "index", O_RDONLY | O_DIRECTORY);
	CHECK(fsync(fd));
	close(fd);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn));
	CHECK(mdb_dbi_open(txn, NULL, 0, &dbi));
	CHECK(mdb_txn_commit(txn));
}

static void
file_name(char name[64], uint64_t file)
{
	snprintf(name, 64, "extents/%lu/%lu", file / 16, file);
}

static void
write_file(uint64_t file, const uint8_t *bytes, uint64_t size)
{
	char name[64], dir[64], proc[64];
	int fd, dirfd, made;

	fd = openat(root, "extents", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd < 0);
	CHECK(write(fd, bytes, size / 2) < 0);
	CHECK(write(fd, bytes + size / 2, size - size / 2) < 0);
	CHECK(fdatasync(fd));
	file_name(name, file);
	snprintf(dir, sizeof(dir), "extents/%lu", file / 16);
	made = mkdirat(root, dir, 0700) == 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, proc, root, name, AT_SYMLINK_FOLLOW));
	close(fd);
	dirfd = openat(root, dir, O_RDONLY | O_DIRECTORY);
	CHECK(fsync(dirfd));
	close(dirfd);
	if (made) {
		dirfd = openat(root, "extents", O_RDONLY | O_DIRECTORY);
		CHECK(fsync(dirfd));
		close(dirfd);
	}
}

static void
put(char *key, uint64_t seed, uint64_t size)
{
	uint8_t *bytes = malloc(sizeof(struct value) + size);
	struct value v = { seed, size, 0 }, old = { 0, 0, 0 };
	MDB_val k = { strlen(key), key }, d;
	MDB_txn *txn;
	char name[64];

	fill(bytes + sizeof(v), seed, size);
	d = (MDB_val){ sizeof(v), bytes };
	if (size <= INLINE_MAX) {
		d.mv_size += size;
	} else {
		/* seeds grow, and the file of a larger seed is new */
		v.file = seed;
		write_file(v.file, bytes + sizeof(v), size);
	}
	memcpy(bytes, &v, sizeof(v));
	CHECK(mdb_txn_begin(env, NULL, 0, &txn));
	{
		MDB_val was;

		if (mdb_get(txn, dbi, &k, &was) == 0)
			memcpy(&old, was.mv_data, sizeof(old));
	}
	CHECK(mdb_put(txn, dbi, &k, &d, 0));
	CHECK(mdb_txn_commit(txn));
	if (old.file != 0) {
		file_name(name, old.file);
		CHECK(unlinkat(root, name, 0));
	}
	free(bytes);
}

static int
check_one(const MDB_val *k, const MDB_val *d)
{
	struct value v;
	uint8_t *want, *have;
	char name[64];
	int fd, good;

	memcpy(&v, d->mv_data, sizeof(v));
	want = malloc(v.size + 1);
	have = malloc(v.size + 1);
	fill(want, v.seed, v.size);
	if (v.file == 0) {
		good = d->mv_size == sizeof(v) + v.size &&
		    memcmp((char *)d->mv_data + sizeof(v), want, v.size) == 0;
	} else {
		file_name(name, v.file);
		fd = openat(root, name, O_RDONLY);
		good = fd >= 0 &&
		    read(fd, have, v.size + 1) == (ssize_t)v.size &&
		    memcmp(have, want, v.size) == 0;
		if (fd >= 0)
			close(fd);
	}
	free(want);
	free(have);
	printf("%.*s %lu\n", (int)k->mv_size, (char *)k->mv_data, v.seed);
	if (!good)
		fprintf(stderr, "toy: %.*s is damaged\n", (int)k->mv_size,
		    (char *)k->mv_data);
	return (good);
}

int
main(int argc, char **argv)
{
	unsigned long seed, size;
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, d;
	char key[64];
	int good = 1;

	if (argc != 3)
		return (2);
	open_index(argv[2]);
	if (strcmp(argv[1], "check") != 0) {
		while (scanf("%63s %lu %lu", key, &seed, &size) == 3) {
			put(key, seed, size);
			printf("%s %lu\n", key, seed);
			fflush(stdout);
		}
		return (0);
	}
	CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	CHECK(mdb_cursor_open(txn, dbi, &cursor));
	while (mdb_cursor_get(cursor, &k, &d, MDB_NEXT) == 0)
		good &= check_one(&k, &d);
	return (good ? 0 : 1);
}
