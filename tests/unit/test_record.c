#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/encode.h"
#include "base/error.h"
#include "store/record.h"

#define TIME_MS INT64_C(1764000000123)

static const struct slice name_a = { "content-type", 12 };
static const struct slice value_a = { "application/x-tar", 17 };
static const struct slice name_b = { "x-amz-meta-a", 12 };

static struct buffer pairs, entries;
static struct bucket_record bucket;
static struct object_record object;
static struct upload_record upload;
static struct part_record part;
static struct extent_record inlined, file, chain;
static struct key_record key;
static struct journal_record journal;

static void
checksum_set(struct checksum *sum, enum checksum_kind kind)
{
	memset(sum, 0, sizeof(*sum));
	sum->kind = (uint8_t)kind;
	memset(sum->value, 0xc5, checksum_bytes(kind));
}

static int
make_samples(void **state)
{
	struct chain_entry entry = { .extent = 7, .end = 100, .number = 1 };

	(void)state;
	pairs_add(&pairs, name_a, value_a);
	pairs_add(&pairs, name_b, SLICE_NULL);

	bucket = (struct bucket_record){ .id = 3,
		.created_ms = TIME_MS,
		.versioning = VERSIONING_SUSPENDED,
		.quota_bytes = 1ULL << 40,
		.owner = SLICE_LITERAL("AKIA"),
		.tags = buffer_slice(&pairs),
		.objects = 1,
		.object_bytes = 2,
		.versions = 3,
		.version_bytes = 4,
		.uploads = 5,
		.upload_bytes = UINT64_MAX };
	object = (struct object_record){ .version = 1ULL << 33,
		.null_version = 1,
		.mtime_ms = TIME_MS,
		.size = OBJECT_MAX_BYTES,
		.extent = 99,
		.parts = PARTS_MAX,
		.attributes = buffer_slice(&pairs),
		.tags = SLICE_LITERAL("\0\1t\0\1v"),
		.retention = SLICE_LITERAL("r"),
		.encryption = SLICE_LITERAL("ee"),
		.replication = SLICE_LITERAL("rrr"),
		.legal_hold = 1 };
	memset(object.md5, 0xab, sizeof(object.md5));
	checksum_set(&object.checksum, CHECKSUM_SHA256);
	object.checksum.composite = 1;
	upload = (struct upload_record){ .started_ms = TIME_MS,
		.checksum_kind = CHECKSUM_CRC64NVME,
		.checksum_composite = 1,
		.attributes = buffer_slice(&pairs),
		.tags = SLICE_LITERAL("t"),
		.initiator = SLICE_LITERAL("AKIA"),
		.nonce = 77 };
	part = (struct part_record){
		.extent = 5, .size = PART_MAX_BYTES, .mtime_ms = TIME_MS
	};
	checksum_set(&part.checksum, CHECKSUM_CRC32C);
	inlined = (struct extent_record){ .kind = EXTENT_INLINE,
		.references = 2,
		.size = 5,
		.crc32c = 0xdeadbeef,
		.bytes = SLICE_LITERAL("hello") };
	file = (struct extent_record){ .kind = EXTENT_FILE,
		.flags = EXTENT_DAMAGED,
		.references = UINT32_MAX,
		.size = 1ULL << 32 };
	memset(entry.checksum, 1, 4);
	chain_add(&entries, CHECKSUM_CRC32, &entry);
	entry = (struct chain_entry){ .extent = 0, .end = 100, .number = 5 };
	chain_add(&entries, CHECKSUM_CRC32, &entry);
	entry = (struct chain_entry){ .extent = 9, .end = 250, .number = 9 };
	chain_add(&entries, CHECKSUM_CRC32, &entry);
	chain = (struct extent_record){ .kind = EXTENT_CHAIN,
		.references = 1,
		.size = 250,
		.checksum_kind = CHECKSUM_CRC32,
		.entries = buffer_slice(&entries),
		.n_entries = 3 };
	key = (struct key_record){ .access_key = SLICE_LITERAL("kurl"),
		.secret = SLICE_LITERAL("secret"),
		.name = SLICE_LITERAL("n"),
		.rights = RIGHT_READ | RIGHT_ADMIN,
		.bucket = SLICE_LITERAL("velero"),
		.prefix = SLICE_LITERAL("backups/"),
		.created_ms = TIME_MS };
	journal = (struct journal_record){ .begin = 41,
		.what = JOURNAL_PUT,
		.time_ms = TIME_MS,
		.version = 12,
		.extent = 8,
		.size = 4096,
		.bucket = SLICE_LITERAL("velero"),
		.key = SLICE_LITERAL("backups/a"),
		.object = SLICE_LITERAL("rec") };
	return pairs.failed || entries.failed;
}

