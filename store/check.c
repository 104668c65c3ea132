#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "store/check_private.h"
#include "store/generation.h"
#include "store/lmdb_error.h"
#include "store/lock.h"

#define SENTENCES_DEFAULT 20
#define SENTENCE_BYTES 1024

/*
 * From the child to the parent goes a sequence of messages of one size, the
 * last of which is the outcome.
 */
struct message {
	enum {
		MESSAGE_SENTENCE,
		MESSAGE_DONE,
		MESSAGE_FAILED
	} type;
	union {
		char sentence[SENTENCE_BYTES];
		struct check_result result;
		struct error err;
	} u;
};

/* ---- in the child ---- */

static void
send_message(struct check *c, const struct message *m)
{
	/* Without the parent there is nobody to tell. */
	if (write_full(c->fd, m, sizeof(*m), NULL) != 0)
		_exit(1);
}

static void
tell(struct check *c, enum finding kind, const char *severity, const char *fmt,
    va_list args)
{
	struct message m = { .type = MESSAGE_SENTENCE };
	int n;

	if (c->found[kind]++ >= c->options.sentences_max)
		return;
	n = snprintf(m.u.sentence, SENTENCE_BYTES, "%s: ", severity);
	vsnprintf(m.u.sentence + n, (size_t)(SENTENCE_BYTES - n), fmt, args);
	send_message(c, &m);
}

void
check_damage(struct check *c, enum finding kind, const char *fmt, ...)
{
	va_list args;

	c->result.damage++;
	va_start(args, fmt);
	tell(c, kind, "damage", fmt, args);
	va_end(args);
}

void
check_note(struct check *c, enum finding kind, const char *fmt, ...)
{
	va_list args;

	c->result.notes++;
	va_start(args, fmt);
	tell(c, kind, "note", fmt, args);
	va_end(args);
}

void
check_tell_rest(struct check *c)
{
	static const char *const kinds[FINDINGS] = {
		[FOUND_INDEX] = "about the index",
		[FOUND_KEY] = "about keys of the index",
		[FOUND_RECORD] = "about records that cannot be read",
		[FOUND_TREE] = "about the trees of names",
		[FOUND_VERSION] = "about versions",
		[FOUND_NO_EXTENT] = "about contents that are missing",
		[FOUND_EXTENT] = "about contents that are not as recorded",
		[FOUND_REFERENCES] = "about reference counts",
		[FOUND_REAP] = "about contents to be removed",
		[FOUND_USAGE] = "about usage figures",
		[FOUND_PART] = "about parts of uploads",
		[FOUND_JOURNAL] = "about the journal",
		[FOUND_ORPHAN] = "about files that nothing names",
		[FOUND_CUT_OFF] = "about files of writes that were cut off",
		[FOUND_NO_FILE] = "about missing files",
		[FOUND_FILE] = "about files",
		[FOUND_DATA] = "about damaged bytes",
		[FOUND_MARKED] = "about known damage",
	};
	struct message m = { .type = MESSAGE_SENTENCE };
	size_t i;

	for (i = 0; i < FINDINGS; i++)
		if (c->found[i] > c->options.sentences_max) {
			snprintf(m.u.sentence, SENTENCE_BYTES,
			    "note: and %" PRIu64 " more %s",
			    c->found[i] - c->options.sentences_max, kinds[i]);
			send_message(c, &m);
		}
}

/* How many of the pages from `first` on are free: LMDB's database 0 holds lists
 * of them, each beginning with its length. */
static int
count_free(struct check *c, size_t first, uint64_t *n, struct error *err)
{
	size_t len, page, i;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;

	*n = 0;
	if ((rc = mdb_cursor_open(c->txn, 0, &cursor)) != 0)
		return lmdb_error(err, rc, "looking for free pages");
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		len = v.mv_size / sizeof(page);
		for (i = 1; i < len; i++) {
			memcpy(&page, (char *)v.mv_data + i * sizeof(page),
			    sizeof(page));
			*n += page >= first;
		}
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND
	    ? 0
	    : lmdb_error(err, rc, "looking for free pages");
}

