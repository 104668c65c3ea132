#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/google_private.h"
#include "replicator/side_object.h"
#include "store/record.h"

static struct google_shared shared = { .path = (char *)(uintptr_t) "p/q/",
	.bucket = (char *)(uintptr_t) "bucket",
	.bucket_encoded = (char *)(uintptr_t) "bucket",
	.origin = (char *)(uintptr_t) "https://storage.test" };
static struct google_shared bare = { .path = (char *)(uintptr_t) "" };

static int
check(struct google_shared *s, const char *key, size_t len)
{
	struct fault fault = FAULT_INIT;
	int rc =
	    destination_google.check_key(s, (struct slice){ key, len }, &fault);

	assert_true(
	    rc == 0 || (fault.kind == FAULT_OBJECT && fault.text[0] != '\0'));
	return rc;
}

#define GOOD(s, key) assert_int_equal(check(&(s), key, sizeof(key) - 1), 0)
#define BAD(s, key) assert_int_equal(check(&(s), key, sizeof(key) - 1), -1)

static void
names_are_utf8_and_have_no_line_ends(void **state)
{
	(void)state;
	GOOD(shared, "backups/a/velero-backup.json");
	GOOD(shared, "\xc3\xa4/\xf0\x9f\x98\x80");
	GOOD(shared, "a\tb\x01");
	BAD(shared, "");
	BAD(shared, "a\nb");
	BAD(shared, "a\rb");
	BAD(shared, "a\0b");
	BAD(shared, "\xff");
	BAD(shared, "\xc3");
	BAD(shared, "\xed\xa0\x80");
	BAD(shared, "\xc0\x80");
	BAD(shared, "\xf4\x90\x80\x80");
}

static void
names_are_1024_bytes_with_the_path(void **state)
{
	char key[1100];

	(void)state;
	memset(key, 'k', sizeof(key));
	assert_int_equal(check(&shared, key, 1020), 0);
	assert_int_equal(check(&shared, key, 1021), -1);
	assert_int_equal(check(&bare, key, 1024), 0);
	assert_int_equal(check(&bare, key, 1025), -1);
}

static void
names_that_google_keeps_for_itself_need_a_path(void **state)
{
	(void)state;
	BAD(bare, ".");
	BAD(bare, "..");
	BAD(bare, ".well-known/acme-challenge/x");
	GOOD(bare, "...");
	GOOD(bare, "./a");
	GOOD(bare, ".well-known/other");
	GOOD(shared, ".");
	GOOD(shared, ".well-known/acme-challenge/x");
}

static json_t *
resource_of(struct slice attributes, struct slice tags, struct buffer *side)
{
	struct remote_object o = { .key = SLICE_LITERAL("k"),
		.size = 3,
		.attributes = attributes,
		.tags = tags,
		.mtime_ms = 1700000000123,
		.etag = "e-1",
		.version = 9 };

	return google_resource(&shared, &o, side);
}

static void
what_is_stored_is_read_again(void **state)
{
	struct buffer attributes = BUFFER_INIT, tags = BUFFER_INIT;
	struct buffer side = BUFFER_INIT;
	struct remote_stat st = { .size = 0 };
	struct fault fault = FAULT_INIT;
	json_t *resource;
	int has_side;

	(void)state;
	pairs_add(&attributes, SLICE_LITERAL("content-type"),
	    SLICE_LITERAL("text/plain"));
	pairs_add(
	    &attributes, SLICE_LITERAL("x-amz-meta-a"), SLICE_LITERAL(" b "));
	pairs_add(&tags, SLICE_LITERAL("k&="), SLICE_LITERAL("\xc3\xa4"));
	resource =
	    resource_of(buffer_slice(&attributes), buffer_slice(&tags), &side);
	assert_non_null(resource);
	assert_int_equal(side.len, 0);
	assert_string_equal(
	    json_string_value(json_object_get(resource, "name")), "p/q/k");

	json_object_set_new(resource, "size", json_string("3"));
	json_object_set_new(
	    resource, "timeCreated", json_string("2026-11-24T12:36:01.5Z"));
	google_set_crc32c(resource, 0x01020304);
	assert_int_equal(google_stat_read(resource, &st, &has_side, &fault), 0);
	assert_false(has_side);
	assert_int_equal(st.size, 3);
	assert_int_equal(st.version, 9);
	assert_string_equal(st.original_etag, "e-1");
	assert_int_equal(st.original_mtime_ms, 1700000000123);
	assert_true(st.has_crc32c && st.crc32c == 0x01020304);
	assert_false(st.has_md5);
	assert_true(slice_is(pairs_get(st.attributes, "x-amz-meta-a"), " b "));
	assert_int_equal(pairs_count(st.attributes), 2);
	assert_true(slice_is(pairs_get(st.tags, "k&="), "\xc3\xa4"));
	json_decref(resource);
	buffer_free(&st.memory);
	buffer_free(&attributes);
	buffer_free(&tags);
}

