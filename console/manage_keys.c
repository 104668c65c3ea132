#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "console/pair.h"
#include "console/rights.h"
#include "store/store.h"

struct listing {
	json_t *keys;
	int failed;
};

static json_t *
key_json(const struct key_record *key)
{
	char created[CLOCK_TEXT_BYTES];
	json_t *object, *rights;

	clock_iso8601(key->created_ms, created);
	if ((rights = rights_json(key->rights)) == NULL)
		return NULL;
	object = json_pack("{s:s%, s:s%, s:o, s:s}", "name", key->name.at,
	    key->name.len, "access_key", key->access_key.at,
	    key->access_key.len, "rights", rights, "created", created);
	if (object != NULL && key->bucket.len > 0)
		(void)json_object_set_new(object, "bucket",
		    json_stringn(key->bucket.at, key->bucket.len));
	if (object != NULL && key->prefix.len > 0)
		(void)json_object_set_new(object, "prefix",
		    json_stringn(key->prefix.at, key->prefix.len));
	return object;
}

static int
list_key(const struct key_record *key, void *arg)
{
	struct listing *listing = arg;

	listing->failed =
	    json_array_append_new(listing->keys, key_json(key)) != 0;
	return listing->failed;
}

int
manage_list_keys(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	struct listing listing = { json_array(), 0 };

	(void)name;
	(void)body;
	*answer = json_pack("{s:o}", "keys", listing.keys);
	if (*answer == NULL)
		return error_nomem(err);
	if (store_keys(manage->store, list_key, &listing, err) != 0)
		return -1;
	if (listing.failed)
		return error_nomem(err);
	return 200;
}

/* Names are for people, and appear in lists. */
static int
check_name(const char *name, struct error *err)
{
	size_t i, len;

	if (name == NULL || *name == '\0')
		return error_set(err, ERR_INVALID, "the key needs a name");
	if ((len = strlen(name)) > 128)
		return error_set(err, ERR_INVALID,
		    "the name of a key has at most 128 bytes, this one %zu",
		    len);
	for (i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 127)
			return error_set(err, ERR_INVALID,
			    "the name of a key has no control characters");
	return 0;
}

struct search {
	const char *name, *access_key;
	int name_taken, access_key_taken;
};

static int
compare_key(const struct key_record *key, void *arg)
{
	struct search *search = arg;

	search->name_taken |= slice_is(key->name, search->name);
	search->access_key_taken |=
	    slice_is(key->access_key, search->access_key);
	return 0;
}

/* A key's name and its access key are its own, so that either says which. */
static int
check_free(struct manage *manage, const char *name, const char *access_key,
    struct error *err)
{
	struct search search = { name, access_key, 0, 0 };

	if (store_keys(manage->store, compare_key, &search, err) != 0)
		return -1;
	if (search.name_taken)
		return error_set(err, ERR_EXISTS,
		    "there is a key of the name \"%s\": choose another name, "
		    "or "
		    "remove that key first",
		    name);
	if (search.access_key_taken)
		return error_set(err, ERR_EXISTS,
		    "there is a key with the access key \"%s\": choose "
		    "another, "
		    "or remove that key first",
		    access_key);
	return 0;
}

static int
check_confinement(struct manage *manage, const char *bucket, const char *prefix,
    struct error *err)
{
	if (bucket != NULL && manage->bucket_name_valid != NULL &&
	    !manage->bucket_name_valid(slice_text(bucket)))
		return error_set(err, ERR_INVALID,
		    "\"%s\" cannot be a bucket's name", bucket);
	if (prefix == NULL)
		return 0;
	if (bucket == NULL)
		return error_set(
		    err, ERR_INVALID, "a prefix needs a bucket: name it, too");
	if (strlen(prefix) > KEY_MAX_BYTES)
		return error_set(err, ERR_INVALID,
		    "a prefix has at most %d bytes", KEY_MAX_BYTES);
	return 0;
}

static int
store_key(struct manage *manage, const struct key_record *record,
    json_t **answer, struct error *err)
{
	struct set_key set = { .name = record->name, .record = *record };

	if (store_set_key(manage->store, &set) != 0) {
		*err = set.change.err;
		return -1;
	}
	*answer = key_json(record);
	if (*answer == NULL ||
	    json_object_set_new(*answer, "secret_key",
		json_stringn(record->secret.at, record->secret.len)) != 0)
		return error_nomem(err);
	return 201;
}

int
manage_add_key(struct manage *manage, struct slice unused, const json_t *body,
    json_t **answer, struct error *err)
{
	const char *name, *access_key, *secret, *bucket, *prefix;
	char new_access_key[PAIR_ACCESS_KEY_MAX_BYTES + 1];
	char new_secret[PAIR_SECRET_MAX_BYTES + 1];
	struct key_record record = { 0 };
	int status;

	(void)unused;
	if (manage_string(body, "name", &name, err) != 0 ||
	    manage_string(body, "access_key", &access_key, err) != 0 ||
	    manage_string(body, "secret_key", &secret, err) != 0 ||
	    manage_string(body, "bucket", &bucket, err) != 0 ||
	    manage_string(body, "prefix", &prefix, err) != 0 ||
	    rights_of_json(
		json_object_get(body, "rights"), &record.rights, err) != 0)
		return -1;
	if (access_key == NULL) {
		pair_make_access_key(new_access_key, sizeof(new_access_key));
		access_key = new_access_key;
	}
	if (secret == NULL) {
		pair_make_secret(new_secret, sizeof(new_secret));
		secret = new_secret;
	}
	if (check_name(name, err) != 0 ||
	    pair_check(access_key, secret, err) != 0 ||
	    check_confinement(manage, bucket, prefix, err) != 0 ||
	    check_free(manage, name, access_key, err) != 0)
		return -1;

	record.name = slice_text(name);
	record.access_key = slice_text(access_key);
	record.secret = slice_text(secret);
	record.bucket = bucket == NULL ? SLICE_NULL : slice_text(bucket);
	record.prefix = prefix == NULL ? SLICE_NULL : slice_text(prefix);
	record.created_ms = clock_wall_ms();
	status = store_key(manage, &record, answer, err);
	bytes_wipe(new_secret, sizeof(new_secret));
	return status;
}

struct removal {
	struct slice wanted;
	struct buffer access_key;
};

static int
find_key(const struct key_record *key, void *arg)
{
	struct removal *removal = arg;

	if (slice_equal(key->access_key, removal->wanted) ||
	    slice_equal(key->name, removal->wanted)) {
		buffer_clear(&removal->access_key);
		buffer_add_slice(&removal->access_key, key->access_key);
	}
	/* The access key itself is surer than a name. */
	return slice_equal(key->access_key, removal->wanted);
}

int
manage_remove_key(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	struct removal removal = { name, BUFFER_INIT };
	struct set_key set = { .remove = 1 };
	int status = -1;

	(void)body;
	(void)answer;
	if (store_keys(manage->store, find_key, &removal, err) != 0)
		goto out;
	if (removal.access_key.len == 0) {
		error_set(err, ERR_NOT_FOUND,
		    "there is no key \"%.*s\": `holdfast key list` shows them",
		    (int)name.len, name.at);
		goto out;
	}
	set.record.access_key = buffer_slice(&removal.access_key);
	if (store_set_key(manage->store, &set) != 0)
		*err = set.change.err;
	else
		status = 204;
out:
	buffer_free(&removal.access_key);
	return status;
}