static int
drop_samples(void **state)
{
	(void)state;
	buffer_free(&pairs);
	buffer_free(&entries);
	return 0;
}

/* One row for each kind: its sample as bytes, and bytes decoded and encoded
 * again, which reads all that the decoded record points to. */
#define KIND(kind, sample) \
	static void encode_##sample(struct buffer *out) \
	{ \
		kind##_encode(out, &(sample)); \
	} \
	static int again_##sample( \
	    struct slice bytes, struct buffer *out, struct error *err) \
	{ \
		struct kind##_record rec; \
\
		if (kind##_decode(bytes, &rec, err) != 0) \
			return -1; \
		kind##_encode(out, &rec); \
		return 0; \
	}

KIND(bucket, bucket)
KIND(object, object)
KIND(upload, upload)
KIND(part, part)
KIND(extent, inlined)
KIND(extent, file)
KIND(extent, chain)
KIND(key, key)
KIND(journal, journal)

static const struct {
	const char *what;
	void (*encode)(struct buffer *);
	int (*again)(struct slice, struct buffer *, struct error *);
} kinds[] = {
	{ "bucket", encode_bucket, again_bucket },
	{ "object", encode_object, again_object },
	{ "upload", encode_upload, again_upload },
	{ "part", encode_part, again_part },
	{ "extent", encode_inlined, again_inlined },
	{ "extent", encode_file, again_file },
	{ "extent", encode_chain, again_chain },
	{ "key", encode_key, again_key },
	{ "journal", encode_journal, again_journal },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Decodes bytes from memory of exactly their length, so that a sanitizer sees
 * a read beyond them. */
static int
again(size_t kind, struct slice bytes, struct buffer *out, struct error *err)
{
	char *exact;
	int rc;

	assert_non_null(exact = malloc(bytes.len + (bytes.len == 0)));
	memcpy(exact, bytes.at, bytes.len);
	buffer_clear(out);
	rc = kinds[kind].again((struct slice){ exact, bytes.len }, out, err);
	free(exact);
	return rc;
}

static void
encoding_a_decoded_record_gives_the_same_bytes(void **state)
{
	struct buffer bytes = BUFFER_INIT, out = BUFFER_INIT;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		buffer_clear(&bytes);
		kinds[i].encode(&bytes);
		assert_false(bytes.failed);
		assert_int_equal(again(i, buffer_slice(&bytes), &out, &err), 0);
		assert_true(
		    slice_equal(buffer_slice(&bytes), buffer_slice(&out)));
	}
	buffer_free(&bytes);
	buffer_free(&out);
}

static void
every_shortened_or_lengthened_record_is_refused(void **state)
{
	struct buffer bytes = BUFFER_INIT, out = BUFFER_INIT;
	struct error err;
	size_t i, len;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		buffer_clear(&bytes);
		kinds[i].encode(&bytes);
		buffer_add_u8(&bytes, 0);
		for (len = 0; len <= bytes.len; len++) {
			if (len == bytes.len - 1)
				continue;
			assert_int_equal(
			    again(
				i, (struct slice){ bytes.at, len }, &out, &err),
			    -1);
			assert_int_equal(err.kind, ERR_DAMAGED);
		}
	}
	buffer_free(&bytes);
	buffer_free(&out);
}