/* LMDB trusts its file; a missing tail would end the process. Free pages may be
 * missing: what a transaction takes from the file's end and gives back itself
 * is never written. */
static int
check_length(
    struct check *c, const char *dir, const char *index, struct error *err)
{
	uint64_t expected, pages, n_free;
	MDB_envinfo info;
	struct stat st;
	MDB_stat env;
	char path[4096];
	int rc;

	if ((rc = mdb_env_info(index_env(c->index), &info)) != 0 ||
	    (rc = mdb_env_stat(index_env(c->index), &env)) != 0)
		return lmdb_error(err, rc, "looking at the index");
	snprintf(path, sizeof(path), "%s/%s/data.mdb", dir, index);
	if (stat(path, &st) != 0)
		return error_sys(err, errno, "cannot look at %s", path);
	expected = ((uint64_t)info.me_last_pgno + 1) * env.ms_psize;
	if ((uint64_t)st.st_size >= expected)
		return 0;
	pages = (uint64_t)st.st_size / env.ms_psize;
	if (count_free(c, pages, &n_free, err) != 0)
		return -1;
	if (n_free == info.me_last_pgno + 1 - pages)
		return 0;
	return error_set(err, ERR_DAMAGED,
	    "the index is cut off: %s has %" PRIu64 " bytes of %" PRIu64, path,
	    (uint64_t)st.st_size, expected);
}

static int (*const steps[])(struct check *, struct error *) = {
	check_pages,
	check_settings,
	check_extents,
	check_buckets,
	check_objects,
	check_versions,
	check_uploads,
	check_parts,
	check_journal,
	check_keys,
	check_references,
	check_usage,
};

static int
open_index(
    struct check *c, const char *dir, const char *index, struct error *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, index);
	if ((c->index = index_open(path, 0, 4, 1, err)) == NULL ||
	    (c->txn = index_read(c->index, err)) == NULL ||
	    check_length(c, dir, index, err) != 0)
		return -1;
	c->memory = malloc(CHECK_READ_BLOCKS * EXTENT_BLOCK_BYTES);
	c->md5 = digest_new(DIGEST_MD5);
	return c->memory == NULL || c->md5 == NULL ? error_nomem(err) : 0;
}

static int
open_files(struct check *c, const char *dir, struct error *err)
{
	uint64_t generation, in_index;
	int dirfd;

	if ((dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return error_sys(err, errno, "cannot open %s", dir);
	c->extents = extent_dir_look(dirfd, err);
	generation = generation_in_file(dirfd);
	close(dirfd);
	if (c->extents == NULL ||
	    generation_in_index(c->txn, c->index, &in_index, err) != 0)
		return -1;
	if (in_index < generation)
		check_damage(c, FOUND_INDEX,
		    "the index is older than the one that was used last");
	return 0;
}

static int
run_steps(struct check *c, const char *dir, const char *index, int with_files,
    struct error *err)
{
	int rc = -1;
	size_t i;

	if (open_index(c, dir, index, err) != 0 ||
	    (with_files && open_files(c, dir, err) != 0))
		goto out;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i](c, err) != 0)
			goto out;
	rc = with_files ? check_files(c, err) : 0;
out:
	extent_dir_close(c->extents);
	if (c->txn != NULL)
		index_read_end(c->index, c->txn);
	index_close(c->index);
	digest_free(c->md5);
	free(c->memory);
	free(c->ids);
	free(c->named);
	free(c->marks);
	free(c->buckets);
	free(c->uploads);
	for (i = 0; c->versions != NULL && i < c->n_versions; i++)
		free(c->versions[i]);
	free(c->versions);
	return rc;
}

/* A crash is to end this process, whatever the caller does on one, and to leave
 * no dump of an index that holds secrets. */
