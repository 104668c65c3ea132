#ifndef TESTS_FAKE_DESTINATION_H
#define TESTS_FAKE_DESTINATION_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/encode.h"
#include "replicator/destination.h"

/*
 * A destination in memory, in the place of the S3 protocol: slow, faulty as the
 * test asks, and telling it of each change of what can be seen.
 */

#define FAKE_KEYS 1024
#define FAKE_UPLOADS 256
#define FAKE_PARTS 64
#define FAKE_WHOLE_MAX 8192
#define FAKE_PART_BYTES 4096

struct fake_object {
	char key[300];
	int there;
	uint64_t version, size;
	int64_t mtime_ms;
	char etag[40], text[512];
	char tags[256];
	size_t tags_len;
};

static struct {
	pthread_mutex_t lock;
	struct fake_object objects[FAKE_KEYS];
	size_t n;
	struct {
		int open;
		unsigned id;
		int parts[FAKE_PARTS];
	} uploads[FAKE_UPLOADS];
	unsigned next_upload, aborted;
	/* The script */
	unsigned retry_percent;   /* refused, nothing changed */
	unsigned unknown_percent; /* done or not, and no answer */
	unsigned latency_us;      /* at most */
	const char *poison;       /* a key that is refused for itself */
	const char *poison_retry; /* a key that is always to come again */
	int poison_finish;        /* no upload can be finished */
	int denied;               /* everything needs a person */
	uint64_t puts, removes, parts, calls, slow_downs;
	void (*changed)(const char *key, uint64_t version, int removed);
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Changes the script while the destination is in use. */
#define FAKE_SET(field, value) \
	do { \
		pthread_mutex_lock(&fake.lock); \
		fake.field = (value); \
		pthread_mutex_unlock(&fake.lock); \
	} while (0)

/* A count that threads raise. */
static uint64_t
fake_count(const uint64_t *count)
{
	uint64_t value;

	pthread_mutex_lock(&fake.lock);
	value = *count;
	pthread_mutex_unlock(&fake.lock);
	return value;
}

#define FAKE_GET(field) fake_count(&fake.field)

static unsigned
fake_random(unsigned below)
{
	unsigned r;

	bytes_random(&r, sizeof(r));
	return below == 0 ? 0 : r % below;
}

/* Before a change: -1 and a fault, or 0; *lose says to lose the answer. */
static int
fake_weather(const char *key, int *lose, struct fault *fault)
{
	unsigned latency;

	pthread_mutex_lock(&fake.lock);
	latency = fake.latency_us;
	fake.calls++;
	pthread_mutex_unlock(&fake.lock);
	if (latency > 0)
		usleep(fake_random(latency));
	*lose = 0;
	pthread_mutex_lock(&fake.lock);
	if (fake.denied)
		fault_set(fault, FAULT_PERSON, "access is denied");
	else if (fake.poison != NULL && strstr(key, fake.poison) != NULL)
		fault_set(fault, FAULT_OBJECT, "not this one");
	else if (fake.poison_retry != NULL &&
	    strstr(key, fake.poison_retry) != NULL)
		fault_set(fault, FAULT_RETRY, "come again");
	else if (fake_random(100) < fake.retry_percent) {
		fault->slow_down = fake_random(2) == 0;
		fault_set(fault, FAULT_RETRY, "come again");
	} else
		*lose = fake_random(100) < fake.unknown_percent;
	pthread_mutex_unlock(&fake.lock);
	return fault->kind == FAULT_NONE ? 0 : -1;
}

static int
fake_lost(struct fault *fault)
{
	fault->fate_unknown = 1;
	return fault_set(fault, FAULT_RETRY, "no answer came");
}

static struct fake_object *
fake_find(const char *key, int make)
{
	size_t i;

	for (i = 0; i < fake.n; i++)
		if (strcmp(fake.objects[i].key, key) == 0)
			return &fake.objects[i];
	if (!make || fake.n == FAKE_KEYS)
		return NULL;
	memset(&fake.objects[fake.n], 0, sizeof(fake.objects[0]));
	snprintf(
	    fake.objects[fake.n].key, sizeof(fake.objects[0].key), "%s", key);
	return &fake.objects[fake.n++];
}

static int
fake_says(const struct fake_object *o, const char *words)
{
	int says;

	pthread_mutex_lock(&fake.lock);
	says = strstr(o->text, words) != NULL;
	pthread_mutex_unlock(&fake.lock);
	return says;
}

static void
fake_key(struct slice key, char text[300])
{
	snprintf(text, 300, "%.*s", (int)key.len, key.at);
}

static int
fake_read_all(const struct remote_object *o, uint64_t offset, uint64_t len,
    const struct remote_source *source, uint8_t md5[16], char *text,
    size_t room, struct fault *fault)
{
	struct digest *d = digest_new(DIGEST_MD5);
	uint64_t at, n;
	char block[1500];
	int failed = 0;

	(void)o;
	for (at = offset; at < offset + len && !failed; at += n) {
		n = offset + len - at;
		if (n > sizeof(block))
			n = sizeof(block);
		failed = source->read(source->arg, at, block, n, fault);
		digest_update(d, block, n);
		if (text != NULL && at + n <= room)
			memcpy(text + at, block, n);
	}
	digest_final(d, md5);
	digest_free(d);
	return failed;
}

static void
fake_show(const char *key, const struct remote_object *o, const char *text)
{
	struct fake_object *f;

	pthread_mutex_lock(&fake.lock);
	if ((f = fake_find(key, 1)) == NULL)
		abort();
	f->there = 1;
	f->version = o->version;
	f->size = o->size;
	f->mtime_ms = o->mtime_ms;
	memcpy(f->etag, o->etag, sizeof(f->etag));
	memcpy(f->text, text, sizeof(f->text));
	f->tags_len = o->tags.len < sizeof(f->tags) ? o->tags.len : 0;
	if (f->tags_len > 0)
		memcpy(f->tags, o->tags.at, f->tags_len);
	fake.puts++;
	if (fake.changed != NULL)
		fake.changed(key, o->version, 0);
	pthread_mutex_unlock(&fake.lock);
}

static void *
fake_open(const struct destination_fields *f, struct error *err)
{
	(void)f;
	(void)err;
	return &fake;
}

static void
fake_close(void *shared)
{
	(void)shared;
}

static void *
fake_session(void *shared, struct http_client *http)
{
	(void)http;
	return shared;
}

static int64_t
fake_clock_offset_ms(void *shared)
{
	(void)shared;
	return 0;
}

static void
fake_limits(void *shared, struct destination_limits *l)
{
	(void)shared;
	l->single_put_max_bytes = FAKE_WHOLE_MAX;
	l->part_min_bytes = l->part_max_bytes = FAKE_PART_BYTES;
	l->parts_max = FAKE_PARTS;
	l->can_condition = l->stage_is_hidden = 1;
}

static int
fake_check_key(void *shared, struct slice key, struct fault *fault)
{
	(void)shared;
	if (memmem(key.at, key.len, "unholdable", 10) != NULL)
		return fault_set(
		    fault, FAULT_OBJECT, "the provider holds no such name");
	return 0;
}

static int
fake_put(void *session, const struct remote_object *o,
    const struct remote_source *source, int if_absent, struct fault *fault)
{
	struct fake_object *f;
	char key[300], text[512] = "";
	uint8_t md5[16];
	int lose, there;

	(void)session;
	fake_key(o->key, key);
	if (fake_weather(key, &lose, fault) != 0)
		return -1;
	if (fake_read_all(
		o, 0, o->size, source, md5, text, sizeof(text), fault) != 0)
		return -1;
	if (o->size == 0)
		digest_once(DIGEST_MD5, "", 0, md5);
	if (o->has_md5 && memcmp(md5, o->md5, 16) != 0)
		abort();
	pthread_mutex_lock(&fake.lock);
	f = fake_find(key, 0);
	there = f != NULL && f->there;
	pthread_mutex_unlock(&fake.lock);
	if (if_absent && there)
		return fault_set(fault, FAULT_EXISTS, "it is there");
	if (lose && fake_random(2) == 0)
		return fake_lost(fault);
	fake_show(key, o, text);
	return lose ? fake_lost(fault) : 0;
}

static int
fake_begin(void *session, const struct remote_object *o,
    struct remote_upload *u, struct fault *fault)
{
	char key[300];
	size_t i;
	int lose;

