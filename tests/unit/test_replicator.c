#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/replicator.h"
#include "store/store.h"
#include "tests/unit/fake_destination.h"

/* The replicator against a destination in memory that fails as it likes. */

#define KEYS 12
#define WRITERS 4
#define ENTRIES_MAX 200000

struct fixture {
	char dir[64];
	struct store *store;
	struct replicator *replicator;
	struct replicator_options options;
};

/* ---- what a consistent past is ---- */

/* Entries of the journal, as the checker has read them. */
static struct seen_entry {
	uint64_t begin, version;
	int key, removed; /* key -1: not of the test */
} * seen;
static uint64_t n_seen;      /* the newest sequence */
static uint64_t shown[KEYS]; /* the entry that each key shows; 0: none */
static int violations;
static struct store *checked_store;

static int
key_number(struct slice key)
{
	char text[64];
	int number;

	snprintf(text, sizeof(text), "%.*s", (int)key.len, key.at);
	return sscanf(text, "k%2d", &number) == 1 && number < KEYS ? number
								   : -1;
}

static int
see_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	(void)arg;
	if (sequence >= ENTRIES_MAX)
		abort();
	seen[sequence].begin = rec->begin;
	seen[sequence].version = rec->version;
	seen[sequence].removed = rec->what == JOURNAL_DELETE;
	seen[sequence].key =
	    rec->what == JOURNAL_PUT || rec->what == JOURNAL_DELETE
	    ? key_number(rec->key)
	    : -1;
	n_seen = sequence;
	return 0;
}

static uint64_t
next_of(int key, uint64_t after)
{
	uint64_t i;

	for (i = after + 1; i <= n_seen; i++)
		if (seen[i].key == key)
			return i;
	return UINT64_MAX;
}

/* There must be a moment: no key lacks an entry that was acknowledged before
 * one that is shown began. */
static void
check_past(void)
{
	uint64_t newest_begin = 0, i, next;
	int key;

	for (i = 1; i <= n_seen; i++)
		if (seen[i].key >= 0 && i <= shown[seen[i].key] &&
		    seen[i].begin > newest_begin)
			newest_begin = seen[i].begin;
	for (key = 0; key < KEYS; key++) {
		next = next_of(key, shown[key]);
		if (next <= newest_begin)
			violations++;
	}
}

static void
on_change(const char *key, uint64_t version, int removed)
{
	const char *slash = strchr(key, '/');
	struct error err = ERROR_INIT;
	uint64_t i, found = 0, next;
	int number;

	if (store_journal(checked_store, n_seen, see_entry, NULL, &err) != 0)
		abort();
	if (slash == NULL ||
	    (number = key_number(
		 slash[1] == 'k' ? slice_text(slash + 1) : SLICE_NULL)) < 0)
		return;
	if (removed) {
		next = next_of(number, shown[number]);
		if (next <= n_seen && seen[next].removed)
			found = next;
		else
			for (i = 1; i <= shown[number]; i++)
				if (seen[i].key == number && seen[i].removed)
					found = i;
	} else
		for (i = 1; i <= n_seen; i++)
			if (seen[i].key == number && !seen[i].removed &&
			    seen[i].version == version)
				found = i;
	if (found != 0 || !removed)
		shown[number] = found;
	check_past();
}

/* ---- the store's side ---- */

static void
put(struct fixture *f, const char *key, size_t len, uint64_t begin)
{
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct content_owner owner = { .bucket = p.bucket, .key = p.key };
	struct error err = ERROR_INIT;
	char *bytes = malloc(len + 1);
	struct content_writer *w;

	bytes_random(bytes, len);
	w = content_begin(f->store, len, &err);
	assert_non_null(w);
	assert_int_equal(content_write(w, bytes, len, &err), 0);
	assert_int_equal(content_seal(w, &owner, &err), 0);
	digest_once(DIGEST_MD5, bytes, len, p.record.md5);
	free(bytes);
	p.content = w;
	p.change.begin = begin;
	assert_int_equal(store_put_object(f->store, &p), 0);
}