static void
a_newer_format_is_refused_with_the_remedy(void **state)
{
	struct buffer bytes = BUFFER_INIT, out = BUFFER_INIT;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		buffer_clear(&bytes);
		kinds[i].encode(&bytes);
		bytes.at[0] = 2;
		assert_int_equal(
		    again(i, buffer_slice(&bytes), &out, &err), -1);
		assert_int_equal(err.kind, ERR_FORMAT);
		assert_non_null(strstr(err.text, kinds[i].what));
		assert_non_null(strstr(err.text,
		    "format 2, this program knows 1): upgrade holdfast"));
		bytes.at[0] = 0;
		assert_int_equal(
		    again(i, buffer_slice(&bytes), &out, &err), -1);
		assert_int_equal(err.kind, ERR_DAMAGED);
	}
	buffer_free(&bytes);
	buffer_free(&out);
}

static void
a_changed_byte_is_refused_or_stays_within_bounds(void **state)
{
	struct buffer bytes = BUFFER_INIT, out = BUFFER_INIT;
	struct error err;
	size_t at, i;
	char kept;
	int v;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		buffer_clear(&bytes);
		kinds[i].encode(&bytes);
		for (at = 0; at < bytes.len; at++) {
			kept = bytes.at[at];
			for (v = 0; v < 256; v++) {
				bytes.at[at] = (char)v;
				if (again(i, buffer_slice(&bytes), &out,
					&err) != 0)
					assert_true(err.kind == ERR_DAMAGED ||
					    err.kind == ERR_FORMAT);
				else
					assert_true(out.len <= bytes.len);
			}
			bytes.at[at] = kept;
		}
	}
	buffer_free(&bytes);
	buffer_free(&out);
}

static void
fields_of_later_releases_are_skipped(void **state)
{
	struct buffer bytes = BUFFER_INIT, out = BUFFER_INIT;
	struct buffer more = BUFFER_INIT;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		buffer_clear(&bytes);
		buffer_clear(&more);
		kinds[i].encode(&bytes);
		buffer_add_slice(&more, buffer_slice(&bytes));
		more.at[1]++;
		buffer_add_u8(&more, 200);
		buffer_add_be32(&more, 3);
		buffer_add_text(&more, "new");
		assert_int_equal(again(i, buffer_slice(&more), &out, &err), 0);
		assert_true(
		    slice_equal(buffer_slice(&bytes), buffer_slice(&out)));
	}
	buffer_free(&bytes);
	buffer_free(&more);
	buffer_free(&out);
}

static void
an_object_keeps_each_field(void **state)
{
	struct buffer bytes = BUFFER_INIT;
	struct object_record rec;
	struct error err;

	(void)state;
	object_encode(&bytes, &object);
	assert_int_equal(object_decode(buffer_slice(&bytes), &rec, &err), 0);
	assert_int_equal(rec.version, object.version);
	assert_int_equal(rec.null_version, 1);
	assert_int_equal(rec.delete_marker, 0);
	assert_int_equal(rec.legal_hold, 1);
	assert_int_equal(rec.mtime_ms, TIME_MS);
	assert_int_equal(rec.size, OBJECT_MAX_BYTES);
	assert_int_equal(rec.extent, 99);
	assert_memory_equal(rec.md5, object.md5, sizeof(rec.md5));
	assert_int_equal(rec.parts, PARTS_MAX);
	assert_memory_equal(
	    &rec.checksum, &object.checksum, sizeof(rec.checksum));
	assert_true(slice_equal(rec.attributes, object.attributes));
	assert_true(slice_equal(rec.tags, object.tags));
	assert_true(slice_equal(rec.retention, object.retention));
	assert_true(slice_equal(rec.encryption, object.encryption));
	assert_true(slice_equal(rec.replication, object.replication));
	buffer_free(&bytes);
}