	(void)session;
	fake_key(o->key, key);
	if (fake_weather(key, &lose, fault) != 0)
		return -1;
	pthread_mutex_lock(&fake.lock);
	for (i = 0; i < FAKE_UPLOADS && fake.uploads[i].open; i++)
		;
	if (i == FAKE_UPLOADS)
		abort();
	memset(&fake.uploads[i], 0, sizeof(fake.uploads[i]));
	fake.uploads[i].open = 1;
	fake.uploads[i].id = ++fake.next_upload;
	snprintf(u->state, sizeof(u->state), "%u", fake.next_upload);
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static long
fake_upload(const struct remote_upload *u)
{
	long i;

	for (i = 0; i < FAKE_UPLOADS; i++)
		if (fake.uploads[i].open &&
		    fake.uploads[i].id == (unsigned)atoi(u->state))
			return i;
	return -1;
}

static int
fake_part(void *session, const struct remote_object *o,
    const struct remote_upload *u, uint32_t number, uint64_t offset,
    uint64_t len, const struct remote_source *source, struct remote_part *part,
    struct fault *fault)
{
	char key[300];
	uint8_t md5[16];
	long i;
	int lose;

	(void)session;
	fake_key(o->key, key);
	if (fake_weather(key, &lose, fault) != 0)
		return -1;
	if (offset != (number - 1) * (uint64_t)FAKE_PART_BYTES)
		abort();
	if (fake_read_all(o, offset, len, source, md5, NULL, 0, fault) != 0)
		return -1;
	pthread_mutex_lock(&fake.lock);
	if ((i = fake_upload(u)) >= 0)
		fake.uploads[i].parts[number - 1] = 1;
	fake.parts++;
	pthread_mutex_unlock(&fake.lock);
	if (i < 0)
		return fault_set(fault, FAULT_MISSING, "no such upload");
	part->number = number;
	hex_encode(md5, 16, part->etag);
	return lose ? fake_lost(fault) : 0;
}

static int
fake_finish(void *session, const struct remote_object *o,
    const struct remote_upload *u, const struct remote_part *parts, size_t n,
    struct fault *fault)
{
	char key[300], text[512] = "";
	size_t k;
	long i;
	int lose;

