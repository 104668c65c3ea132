#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/importer.h"
#include "replicator/parts.h"
#include "replicator/replicator_private.h"
#include "store/adopt.h"

/* One object, from what the destination says of it. */

#define CHUNK_BYTES ((size_t)1024 * 1024)
#define VERSIONS_END (1ULL << 49)
#define SUM_MAX_BYTES ((uint64_t)8 * 1024 * 1024)

int
import_split(const struct settings *settings, struct slice remote,
    struct slice *bucket, struct slice *key)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	const char *source = settings->policy.source_bucket, *slash;
	size_t i;

	if (slice_starts(remote, IMPORT_OURS))
		return 1;
	if (source != NULL) {
		*bucket = slice_text(source);
		*key = remote;
		return key->len == 0 || key->len > KEY_MAX_BYTES ? -1 : 0;
	}
	slash = memchr(remote.at, '/', remote.len);
	if (slash == NULL)
		return -1;
	*bucket = (struct slice){ remote.at, (size_t)(slash - remote.at) };
	*key = (struct slice){ slash + 1, remote.len - bucket->len - 1 };
	if (bucket->len < 3 || bucket->len > BUCKET_NAME_MAX_BYTES ||
	    key->len == 0 || key->len > KEY_MAX_BYTES)
		return -1;
	for (i = 0; i < bucket->len; i++)
		if (strchr(allowed, bucket->at[i]) == NULL)
			return -1;
	return 0;
}

/* "MD5" or "MD5-PARTS" in hex: 0, or -1. */
static int
take_etag(struct object_record *rec, const char *etag)
{
	size_t len = strlen(etag);
	uint64_t parts = 0;

	if (len < 32 || hex_decode(etag, 32, rec->md5, 16) != 0)
		return -1;
	if (len > 32 &&
	    (etag[32] != '-' ||
		parse_u64(etag + 33, len - 33, 1, PARTS_MAX, &parts) != 0))
		return -1;
	rec->parts = (uint16_t)parts;
	return 0;
}

/* Of one that others wrote and whose ETag says nothing: by reading it. */
static int
sum_bytes(const struct lent *l, struct slice remote, uint64_t size,
    uint8_t md5[MD5_BYTES], struct fault *fault)
{
	struct digest *sum = digest_new(DIGEST_MD5);
	char *chunk = malloc(CHUNK_BYTES);
	uint64_t at;
	size_t len;
	int rc = 0;

	if (sum == NULL || chunk == NULL)
		rc = fault_set(fault, FAULT_RETRY, "no memory");
	for (at = 0; rc == 0 && at < size; at += len) {
		len =
		    size - at < CHUNK_BYTES ? (size_t)(size - at) : CHUNK_BYTES;
		rc = destination_table(l->destination)
			 ->get(destination_call(l->session), remote, at, len,
			     chunk, fault);
		if (rc == 0)
			digest_update(sum, chunk, len);
	}
	if (rc == 0)
		digest_final(sum, md5);
	digest_free(sum);
	free(chunk);
	return rc;
}

/* The ETag of what others wrote, where nothing but reading it would tell its
 * MD5: of the form that promises no MD5, and another whenever it is
 * overwritten. */
static void
make_etag(struct object_record *rec, const struct remote_stat *stat)
{
	char text[128];

	snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRId64, stat->etag,
	    stat->size, stat->mtime_ms);
	digest_once(DIGEST_MD5, text, strlen(text), rec->md5);
	rec->parts = 1;
}

/* Written by others. */
static int
take_foreign(struct adopt_object *a, const struct remote_stat *stat,
    const struct lent *l, struct slice remote, struct fault *fault)
{
	struct object_record *rec = &a->record;
	int has_etag;

	rec->version = 0;
	if (stat->has_md5) {
		memcpy(rec->md5, stat->md5, sizeof(rec->md5));
		a->has_md5 = 1;
		return 0;
	}
	has_etag = take_etag(rec, stat->etag) == 0;
	if (has_etag && rec->parts > 0)
		return 0;
	if (stat->size <= SUM_MAX_BYTES) {
		rec->parts = 0;
		a->has_md5 = 1;
		return sum_bytes(l, remote, stat->size, rec->md5, fault);
	}
	if (!has_etag)
		make_etag(rec, stat);
	return 0;
}

static int
take_facts(struct adopt_object *a, const struct remote_stat *stat,
    const struct lent *l, struct slice remote, uint64_t **sizes,
    struct fault *fault)
{
	struct object_record *rec = &a->record;

