#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "replicator/filter.h"
#include "replicator/schedule.h"
#include "replicator/seal.h"
#include "replicator/settings.h"
#include "replicator/verified.h"
#include "replicator/upload.h"
#include "replicator/velero.h"
#include "replicator/window.h"

/* What a person sets, and what is made of it. */

#define LOCK \
	"locks/" \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int
takes(const char *include, const char *exclude, const char *bucket,
    const char *key)
{
	struct filter f = { include, exclude, NULL };

	return filter_takes(&f, slice_text(bucket), slice_text(key));
}

static void
a_filter_takes_prefixes_and_leaves_locks(void **state)
{
	(void)state;
	assert_false(takes(NULL, NULL, "b", LOCK));
	assert_false(takes(NULL, NULL, "b", "repo/" LOCK));
	assert_true(takes(NULL, NULL, "b", "b" LOCK));
	assert_true(takes(NULL, NULL, "b", "repo/" LOCK "0"));
	assert_true(takes(NULL, "", "b", "repo/" LOCK));
	assert_true(takes("b/x, c", NULL, "b", "xyz"));
	assert_true(takes("b/x, c", NULL, "c", "k"));
	assert_false(takes("b/x, c", NULL, "b", "y"));
	assert_false(takes(NULL, "b/x", "b", "xyz"));
	assert_true(takes(NULL, "b/x", "bb", "xyz"));
	assert_false(takes(NULL, NULL, "b", "plugins/holdfast/owner.json"));
}

static int
open_at(const char *text, const char *time)
{
	struct error err = ERROR_INIT;
	struct schedule s;
	int64_t wall_ms;
	int open;

	assert_int_equal(schedule_parse(&s, text, &err), 0);
	assert_int_equal(clock_parse_iso8601(time, strlen(time), &wall_ms), 0);
	open = schedule_is_open(&s, wall_ms);
	schedule_free(&s);
	return open;
}

static void
a_schedule_knows_its_zone(void **state)
{
	struct error err = ERROR_INIT;
	struct schedule s;

	(void)state;
	assert_true(open_at("22:00-06:00", "2026-01-10T23:00:00.000Z"));
	assert_true(open_at("22:00-06:00", "2026-01-10T05:59:59.000Z"));
	assert_false(open_at("22:00-06:00", "2026-01-10T06:00:00.000Z"));
	assert_true(
	    open_at("01:00-02:00,12:00-13:00", "2026-01-10T12:30:00.000Z"));
	/* An hour ahead in winter, two in summer. */
	assert_false(
	    open_at("22:00-23:00 Europe/Berlin", "2026-01-10T20:30:00.000Z"));
	assert_true(
	    open_at("22:00-23:00 Europe/Berlin", "2026-01-10T21:30:00.000Z"));
	assert_true(
	    open_at("22:00-23:00 Europe/Berlin", "2026-07-10T20:30:00.000Z"));
	assert_int_equal(schedule_parse(&s, "22-6", &err), -1);
	assert_int_equal(
	    schedule_parse(&s, "22:00-06:00 ../../etc/passwd", &err), -1);
	assert_int_equal(schedule_parse(&s, "22:00-06:00 Nowhere", &err), -1);
}

static void
settings_survive_sealing(void **state)
{
	struct destination_fields fields = { .provider = PROVIDER_AZURE,
		.path = "p",
		.client_secret = "not for eyes",
		.use_instance_role = 1 };
	struct destination_policy policy = { .concurrency = 7, .exclude = "" };
	struct seal seal, other;
	struct error err = ERROR_INIT;
	struct settings *s, *back;
	json_t *json;
	char *text;

	(void)state;
	bytes_random(&seal, sizeof(seal));
	bytes_random(&other, sizeof(other));
	s = settings_make(NULL, &fields, &policy, &err);
	assert_non_null(s);
	json = settings_public(s);
	text = json_dumps(json, 0);
	assert_null(strstr(text, "not for eyes"));
	assert_non_null(strstr(text, "client_secret"));
	free(text);
	json_decref(json);

	json = settings_sealed(s, &seal, &err);
	text = json_dumps(json, 0);
	assert_null(strstr(text, "not for eyes"));
	free(text);
	assert_null(settings_unseal(json, &other, &err));
	back = settings_unseal(json, &seal, &err);
	assert_non_null(back);
	assert_string_equal(back->fields.client_secret, "not for eyes");
	assert_string_equal(back->fields.path, "p");
	assert_string_equal(back->policy.exclude, "");
	assert_int_equal(back->policy.concurrency, 7);
	assert_int_equal(back->fields.use_instance_role, 1);
	assert_int_equal(back->fields.provider, PROVIDER_AZURE);
	json_decref(json);
	settings_free(back);
	settings_free(s);
}