	(void)session;
	(void)parts;
	fake_key(o->key, key);
	if (fake_weather(key, &lose, fault) != 0)
		return -1;
	if (lose && fake_random(2) == 0)
		return fake_lost(fault);
	if (fake.poison_finish)
		return fault_set(fault, FAULT_OBJECT, "not this one");
	pthread_mutex_lock(&fake.lock);
	if ((i = fake_upload(u)) >= 0) {
		for (k = 0; k < n; k++)
			if (!fake.uploads[i].parts[k] ||
			    parts[k].number != k + 1)
				abort();
		fake.uploads[i].open = 0;
	}
	pthread_mutex_unlock(&fake.lock);
	if (i < 0)
		return fault_set(fault, FAULT_MISSING, "no such upload");
	fake_show(key, o, text);
	return lose ? fake_lost(fault) : 0;
}

static int
fake_abort(void *session, struct slice key, const struct remote_upload *u,
    struct fault *fault)
{
	long i;

	(void)session;
	(void)key;
	(void)fault;
	pthread_mutex_lock(&fake.lock);
	if ((i = fake_upload(u)) >= 0) {
		fake.uploads[i].open = 0;
		fake.aborted++;
	}
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static int
fake_stat(void *session, struct slice name, struct remote_stat *stat,
    struct fault *fault)
{
	struct fake_object *f;
	char key[300];
	int lose;