static void
let_crashes_end(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL,
		SIGFPE };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	prctl(PR_SET_DUMPABLE, 0);
}

static void
run_child(const char *dir, const char *index, int with_files,
    const struct check_options *options, int fd)
{
	struct check c = { .options = *options, .fd = fd };
	struct message m = { .type = MESSAGE_DONE };
	struct error err = ERROR_INIT;

	let_crashes_end();
	if (c.options.sentences_max == 0)
		c.options.sentences_max = SENTENCES_DEFAULT;
	if (run_steps(&c, dir, index, with_files, &err) == 0) {
		check_tell_rest(&c);
		m.u.result = c.result;
	} else if (err.kind == ERR_DAMAGED) {
		/* As far as it got is a finding, too. */
		check_damage(&c, FOUND_INDEX,
		    "%s: `holdfast rebuild` makes a new index", err.text);
		check_tell_rest(&c);
		m.u.result = c.result;
	} else {
		m.type = MESSAGE_FAILED;
		m.u.err = err;
	}
	send_message(&c, &m);
}

/* ---- in the parent ---- */

static int
read_message(int fd, struct message *m)
{
	size_t done = 0;
	ssize_t n;

	while (done < sizeof(*m)) {
		n = read(fd, (char *)m + done, sizeof(*m) - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* Passes sentences on until the outcome. 0; 1 when the child just ended. */
static int
listen_to(int fd, void (*report)(const char *, void *), void *arg,
    struct message *m, uint64_t *damage)
{
	while (read_message(fd, m) == 0) {
		if (m->type != MESSAGE_SENTENCE)
			return 0;
		m->u.sentence[SENTENCE_BYTES - 1] = '\0';
		*damage += strncmp(m->u.sentence, "damage", 6) == 0;
		report(m->u.sentence, arg);
	}
	return 1;
}

int
check_in_child(const char *dir, const char *index, int with_files,
    const struct check_options *options, void (*report)(const char *, void *),
    void *arg, struct check_result *result, struct error *err)
{
	struct message m;
	uint64_t damage = 0;
	int fds[2], status = 0, ended;
	pid_t pid;

	*result = (struct check_result){ 0 };
	if (pipe2(fds, O_CLOEXEC) != 0)
		return error_sys(err, errno, "cannot make a pipe");
	/* What is buffered would be written twice. */
	fflush(NULL);
	if ((pid = fork()) == -1) {
		error_sys(err, errno, "cannot start a process");
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	if (pid == 0) {
		close(fds[0]);
		run_child(dir, index, with_files, options, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	ended = listen_to(fds[0], report, arg, &m, &damage);
	close(fds[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (!ended && m.type == MESSAGE_FAILED) {
		*err = m.u.err;
		return -1;
	}
	if (!ended) {
		*result = m.u.result;
		return 0;
	}
	result->damage = damage + 1;
	report("damage: the index's pages are destroyed: reading it ends in a "
	       "crash; `holdfast rebuild` makes a new index",
	    arg);
	return 0;
}

int
store_check(const char *dir, const struct check_options *options,
    void (*report)(const char *sentence, void *arg), void *arg,
    struct check_result *result, struct error *err)
{
	struct store_lock *lock;
	int dirfd, rc = -1;

	*result = (struct check_result){ 0 };
	if ((dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return error_sys(err, errno, "cannot open %s", dir);
	if (faccessat(dirfd, "index/data.mdb", F_OK, 0) != 0) {
		close(dirfd);
		return error_set(err, ERR_NOT_FOUND,
		    "%s is no data directory of holdfast: it has no "
		    "index/data.mdb",
		    dir);
	}
	lock = lock_take(dirfd, dir, err);
	/* Nobody can be writing to a medium that is read-only. */
	if (lock != NULL || err->kind == ERR_READ_ONLY)
		rc = check_in_child(
		    dir, "index", 1, options, report, arg, result, err);
	lock_release(lock);
	close(dirfd);
	return rc;
}
