#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "s3api/access.h"
#include "store/store.h"

/* Signing keys of a day are kept, for as many scopes as clients use at once. */
#define DERIVED_MAX 4

struct access_derived {
	struct {
		char scope[64]; /* date/region; empty: none */
		struct sigv4_key key;
	} at[DERIVED_MAX];
	size_t next;
};

/* All keys at one generation of the store's. */
struct access_keys {
	uint64_t generation;
	size_t references;
	struct access_key
	    *at; /* ascending by access key; the last is unknown */
	size_t n, room;
	struct buffer
	    text; /* secrets and names; offsets until it is complete */
};

struct access {
	struct store *store;
	char *admin_access_key, *admin_secret;
	struct access_keys *keys; /* NULL until first used */
};

struct access *
access_new(struct store *store, const char *admin_access_key,
    const char *admin_secret, struct error *err)
{
	struct access *access;

	if ((access = calloc(1, sizeof(*access))) == NULL)
		goto nomem;
	access->store = store;
	if ((access->admin_access_key = strdup(admin_access_key)) == NULL ||
	    (access->admin_secret = strdup(admin_secret)) == NULL)
		goto nomem;
	return access;

nomem:
	access_free(access);
	error_nomem(err);
	return NULL;
}

static void
keys_free(struct access_keys *keys)
{
	size_t i;

	for (i = 0; i < keys->n; i++) {
		if (keys->at[i].derived != NULL)
			bytes_wipe(
			    keys->at[i].derived, sizeof(*keys->at[i].derived));
		free(keys->at[i].derived);
	}
	if (keys->text.at != NULL)
		bytes_wipe(keys->text.at, keys->text.room);
	buffer_free(&keys->text);
	free(keys->at);
	free(keys);
}

static void
keys_release(struct access_keys *keys)
{
	if (keys != NULL && --keys->references == 0)
		keys_free(keys);
}

void
access_free(struct access *access)
{
	if (access == NULL)
		return;
	keys_release(access->keys);
	free(access->admin_access_key);
	if (access->admin_secret != NULL)
		bytes_wipe(access->admin_secret, strlen(access->admin_secret));
	free(access->admin_secret);
	free(access);
}

/* Keeps a string in text; its address is an offset until resolve(). */
static struct slice
keep(struct access_keys *keys, struct slice s)
{
	struct slice kept = { (const char *)(uintptr_t)keys->text.len, s.len };

	/* A growing buffer would leave secrets behind in freed memory. */
	if (keys->text.room - keys->text.len < s.len + 1) {
		struct buffer larger = BUFFER_INIT;

		if (buffer_reserve(
			&larger, 2 * (keys->text.room + s.len) + 4096) != 0) {
			keys->text.failed = 1;
			return kept;
		}
		buffer_add(&larger, keys->text.at, keys->text.len);
		if (keys->text.at != NULL)
			bytes_wipe(keys->text.at, keys->text.room);
		buffer_free(&keys->text);
		keys->text = larger;
	}
	buffer_add_slice(&keys->text, s);
	return kept;
}

static void
resolve(struct access_keys *keys, struct slice *s)
{
	s->at = keys->text.at + (uintptr_t)s->at;
}

static struct access_key *
add_key(struct access_keys *keys)
{
	struct access_key *key, *larger;

	if (keys->n == keys->room) {
		larger =
		    realloc(keys->at, (2 * keys->room + 8) * sizeof(*keys->at));
		if (larger == NULL)
			return NULL;
		keys->at = larger;
		keys->room = 2 * keys->room + 8;
	}
	key = &keys->at[keys->n];
	memset(key, 0, sizeof(*key));
	if ((key->derived = calloc(1, sizeof(*key->derived))) == NULL)
		return NULL;
	keys->n++;
	return key;
}

static int
add_record(const struct key_record *record, void *arg)
{
	struct access_keys *keys = arg;
	struct access_key *key = add_key(keys);

	if (key == NULL) {
		keys->text.failed = 1;
		return 1;
	}
	key->access_key = keep(keys, record->access_key);
	key->secret = keep(keys, record->secret);
	key->name = keep(keys, record->name);
	key->rights = record->rights;
	key->bucket = keep(keys, record->bucket);
	key->prefix = keep(keys, record->prefix);
	return 0;
}

static int
by_access_key(const void *a, const void *b)
{
	const struct access_key *x = a, *y = b;

	if (x->unknown != y->unknown)
		return x->unknown - y->unknown;
	return slice_compare(x->access_key, y->access_key);
}

static int
add_own(struct access *access, struct access_keys *keys)
{
	struct key_record record;
	uint8_t random[SHA256_BYTES];
	char text[2 * SHA256_BYTES + 1];
	int failed;

	memset(&record, 0, sizeof(record));
	record.access_key = slice_text(access->admin_access_key);
	record.secret = slice_text(access->admin_secret);
	record.name = SLICE_LITERAL("administrator");
	record.rights = RIGHT_ADMIN;
	if (add_record(&record, keys) != 0)
		return -1;
	keys->at[keys->n - 1].administrator = 1;

	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), text);
	memset(&record, 0, sizeof(record));
	record.secret = slice_text(text);
	failed = add_record(&record, keys);
	bytes_wipe(text, sizeof(text));
	bytes_wipe(random, sizeof(random));
	if (!failed)
		keys->at[keys->n - 1].unknown = 1;
	return failed ? -1 : 0;
}