static struct settings *
changed(const struct settings *base, const char *text)
{
	struct error err = ERROR_INIT;
	json_t *json = json_loads(text, 0, NULL);
	struct settings *s = settings_change(base, json, &err);

	json_decref(json);
	return s;
}

static void
a_change_takes_away_what_is_null_and_leaves_what_it_does_not_name(void **state)
{
	struct settings *was, *is;

	(void)state;
	was = changed(NULL,
	    "{\"provider\": \"google\", \"bucket\": \"b\", \"proxy\": \"p\", "
	    "\"use_instance_role\": true, \"concurrency\": 7, \"exclude\": "
	    "\"\", \"window\": \"w\"}");
	assert_non_null(was);
	is = changed(was,
	    "{\"proxy\": null, \"use_instance_role\": false, "
	    "\"concurrency\": 0, \"exclude\": null}");
	assert_non_null(is);
	assert_null(is->fields.proxy);
	assert_null(is->policy.exclude);
	assert_int_equal(is->fields.use_instance_role, 0);
	assert_int_equal(is->policy.concurrency, 0);
	assert_string_equal(is->fields.bucket, "b");
	assert_string_equal(is->policy.window, "w");
	assert_int_equal(is->fields.provider, PROVIDER_GOOGLE);
	assert_int_equal(was->policy.concurrency, 7);
	assert_null(changed(was, "{\"colour\": 1}"));
	settings_free(is);
	settings_free(was);
}

static void
a_difference_tells_of_secrets_only_that_they_changed(void **state)
{
	struct settings *was, *is;
	json_t *difference;
	char *text;

	(void)state;
	was = changed(NULL,
	    "{\"provider\": \"s3\", \"secret_access_key\": \"old-one\", "
	    "\"session_token\": \"old-two\", \"bucket\": \"b\"}");
	is = changed(was,
	    "{\"secret_access_key\": \"new-one\", \"session_token\": null, "
	    "\"bucket\": \"c\"}");
	difference = settings_difference(was, is);
	text = json_dumps(difference, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text,
	    "{\"bucket\":{\"from\":\"b\",\"to\":\"c\"},"
	    "\"secret_access_key\":\"changed\","
	    "\"session_token\":\"taken away\"}");
	free(text);
	json_decref(difference);
	assert_true(settings_are_elsewhere(was, is));
	settings_free(is);
	is = changed(was, "{\"region\": \"r\", \"concurrency\": 3}");
	assert_false(settings_are_elsewhere(was, is));
	settings_free(is);
	is = changed(was, "{\"exclude\": \"\"}");
	assert_true(settings_are_elsewhere(was, is));
	settings_free(is);
	settings_free(was);
}