static void
put_text(struct fixture *f, const char *key, const char *text)
{
	struct put_object p = { .bucket = SLICE_LITERAL("bucket"),
		.key = slice_text(key) };
	struct content_owner owner = { .bucket = p.bucket, .key = p.key };
	struct error err = ERROR_INIT;

	p.change.begin = store_visible(f->store);
	p.content = content_begin(f->store, strlen(text), &err);
	assert_int_equal(content_write(p.content, text, strlen(text), &err), 0);
	assert_int_equal(content_seal(p.content, &owner, &err), 0);
	digest_once(DIGEST_MD5, text, strlen(text), p.record.md5);
	assert_int_equal(store_put_object(f->store, &p), 0);
}

static void
remove_key(struct fixture *f, const char *key, uint64_t begin)
{
	struct delete_item item = { .key = slice_text(key) };
	struct delete_objects d = {
		.bucket = SLICE_LITERAL("bucket"), .items = &item, .n_items = 1
	};

	d.change.begin = begin;
	assert_int_equal(store_delete_objects(f->store, &d), 0);
}

static void
start(struct fixture *f)
{
	struct error err = ERROR_INIT;

	f->replicator = replicator_start(f->store, &f->options, &err);
	if (f->replicator == NULL)
		print_error("%s\n", err.text);
	assert_non_null(f->replicator);
}

static void
stop(struct fixture *f)
{
	replicator_stop(f->replicator);
	f->replicator = NULL;
}

static void
add(struct fixture *f, const struct destination_policy *policy)
{
	struct destination_fields fields = { .provider = PROVIDER_S3,
		.bucket = "there",
		.secret_access_key = "do not tell" };
	struct error err = ERROR_INIT;

	if (replicator_add(
		f->replicator, "there", &fields, policy, 0, "test", &err) != 0)
		fail_msg("%s", err.text);
}

static struct destination_status
status(struct fixture *f)
{
	struct destination_status s;

	assert_int_equal(replicator_status(f->replicator, 0, &s), 0);
	return s;
}

static int
is_quiet(const struct destination_status *s)
{
	return s->state == DESTINATION_CONSISTENT && s->lag_entries == 0 &&
	    s->watermark == s->journal_last;
}

static void
wait_quiet(struct fixture *f, int seconds)
{
	struct destination_status s;
	int i;

	for (i = 0; i < seconds * 100; i++) {
		s = status(f);
		if (is_quiet(&s))
			return;
		usleep(10000);
	}
	fail_msg("%s (%s), %d entries behind, after %d s: %s",
	    destination_state_word(s.state), s.reason, (int)s.lag_entries,
	    seconds, s.last_error);
}

static int
open_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct put_bucket bucket = { .name = SLICE_LITERAL("bucket") };
	struct store_options options = { .io_threads = 2, .reserve_bytes = 1 };
	struct error err = ERROR_INIT;

	snprintf(f->dir, sizeof(f->dir), "/tmp/holdfast-test-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	options.dir = f->options.dir = f->dir;
	if ((f->store = store_open(&options, &err)) == NULL)
		return -1;
	if (store_create_bucket(f->store, &bucket) != 0)
		return -1;
	fake_reset();
	log_set_level(LOG_ERROR + 1);
	*state = f;
	return 0;
}