static void
goes_beside(const char *name, struct slice value)
{
	struct buffer attributes = BUFFER_INIT, side = BUFFER_INIT;
	json_t *resource;

	pairs_add(&attributes, slice_text(name), value);
	resource = resource_of(buffer_slice(&attributes), SLICE_NULL, &side);
	assert_non_null(resource);
	assert_true(side.len > 0);
	assert_non_null(json_object_get(
	    json_object_get(resource, "metadata"), REMOTE_META_SIDE));
	json_decref(resource);
	buffer_free(&attributes);
	buffer_free(&side);
}

static void
what_does_not_fit_goes_beside(void **state)
{
	char large[8300];

	(void)state;
	memset(large, 'v', sizeof(large));
	goes_beside("x-amz-meta-a", (struct slice){ large, sizeof(large) });
	goes_beside("x-amz-meta-a", SLICE_LITERAL("\xff"));
	goes_beside("x-amz-meta-a", SLICE_LITERAL("a\x01"));
	goes_beside("x-amz-meta-holdfast-side", SLICE_LITERAL("1"));
	goes_beside("x-amz-meta-kopia-mtime", SLICE_LITERAL("1"));
	goes_beside("expires", SLICE_LITERAL("never"));
	goes_beside("content-type", SLICE_LITERAL(""));
	goes_beside("content-type", SLICE_LITERAL("\xc3\xa4"));
}

static void
a_resource_that_says_nonsense_is_refused(void **state)
{
	static const char *const texts[] = { "{}", "{\"size\":-1}",
		"{\"size\":\"x\"}", "{\"size\":\"18446744073709551616\"}",
		"{\"size\":[]}" };
	struct google_object o;
	json_t *resource;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		resource = json_loads(texts[i], 0, NULL);
		assert_non_null(resource);
		assert_int_equal(google_object_read(resource, &o), -1);
		json_decref(resource);
	}
	resource = json_loads("{\"size\":\"5\",\"md5Hash\":\"AAAA\","
			      "\"crc32c\":\"AAAAA\",\"generation\":{}}",
	    0, NULL);
	assert_int_equal(google_object_read(resource, &o), 0);
	assert_true(o.size == 5 && !o.has_md5 && !o.has_crc32c);
	json_decref(resource);
}

static void
addresses_are_encoded_whole(void **state)
{
	struct google_request req = { .url = BUFFER_INIT };

	(void)state;
	google_url_object(&shared, &req, SLICE_LITERAL("a/.. ?#%\xc3\xa4"));
	google_query(&req, "alt", SLICE_LITERAL("media"));
	google_query_number(&req, "generation", 7);
	assert_true(slice_is(buffer_slice(&req.url),
	    "https://storage.test/storage/v1/b/bucket/o/"
	    "p%2Fq%2Fa%2F..%20%3F%23%25%C3%A4?alt=media&generation=7"));
	buffer_free(&req.url);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_utf8_and_have_no_line_ends),
		cmocka_unit_test(names_are_1024_bytes_with_the_path),
		cmocka_unit_test(
		    names_that_google_keeps_for_itself_need_a_path),
		cmocka_unit_test(what_is_stored_is_read_again),
		cmocka_unit_test(what_does_not_fit_goes_beside),
		cmocka_unit_test(a_resource_that_says_nonsense_is_refused),
		cmocka_unit_test(addresses_are_encoded_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
