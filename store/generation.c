#include "store/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "store/internal.h"

#define FILE_NAME "generation"
#define LINE_BYTES 24

uint64_t
generation_in_file(int data_dirfd)
{
	char line[LINE_BYTES];
	uint64_t generation;
	ssize_t n;
	int fd;

	fd = openat(data_dirfd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return 0;
	n = read(fd, line, sizeof(line));
	close(fd);
	if (n < 2 || line[n - 1] != '\n' ||
	    parse_u64(line, (size_t)n - 1, 0, UINT64_MAX, &generation) != 0)
		return 0;
	return generation;
}

int
generation_in_index(MDB_txn *txn, const struct index *index,
    uint64_t *generation, struct error *err)
{
	struct slice value;
	int rc;

	*generation = 0;
	rc = index_get(txn, index_dbi(index, DB_SETTINGS), SETTING_GENERATION,
	    sizeof(SETTING_GENERATION) - 1, &value, err);
	if (rc == 0 && value.len == 8)
		*generation = be64_get((const uint8_t *)value.at);
	return rc < 0 ? -1 : 0;
}

/* Not synced: a cut may leave the file older, empty or gone, which refuses no
 * index; a person who puts one in place comes later. */
static int
write_file(int data_dirfd, uint64_t generation, struct error *err)
{
	char line[LINE_BYTES];
	int fd, len, rc;

	len = snprintf(line, sizeof(line), "%" PRIu64 "\n", generation);
	fd = openat(data_dirfd, FILE_NAME,
	    O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return error_sys(err, errno, "cannot make the file " FILE_NAME);
	rc = write_full(fd, line, (size_t)len, err);
	close(fd);
	return rc;
}

static int
of_index(struct store *store, uint64_t *generation, struct error *err)
{
	MDB_txn *txn;
	int rc;

	if ((txn = index_read(store->index, err)) == NULL)
		return -1;
	rc = generation_in_index(txn, store->index, generation, err);
	index_read_end(store->index, txn);
	return rc;
}

int
generation_check(struct store *store, struct error *err)
{
	uint64_t generation;

	if (of_index(store, &generation, err) != 0)
		return -1;
	if (generation >= generation_in_file(store->dirfd))
		return 0;
	return error_set(err, ERR_DAMAGED,
	    "the index in %s is older than the one that was used last: put that"
	    " one back, or make a new one with `holdfast rebuild --force %s`,"
	    " which takes in the contents that came later",
	    store->options.dir, store->options.dir);
}

void
generation_raise(struct store *store)
{
	struct set_setting set = { .name = SETTING_GENERATION };
	struct error err = ERROR_INIT;
	uint64_t generation;
	uint8_t be[8];

	if (of_index(store, &generation, &err) != 0)
		goto fail;
	be64_put(be, ++generation);
	set.value = (struct slice){ (char *)be, sizeof(be) };
	if (store_set_setting(store, &set) != 0) {
		err = set.change.err;
		goto fail;
	}
	if (write_file(store->dirfd, generation, &err) != 0)
		goto fail;
	return;

fail:
	if (err.kind != ERR_CLOSING)
		log_line(LOG_WARN, "store.generation",
		    "the index's generation cannot be raised: %s", err.text);
}