static int
close_fixture(void **state)
{
	struct fixture *f = *state;
	char command[128];

	if (f->replicator != NULL)
		stop(f);
	store_close(f->store);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

static struct fake_object *
outside(const char *key)
{
	struct fake_object *o;
	char name[300];

	snprintf(name, sizeof(name), "bucket/%s", key);
	pthread_mutex_lock(&fake.lock);
	o = fake_find(name, 0);
	if (o != NULL && !o->there)
		o = NULL;
	pthread_mutex_unlock(&fake.lock);
	return o;
}

/* ---- at every instant a consistent past ---- */

static const struct destination_policy unbraked = { .brake_percent = 100 };

static atomic_int writers_stop;

static void *
write_on(void *arg)
{
	struct fixture *f = arg;
	char key[16];
	uint64_t begin;
	unsigned what;

	while (!atomic_load(&writers_stop)) {
		snprintf(key, sizeof(key), "k%02u", fake_random(KEYS));
		begin = store_visible(f->store);
		what = fake_random(10);
		if (what < 2)
			remove_key(f, key, begin);
		else
			put(f, key,
			    what == 2 ? 20000 + fake_random(30000)
				      : fake_random(6000),
			    begin);
		usleep(fake_random(2000));
	}
	return NULL;
}

static void
begin_checking(struct fixture *f)
{
	free(seen);
	seen = calloc(ENTRIES_MAX, sizeof(*seen));
	n_seen = 0;
	memset(shown, 0, sizeof(shown));
	violations = 0;
	checked_store = f->store;
	FAKE_SET(changed, on_change);
}

static void
write_with_restarts(struct fixture *f, int rounds)
{
	pthread_t writers[WRITERS];
	int i, round;

	FAKE_SET(latency_us, 3000);
	FAKE_SET(retry_percent, 4);
	FAKE_SET(unknown_percent, 2);
	atomic_store(&writers_stop, 0);
	for (i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_on, f);
	for (round = 0; round < rounds; round++) {
		usleep(100000 + fake_random(200000));
		if (f->options.unordered)
			continue;
		stop(f);
		f->options.crash = round % 2;
		usleep(fake_random(20000));
		start(f);
	}
	atomic_store(&writers_stop, 1);
	for (i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
}

static void
assert_equal_outside(struct fixture *f)
{
	struct buffer memory = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct object_record rec;
	struct fake_object *o;
	char key[16];
	int i, there;

	for (i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "k%02d", i);
		there = store_object(f->store, SLICE_LITERAL("bucket"),
			    slice_text(key), 0, &rec, &memory, NULL, NULL,
			    &err) == 0;
		o = outside(key);
		assert_int_equal(there, o != NULL);
		if (there)
			assert_int_equal(rec.version, o->version);
	}
	buffer_free(&memory);
}

static void
the_copy_is_a_consistent_past_at_every_instant(void **state)
{
	const char *rounds = getenv("HOLDFAST_ROUNDS");
	struct fixture *f = *state;

	start(f);
	add(f, &unbraked);
	wait_quiet(f, 5);
	begin_checking(f);
	write_with_restarts(f, rounds == NULL ? 12 : atoi(rounds));
	FAKE_SET(retry_percent, 0);
	FAKE_SET(unknown_percent, 0);
	wait_quiet(f, 60);
	assert_true(n_seen > 100);
	assert_int_equal(violations, 0);
	assert_equal_outside(f);
	assert_int_equal(fake_open_uploads(), 0);
	stop(f);
}

static void
without_the_publish_rule_it_is_not(void **state)
{
	struct fixture *f = *state;

	f->options.unordered = 1;
	start(f);
	add(f, &unbraked);
	wait_quiet(f, 5);
	begin_checking(f);
	write_with_restarts(f, 5);
	stop(f);
	assert_true(violations > 0);
}

/* ---- one thing each ---- */

static void
what_was_there_before_is_seeded(void **state)
{
	struct fixture *f = *state;
	char key[16];
	int i;

	for (i = 0; i < 700; i++) {
		snprintf(key, sizeof(key), "s%03d", i % 400);
		put(f, key, (size_t)i, 0);
	}
	start(f);
	add(f, NULL);
	wait_quiet(f, 20);
	assert_non_null(outside("s000"));
	assert_non_null(outside("s399"));
	assert_int_equal(fake.puts, 400 + 1);
	put(f, "later", 9000, store_visible(f->store));
	wait_quiet(f, 5);
	assert_non_null(outside("later"));
}

static void
a_poison_object_is_parked_and_blocks_nothing(void **state)
{
	struct fixture *f = *state;
	struct destination_status s;

	FAKE_SET(poison, "bad");
	start(f);
	add(f, NULL);
	wait_quiet(f, 5);
	put(f, "bad", 10, 0);
	put(f, "bad-large", 50000, store_visible(f->store));
	put(f, "unholdable", 10, store_visible(f->store));
	put(f, "good", 10, store_visible(f->store));
	wait_quiet(f, 5);
	s = status(f);
	assert_int_equal(s.parked, 3);
	assert_non_null(outside("good"));
	FAKE_SET(poison, NULL);
	put(f, "bad", 20, store_visible(f->store));
	wait_quiet(f, 5);
	assert_int_equal(status(f).parked, 2);
	assert_int_equal(outside("bad")->size, 20);
}

static void
a_denied_destination_waits_for_a_person(void **state)
{
	json_t *nothing;
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct destination_status s;
	int i;

	start(f);
	add(f, NULL);
	wait_quiet(f, 5);
	FAKE_SET(denied, 1);
	for (i = 0; i < 50; i++)
		put(f, i % 2 ? "k01" : "k02", 10, store_visible(f->store));
	usleep(300000);
	s = status(f);
	assert_int_equal(s.state, DESTINATION_STOPPED);
	assert_string_equal(s.reason, "access is denied");
	assert_true(FAKE_GET(calls) < 60);
	FAKE_SET(denied, 0);
	nothing = json_object();
	assert_int_equal(
	    replicator_set(f->replicator, "there", nothing, "test", &err), 0);
	json_decref(nothing);
	wait_quiet(f, 5);
}

static void
a_large_backlog_is_folded_to_its_net_effect(void **state)
{
	struct destination_policy policy = { .fold_entries = 1100,
		.brake_percent = 100 };
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	char key[16];
	int i;

	start(f);
	add(f, &policy);
	put(f, "k00", 10, 0);
	put(f, "k03", 10, store_visible(f->store));
	wait_quiet(f, 5);
	assert_int_equal(
	    replicator_pause(f->replicator, "there", 1, 0, "test", &err), 0);
	for (i = 0; i < 1500; i++) {
		snprintf(key, sizeof(key), "k%02d", i % KEYS);
		put(f, key, (size_t)i % 100, store_visible(f->store));
	}
	remove_key(f, "k03", store_visible(f->store));
	for (i = 0; i < 500 && status(f).lag_entries > 500; i++)
		usleep(10000);
	assert_true(status(f).lag_entries < 500);
	FAKE_SET(puts, 0);
	assert_int_equal(
	    replicator_pause(f->replicator, "there", 0, 1, "test", &err), 0);
	wait_quiet(f, 10);
	assert_equal_outside(f);
	assert_true(fake.puts < 500 + KEYS);
}

static void
the_brake_asks_before_an_unusual_share_is_deleted(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	char key[16];
	int i;

	for (i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "s%03d", i);
		put(f, key, 10, 0);
	}
	start(f);
	add(f, NULL);
	wait_quiet(f, 10);
	for (i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "s%03d", i);
		remove_key(f, key, store_visible(f->store));
	}
	usleep(500000);
	assert_int_equal(status(f).state, DESTINATION_PAUSED);
	assert_true(fake.removes < 150);
	assert_int_equal(
	    replicator_pause(f->replicator, "there", 0, 1, "test", &err), 0);
	wait_quiet(f, 10);
	assert_int_equal(fake.removes, 300);
}

