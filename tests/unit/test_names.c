#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/names.h"

/*
 * The tree against a sorted array. Names come from a few patterns that are the
 * same for hundreds of bytes and differ near the steps, so that many share
 * their nodes, and their bytes from those that sort first, last and in between.
 */

#define SEEDS 60
#define BATCHES 25
#define BATCH_CHANGES 30
#define PROBES 40
#define NAMES_MAX 2000
#define LONGEST_PROBE 1300
#define ROOTS 3

static const uint64_t roots[ROOTS] = { 1, 2, 99 };
static const uint8_t alphabet[] = { 0x00, 0x01, 0x61, 0xff };

struct entry {
	uint64_t root;
	size_t len;
	uint8_t value[8];
	uint8_t bytes[];
};

static struct entry *model[NAMES_MAX]; /* by root, then by name */
static size_t n_model;

static uint64_t random_state;
static unsigned seed;

static char dir[64];
static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *txn;
static uint64_t last_node;

static uint64_t
next_node(void *arg)
{
	(void)arg;
	return ++last_node;
}

static size_t
random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state >> 16) % n;
}

static struct slice
slice_of(const void *at, size_t len)
{
	return (struct slice){ at, len };
}

static struct slice
entry_name(const struct entry *entry)
{
	return slice_of(entry->bytes, entry->len);
}

static size_t
random_len(size_t longest)
{
	static const size_t lens[] = { 1, 1, 2, 3, 499, 500, 501, 502, 503, 999,
		1000, 1001, 1002, 1023, 1024 };
	const size_t n = sizeof(lens) / sizeof(lens[0]);
	size_t i;

	i = random_below(n + 3);
	return i < n ? lens[i] : 1 + random_below(longest);
}

static struct slice
random_name(uint8_t *memory, size_t longest)
{
	static const size_t places[] = { 0, 1, 2, 498, 499, 500, 501, 502, 998,
		999, 1000, 1001, 1022, 1023 };
	size_t changes, i, len, place;
	uint8_t fill;

	len = random_len(longest);
	fill = alphabet[random_below(sizeof(alphabet))];
	memset(memory, fill, len);
	changes = random_below(3);
	for (i = 0; i < changes; i++) {
		place = places[random_below(sizeof(places) / sizeof(*places))];
		if (place < len)
			memory[place] =
			    alphabet[random_below(sizeof(alphabet))];
	}
	return slice_of(memory, len);
}

