#include "store/rebuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "store/generation.h"
#include "store/hotcopy.h"
#include "store/lmdb_error.h"
#include "store/lock.h"
#include "store/rebuild_private.h"

#define NEW_INDEX "index.new"
#define CHANGES_MAX 1000
#define PIECE_BYTES (1024 * 1024)
#define SENTENCE_BYTES 1024

/* Numbers that were given after the copy was made, to whomever, are not given
 * again: so many versions and journal entries are passed over. */
#define VERSIONS_PASSED (1ULL << 24)
#define JOURNAL_PASSED (1ULL << 32)

void
rebuild_say(struct rebuild *r, const char *fmt, ...)
{
	char sentence[SENTENCE_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	r->report(sentence, r->report_arg);
}

/* ---- the new index's transactions ---- */

static int
begin(struct rebuild *r, struct error *err)
{
	size_t i;
	int rc;

	for (i = 0; i < TXN_BUCKETS; i++)
		r->txn.buckets[i].name_len = 0;
	r->txn.counters = r->counters;
	r->txn.now_ms = clock_wall_ms();
	r->changes = 0;
	rc = mdb_txn_begin(index_env(r->store.index), NULL, 0, &r->txn.txn);
	return rc == 0 ? 0 : lmdb_error(err, rc, "changing the new index");
}

static int
commit(struct rebuild *r, struct error *err)
{
	struct store_txn *txn = &r->txn;
	int rc;

	txn->counters.next_extent = atomic_load(&r->store.ids.next);
	txn->counters.settled_extent = txn->counters.next_extent;
	if (txn_flush(txn, err) != 0)
		return -1;
	buffer_clear(&txn->scratch);
	counters_encode(&txn->scratch, &txn->counters);
	if (txn->scratch.failed)
		return error_nomem(err);
	if (txn_put(txn, DB_SETTINGS, SLICE_LITERAL(SETTING_COUNTERS),
		buffer_slice(&txn->scratch), 0, err) != 0)
		return -1;
	rc = mdb_txn_commit(txn->txn);
	txn->txn = NULL;
	if (rc != 0)
		return lmdb_error(err, rc, "changing the new index");
	r->counters = txn->counters;
	return 0;
}

int
rebuild_step(struct rebuild *r, struct error *err)
{
	if (++r->changes < CHANGES_MAX)
		return 0;
	return commit(r, err) != 0 || begin(r, err) != 0 ? -1 : 0;
}

/* ---- files ---- */

int
rebuild_set_aside(
    struct rebuild *r, uint64_t id, const char *why, struct error *err)
{
	char from[64], to[48];

	snprintf(from, sizeof(from), "extents/%" PRIu64 "/%" PRIu64,
	    id / EXTENTS_PER_DIRECTORY, id);
	snprintf(to, sizeof(to), "lost/%" PRIu64, id);
	if (mkdirat(r->dirfd, "lost", 0700) != 0 && errno != EEXIST)
		return error_sys(err, errno, "cannot make the directory lost");
	if (renameat(r->dirfd, from, r->dirfd, to) != 0)
		return error_sys(err, errno, "cannot move %s to %s", from, to);
	r->result->set_aside++;
	rebuild_say(r, "%s cannot be placed and is now %s: %s", from, to, why);
	return 0;
}

static int
remove_new_index(struct rebuild *r, struct error *err)
{
	static const struct {
		const char *name;
		int flags;
	} parts[] = { { NEW_INDEX "/data.mdb", 0 },
		{ NEW_INDEX "/lock.mdb", 0 }, { NEW_INDEX, AT_REMOVEDIR } };
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (unlinkat(r->dirfd, parts[i].name, parts[i].flags) != 0 &&
		    errno != ENOENT)
			return error_sys(
			    err, errno, "cannot remove %s", parts[i].name);
	return 0;
}

static int
copy_file(
    struct rebuild *r, const char *from, const char *to, struct error *err)
{
	int in, out = -1, rc = -1;
	char *piece;
	ssize_t n;

	if ((piece = malloc(PIECE_BYTES)) == NULL)
		return error_nomem(err);
	if ((in = openat(r->dirfd, from, O_RDONLY | O_CLOEXEC)) == -1) {
		error_sys(err, errno, "cannot open %s", from);
		goto out;
	}
	out =
	    openat(r->dirfd, to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (out == -1) {
		error_sys(err, errno, "cannot make %s", to);
		goto out;
	}
	while ((n = read(in, piece, PIECE_BYTES)) != 0)
		if (n < 0 && errno != EINTR) {
			error_sys(err, errno, "cannot read %s", from);
			goto out;
		} else if (n > 0 &&
		    write_full(out, piece, (size_t)n, err) != 0) {
			error_add(err, "%s", to);
			goto out;
		}
	if (fsync(out) != 0)
		error_sys(err, errno, "cannot sync %s", to);
	else
		rc = 0;
out:
	if (in != -1)
		close(in);
	if (out != -1)
		close(out);
	free(piece);
	return rc;
}

/* ---- the hot copy ---- */

/* The name of the newest copy that is older than `before` (empty: than none).
 * 0, or 1 when there is none. */
static int
newest_copy(struct rebuild *r, const char *before, char name[64])
{
	struct dirent *entry;
	DIR *list;
	size_t len;
	int fd;

	name[0] = '\0';
	fd = openat(
	    r->dirfd, COPIES_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return 1;
	if ((list = fdopendir(fd)) == NULL) {
		close(fd);
		return 1;
	}
	while ((entry = readdir(list)) != NULL)
		if (hot_copy_is_name(entry->d_name) &&
		    (len = strlen(entry->d_name)) < 64 &&
		    strcmp(entry->d_name, name) > 0 &&
		    (before[0] == '\0' || strcmp(entry->d_name, before) < 0))
			memcpy(name, entry->d_name, len + 1);
	closedir(list);
	return name[0] == '\0';
}

static void
ignore(const char *sentence, void *arg)
{
	(void)sentence;
	(void)arg;
}

/* Makes index.new of the newest copy that is sound, or empty. */
static int
start_index(struct rebuild *r, const char *dir, struct error *err)
{
	struct check_options options = { 0 };
	struct check_result found;
	char before[64] = "", name[64] = "", path[128];

	for (;;) {
		if (remove_new_index(r, err) != 0)
			return -1;
		if (mkdirat(r->dirfd, NEW_INDEX, 0700) != 0)
			return error_sys(
			    err, errno, "cannot make the directory " NEW_INDEX);
		if (newest_copy(r, before, name) != 0) {
			rebuild_say(r,
			    "there is no copy of the index: what lived"
			    " in the index alone is lost (objects of"
			    " at most some KiB, access keys, settings,"
			    " versions, tags)");
			return 0;
		}
		snprintf(path, sizeof(path), COPIES_DIRECTORY "/%s", name);
		if (copy_file(r, path, NEW_INDEX "/data.mdb", err) != 0)
			return -1;
		if (check_in_child(dir, NEW_INDEX, 0, &options, ignore, NULL,
			&found, err) == 0 &&
		    found.damage == 0)
			break;
		rebuild_say(r, "the copy %s is not sound itself", path);
		error_clear(err);
		memcpy(before, name, sizeof(before));
	}
	memcpy(r->result->copy, name, sizeof(r->result->copy));
	r->result->from_copy = found.objects + found.versions;
	return 0;
}

/* ---- from start to end ---- */

static int
load_counters(struct rebuild *r, struct error *err)
{
	struct slice value;
	MDB_txn *txn;
	int rc;

	r->counters = (struct index_counters){ 1, 1, 1, 1, 0 };
	if ((txn = index_read(r->store.index, err)) == NULL)
		return -1;
	rc = index_get(txn, index_dbi(r->store.index, DB_SETTINGS),
	    SETTING_COUNTERS, sizeof(SETTING_COUNTERS) - 1, &value, err);
	if (rc == 0)
		rc = counters_decode(value, &r->counters, err);
	index_read_end(r->store.index, txn);
	if (rc < 0)
		return -1;
	r->settled = r->counters.settled_extent;
	r->counters.next_version += VERSIONS_PASSED;
	r->counters.journal += JOURNAL_PASSED;
	return 0;
}

static int
see_highest(uint64_t id, void *arg)
{
	uint64_t *highest = arg;

	if (id > *highest)
		*highest = id;
	return 0;
}

/* An index without a copy gets a new identity. */
static int
make_identity(struct rebuild *r, struct error *err)
{
	uint8_t id[sizeof(r->store.id)];
	struct slice value;
	int rc;

	rc = index_get(r->txn.txn, txn_dbi(&r->txn, DB_SETTINGS),
	    SETTING_STORE_ID, sizeof(SETTING_STORE_ID) - 1, &value, err);
	if (rc != 1)
		return rc;
	bytes_random(id, sizeof(id));
	return txn_put(&r->txn, DB_SETTINGS, SLICE_LITERAL(SETTING_STORE_ID),
	    (struct slice){ (char *)id, sizeof(id) }, 0, err);
}

/* It is newer than whatever was used before. */
static int
set_generation(struct rebuild *r, struct error *err)
{
	uint64_t in_index, in_file = generation_in_file(r->dirfd);
	uint8_t be[8];

	if (generation_in_index(r->txn.txn, r->store.index, &in_index, err) !=
	    0)
		return -1;
	be64_put(be, (in_index > in_file ? in_index : in_file) + 1);
	return txn_put(&r->txn, DB_SETTINGS, SLICE_LITERAL(SETTING_GENERATION),
	    (struct slice){ (char *)be, sizeof(be) }, 0, err);
}

static int
fill_index(struct rebuild *r, const char *dir, struct error *err)
{
	uint64_t highest = 0;
	char path[4096];
	int rc = -1;

	snprintf(path, sizeof(path), "%s/" NEW_INDEX, dir);
	if ((r->store.index = index_open(path, 0, 4, 0, err)) == NULL)
		return -1;
	r->txn.store = &r->store;
	r->txn.index = r->store.index;
	if (load_counters(r, err) != 0 ||
	    extent_files(r->extents, 0, see_highest, &highest, err) != 0)
		goto out;
	if (highest < r->counters.next_extent)
		highest = r->counters.next_extent;
	ids_init(&r->store.ids, highest + 1);

	if (begin(r, err) == 0 && make_identity(r, err) == 0 &&
	    set_generation(r, err) == 0 && rebuild_drop_lost(r, err) == 0 &&
	    rebuild_add_files(r, err) == 0 && rebuild_send_away(r, err) == 0 &&
	    commit(r, err) == 0)
		rc = 0;
	if (r->txn.txn != NULL)
		mdb_txn_abort(r->txn.txn);
	ids_free(&r->store.ids);
out:
	index_close(r->store.index);
	buffer_free(&r->txn.scratch);
	for (size_t i = 0; i < TXN_BUCKETS; i++)
		buffer_free(&r->txn.buckets[i].memory);
	return rc;
}

/* The new index takes the place of the old one. In between there may be none,
 * and then the server does not start (see expect_index() in store.c). */
static int
swap(struct rebuild *r, struct error *err)
{
	char now[CLOCK_TEXT_BYTES], aside[64];

	clock_basic(clock_wall_ms(), now);
	snprintf(aside, sizeof(aside), "index.damaged-%s", now);
	if (renameat(r->dirfd, "index", r->dirfd, aside) == 0)
		rebuild_say(r, "the old index is now %s", aside);
	else if (errno != ENOENT)
		return error_sys(
		    err, errno, "cannot rename index to %s", aside);
	if (renameat(r->dirfd, NEW_INDEX, r->dirfd, "index") != 0)
		return error_sys(
		    err, errno, "cannot rename " NEW_INDEX " to index");
	if (fsync(r->dirfd) != 0)
		return error_sys(err, errno, "cannot sync the data directory");
	return 0;
}

/* That there is something to rebuild. */
static int
refuse_sound(const struct rebuild *r, const char *dir, struct error *err)
{
	struct check_options options = { 0 };
	struct check_result found;

	if (faccessat(r->dirfd, "index/data.mdb", F_OK, 0) != 0)
		return 0;
	if (check_in_child(
		dir, "index", 0, &options, ignore, NULL, &found, err) != 0) {
		/* A newer holdfast's index is none of ours to rebuild. */
		if (err->kind == ERR_FORMAT || err->kind == ERR_NOMEM)
			return -1;
		error_clear(err);
		return 0;
	}
	if (found.damage > 0)
		return 0;
	return error_set(err, ERR_INVALID,
	    "the index of %s is sound, and a rebuilt one would hold less: "
	    "there is"
	    " nothing to do (--force does it all the same)",
	    dir);
}

/* What is at a destination alone has no file here, and only a copy of the index
 * knows of it. The key file is made with the first destination. */
static void
tell_of_outside(struct rebuild *r)
{
	if (faccessat(r->dirfd, "replicator.key", F_OK, 0) != 0)
		return;
	if (*r->result->copy == '\0')
		rebuild_say(r,
		    "this store had copies outside, and which is forgotten: "
		    "what was there alone is not here. `holdfast restore` on "
		    "an empty data directory brings back all that is there");
	else
		rebuild_say(r,
		    "this store had copies outside: what is missing here may "
		    "be there. `holdfast audit` tells, and `holdfast restore` "
		    "on an empty data directory brings all of it back");
}

static int
rebuild(struct rebuild *r, const char *dir, int force, struct error *err)
{
	if (!force && refuse_sound(r, dir, err) != 0)
		return -1;
	if ((r->extents = extent_dir_look(r->dirfd, err)) == NULL)
		return -1;
	if (start_index(r, dir, err) != 0 || fill_index(r, dir, err) != 0)
		return -1;
	tell_of_outside(r);
	return swap(r, err);
}

int
store_rebuild(const char *dir, const struct rebuild_options *options,
    void (*report)(const char *sentence, void *arg), void *arg,
    struct rebuild_result *result, struct error *err)
{
	struct store_lock *lock;
	struct rebuild *r;
	int rc = -1;

	*result = (struct rebuild_result){ "", 0, 0, 0, 0, 0, 0 };
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return error_nomem(err);
	r->report = report;
	r->report_arg = arg;
	r->result = result;
	if ((r->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		error_sys(err, errno, "cannot open %s", dir);
		free(r);
		return -1;
	}
	if ((lock = lock_take(r->dirfd, dir, err)) != NULL)
		rc = rebuild(r, dir, options->force, err);
	extent_dir_close(r->extents);
	lock_release(lock);
	close(r->dirfd);
	free(r);
	return rc;
}