static void
a_delete_may_be_put_off_and_is_forgotten_by_a_new_put(void **state)
{
	struct destination_policy policy = { .delete_delay_ms = 1500 };
	struct fixture *f = *state;
	int i;

	start(f);
	add(f, &policy);
	put(f, "a", 10, 0);
	put(f, "b", 10, store_visible(f->store));
	remove_key(f, "a", store_visible(f->store));
	remove_key(f, "b", store_visible(f->store));
	put(f, "b", 11, store_visible(f->store));
	wait_quiet(f, 5);
	assert_non_null(outside("a"));
	for (i = 0; i < 500 && outside("a") != NULL; i++)
		usleep(10000);
	assert_null(outside("a"));
	assert_int_equal(outside("b")->size, 11);
}

static void
restics_locks_stay_at_home(void **state)
{
	struct fixture *f = *state;
	char lock[100] = "repo/locks/";

	memset(lock + 11, 'a', 64);
	start(f);
	add(f, NULL);
	put(f, lock, 10, 0);
	put(f, "repo/locks/short", 10, store_visible(f->store));
	wait_quiet(f, 5);
	assert_null(outside(lock));
	assert_non_null(outside("repo/locks/short"));
}

static void
a_velero_backup_appears_when_it_is_whole(void **state)
{
	static const char going[] = "{\"status\":{\"phase\":\"Finalizing\"}}";
	static const char done[] = "{\"status\":{\"phase\":\"Completed\"}}";
	struct fixture *f = *state;
	int i;

	start(f);
	add(f, NULL);
	put_text(f, "v/backups/b1/velero-backup.json", going);
	put_text(f, "v/backups/b1/b1-logs.gz", "log");
	wait_quiet(f, 5);
	assert_non_null(outside("v/backups/b1/b1-logs.gz"));
	assert_null(outside("v/backups/b1/velero-backup.json"));
	assert_int_equal(status(f).held, 1);
	put_text(f, "v/backups/b1/velero-backup.json", done);
	stop(f);
	start(f);
	wait_quiet(f, 5);
	assert_int_equal(status(f).held, 1);
	put_text(f, "v/backups/b1/b1.tar.gz", "contents");
	for (i = 0; i < 1000 && status(f).held > 0; i++)
		usleep(10000);
	assert_int_equal(status(f).held, 0);
	assert_non_null(outside("v/backups/b1/velero-backup.json"));
}

