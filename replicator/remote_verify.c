#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"

/* Whether a copy outside is whole, asked right before the one here is given up
 * (store/tier.h). */

#define CHUNK_BYTES ((size_t)1024 * 1024)

static int
differs(struct error *err)
{
	return error_set(err, ERR_CONFLICT,
	    "what is at the destination is not what is here");
}

/* What of it may be compared with the record: 0, or -1 and *err. */
static int
compare(const struct remote_stat *stat, const struct object_record *rec,
    struct error *err)
{
	char etag[ETAG_BYTES];

	object_etag(rec, etag);
	if (stat->size != rec->size ||
	    (strcmp(stat->original_etag, etag) != 0 &&
		strcmp(stat->etag, etag) != 0) ||
	    (stat->version != 0 && stat->version != rec->version) ||
	    (stat->has_md5 && rec->parts == 0 &&
		memcmp(stat->md5, rec->md5, sizeof(stat->md5)) != 0))
		return differs(err);
	if (stat->archived)
		return remote_archived(err, stat->storage_class);
	return 0;
}

/* Whether the bytes there have the record's MD5. 0, or -1 and *err. */
static int
read_all(const struct lent *l, struct slice remote_key,
    const struct object_record *rec, struct error *err)
{
	struct digest *sum = digest_new(DIGEST_MD5);
	struct fault fault = FAULT_INIT;
	char *chunk = malloc(CHUNK_BYTES);
	uint8_t md5[MD5_BYTES];
	uint64_t at;
	size_t len;
	int rc = sum == NULL || chunk == NULL ? error_nomem(err) : 0;

	for (at = 0; rc == 0 && at < rec->size; at += len) {
		len = rec->size - at < CHUNK_BYTES ? (size_t)(rec->size - at)
						   : CHUNK_BYTES;
		rc = destination_table(l->destination)
			 ->get(destination_call(l->session), remote_key, at,
			     len, chunk, &fault);
		if (rc != 0)
			remote_error(err, &fault);
		else
			digest_update(sum, chunk, len);
	}
	if (rc == 0) {
		digest_final(sum, md5);
		if (memcmp(md5, rec->md5, sizeof(md5)) != 0)
			rc = differs(err);
	}
	digest_free(sum);
	free(chunk);
	return rc;
}

/* An ETag that looks like an MD5 and is not the object's is of other bytes, or
 * is none: the bytes tell, until it is known that this place has no such ETags.
 */
static int
check_etag(const struct lent *l, const struct remote_stat *stat,
    struct slice remote_key, const struct object_record *rec, struct error *err)
{
	uint8_t md5[MD5_BYTES];
	int seen = atomic_load(&l->place->etags);

	if (rec->parts != 0 || strlen(stat->etag) != 2 * MD5_BYTES ||
	    hex_decode(stat->etag, 2 * MD5_BYTES, md5, MD5_BYTES) != 0)
		return 0;
	if (memcmp(md5, rec->md5, MD5_BYTES) == 0) {
		atomic_store(&l->place->etags, ETAGS_MD5);
		return 0;
	}
	if (seen == ETAGS_OTHER)
		return 0;
	if (read_all(l, remote_key, rec, err) != 0)
		return -1;
	if (seen == ETAGS_UNKNOWN)
		atomic_store(&l->place->etags, ETAGS_OTHER);
	return 0;
}

static int
verify_at(struct replicator *r, const char *name, struct slice remote_key,
    const struct object_record *rec, struct buffer *encoded, struct error *err)
{
	struct fault fault = FAULT_INIT;
	struct remote_stat stat;
	struct place place;
	char etag[ETAG_BYTES];
	struct lent *l;
	int rc;

	if ((l = lent_take(r, name, err)) == NULL)
		return -1;
	memset(&stat, 0, sizeof(stat));
	rc = destination_table(l->destination)
		    ->stat(destination_call(l->session), remote_key, &stat,
			&fault) == 0
	    ? compare(&stat, rec, err)
	    : remote_error(err, &fault);
	if (rc == 0)
		rc = check_etag(l, &stat, remote_key, rec, err);
	if (rc == 0) {
		object_etag(rec, etag);
		place = (struct place){ slice_text(name), remote_key,
			slice_text(etag), slice_text(stat.etag) };
		buffer_clear(encoded);
		place_encode(encoded, &place);
		if (encoded->failed)
			rc = error_nomem(err);
	}
	buffer_free(&stat.memory);
	lent_give(r, l);
	return rc;
}

/* It may be another store's by now. */
static int
is_stopped(struct site *site)
{
	int stopped;

	pthread_mutex_lock(&site->lock);
	stopped = site->stopped;
	pthread_mutex_unlock(&site->lock);
	return stopped;
}

/* The next destination that has the object in its turn: 0 and its name and key
 * there, or 1. */
static int
next_published(struct replicator *r, struct slice bucket, struct slice key,
    const struct object_record *rec, size_t *next, char name[64],
    struct buffer *remote_key)
{
	const char *status;
	struct entry *e;
	int rc = 1;

	pthread_mutex_lock(&r->lock);
	while (rc == 1 && *next < r->n_entries) {
		e = r->entries[(*next)++];
		if (e->site == NULL || is_stopped(e->site))
			continue;
		status = site_object_status(e->site, bucket, key, rec);
		if (status == NULL || strcmp(status, "COMPLETED") != 0)
			continue;
		buffer_clear(remote_key);
		site_remote_key(e->site, bucket, key, remote_key);
		snprintf(name, 64, "%s", e->name);
		rc = 0;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int
remote_verify(void *context, struct slice bucket, struct slice key,
    const struct object_record *rec, struct buffer *place, struct error *err)
{
	struct replicator *r = context;
	struct buffer remote_key = BUFFER_INIT;
	char name[64];
	size_t next = 0;
	int rc = -1;

	error_set(err, ERR_NOT_FOUND, "no destination has it yet");
	while (rc != 0 &&
	    next_published(r, bucket, key, rec, &next, name, &remote_key) ==
		0) {
		if (remote_key.failed)
			rc = error_nomem(err);
		else
			rc = verify_at(r, name, buffer_slice(&remote_key), rec,
			    place, err);
	}
	buffer_free(&remote_key);
	return rc;
}
