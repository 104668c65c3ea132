#include "replicator/verified.h"

#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/auditor.h"
#include "replicator/notes.h"
#include "replicator/replicator_private.h"

#define FORMAT 1
#define VALUE_BYTES (1 + 8 + 1 + 8 + BACKUP_SUM_BYTES)

size_t
backup_directory(struct slice key)
{
	static const char below[] = "backups/";
	const char *name, *end = key.at + key.len, *slash;

	/* At the top, or below one prefix. */
	name = key.at;
	if (!slice_starts(key, below)) {
		slash = key.len == 0 ? NULL : memchr(key.at, '/', key.len);
		if (slash == NULL)
			return 0;
		name = slash + 1;
		if ((size_t)(end - name) < sizeof(below) - 1 ||
		    memcmp(name, below, sizeof(below) - 1) != 0)
			return 0;
	}
	name += sizeof(below) - 1;
	slash = name == end ? NULL : memchr(name, '/', (size_t)(end - name));
	return slash == NULL || slash == name ? 0
					      : (size_t)(slash + 1 - key.at);
}

/* ---- the sum ---- */

void
backup_sum_add(struct backup_sum *sum, struct slice key, uint64_t version)
{
	uint8_t numbers[16];

	if (sum->objects++ == 0)
		sum->digest = digest_new(DIGEST_SHA256);
	if (sum->digest == NULL)
		return;
	be64_put(numbers, key.len);
	be64_put(numbers + 8, version);
	digest_update(sum->digest, numbers, sizeof(numbers));
	digest_update(sum->digest, key.at, key.len);
}

int
backup_sum_end(struct backup_sum *sum, uint8_t out[BACKUP_SUM_BYTES])
{
	int failed = sum->digest == NULL;

	if (!failed)
		digest_final(sum->digest, out);
	digest_free(sum->digest);
	*sum = (struct backup_sum){ 0 };
	return failed ? -1 : 0;
}

/* ---- notes ---- */

static void
note_key(const char *destination, struct slice bucket, struct slice directory,
    char key[NOTE_KEY_BYTES])
{
	struct note_names names;

	note_names_set(&names, destination);
	note_hashed(&names, 'v', bucket, directory, key);
}

static int
decode(struct slice value, uint8_t bytes[VALUE_BYTES])
{
	if (value.len != VALUE_BYTES || value.at[0] != FORMAT)
		return -1;
	memcpy(bytes, value.at, VALUE_BYTES);
	return 0;
}

int
backup_is_verified(struct store *store, const char *destination,
    struct slice bucket, struct slice directory,
    const uint8_t sum[BACKUP_SUM_BYTES], struct verified *verified)
{
	struct buffer value = BUFFER_INIT;
	uint8_t bytes[VALUE_BYTES] = { 0 };
	char key[NOTE_KEY_BYTES];

	note_key(destination, bucket, directory, key);
	if (store_note(store, slice_text(key), &value, NULL) == 0)
		(void)decode(buffer_slice(&value), bytes);
	buffer_free(&value);
	verified->ms = (int64_t)be64_get(bytes + 1);
	verified->by_reading = bytes[9];
	return verified->ms != 0 &&
	    memcmp(bytes + 18, sum, BACKUP_SUM_BYTES) == 0;
}

/* ---- an audit ---- */

struct summing {
	const struct auditing *audit;
	struct slice bucket;
	struct backup_sum sum;
};

static int
sum_entry(const struct list_entry *entry, void *arg)
{
	struct summing *s = arg;
	const struct destination_policy *p = &s->audit->settings->policy;
	struct filter filter = { p->include, p->exclude, p->source_bucket };

	if (filter_takes(&filter, s->bucket, entry->key))
		backup_sum_add(&s->sum, entry->key, entry->object->version);
	return 0;
}

/* Whether the backup as it is here was verified before. */
static int
look_back(struct auditing *a, struct error *err)
{
	struct store *store = a->auditor->replicator->store;
	struct verifying *v = &a->verifying;
	struct summing s = { .audit = a, .bucket = buffer_slice(&v->bucket) };
	struct list_query query = { .bucket = s.bucket,
		.prefix = buffer_slice(&v->directory) };
	uint8_t sum[BACKUP_SUM_BYTES];
	struct verified verified;
	int failed;

	failed = store_list_objects(store, &query, sum_entry, &s, err);
	if (backup_sum_end(&s.sum, sum) == 0 && !failed)
		v->was_verified = backup_is_verified(store, a->job->name,
		    s.bucket, query.prefix, sum, &verified);
	if (failed && err->kind == ERR_NO_BUCKET) {
		error_clear(err);
		failed = 0;
	}
	return failed;
}

