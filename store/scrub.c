#include "store/scrub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/lmdb_error.h"
#include "store/stamp.h"

/*
 * The setting "scrub", integers as be64:
 *
 *	 0  u8  format, 1
 *	 1  be64  the extent that comes next; 0: between rounds
 *	 9  be64  when the round began, ms since 1970
 *	17  be64  rounds that came to their end
 *	25  be64  when the last one did
 */
#define SETTING_SCRUB "scrub"
#define SETTING_BYTES 33

#define INTERVAL_DEFAULT_MS (7ULL * 24 * 3600 * 1000)
#define SAVE_EVERY_MS 60000
#define RETRY_MS 60000

/* What is looked up in one read transaction, which holds back free pages. */
#define BATCH_FILES 256
#define BATCH_INLINE_BYTES (1024 * 1024)

#define READ_BLOCKS 4

/* How much may be read at once before the rate is looked at. */
#define BURST_MS 200

struct scrubber {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of stopping */
	pthread_cond_t wake;
	int stopping;
	uint64_t rate; /* bytes a second */
	char *memory;  /* READ_BLOCKS blocks, aligned */

	/* The thread's own. */
	uint64_t began_ms, saved_ms;
	uint64_t damaged; /* blocks, in this round */
	uint64_t paid_us; /* the time by which what was read is paid for */

	_Atomic uint64_t bytes, rounds, last_ms, position;
};

struct batch {
	uint64_t next; /* extent behind the last that was looked at */
	int end;       /* there are no more */
	size_t n;
	uint64_t inline_bytes;
	uint64_t files[BATCH_FILES];
};

/* Sleeps; 1 when it is time to stop. */
static int
rest(struct scrubber *s, uint64_t ms)
{
	struct timespec until;
	int stopping, rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	while (!s->stopping && ms > 0 && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&s->wake, &s->lock, &until);
	stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	return stopping;
}

/* Counts bytes, and sleeps when they came too fast. 1 when it is time to stop.
 */
static int
pay(struct scrubber *s, uint64_t bytes)
{
	uint64_t now = clock_monotonic_us();

	atomic_fetch_add(&s->bytes, bytes);
	if (s->paid_us < now)
		s->paid_us = now;
	s->paid_us += bytes * 1000000 / s->rate;
	if (s->paid_us - now < BURST_MS * 1000)
		return rest(s, 0);
	return rest(s, (s->paid_us - now) / 1000);
}

/* ---- position ---- */

static void
load(struct scrubber *s)
{
	struct buffer b = BUFFER_INIT;
	struct reader r;

	if (store_setting(s->store, SETTING_SCRUB, &b, NULL) == 0 &&
	    b.len == SETTING_BYTES && b.at[0] == 1) {
		r = reader_of(b.at + 1, b.len - 1);
		atomic_store(&s->position, reader_be64(&r));
		s->began_ms = reader_be64(&r);
		atomic_store(&s->rounds, reader_be64(&r));
		atomic_store(&s->last_ms, reader_be64(&r));
	}
	buffer_free(&b);
}

static void
save(struct scrubber *s)
{
	struct set_setting set = { .name = SETTING_SCRUB };
	uint8_t bytes[SETTING_BYTES];

	bytes[0] = 1;
	be64_put(bytes + 1, atomic_load(&s->position));
	be64_put(bytes + 9, s->began_ms);
	be64_put(bytes + 17, atomic_load(&s->rounds));
	be64_put(bytes + 25, atomic_load(&s->last_ms));
	set.value = (struct slice){ (char *)bytes, sizeof(bytes) };
	if (store_set_setting(s->store, &set) != 0 &&
	    set.change.err.kind != ERR_CLOSING)
		log_line(LOG_WARN, "store.scrub",
		    "the scrubber's position cannot be saved: %s",
		    set.change.err.text);
	s->saved_ms = clock_monotonic_ms();
}

/* ---- contents ---- */

/* Whether its data was given up, perhaps while it was being read. */
static int
is_shed(struct scrubber *s, uint64_t id)
{
	struct extent_reader *r;
	int shed;

	if ((r = extent_open(s->store->extents, id, NULL)) == NULL)
		return 0;
	shed = extent_is_shed(r);
	extent_close(r);
	return shed;
}

static void
found(struct scrubber *s, uint64_t id, uint64_t block, const struct error *why)
{
	if (is_shed(s, id))
		return;
	s->damaged++;
	store_damaged(s->store, id, block, why);
}