	(void)session;
	fake_key(name, key);
	if (fake_weather("", &lose, fault) != 0)
		return -1;
	pthread_mutex_lock(&fake.lock);
	if ((f = fake_find(key, 0)) != NULL && f->there) {
		stat->size = f->size;
		stat->version = f->version;
		memcpy(stat->original_etag, f->etag, sizeof(f->etag));
	} else
		fault_set(fault, FAULT_MISSING, "no such object");
	pthread_mutex_unlock(&fake.lock);
	return fault->kind == FAULT_NONE ? 0 : -1;
}

static int
fake_get(void *session, struct slice name, uint64_t offset, uint64_t len,
    void *bytes, struct fault *fault)
{
	struct fake_object *f;
	char key[300];
	int lose;

	(void)session;
	fake_key(name, key);
	if (fake_weather("", &lose, fault) != 0)
		return -1;
	pthread_mutex_lock(&fake.lock);
	if ((f = fake_find(key, 0)) != NULL && f->there &&
	    offset + len <= sizeof(f->text))
		memcpy(bytes, f->text + offset, len);
	else
		fault_set(fault, FAULT_MISSING, "no such object");
	pthread_mutex_unlock(&fake.lock);
	return fault->kind == FAULT_NONE ? 0 : -1;
}

static int
fake_list(void *session, struct slice prefix, struct slice after,
    remote_visit *visit, void *arg, struct fault *fault)
{
	struct remote_entry entry = { .key = SLICE_NULL };
	size_t i;
	int stop = 0, lose;

	(void)session;
	(void)prefix;
	(void)after;
	if (fake_weather("", &lose, fault) != 0)
		return -1;
	for (i = 0; i < fake.n && !stop; i++) {
		if (!fake.objects[i].there)
			continue;
		entry.key = slice_text(fake.objects[i].key);
		stop = visit(&entry, arg);
	}
	return 0;
}

static int
fake_remove(void *session, struct slice name, struct fault *fault)
{
	struct fake_object *f;
	char key[300];
	int lose;

	(void)session;
	fake_key(name, key);
	if (fake_weather(key, &lose, fault) != 0)
		return -1;
	if (lose && fake_random(2) == 0)
		return fake_lost(fault);
	pthread_mutex_lock(&fake.lock);
	if ((f = fake_find(key, 0)) != NULL)
		f->there = 0;
	fake.removes++;
	if (fake.changed != NULL)
		fake.changed(key, 0, 1);
	pthread_mutex_unlock(&fake.lock);
	return lose ? fake_lost(fault) : 0;
}

static int
fake_retag(void *session, const struct remote_object *o, struct fault *fault)
{
	struct fake_object *f;
	char key[300];
	int lose;

	(void)session;
	fake_key(o->key, key);
	if (fake_weather(key, &lose, fault) != 0)
		return -1;
	pthread_mutex_lock(&fake.lock);
	if ((f = fake_find(key, 0)) != NULL && o->tags.len < sizeof(f->tags)) {
		f->tags_len = o->tags.len;
		if (f->tags_len > 0)
			memcpy(f->tags, o->tags.at, o->tags.len);
	}
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static int
fake_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	struct probe_row row = { .step = "put", .result = PROBE_OK };

	(void)session;
	(void)fault;
	visit(&row, arg);
	return 0;
}

const struct destination_protocol destination_s3 = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.session = fake_session,
	.session_close = fake_close,
	.limits = fake_limits,
	.clock_offset_ms = fake_clock_offset_ms,
	.check_key = fake_check_key,
	.put = fake_put,
	.begin = fake_begin,
	.part = fake_part,
	.finish = fake_finish,
	.abort = fake_abort,
	.stat = fake_stat,
	.get = fake_get,
	.list = fake_list,
	.remove = fake_remove,
	.retag = fake_retag,
	.probe = fake_probe,
};

static size_t
fake_open_uploads(void)
{
	size_t i, n = 0;

	pthread_mutex_lock(&fake.lock);
	for (i = 0; i < FAKE_UPLOADS; i++)
		n += (size_t)fake.uploads[i].open;
	pthread_mutex_unlock(&fake.lock);
	return n;
}

static void
fake_reset(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.n = 0;
	memset(fake.uploads, 0, sizeof(fake.uploads));
	fake.retry_percent = fake.unknown_percent = fake.latency_us = 0;
	fake.poison = fake.poison_retry = NULL;
	fake.poison_finish = 0;
	fake.next_upload = 0;
	fake.denied = 0;
	fake.puts = fake.removes = fake.parts = fake.calls = 0;
	fake.aborted = 0;
	fake.changed = NULL;
	pthread_mutex_unlock(&fake.lock);
}

#endif