static void
a_small_object_costs_fifty_four_bytes(void **state)
{
	struct object_record small = { .version = 1, .mtime_ms = TIME_MS };
	struct buffer bytes = BUFFER_INIT;
	struct object_record rec;
	struct error err;

	(void)state;
	object_encode(&bytes, &small);
	assert_int_equal(bytes.len, 54);
	assert_int_equal(object_decode(buffer_slice(&bytes), &rec, &err), 0);
	assert_null(rec.attributes.at);
	assert_int_equal(rec.checksum.kind, CHECKSUM_NONE);
	buffer_free(&bytes);
}

static void
a_buckets_usage_is_changed_in_place(void **state)
{
	struct buffer bytes = BUFFER_INIT;
	struct bucket_record rec, usage;
	struct error err;

	(void)state;
	bucket_encode(&bytes, &bucket);
	usage = (struct bucket_record){ .objects = 10,
		.object_bytes = 20,
		.versions = 30,
		.version_bytes = 40,
		.uploads = 50,
		.upload_bytes = 60 };
	bucket_set_usage(bytes.at, &usage);
	assert_int_equal(bucket_decode(buffer_slice(&bytes), &rec, &err), 0);
	assert_int_equal(rec.objects, 10);
	assert_int_equal(rec.object_bytes, 20);
	assert_int_equal(rec.versions, 30);
	assert_int_equal(rec.version_bytes, 40);
	assert_int_equal(rec.uploads, 50);
	assert_int_equal(rec.upload_bytes, 60);
	assert_int_equal(rec.id, bucket.id);
	assert_int_equal(rec.created_ms, bucket.created_ms);
	assert_int_equal(rec.quota_bytes, bucket.quota_bytes);
	assert_true(slice_equal(rec.owner, bucket.owner));
	buffer_free(&bytes);
}

static void
an_extents_references_are_changed_in_place(void **state)
{
	struct buffer bytes = BUFFER_INIT;
	struct extent_record rec;
	struct error err;
	int ok;

	(void)state;
	extent_encode(&bytes, &inlined);
	assert_int_equal(extent_references(buffer_slice(&bytes), &ok), 2);
	assert_true(ok);
	extent_set_references(bytes.at, 70000);
	assert_int_equal(extent_references(buffer_slice(&bytes), &ok), 70000);
	assert_int_equal(extent_decode(buffer_slice(&bytes), &rec, &err), 0);
	assert_int_equal(rec.references, 70000);
	assert_int_equal(rec.crc32c, inlined.crc32c);
	assert_true(slice_is(rec.bytes, "hello"));
	bytes.at[0] = 2;
	extent_references(buffer_slice(&bytes), &ok);
	assert_false(ok);
	extent_references(SLICE_NULL, &ok);
	assert_false(ok);
	buffer_free(&bytes);
}

static void
a_chain_is_read_by_index(void **state)
{
	struct buffer bytes = BUFFER_INIT;
	struct chain_entry entry;
	struct extent_record rec;
	struct error err;

	(void)state;
	extent_encode(&bytes, &chain);
	assert_int_equal(extent_decode(buffer_slice(&bytes), &rec, &err), 0);
	assert_int_equal(rec.n_entries, 3);
	assert_int_equal(chain_get(&rec, 2, &entry), 0);
	assert_int_equal(entry.extent, 9);
	assert_int_equal(entry.end, 250);
	assert_int_equal(entry.number, 9);
	assert_int_equal(chain_get(&rec, 1, &entry), 0);
	assert_int_equal(entry.extent, 0);
	assert_int_equal(chain_get(&rec, 0, &entry), 0);
	assert_int_equal(entry.checksum[3], 1);
	assert_int_equal(entry.checksum[4], 0);
	assert_int_equal(chain_get(&rec, 3, &entry), -1);

	rec.size = 249; /* an entry that ends behind the whole */
	assert_int_equal(chain_get(&rec, 2, &entry), -1);
	buffer_free(&bytes);
}