static void
a_large_object_goes_on_where_a_restart_left_it(void **state)
{
	struct fixture *f = *state;

	start(f);
	add(f, &(struct destination_policy){ .concurrency = 8 });
	wait_quiet(f, 5);
	FAKE_SET(latency_us, 60000);
	put(f, "large", 50 * FAKE_PART_BYTES, 0);
	while (FAKE_GET(parts) < 20)
		usleep(1000);
	f->options.crash = 1;
	stop(f);
	assert_int_equal(fake_open_uploads(), 1);
	start(f);
	wait_quiet(f, 20);
	assert_int_equal(outside("large")->size, 50 * FAKE_PART_BYTES);
	/* Those under way at the stop may have been sent twice. */
	assert_in_range(FAKE_GET(parts), 50, 50 + 8);
	assert_int_equal(fake.next_upload, 1);
	assert_int_equal(fake_open_uploads(), 0);
}

static void
parts_go_ahead_of_what_must_wait(void **state)
{
	struct fixture *f = *state;
	uint64_t begin;

	start(f);
	add(f, NULL);
	wait_quiet(f, 5);
	FAKE_SET(poison_retry, "first");
	put(f, "first", 10, 0);
	begin = store_visible(f->store);
	put(f, "large", 10 * FAKE_PART_BYTES, begin);
	while (FAKE_GET(parts) < 10)
		usleep(1000);
	usleep(50000);
	assert_null(outside("large"));
	FAKE_SET(poison_retry, NULL);
	wait_quiet(f, 20);
	assert_non_null(outside("large"));
}

static void
a_large_object_that_was_parked_leaves_no_upload(void **state)
{
	struct fixture *f = *state;
	int i;

	FAKE_SET(poison_finish, 1);
	start(f);
	add(f, NULL);
	wait_quiet(f, 5);
	put(f, "large", 10 * FAKE_PART_BYTES, 0);
	for (i = 0; i < 500 && status(f).parked == 0; i++)
		usleep(10000);
	assert_int_equal(fake_open_uploads(), 1);
	FAKE_SET(poison_finish, 0);
	put(f, "large", 10, store_visible(f->store));
	for (i = 0; i < 500 && fake_open_uploads() > 0; i++)
		usleep(10000);
	assert_int_equal(fake_open_uploads(), 0);
}

static void
seeding_goes_on_after_a_restart_and_changes_follow(void **state)
{
	struct fixture *f = *state;
	char key[16];
	int i;

	for (i = 0; i < 600; i++) {
		snprintf(key, sizeof(key), "s%03d", i);
		put(f, key, i % 50 == 0 ? 20000 : 100, 0);
	}
	FAKE_SET(latency_us, 40000);
	start(f);
	add(f, &(struct destination_policy){ .brake_percent = 100 });
	f->options.crash = 1;
	for (i = 0; i < 4; i++) {
		usleep(50000);
		put(f, "s599", (size_t)i + 1, store_visible(f->store));
		remove_key(f, "s001", store_visible(f->store));
		stop(f);
		start(f);
	}
	assert_int_equal(status(f).state, DESTINATION_SEEDING);
	wait_quiet(f, 30);
	assert_null(outside("s001"));
	assert_int_equal(outside("s599")->size, 4);
	assert_int_equal(outside("s550")->size, 20000);
	assert_int_equal(fake_open_uploads(), 0);
}