static void
a_key_below_a_backup_is_known_by_its_directory(void **state)
{
	static const struct {
		const char *key;
		size_t len;
	} keys[] = { { "backups/one/velero-backup.json", 12 },
		{ "backups/one/deep/er", 12 }, { "velero/backups/a/x", 17 },
		{ "backups/one", 0 }, { "backups//x", 0 }, { "backups/", 0 },
		{ "", 0 }, { "x", 0 }, { "a/b/backups/one/x", 0 },
		{ "kopia/backup/one/x", 0 }, { "mybackups/one/x", 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_int_equal(
		    backup_directory(slice_text(keys[i].key)), keys[i].len);
}

static void
a_members_name_or_kind_that_is_wrong_is_refused(void **state)
{
	static const char *const wrong[] = {
		"{\"provider\": \"s3\", \"buckets\": \"x\"}",
		"{\"provider\": \"ftp\"}",
		"{\"provider\": \"s3\", \"bucket\": 3}",
		"{\"provider\": \"s3\", \"concurrency\": -1}",
		"{\"provider\": \"s3\", \"use_instance_role\": \"yes\"}",
		"{\"provider\": \"s3\", \"bucket\": \"a\\u0000b\"}"
	};
	struct error err = ERROR_INIT;
	json_t *json;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json = json_loads(wrong[i], JSON_ALLOW_NUL, NULL);
		assert_non_null(json);
		assert_null(settings_parse(json, &err));
		assert_int_equal(err.kind, ERR_INVALID);
		json_decref(json);
	}
}

static void
a_velero_backup_is_known_by_its_place(void **state)
{
	size_t directory;

	(void)state;
	assert_true(velero_is_backup(
	    SLICE_LITERAL("backups/b/velero-backup.json"), &directory));
	assert_int_equal(directory, strlen("backups/b/"));
	assert_true(velero_is_backup(
	    SLICE_LITERAL("v/w/backups/b/velero-backup.json"), &directory));
	assert_false(velero_is_backup(
	    SLICE_LITERAL("xbackups/b/velero-backup.json"), &directory));
	assert_false(velero_is_backup(
	    SLICE_LITERAL("backups//velero-backup.json"), &directory));
	assert_false(velero_is_backup(
	    SLICE_LITERAL("backups/b/c/velero-backup.json"), &directory));
	assert_false(
	    velero_is_backup(SLICE_LITERAL("velero-backup.json"), &directory));
}

static void
parts_are_equal_and_few_enough(void **state)
{
	struct destination_limits limits = { .part_min_bytes = 5 << 20,
		.part_max_bytes = 5ULL << 30,
		.parts_max = 1000 };
	uint64_t size, part;

	(void)state;
	assert_int_equal(upload_part_bytes(1, &limits), 16 << 20);
	for (size = 1; size < 4ULL << 40; size = size * 3 + 1) {
		part = upload_part_bytes(size, &limits);
		assert_true((size + part - 1) / part <= 1000);
		assert_int_equal(part % (1 << 20), 0);
	}
}

static void
the_windows_low_end_moves_over_what_is_settled(void **state)
{
	struct slice b = SLICE_LITERAL("b"), k = SLICE_LITERAL("k");
	struct window *w = calloc(1, sizeof(*w));
	struct item *one, *two, *three;

	(void)state;
	window_reset(w, 10);
	one = window_add(w, FROM_JOURNAL, ITEM_PUT, 11, b, k);
	window_skip(w, 12);
	two = window_add(
	    w, FROM_JOURNAL, ITEM_PUT, 13, b, SLICE_LITERAL("other"));
	three = window_add(w, FROM_JOURNAL, ITEM_DELETE, 14, b, k);
	assert_true(window_is_first(w, one));
	assert_false(window_is_first(w, three));
	assert_false(window_is_last(w, one));
	window_settle(w, two);
	assert_int_equal(w->low, 10);
	window_settle(w, one);
	assert_int_equal(w->low, 13);
	assert_true(window_is_first(w, three));
	window_settle(w, three);
	assert_int_equal(w->low, 14);
	assert_int_equal(w->items, 0);
	window_reset(w, 0);
	free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_takes_prefixes_and_leaves_locks),
		cmocka_unit_test(a_schedule_knows_its_zone),
		cmocka_unit_test(settings_survive_sealing),
		cmocka_unit_test(
		    a_change_takes_away_what_is_null_and_leaves_what_it_does_not_name),
		cmocka_unit_test(
		    a_difference_tells_of_secrets_only_that_they_changed),
		cmocka_unit_test(
		    a_key_below_a_backup_is_known_by_its_directory),
		cmocka_unit_test(
		    a_members_name_or_kind_that_is_wrong_is_refused),
		cmocka_unit_test(a_velero_backup_is_known_by_its_place),
		cmocka_unit_test(parts_are_equal_and_few_enough),
		cmocka_unit_test(
		    the_windows_low_end_moves_over_what_is_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
