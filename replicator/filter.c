#include <string.h>

#include "replicator/filter.h"

#define RESTIC_NAME_BYTES 64

/* Below any repository: ".../locks/" and 64 hex digits. */
static int
is_restic_lock(struct slice key)
{
	static const char directory[] = "locks/";
	const size_t len = sizeof(directory) - 1;
	const char *at;
	size_t i;

	if (key.len < len + RESTIC_NAME_BYTES)
		return 0;
	at = key.at + key.len - RESTIC_NAME_BYTES - len;
	if (memcmp(at, directory, len) != 0 || (at > key.at && at[-1] != '/'))
		return 0;
	for (i = 0; i < RESTIC_NAME_BYTES; i++)
		if (strchr("0123456789abcdef", at[len + i]) == NULL)
			return 0;
	return 1;
}

static int
has_prefix(
    struct slice bucket, struct slice key, const char *prefix, size_t len)
{
	if (len <= bucket.len)
		return memcmp(bucket.at, prefix, len) == 0;
	if (memcmp(bucket.at, prefix, bucket.len) != 0 ||
	    prefix[bucket.len] != '/')
		return 0;
	prefix += bucket.len + 1;
	len -= bucket.len + 1;
	return len <= key.len && memcmp(key.at, prefix, len) == 0;
}

static int
is_listed(const char *list, struct slice bucket, struct slice key)
{
	size_t len;

	for (; *list != '\0'; list += len + (list[len] == ',')) {
		list += strspn(list, " ");
		len = strcspn(list, ",");
		if (len > 0 && has_prefix(bucket, key, list, len))
			return 1;
	}
	return 0;
}

int
filter_takes(const struct filter *f, struct slice bucket, struct slice key)
{
	if (f->bucket != NULL && !slice_is(bucket, f->bucket))
		return 0;
	if (slice_starts(key, "plugins/holdfast/"))
		return 0;
	if (f->include != NULL && *f->include != '\0' &&
	    !is_listed(f->include, bucket, key))
		return 0;
	if (f->exclude == NULL)
		return !is_restic_lock(key);
	return !is_listed(f->exclude, bucket, key);
}