/* The first entry of the model that is >= {root, name}. */
static size_t
model_seek(uint64_t root, struct slice name)
{
	size_t high, low, middle;

	low = 0;
	high = n_model;
	while (low < high) {
		middle = (low + high) / 2;
		if (model[middle]->root < root ||
		    (model[middle]->root == root &&
			slice_compare(entry_name(model[middle]), name) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
model_has(size_t i, uint64_t root, struct slice name)
{
	return i < n_model && model[i]->root == root &&
	    slice_equal(entry_name(model[i]), name);
}

static int
starts_with(const struct entry *entry, struct slice prefix)
{
	return entry->len >= prefix.len &&
	    (prefix.len == 0 ||
		memcmp(entry->bytes, prefix.at, prefix.len) == 0);
}

static size_t
model_skip(uint64_t root, struct slice prefix)
{
	size_t i;

	for (i = model_seek(root, prefix); i < n_model &&
	     model[i]->root == root && starts_with(model[i], prefix);)
		i++;
	return i;
}

static void
model_put(uint64_t root, struct slice name, const uint8_t value[8])
{
	struct entry *entry;
	size_t i;

	i = model_seek(root, name);
	if (!model_has(i, root, name)) {
		assert_true(n_model < NAMES_MAX);
		entry = malloc(sizeof(*entry) + name.len);
		assert_non_null(entry);
		entry->root = root;
		entry->len = name.len;
		memcpy(entry->bytes, name.at, name.len);
		memmove(
		    model + i + 1, model + i, (n_model - i) * sizeof(model[0]));
		model[i] = entry;
		n_model++;
	}
	memcpy(model[i]->value, value, 8);
}

static void
model_delete(size_t i)
{
	free(model[i]);
	n_model--;
	memmove(model + i, model + i + 1, (n_model - i) * sizeof(model[0]));
}

/* Names, and one continuation for each step that some name goes beyond. */
static size_t
expected_entries(void)
{
	size_t i, n, step;

	n = n_model;
	for (step = NAMES_STEP_BYTES; step < KEY_MAX_BYTES;
	     step += NAMES_STEP_BYTES) {
		for (i = 0; i < n_model; i++) {
			if (model[i]->len <= step)
				continue;
			if (i == 0 || model[i - 1]->root != model[i]->root ||
			    model[i - 1]->len <= step ||
			    memcmp(model[i - 1]->bytes, model[i]->bytes,
				step) != 0)
				n++;
		}
	}
	return n;
}

static void
expect_at(const struct names_walk *walk, int rc, uint64_t root, size_t i,
    const char *what)
{
	if (i == n_model || model[i]->root != root) {
		if (rc != 1)
			fail_msg("seed %u: %s: no end", seed, what);
		return;
	}
	if (rc != 0)
		fail_msg("seed %u: %s: %d for an entry", seed, what, rc);
	if (walk->name_len != model[i]->len ||
	    memcmp(walk->name, model[i]->bytes, walk->name_len) != 0)
		fail_msg("seed %u: %s: a wrong name of %zu bytes", seed, what,
		    walk->name_len);
	if (!slice_equal(walk->value, slice_of(model[i]->value, 8)))
		fail_msg("seed %u: %s: a wrong value", seed, what);
}

static void
check_walk(uint64_t root)
{
	struct names_walk walk;
	struct error err;
	size_t i;
	int rc;

	names_open(&walk, txn, dbi, root);
	assert_int_equal(names_next(&walk, &err), 1);
	rc = names_seek(&walk, SLICE_NULL, &err);
	for (i = model_seek(root, SLICE_NULL);; i++) {
		expect_at(&walk, rc, root, i, "walk");
		if (rc != 0)
			break;
		rc = names_next(&walk, &err);
	}
	assert_int_equal(names_next(&walk, &err), 1);
	names_close(&walk);
}

static void
check_probes(uint64_t root)
{
	struct names_walk walk;
	struct error err;
	uint8_t memory[LONGEST_PROBE];
	struct slice name, value;
	size_t i, n;
	int rc;

	names_open(&walk, txn, dbi, root);
	for (n = 0; n < PROBES; n++) {
		name = random_name(memory, sizeof(memory));

		i = model_seek(root, name);
		rc = names_seek(&walk, name, &err);
		expect_at(&walk, rc, root, i, "seek");
		if (rc == 0) {
			rc = names_next(&walk, &err);
			expect_at(&walk, rc, root, i + 1, "next after seek");
		}

		rc = names_skip(&walk, name, &err);
		expect_at(&walk, rc, root, model_skip(root, name), "skip");
		if (rc == 0) { /* by a prefix of the walk's own name */
			name = slice_of(
			    walk.name, 1 + random_below(walk.name_len));
			i = model_skip(root, name);
			rc = names_skip(&walk, name, &err);
			expect_at(&walk, rc, root, i, "skip from within");
		}

		name = random_name(memory, KEY_MAX_BYTES);
		rc = names_get(txn, dbi, root, name, &value, &err);
		i = model_seek(root, name);
		if (model_has(i, root, name) ? rc != 0 ||
			    !slice_equal(value, slice_of(model[i]->value, 8))
					     : rc != 1)
			fail_msg("seed %u: get answers %d", seed, rc);
	}
	names_close(&walk);
}

static void
check_all(void)
{
	MDB_stat stat;
	struct error err;
	struct slice value;
	size_t i;

	for (i = 0; i < n_model; i++) {
		if (names_get(txn, dbi, model[i]->root, entry_name(model[i]),
			&value, &err) != 0 ||
		    !slice_equal(value, slice_of(model[i]->value, 8)))
			fail_msg("seed %u: a name is lost", seed);
	}
	for (i = 0; i < ROOTS; i++) {
		check_walk(roots[i]);
		check_probes(roots[i]);
		assert_int_equal(names_empty(txn, dbi, roots[i], &err),
		    model_seek(roots[i], SLICE_NULL) ==
			model_seek(roots[i] + 1, SLICE_NULL));
	}
	assert_int_equal(mdb_stat(txn, dbi, &stat), 0);
	if (stat.ms_entries != expected_entries())
		fail_msg("seed %u: %zu entries, not %zu", seed, stat.ms_entries,
		    expected_entries());
}

static void
change_one(int deletes_in_ten)
{
	uint8_t memory[KEY_MAX_BYTES], number[8];
	struct error err;
	struct slice name;
	uint64_t root;
	size_t i;
	int rc;

	root = roots[random_below(ROOTS)];
	if (random_below(10) >= (size_t)deletes_in_ten) {
		name = random_name(memory, sizeof(memory));
		be64_put(number, random_state);
		model_put(root, name, number);
		rc = names_put(txn, dbi, root, name,
		    slice_of(number, sizeof(number)), next_node, NULL, &err);
		if (rc != 0)
			fail_msg("seed %u: put: %s", seed, err.text);
		return;
	}

	/* Mostly a name that is there. */
	if (n_model > 0 && random_below(8) > 0) {
		i = random_below(n_model);
		root = model[i]->root;
		memcpy(memory, model[i]->bytes, model[i]->len);
		name = slice_of(memory, model[i]->len);
	} else {
		name = random_name(memory, sizeof(memory));
		i = model_seek(root, name);
	}
	rc = names_delete(txn, dbi, root, name, &err);
	if (rc != !model_has(i, root, name))
		fail_msg("seed %u: delete answers %d", seed, rc);
	if (rc == 0)
		model_delete(i);
}

static void
a_tree_of_random_names_is_a_sorted_array(void **state)
{
	int batch, i;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
		for (batch = 0; batch < BATCHES; batch++) {
			for (i = 0; i < BATCH_CHANGES; i++)
				change_one(batch < BATCHES / 2 ? 2 : 7);
			check_all();
		}
		while (n_model > 0)
			change_one(10);
		check_all();
	}
}

static void
names_at_the_steps_are_kept_apart(void **state)
{
	static const size_t lens[] = { 1, 499, 500, 501, 999, 1000, 1001, 1023,
		1024 };
	uint8_t memory[KEY_MAX_BYTES], number[8];
	struct error err;
	size_t i, n;

	(void)state;
	n = sizeof(lens) / sizeof(lens[0]);
	for (i = 0; i < sizeof(alphabet); i++) {
		size_t j;

		memset(memory, alphabet[i], sizeof(memory));
		for (j = 0; j < n; j++) {
			be64_put(number, i * n + j);
			model_put(1, slice_of(memory, lens[j]), number);
			assert_int_equal(
			    names_put(txn, dbi, 1, slice_of(memory, lens[j]),
				slice_of(number, 8), next_node, NULL, &err),
			    0);
		}
	}
	check_all();
}

static void
skipping_a_prefix_of_nothing_or_of_ff_ends_the_walk(void **state)
{
	struct names_walk walk;
	struct error err;
	uint8_t memory[KEY_MAX_BYTES];

	(void)state;
	memset(memory, 0xff, sizeof(memory));
	assert_int_equal(names_put(txn, dbi, 1, slice_of(memory, 1024),
			     SLICE_LITERAL("x"), next_node, NULL, &err),
	    0);
	assert_int_equal(names_put(txn, dbi, 2, slice_of("a", 1),
			     SLICE_LITERAL("y"), next_node, NULL, &err),
	    0);
	names_open(&walk, txn, dbi, 1);
	assert_int_equal(names_skip(&walk, SLICE_NULL, &err), 1);
	assert_int_equal(names_skip(&walk, slice_of(memory, 1), &err), 1);
	assert_int_equal(names_skip(&walk, slice_of(memory, 700), &err), 1);
	assert_int_equal(names_skip(&walk, slice_of(memory, 1024), &err), 1);
	assert_int_equal(names_next(&walk, &err), 1);
	memory[700] = 0xfe;
	assert_int_equal(names_skip(&walk, slice_of(memory, 701), &err), 0);
	assert_int_equal(walk.name_len, 1024);
	names_close(&walk);
	names_close(&walk);
}

static void
names_of_no_or_too_many_bytes_are_refused(void **state)
{
	uint8_t memory[KEY_MAX_BYTES + 1];
	struct error err;
	struct slice name, value;
	int i;

	(void)state;
	memset(memory, 'a', sizeof(memory));
	for (i = 0; i < 2; i++) {
		name = slice_of(memory, i == 0 ? 0 : sizeof(memory));
		assert_int_equal(
		    names_get(txn, dbi, 1, name, &value, &err), -1);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_int_equal(names_put(txn, dbi, 1, name, SLICE_NULL,
				     next_node, NULL, &err),
		    -1);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_int_equal(names_delete(txn, dbi, 1, name, &err), -1);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

static void
put_raw(uint64_t node, size_t key_len, size_t value_len)
{
	uint8_t bytes[511];
	MDB_val key, value;

	memset(bytes, 'a', sizeof(bytes));
	bytes[508] = 1;
	be64_put(bytes, node);
	key = (MDB_val){ key_len, bytes };
	value = (MDB_val){ value_len, bytes };
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void
expect_damage(void)
{
	struct names_walk walk;
	struct error err;
	int rc;

	names_open(&walk, txn, dbi, 1);
	rc = names_seek(&walk, SLICE_NULL, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	assert_int_equal(names_next(&walk, &err), 1);
	names_close(&walk);
	assert_int_equal(mdb_drop(txn, dbi, 0), 0);
}

static void
damaged_trees_are_reported_and_never_walked_in_circles(void **state)
{
	uint8_t name[KEY_MAX_BYTES];
	struct slice value;
	struct error err;

	(void)state;
	memset(name, 'a', sizeof(name));

	put_raw(1, 509, 8); /* a continuation that leads to its own node */
	expect_damage();
	put_raw(1, 509, 7);
	expect_damage();
	put_raw(1, 510, 8);
	expect_damage();
	put_raw(1, 8, 8);
	expect_damage();

	assert_int_equal(names_put(txn, dbi, 1, slice_of(name, 501),
			     SLICE_LITERAL("x"), next_node, NULL, &err),
	    0);
	put_raw(1, 509, 3);
	assert_int_equal(
	    names_get(txn, dbi, 1, slice_of(name, 501), &value, &err), -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	assert_int_equal(
	    names_delete(txn, dbi, 1, slice_of(name, 501), &err), -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	expect_damage();
}

static int
begin(void **state)
{
	(void)state;
	last_node = 1000;
	return mdb_txn_begin(env, NULL, 0, &txn) != 0 ||
	    mdb_dbi_open(txn, "names", MDB_CREATE, &dbi) != 0;
}

static int
abandon(void **state)
{
	(void)state;
	mdb_txn_abort(txn);
	while (n_model > 0)
		model_delete(n_model - 1);
	return 0;
}

static int
make_env(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/holdfast-names.XXXXXX");
	if (mkdtemp(dir) == NULL || mdb_env_create(&env) != 0)
		return -1;
	mdb_env_set_maxdbs(env, 1);
	mdb_env_set_mapsize(env, 64 << 20);
	return mdb_env_open(env, dir, MDB_NOSYNC, 0600);
}

static int
drop_env(void **state)
{
	char path[80];

	(void)state;
	mdb_env_close(env);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", dir);
	unlink(path);
	return rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, abandon)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_at_the_steps_are_kept_apart),
		TEST(skipping_a_prefix_of_nothing_or_of_ff_ends_the_walk),
		TEST(names_of_no_or_too_many_bytes_are_refused),
		TEST(damaged_trees_are_reported_and_never_walked_in_circles),
		TEST(a_tree_of_random_names_is_a_sorted_array),
	};

	return cmocka_run_group_tests_name("names", tests, make_env, drop_env);
}