	rec->size = stat->size;
	/* A number that no store gives was written by others. */
	rec->version = stat->version < VERSIONS_END ? stat->version : 0;
	rec->mtime_ms = stat->original_mtime_ms != 0 ? stat->original_mtime_ms
						     : stat->mtime_ms;
	rec->attributes = stat->attributes;
	rec->tags = stat->tags;
	if (take_etag(rec, stat->original_etag) != 0)
		return take_foreign(a, stat, l, remote, fault);
	a->has_md5 = rec->parts == 0;
	*sizes = parts_sizes(stat->parts, rec->parts, rec->size);
	a->part_sizes = *sizes;
	a->has_crc32c = stat->has_original_crc32c || stat->has_crc32c;
	a->crc32c =
	    stat->has_original_crc32c ? stat->original_crc32c : stat->crc32c;
	return 0;
}

/* A change of the key that is on its way there says more than what is there. -1
 * when that cannot be told. */
static int
is_superseded(struct replicator *r, const char *name, struct slice bucket,
    struct slice key)
{
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	struct entry *e;
	int known;

	known = store_object(r->store, bucket, key, 0, &rec, &memory, NULL,
		    NULL, NULL) == 0;
	buffer_free(&memory);
	if (known)
		return 1;
	pthread_mutex_lock(&r->lock);
	e = entry_find(r, name);
	if (e != NULL && e->site != NULL)
		known = site_is_unsettled(e->site, bucket, key);
	pthread_mutex_unlock(&r->lock);
	return known;
}

static int
adopt(struct replicator *r, const char *name, const struct lent *l,
    struct slice remote, struct slice bucket, struct slice key,
    struct fault *fault)
{
	struct adopt_object a = { .bucket = bucket, .key = key };
	struct buffer encoded = BUFFER_INIT;
	char etag[ETAG_BYTES];
	struct remote_stat stat;
	struct place place;
	uint64_t *sizes = NULL;
	int rc = -1;

	memset(&stat, 0, sizeof(stat));
	if (destination_table(l->destination)
		->stat(destination_call(l->session), remote, &stat, fault) !=
	    0) {
		rc = fault->kind == FAULT_MISSING ? 0 : -1;
		goto out;
	}
	if (stat.side_lost)
		log_fields(LOG_WARN, "replicator.restore",
		    "metadata of an object is lost, its bytes are not: the "
		    "file beside it is gone or cannot be read",
		    (const struct log_field[]){ LOG_T("destination", name),
			LOG_B("key", remote.at, remote.len) },
		    2);
	if (take_facts(&a, &stat, l, remote, &sizes, fault) != 0)
		goto out;
	object_etag(&a.record, etag);
	place = (struct place){ slice_text(name), remote, slice_text(etag),
		slice_text(stat.etag) };
	place_encode(&encoded, &place);
	a.place = buffer_slice(&encoded);
	if (encoded.failed)
		fault_set(fault, FAULT_RETRY, "no memory");
	else if (store_adopt(r->store, &a) != 0)
		fault_set(fault,
		    a.change.err.kind == ERR_TOO_LARGE ? FAULT_OBJECT
						       : FAULT_RETRY,
		    "%s", a.change.err.text);
	else
		rc = 0;
out:
	free(sizes);
	buffer_free(&encoded);
	buffer_free(&stat.memory);
	return rc;
}

int
import_key(struct replicator *r, const char *name, struct slice bucket,
    struct slice key, struct fault *fault)
{
	struct buffer remote = BUFFER_INIT;
	struct fault none = FAULT_INIT;
	struct error err = ERROR_INIT;
	struct entry *e;
	struct lent *l;
	int rc = -1;

	switch (is_superseded(r, name, bucket, key)) {
	case 0:
		break;
	case 1:
		return 0;
	default:
		return fault_set(
		    fault, FAULT_RETRY, "the journal cannot be read");
	}
	if ((l = lent_take(r, name, &err)) == NULL)
		return fault_set(fault, FAULT_RETRY, "%s", err.text);
	pthread_mutex_lock(&r->lock);
	e = entry_find(r, name);
	if (e != NULL && e->settings->policy.source_bucket == NULL) {
		buffer_add_slice(&remote, bucket);
		buffer_add_u8(&remote, '/');
	}
	pthread_mutex_unlock(&r->lock);
	buffer_add_slice(&remote, key);
	if (remote.failed)
		fault_set(fault, FAULT_RETRY, "no memory");
	else if (destination_check_key(
		     l->destination, buffer_slice(&remote), &none) != 0)
		rc = 0; /* it cannot be there */
	else
		rc = adopt(
		    r, name, l, buffer_slice(&remote), bucket, key, fault);
	buffer_free(&remote);
	lent_give(r, l);
	return rc;
}