static void
a_chain_that_does_not_add_up_is_refused(void **state)
{
	struct buffer bytes = BUFFER_INIT;
	struct extent_record rec, wrong;
	struct error err;

	(void)state;
	wrong = chain;
	wrong.size = 251;
	extent_encode(&bytes, &wrong);
	assert_int_equal(extent_decode(buffer_slice(&bytes), &rec, &err), -1);

	buffer_clear(&bytes);
	wrong = chain;
	wrong.entries.len--;
	extent_encode(&bytes, &wrong);
	assert_int_equal(extent_decode(buffer_slice(&bytes), &rec, &err), -1);

	buffer_clear(&bytes);
	wrong = inlined;
	wrong.size = 6;
	extent_encode(&bytes, &wrong);
	assert_int_equal(extent_decode(buffer_slice(&bytes), &rec, &err), -1);
	assert_int_equal(err.kind, ERR_DAMAGED);
	buffer_free(&bytes);
}

static void
pairs_are_found_counted_and_bounded(void **state)
{
	struct slice name, rest, value;
	size_t len;
	int rc;

	(void)state;
	rest = buffer_slice(&pairs);
	assert_int_equal(pairs_count(rest), 2);
	assert_true(slice_equal(pairs_get(rest, "content-type"), value_a));
	value = pairs_get(rest, "x-amz-meta-a");
	assert_non_null(value.at);
	assert_int_equal(value.len, 0);
	assert_null(pairs_get(rest, "x-amz-meta").at);
	assert_null(pairs_get(SLICE_NULL, "a").at);

	for (len = 0; len < pairs.len; len++) {
		rest = (struct slice){ pairs.at, len };
		while ((rc = pairs_next(&rest, &name, &value)) == 1)
			;
		assert_int_equal(rc,
		    len == 0 || len == 4 + name_a.len + value_a.len ? 0 : -1);
	}
}

static void
a_pair_that_is_too_long_fails_the_buffer(void **state)
{
	struct buffer out = BUFFER_INIT;
	char *bytes;

	(void)state;
	assert_non_null(bytes = calloc(1, 65536));
	pairs_add(&out, name_a, (struct slice){ bytes, 65536 });
	assert_true(out.failed);
	free(bytes);
	buffer_free(&out);
}

static void
an_etag_has_a_suffix_only_for_multipart_objects(void **state)
{
	struct object_record rec;
	char text[ETAG_BYTES];

	(void)state;
	rec = object;
	object_etag(&rec, text);
	assert_string_equal(text, "abababababababababababababababab-10000");
	rec.parts = 0;
	object_etag(&rec, text);
	assert_string_equal(text, "abababababababababababababababab");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    encoding_a_decoded_record_gives_the_same_bytes),
		cmocka_unit_test(
		    every_shortened_or_lengthened_record_is_refused),
		cmocka_unit_test(a_newer_format_is_refused_with_the_remedy),
		cmocka_unit_test(
		    a_changed_byte_is_refused_or_stays_within_bounds),
		cmocka_unit_test(fields_of_later_releases_are_skipped),
		cmocka_unit_test(an_object_keeps_each_field),
		cmocka_unit_test(a_small_object_costs_fifty_four_bytes),
		cmocka_unit_test(a_buckets_usage_is_changed_in_place),
		cmocka_unit_test(an_extents_references_are_changed_in_place),
		cmocka_unit_test(a_chain_is_read_by_index),
		cmocka_unit_test(a_chain_that_does_not_add_up_is_refused),
		cmocka_unit_test(pairs_are_found_counted_and_bounded),
		cmocka_unit_test(a_pair_that_is_too_long_fails_the_buffer),
		cmocka_unit_test(
		    an_etag_has_a_suffix_only_for_multipart_objects),
	};

	return cmocka_run_group_tests_name(
	    "record", tests, make_samples, drop_samples);
}