static void
scrub_inline(struct scrubber *s, uint64_t id, const struct extent_record *rec)
{
	struct error why = ERROR_INIT;
	uint32_t crc;

	crc = crc32c(0, rec->bytes.at, rec->bytes.len);
	if (crc == rec->crc32c)
		return;
	error_set(&why, ERR_DAMAGED,
	    "extent %" PRIu64 " has checksum %08x, expected %08x", id,
	    (unsigned)crc, (unsigned)rec->crc32c);
	found(s, id, 0, &why);
}

/* Looks at extents from b->next on: checks what lives in the index, and notes
 * what has a file. */
static int
look(struct scrubber *s, struct batch *b, struct error *err)
{
	struct extent_record rec;
	MDB_cursor *cursor;
	MDB_txn *txn;
	uint8_t be[8];
	MDB_val k = { sizeof(be), be }, v;
	uint64_t id;
	int rc;

	b->n = 0;
	b->inline_bytes = 0;
	b->end = 0;
	if ((txn = index_read(s->store->index, err)) == NULL)
		return -1;
	rc = mdb_cursor_open(
	    txn, index_dbi(s->store->index, DB_EXTENTS), &cursor);
	if (rc != 0) {
		index_read_end(s->store->index, txn);
		return lmdb_error(err, rc, "reading extents");
	}
	be64_put(be, b->next);
	rc = stamp_step(cursor, &k, &v, MDB_SET_RANGE);
	while ((rc == 0 || rc == STAMP_BROKEN) && b->n < BATCH_FILES &&
	    b->inline_bytes < BATCH_INLINE_BYTES) {
		id = k.mv_size == 8 ? be64_get(k.mv_data) : 0;
		if (rc == STAMP_BROKEN)
			log_line(LOG_ERROR, "store.damage",
			    "the record of content %" PRIu64
			    " has a wrong checksum",
			    id);
		else if (id != 0 &&
		    extent_decode((struct slice){ v.mv_data, v.mv_size }, &rec,
			NULL) == 0 &&
		    rec.references > 0) {
			if (rec.kind == EXTENT_FILE)
				b->files[b->n++] = id;
			else if (rec.kind == EXTENT_INLINE)
				scrub_inline(s, id, &rec);
			b->inline_bytes += rec.bytes.len;
		}
		if (id != 0)
			b->next = id + 1;
		rc = stamp_step(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	index_read_end(s->store->index, txn);
	b->end = rc == MDB_NOTFOUND;
	if (rc != 0 && rc != MDB_NOTFOUND)
		return lmdb_error(err, rc, "reading extents");
	return 0;
}

/* Whether the extent, which is pinned, is still in use. */
static int
is_alive(struct scrubber *s, uint64_t id)
{
	struct extent_record rec;
	struct slice value;
	MDB_txn *txn;
	int alive;

	if ((txn = index_read(s->store->index, NULL)) == NULL)
		return 0;
	alive = index_get_u64(txn, index_dbi(s->store->index, DB_EXTENTS), id,
		    &value, NULL) == 0 &&
	    extent_decode(value, &rec, NULL) == 0 && rec.references > 0;
	index_read_end(s->store->index, txn);
	return alive;
}

/* What a failed read tells of the disk; others tell of the moment. */
static int
is_damage(const struct error *why)
{
	return why->kind == ERR_DAMAGED || why->kind == ERR_NOT_FOUND ||
	    why->kind == ERR_FORMAT || why->sys == EIO;
}

/* 1 when it is time to stop. */
static int
scrub_file(struct scrubber *s, uint64_t id)
{
	struct error why = ERROR_INIT;
	uint64_t blocks, block, bad = 0, size;
	struct extent_reader *r;
	int stop = 0;
	size_t n;
	long got;

	if ((r = extent_open_direct(s->store->extents, id, &why)) == NULL ||
	    extent_check_trailer(r, &why) != 0) {
		if (is_damage(&why))
			found(s, id, 0, &why);
		if (r == NULL)
			return 0;
	}
	size = extent_is_shed(r) ? 0 : extent_reader_size(r);
	blocks = size / EXTENT_BLOCK_BYTES + (size % EXTENT_BLOCK_BYTES != 0);
	for (block = 0; block < blocks && !stop; block += n) {
		n = blocks - block < READ_BLOCKS ? (size_t)(blocks - block)
						 : READ_BLOCKS;
		got = extent_read_blocks(r, block, n, s->memory, 0, &bad, &why);
		if (got < 0) {
			if (is_damage(&why))
				found(s, id, bad, &why);
			n = (size_t)(bad - block) + 1;
		}
		stop = pay(s, n * EXTENT_BLOCK_BYTES);
	}
	extent_close(r);
	return stop;
}

/* Goes on with the round. 0 at its end, 1 when it is time to stop, -1 and *err.
 */
static int
scrub(struct scrubber *s, struct error *err)
{
	struct batch *b;
	size_t i;
	int stop = 0, rc;

	if ((b = malloc(sizeof(*b))) == NULL)
		return error_nomem(err);
	b->next = atomic_load(&s->position);
	do {
		if ((rc = look(s, b, err)) != 0)
			break;
		for (i = 0; i < b->n && !stop; i++) {
			atomic_store(&s->position, b->files[i]);
			if (ids_pin(&s->store->ids, b->files[i]) != 0)
				continue;
			if (is_alive(s, b->files[i]))
				stop = scrub_file(s, b->files[i]);
			ids_unpin(&s->store->ids, b->files[i]);
		}
		if (stop)
			break;
		atomic_store(&s->position, b->next);
		stop = pay(s, b->inline_bytes);
		if (clock_monotonic_ms() - s->saved_ms >= SAVE_EVERY_MS)
			save(s);
	} while (!stop && !b->end);
	free(b);
	return rc != 0 ? -1 : stop;
}

static uint64_t
until_next_round(const struct scrubber *s)
{
	uint64_t interval = s->store->options.scrub_interval_ms;
	uint64_t now = (uint64_t)clock_wall_ms(), due;

	if (interval == 0)
		interval = INTERVAL_DEFAULT_MS;
	due = s->began_ms + interval;
	/* A clock that was put back must not put off the round for long. */
	return due <= now ? 0 : due - now > interval ? interval : due - now;
}

static void
tell_round(const struct scrubber *s)
{
	if (s->damaged == 0)
		log_line(LOG_INFO, "store.scrub",
		    "every content was read and agrees with its checksums");
	else
		log_line(LOG_ERROR, "store.scrub",
		    "every content was read, and %" PRIu64
		    " blocks are damaged",
		    s->damaged);
}

static void *
run(void *arg)
{
	struct scrubber *s = arg;
	struct error err = ERROR_INIT;
	int rc = 0;

	load(s);
	s->saved_ms = clock_monotonic_ms();
	while (rc != 1) {
		if (atomic_load(&s->position) == 0) {
			if (rest(s, until_next_round(s)))
				break;
			s->began_ms = (uint64_t)clock_wall_ms();
			atomic_store(&s->position, 1);
			s->damaged = 0;
		}
		rc = scrub(s, &err);
		if (rc == 0) {
			atomic_store(&s->position, 0);
			atomic_fetch_add(&s->rounds, 1);
			atomic_store(&s->last_ms, (uint64_t)clock_wall_ms());
			save(s);
			tell_round(s);
		} else if (rc == -1) {
			log_line(LOG_ERROR, "store.scrub", "%s", err.text);
			if (rest(s, RETRY_MS))
				break;
		}
	}
	save(s);
	return NULL;
}

struct scrubber *
scrubber_start(struct store *store, struct error *err)
{
	pthread_condattr_t monotonic;
	struct scrubber *s;
	int rc;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	s->memory =
	    aligned_alloc(EXTENT_ALIGNMENT, READ_BLOCKS * EXTENT_BLOCK_BYTES);
	if (s->memory == NULL) {
		error_nomem(err);
		free(s);
		return NULL;
	}
	s->store = store;
	s->rate = store->options.scrub_bytes_per_second;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if ((rc = pthread_create(&s->thread, NULL, run, s)) != 0) {
		error_sys(err, rc, "starting the scrubber");
		free(s->memory);
		free(s);
		return NULL;
	}
	pthread_setname_np(s->thread, "scrubber");
	return s;
}

void
scrubber_stop(struct scrubber *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = 1;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	free(s->memory);
	free(s);
}

void
scrubber_figures(struct scrubber *s, struct scrub_figures *f)
{
	*f = (struct scrub_figures){ 0 };
	if (s == NULL)
		return;
	f->bytes = atomic_load(&s->bytes);
	f->rounds = atomic_load(&s->rounds);
	f->last_ms = atomic_load(&s->last_ms);
	f->position = atomic_load(&s->position);
}