/* The backup at hand has been seen to its end. */
static int
leave(struct auditing *a)
{
	struct store *store = a->auditor->replicator->store;
	struct verifying *v = &a->verifying;
	struct buffer old = BUFFER_INIT;
	struct note_batch batch = { 0 };
	uint8_t value[VALUE_BYTES] = { FORMAT };
	char key[NOTE_KEY_BYTES];
	int failed, reading = a->job->options.read_data;
	uint64_t now = (uint64_t)clock_wall_ms();

	if (v->directory.len == 0)
		return 0;
	note_key(a->job->name, buffer_slice(&v->bucket),
	    buffer_slice(&v->directory), key);
	/* What could not be compared says nothing of what was; nor does what
	 * was by its facts alone, having been compared before. */
	if (v->by_facts)
		v->whole = 0;
	if (!v->differs && !v->whole &&
	    store_note(store, slice_text(key), &old, NULL) == 0)
		(void)decode(buffer_slice(&old), value);
	buffer_free(&old);
	if (v->whole && !v->differs) {
		be64_put(value + 1, now);
		value[9] = (uint8_t)reading;
		if (backup_sum_end(&v->sum, value + 18) != 0)
			return error_nomem(&a->err);
	}
	be64_put(value + 10, now);
	batch_set(&batch, key, (struct slice){ (char *)value, sizeof(value) });
	failed = batch_commit(&batch, store, &a->err);
	batch_free(&batch);
	verify_free(a);
	return failed;
}

int
verify_enter(struct auditing *a, const struct local_entry *e)
{
	struct verifying *v = &a->verifying;
	struct slice directory = { e->key.at, backup_directory(e->key) };

	a->compared = COMPARED_NOT;
	if (directory.len == v->directory.len &&
	    (directory.len == 0 ||
		(slice_equal(directory, buffer_slice(&v->directory)) &&
		    slice_equal(e->bucket, buffer_slice(&v->bucket)))))
		return 0;
	if (leave(a) != 0)
		return -1;
	if (directory.len == 0)
		return 0;
	buffer_add_slice(&v->bucket, e->bucket);
	buffer_add_slice(&v->directory, directory);
	v->whole = 1;
	return look_back(a, &a->err);
}

void
verify_result(struct auditing *a, const struct local_entry *e)
{
	struct verifying *v = &a->verifying;

	if (v->directory.len == 0)
		return;
	v->whole &= a->compared == COMPARED_SAME;
	v->differs |= a->compared == COMPARED_DIFFERS;
	v->by_facts |= a->by_facts;
	backup_sum_add(&v->sum, e->key, e->record.version);
}

void
verify_free(struct auditing *a)
{
	struct verifying *v = &a->verifying;

	digest_free(v->sum.digest);
	buffer_free(&v->bucket);
	buffer_free(&v->directory);
	*v = (struct verifying){ 0 };
}

/* ---- what is gone ---- */

struct sweeping {
	struct note_batch batch;
	uint64_t before_ms;
};

static int
sweep(struct slice key, struct slice value, void *arg)
{
	struct sweeping *s = arg;
	uint8_t bytes[VALUE_BYTES];
	char text[NOTE_KEY_BYTES];

	if (key.len >= sizeof(text) ||
	    (decode(value, bytes) == 0 && be64_get(bytes + 10) >= s->before_ms))
		return 0;
	memcpy(text, key.at, key.len);
	text[key.len] = '\0';
	batch_remove(&s->batch, text);
	return 0;
}

int
verify_end(struct auditing *a)
{
	struct store *store = a->auditor->replicator->store;
	struct sweeping s = { .before_ms =
				  (uint64_t)a->job->figures.started_ms };
	struct note_names names;
	char prefix[NOTE_KEY_BYTES];
	int failed;

	if (leave(a) != 0)
		return -1;
	note_names_set(&names, a->job->name);
	note_plain(&names, 'v', prefix);
	strncat(prefix, "/", sizeof(prefix) - strlen(prefix) - 1);
	failed = store_notes(store, slice_text(prefix), SLICE_NULL, sweep, &s,
		     &a->err) != 0 ||
	    (s.batch.n > 0 && batch_commit(&s.batch, store, &a->err) != 0);
	batch_free(&s.batch);
	return failed ? -1 : 0;
}
