#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "s3api/access.h"
#include "store/store.h"

static char dir[] = "/tmp/holdfast-access-XXXXXX";
static struct store *store;
static struct access *access_keys;

static int
set_up(void **state)
{
	struct store_options options = { .dir = dir };
	struct error err = ERROR_INIT;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	store = store_open(&options, &err);
	if (store == NULL)
		return -1;
	access_keys = access_new(store, "root", "root-secret", &err);
	return access_keys == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	char command[64];

	(void)state;
	access_free(access_keys);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
set_key(const char *access_key, const char *secret, uint8_t rights,
    const char *bucket, const char *prefix, int removing)
{
	struct set_key set;

	memset(&set, 0, sizeof(set));
	set.name = slice_text(access_key);
	set.record.access_key = slice_text(access_key);
	set.record.secret = slice_text(secret);
	set.record.name = slice_text(access_key);
	set.record.rights = rights;
	set.record.bucket = slice_text(bucket);
	set.record.prefix = slice_text(prefix);
	set.remove = removing;
	assert_int_equal(store_set_key(store, &set), 0);
}

static struct access_key *
find(const char *name)
{
	struct s3_error s3err = S3_ERROR_INIT;
	struct access_key *key;

	key = access_find(access_keys, slice_text(name), &s3err);
	assert_non_null(key);
	return key;
}

static int
allows(
    const char *name, enum key_right right, const char *bucket, const char *key)
{
	struct access_key *who = find(name);
	int allowed;

	allowed =
	    access_allows(who, right, slice_text(bucket), slice_text(key));
	access_release(who);
	return allowed;
}

static void
the_administrator_may_do_everything(void **state)
{
	struct access_key *who = find("root");

	(void)state;
	assert_true(who->administrator);
	assert_false(who->unknown);
	assert_true(slice_is(who->secret, "root-secret"));
	access_release(who);
	assert_true(allows("root", RIGHT_WRITE, "b", "k"));
	assert_true(allows("root", RIGHT_ADMIN, "b", ""));
}

static void
an_unknown_key_has_a_secret_and_is_marked(void **state)
{
	struct access_key *who = find("nobody");

	(void)state;
	assert_true(who->unknown);
	assert_true(who->secret.len > 16);
	access_release(who);
}

static void
keys_come_and_go_while_in_use(void **state)
{
	struct access_key *first, *second;

	(void)state;
	set_key("velero", "old", RIGHT_READ, "", "", 0);
	first = find("velero");
	assert_false(first->unknown);
	set_key("velero", "", 0, "", "", 1);
	set_key("velero", "new", RIGHT_READ, "", "", 0);
	second = find("velero");
	assert_true(slice_is(first->secret, "old"));
	assert_true(slice_is(second->secret, "new"));
	access_release(first);
	access_release(second);
	set_key("velero", "", 0, "", "", 1);
	first = find("velero");
	assert_true(first->unknown);
	access_release(first);
}

static void
rights_are_per_bucket_and_prefix(void **state)
{
	(void)state;
	set_key("one", "s", RIGHT_READ | RIGHT_LIST, "b", "p/", 0);
	assert_true(allows("one", RIGHT_READ, "b", "p/k"));
	assert_false(allows("one", RIGHT_READ, "b", "q/k"));
	assert_false(allows("one", RIGHT_READ, "b", "p"));
	assert_false(allows("one", RIGHT_READ, "c", "p/k"));
	assert_false(allows("one", RIGHT_WRITE, "b", "p/k"));
	assert_true(allows("one", RIGHT_LIST, "b", "p/"));
	assert_true(allows("one", RIGHT_LIST, "b", "p/x"));
	assert_false(allows("one", RIGHT_LIST, "b", ""));
	assert_true(allows("one", 0, "b", ""));
	assert_false(allows("one", 0, "c", ""));
	assert_false(allows("one", RIGHT_ADMIN, "b", ""));
}

static void
administering_implies_the_other_rights(void **state)
{
	(void)state;
	set_key("two", "s", RIGHT_ADMIN, "b", "", 0);
	assert_true(allows("two", RIGHT_ADMIN, "b", ""));
	assert_true(allows("two", RIGHT_DELETE, "b", "k"));
	assert_false(allows("two", RIGHT_ADMIN, "c", ""));
	set_key("three", "s", RIGHT_ADMIN, "b", "p/", 0);
	assert_false(allows("three", RIGHT_ADMIN, "b", ""));
	assert_true(allows("three", RIGHT_WRITE, "b", "p/k"));
}

static void
a_derived_key_is_that_of_its_scope(void **state)
{
	struct access_key *who = find("root");
	struct sigv4 sig;
	struct sigv4_key expected;
	char region[80];
	size_t i;

	(void)state;
	memset(&sig, 0, sizeof(sig));
	sig.date = SLICE_LITERAL("20261124");
	sig.service = SLICE_LITERAL("s3");
	for (i = 0; i < 20; i++) {
		snprintf(region, sizeof(region), "region-%zu", i % 7);
		if (i == 13)
			memset(region, 'r', sizeof(region));
		sig.region = (struct slice){ region,
			i == 13 ? sizeof(region) : strlen(region) };
		sigv4_derive(who->secret, &sig, &expected);
		assert_memory_equal(access_derive(who, &sig)->key, expected.key,
		    sizeof(expected.key));
	}
	access_release(who);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_administrator_may_do_everything),
		cmocka_unit_test(an_unknown_key_has_a_secret_and_is_marked),
		cmocka_unit_test(keys_come_and_go_while_in_use),
		cmocka_unit_test(rights_are_per_bucket_and_prefix),
		cmocka_unit_test(administering_implies_the_other_rights),
		cmocka_unit_test(a_derived_key_is_that_of_its_scope),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