static int
refresh(struct access *access, struct s3_error *s3err)
{
	struct access_keys *keys;
	struct error err = ERROR_INIT;
	size_t i;

	if ((keys = calloc(1, sizeof(*keys))) == NULL) {
		error_nomem(&err);
		goto fail;
	}
	keys->references = 1;
	/* Before the keys are read: a change in between means reading again. */
	keys->generation = store_keys_generation(access->store);
	if (store_keys(access->store, add_record, keys, &err) != 0)
		goto fail;
	if (add_own(access, keys) != 0 || keys->text.failed) {
		error_nomem(&err);
		goto fail;
	}
	for (i = 0; i < keys->n; i++) {
		resolve(keys, &keys->at[i].access_key);
		resolve(keys, &keys->at[i].secret);
		resolve(keys, &keys->at[i].name);
		resolve(keys, &keys->at[i].bucket);
		resolve(keys, &keys->at[i].prefix);
		keys->at[i].keys = keys;
	}
	qsort(keys->at, keys->n, sizeof(*keys->at), by_access_key);
	keys_release(access->keys);
	access->keys = keys;
	return 0;

fail:
	if (keys != NULL)
		keys_free(keys);
	return s3_error_from(s3err, &err);
}

struct access_key *
access_find(struct access *access, struct slice name, struct s3_error *s3err)
{
	struct access_keys *keys;
	size_t low = 0, high, middle;
	struct access_key *found;
	int order;

	if (access->keys == NULL ||
	    access->keys->generation != store_keys_generation(access->store))
		if (refresh(access, s3err) != 0)
			return NULL;
	keys = access->keys;
	high = keys->n - 1;
	found = &keys->at[high]; /* unknown */
	while (low < high) {
		middle = (low + high) / 2;
		order = slice_compare(name, keys->at[middle].access_key);
		if (order == 0) {
			found = &keys->at[middle];
			/* The administrator's pair goes before a record. */
			if (!found->administrator && middle > 0 &&
			    keys->at[middle - 1].administrator &&
			    slice_equal(keys->at[middle - 1].access_key, name))
				found = &keys->at[middle - 1];
			if (!found->administrator && middle + 2 < keys->n &&
			    keys->at[middle + 1].administrator &&
			    slice_equal(keys->at[middle + 1].access_key, name))
				found = &keys->at[middle + 1];
			break;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	keys->references++;
	return found;
}

void
access_release(struct access_key *key)
{
	if (key != NULL)
		keys_release(key->keys);
}

const struct sigv4_key *
access_derive(struct access_key *key, const struct sigv4 *sig)
{
	struct access_derived *derived = key->derived;
	char scope[sizeof(derived->at[0].scope)];
	size_t i, len = sig->date.len + 1 + sig->region.len;

	if (len >= sizeof(scope)) {
		/* No region is that long; derive without keeping. */
		i = derived->next;
		sigv4_derive(key->secret, sig, &derived->at[i].key);
		derived->at[i].scope[0] = '\0';
		return &derived->at[i].key;
	}
	memcpy(scope, sig->date.at, sig->date.len);
	scope[sig->date.len] = '/';
	memcpy(scope + sig->date.len + 1, sig->region.at, sig->region.len);
	scope[len] = '\0';
	for (i = 0; i < DERIVED_MAX; i++)
		if (strcmp(derived->at[i].scope, scope) == 0)
			return &derived->at[i].key;
	i = derived->next;
	derived->next = (derived->next + 1) % DERIVED_MAX;
	sigv4_derive(key->secret, sig, &derived->at[i].key);
	memcpy(derived->at[i].scope, scope, len + 1);
	return &derived->at[i].key;
}

int
access_sees_bucket(const struct access_key *key, struct slice bucket)
{
	return key->rights != 0 &&
	    (key->bucket.len == 0 || slice_equal(key->bucket, bucket));
}

int
access_administers(const struct access_key *key, struct slice bucket)
{
	return (key->rights & RIGHT_ADMIN) != 0 && key->prefix.len == 0 &&
	    access_sees_bucket(key, bucket);
}

int
access_allows(const struct access_key *key, enum key_right right,
    struct slice bucket, struct slice name)
{
	if (!access_sees_bucket(key, bucket))
		return 0;
	if (right == 0)
		return 1;
	if (right == RIGHT_ADMIN)
		return access_administers(key, bucket);
	if ((key->rights & (right | RIGHT_ADMIN)) == 0)
		return 0;
	return key->prefix.len <= name.len &&
	    memcmp(name.at != NULL ? name.at : "", key->prefix.at,
		key->prefix.len) == 0;
}
