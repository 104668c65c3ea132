#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "console/manage_routes.h"
#include "store/store.h"

static const char *const versioning_names[] = {
	[VERSIONING_OFF] = "off",
	[VERSIONING_ENABLED] = "enabled",
	[VERSIONING_SUSPENDED] = "suspended",
};

struct listing {
	json_t *buckets;
	int failed;
};

static int
list_bucket(struct slice name, const struct bucket_record *b, void *arg)
{
	struct listing *listing = arg;
	char created[CLOCK_TEXT_BYTES];
	json_t *object;

	clock_iso8601(b->created_ms, created);
	object =
	    json_pack("{s:s%, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"name", name.at, name.len, "created", created, "versioning",
		b->versioning <= VERSIONING_SUSPENDED
		    ? versioning_names[b->versioning]
		    : "unknown",
		"quota_bytes", (json_int_t)b->quota_bytes, "objects",
		(json_int_t)b->objects, "object_bytes",
		(json_int_t)b->object_bytes, "noncurrent_versions",
		(json_int_t)b->versions, "noncurrent_version_bytes",
		(json_int_t)b->version_bytes, "uploads", (json_int_t)b->uploads,
		"upload_bytes", (json_int_t)b->upload_bytes);
	listing->failed = json_array_append_new(listing->buckets, object) != 0;
	return listing->failed;
}

int
manage_list_buckets(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	struct listing listing = { json_array(), 0 };

	(void)name;
	(void)body;
	*answer = json_pack("{s:o}", "buckets", listing.buckets);
	if (*answer == NULL)
		return error_nomem(err);
	if (store_buckets(
		manage->store, SLICE_NULL, list_bucket, &listing, err) != 0)
		return -1;
	if (listing.failed)
		return error_nomem(err);
	return 200;
}

/* What a request wants of a bucket's settings. */
struct wanted {
	int set_quota, set_versioning;
	uint64_t quota_bytes;
	enum bucket_versioning versioning;
};

static int
read_wanted(const json_t *body, struct wanted *wanted, struct error *err)
{
	const json_t *quota = json_object_get(body, "quota_bytes");
	const char *versioning;

	*wanted = (struct wanted){ 0 };
	if (quota != NULL) {
		if (!json_is_integer(quota) || json_integer_value(quota) < 0)
			return error_set(err, ERR_INVALID,
			    "\"quota_bytes\" is not a number of bytes");
		wanted->set_quota = 1;
		wanted->quota_bytes = (uint64_t)json_integer_value(quota);
	}
	if (manage_string(body, "versioning", &versioning, err) != 0)
		return -1;
	if (versioning == NULL)
		return 0;
	wanted->set_versioning = 1;
	if (strcmp(versioning, "enabled") == 0)
		wanted->versioning = VERSIONING_ENABLED;
	else if (strcmp(versioning, "suspended") == 0)
		wanted->versioning = VERSIONING_SUSPENDED;
	else
		return error_set(err, ERR_INVALID,
		    "versioning is enabled or suspended, not \"%s\"",
		    versioning);
	return 0;
}

static int
apply_one(struct manage *manage, struct set_bucket *set, struct error *err)
{
	if (store_set_bucket(manage->store, set) == 0)
		return 0;
	*err = set->change.err;
	return -1;
}

static int
apply_wanted(struct manage *manage, struct slice name,
    const struct wanted *wanted, struct error *err)
{
	struct set_bucket quota = { .name = name,
		.what = BUCKET_SET_QUOTA,
		.quota_bytes = wanted->quota_bytes };
	struct set_bucket versioning = { .name = name,
		.what = BUCKET_SET_VERSIONING,
		.versioning = wanted->versioning };

	if (wanted->set_quota && apply_one(manage, &quota, err) != 0)
		return -1;
	if (wanted->set_versioning && apply_one(manage, &versioning, err) != 0)
		return -1;
	return 0;
}

int
manage_add_bucket(struct manage *manage, struct slice unused,
    const json_t *body, json_t **answer, struct error *err)
{
	struct put_bucket put = { .owner = SLICE_NULL };
	struct wanted wanted;
	const char *name;

	(void)unused;
	if (manage_string(body, "name", &name, err) != 0 ||
	    read_wanted(body, &wanted, err) != 0)
		return -1;
	if (name == NULL)
		return error_set(err, ERR_INVALID, "the bucket needs a name");
	if (manage->bucket_name_valid != NULL &&
	    !manage->bucket_name_valid(slice_text(name)))
		return error_set(err, ERR_INVALID,
		    "\"%s\" cannot be a bucket's name: take 3 to 63 lower-case "
		    "letters, digits, dots and hyphens, with a letter or digit "
		    "at "
		    "each end",
		    name);
	put.name = slice_text(name);
	if (store_create_bucket(manage->store, &put) != 0) {
		*err = put.change.err;
		return -1;
	}
	if (apply_wanted(manage, put.name, &wanted, err) != 0)
		return -1;
	*answer = json_pack("{s:s}", "name", name);
	return *answer == NULL ? error_nomem(err) : 201;
}

int
manage_set_bucket(struct manage *manage, struct slice name, const json_t *body,
    json_t **answer, struct error *err)
{
	struct wanted wanted;

	(void)answer;
	if (read_wanted(body, &wanted, err) != 0 ||
	    apply_wanted(manage, name, &wanted, err) != 0)
		return -1;
	return 204;
}

int
manage_remove_bucket(struct manage *manage, struct slice name,
    const json_t *body, json_t **answer, struct error *err)
{
	struct delete_bucket del = { .name = name };

	(void)body;
	(void)answer;
	if (store_delete_bucket(manage->store, &del) == 0)
		return 204;
	*err = del.change.err;
	return -1;
}