static void
secrets_are_sealed_and_never_told(void **state)
{
	struct fixture *f = *state;
	struct buffer json = BUFFER_INIT, note = BUFFER_INIT;
	struct error err = ERROR_INIT;
	char path[128];
	struct stat st;

	start(f);
	add(f, NULL);
	assert_int_equal(
	    replicator_fields_json(f->replicator, "there", &json, &err), 0);
	assert_null(memmem(json.at, json.len, "do not tell", 11));
	assert_int_equal(
	    store_note(f->store, SLICE_LITERAL("r/there/c"), &note, &err), 0);
	assert_null(memmem(note.at, note.len, "do not tell", 11));
	snprintf(path, sizeof(path), "%s/replicator.key", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	buffer_free(&json);
	buffer_free(&note);
}

static void
a_path_of_another_store_is_refused(void **state)
{
	struct fixture *f = *state;
	struct destination_fields fields = { .provider = PROVIDER_S3,
		.bucket = "there" };
	struct error err = ERROR_INIT;
	struct fake_object *o;
	int i;

	put(f, "mine", 10, 0);
	o = fake_find("plugins/holdfast/owner.json", 1);
	o->there = 1;
	o->size = (uint64_t)snprintf(o->text, sizeof(o->text),
	    "{\"store\": \"%032d\", \"epoch\": 3}", 7);
	start(f);
	assert_int_equal(replicator_add(f->replicator, "there", &fields, NULL,
			     0, "test", &err),
	    -1);
	assert_int_equal(err.kind, ERR_EXISTS);
	assert_int_equal(replicator_add(f->replicator, "there", &fields, NULL,
			     1, "test", &err),
	    0);
	for (i = 0; i < 500 && !fake_says(o, "\"epoch\": 4"); i++)
		usleep(10000);
	assert_true(fake_says(o, "\"epoch\": 4"));
	/* The other one may still be sending. */
	usleep(1000000);
	assert_null(outside("mine"));
	wait_quiet(f, 30);
	assert_non_null(outside("mine"));
}

static void
an_empty_store_never_syncs_to_a_full_place(void **state)
{
	struct fixture *f = *state;
	struct destination_status s;
	struct fake_object *o = fake_find("bucket/old", 1);
	int i;

	o->there = 1;
	start(f);
	add(f, NULL);
	for (i = 0; i < 200; i++) {
		s = status(f);
		if (s.state == DESTINATION_STOPPED)
			break;
		usleep(10000);
	}
	assert_int_equal(s.state, DESTINATION_STOPPED);
	assert_non_null(strstr(s.reason, "holdfast restore"));
	put(f, "new", 10, 0);
	usleep(200000);
	assert_null(outside("new"));
	assert_true(o->there);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_fixture, close_fixture)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_copy_is_a_consistent_past_at_every_instant),
		T(without_the_publish_rule_it_is_not),
		T(what_was_there_before_is_seeded),
		T(a_poison_object_is_parked_and_blocks_nothing),
		T(a_denied_destination_waits_for_a_person),
		T(a_large_backlog_is_folded_to_its_net_effect),
		T(the_brake_asks_before_an_unusual_share_is_deleted),
		T(a_delete_may_be_put_off_and_is_forgotten_by_a_new_put),
		T(restics_locks_stay_at_home),
		T(a_velero_backup_appears_when_it_is_whole),
		T(a_large_object_goes_on_where_a_restart_left_it),
		T(parts_go_ahead_of_what_must_wait),
		T(a_large_object_that_was_parked_leaves_no_upload),
		T(seeding_goes_on_after_a_restart_and_changes_follow),
		T(secrets_are_sealed_and_never_told),
		T(a_path_of_another_store_is_refused),
		T(an_empty_store_never_syncs_to_a_full_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
