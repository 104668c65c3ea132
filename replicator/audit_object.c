#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/auditor.h"
#include "replicator/replicator_private.h"

/* One object of an audit: what the listing leaves open is asked, and what still
 * differs is looked at once more before it is called so, since both sides go on
 * changing. */

#define STAT_US 10000 /* a hundred questions a second */
#define TRIES 5

/* An archive class: it is as its facts say, as far as can be told. */
#define CANNOT_READ 2

static int
give_up(struct auditing *a, const struct fault *fault)
{
	return fault->kind == FAULT_STOPPED
	    ? error_set(&a->err, ERR_CLOSING, "the server is stopping")
	    : error_set(&a->err, ERR_IO, "%s", fault->text);
}

/* Whether to ask again after that. */
static int
try_again(struct auditing *a, const struct fault *fault, int tries)
{
	uint64_t ms = (uint64_t)500 << tries;

	if (fault->kind != FAULT_RETRY || tries + 1 >= TRIES)
		return 0;
	if (fault->retry_after_ms > ms)
		ms = fault->retry_after_ms;
	a->paid_us = 0;
	return !audit_pay(a, ms * 1000);
}

/* 1: it is there; 0: it is not; -1 and a->err. */
static int
ask(struct auditing *a, struct slice key, struct remote_stat *stat)
{
	struct fault fault = FAULT_INIT;
	int tries = 0;

	for (;;) {
		if (audit_pay(a, STAT_US))
			return error_set(
			    &a->err, ERR_CLOSING, "the server is stopping");
		memset(stat, 0, sizeof(*stat));
		if (destination_table(a->destination)
			->stat(destination_call(a->session), key, stat,
			    &fault) == 0)
			return 1;
		buffer_free(&stat->memory);
		if (fault.kind == FAULT_MISSING)
			return 0;
		if (!try_again(a, &fault, tries++))
			return give_up(a, &fault);
	}
}

static int
read_there(struct auditing *a, struct slice key, uint64_t offset, size_t len)
{
	struct fault fault = FAULT_INIT;
	uint64_t rate = a->job->options.bytes_per_second;
	int tries = 0;

	while (destination_table(a->destination)
		   ->get(destination_call(a->session), key, offset, len,
		       a->room, &fault) != 0) {
		if (fault.archived)
			return CANNOT_READ;
		if (fault.kind == FAULT_MISSING || fault.kind == FAULT_OBJECT)
			return 1;
		if (!try_again(a, &fault, tries++))
			return give_up(a, &fault);
	}
	pthread_mutex_lock(&a->auditor->lock);
	a->job->figures.bytes_read += len;
	pthread_mutex_unlock(&a->auditor->lock);
	return audit_pay(a, len * 1000000 / rate)
	    ? error_set(&a->err, ERR_CLOSING, "the server is stopping")
	    : 0;
}

/* Compares every byte: 0 the same, 1 not, -1 and a->err. */
static int
compare_bytes(struct auditing *a, const struct local_entry *e)
{
	char *here = a->room + AUDIT_CHUNK_BYTES;
	uint64_t at = 0, size = e->record.size, end;
	struct content *content;
	const char *bytes;
	size_t done;
	long n;
	int rc = 0;

	a->unread = 1;
	content = content_open(
	    a->auditor->replicator->store, e->record.extent, &a->err);
	if (content == NULL)
		return a->err.kind == ERR_NOT_FOUND ? 0 : -1;
	(void)content_name(content, e->bucket, e->key);
	for (; rc == 0 && at < size; at = end) {
		end = size - at < AUDIT_CHUNK_BYTES ? size
						    : at + AUDIT_CHUNK_BYTES;
		rc = read_there(a, e->remote_key, at, (size_t)(end - at));
		for (done = 0; rc == 0 && done < end - at; done += (size_t)n) {
			n = content_read(content, at + done, end, here,
			    AUDIT_CHUNK_BYTES, 0, &bytes, &a->err);
			if (n <= 0)
				rc = -1;
			else if (memcmp(a->room + done, bytes, (size_t)n) != 0)
				rc = 1;
			if (rc != 0)
				break;
		}
	}
	content_close(content);
	a->unread = rc == CANNOT_READ;
	return rc == CANNOT_READ ? 0 : rc;
}

/* What the listing says: 1 the same, 0 not, -1 it cannot tell. */
static int
listed_same(const struct local_entry *e, const struct remote_entry *r)
{
	const struct object_record *rec = &e->record;
	char etag[ETAG_BYTES];

	if (r->size != rec->size)
		return 0;
	object_etag(rec, etag);
	if (strcmp(r->etag, etag) == 0)
		return 1;
	if (r->has_md5 && rec->parts == 0)
		return memcmp(r->md5, rec->md5, sizeof(r->md5)) == 0;
	return -1;
}

/* The object as it is now, if it is the same and nothing is under way. 1; 0
 * when there is nothing to compare. */
static int
is_settled(struct auditing *a, const struct local_entry *e)
{
	struct replicator *r = a->auditor->replicator;
	struct buffer memory = BUFFER_INIT;
	struct object_record rec;
	const char *status = NULL;
	struct entry *entry;
	int same, pending = 1, parked = 0;

	same = store_object(r->store, e->bucket, e->key, 0, &rec, &memory, NULL,
		   NULL, NULL) == 0 &&
	    rec.version == e->record.version;
	buffer_free(&memory);
	if (same) {
		pthread_mutex_lock(&r->lock);
		entry = entry_find(r, a->job->name);
		if (entry != NULL && entry->site != NULL)
			status = site_object_status(
			    entry->site, e->bucket, e->key, &e->record);
		parked = status != NULL && strcmp(status, "FAILED") == 0;
		/* Any other word is a guess while the journal is unread. */
		pending = status != NULL && !parked &&
		    site_is_under_way(entry->site, e->bucket, e->key);
		pthread_mutex_unlock(&r->lock);
	}
	pthread_mutex_lock(&a->auditor->lock);
	a->job->figures.pending += (uint64_t)pending;
	a->job->figures.parked += (uint64_t)parked;
	pthread_mutex_unlock(&a->auditor->lock);
	return status != NULL && !pending && !parked;
}

static void
send_again(struct auditing *a, const struct local_entry *e)
{
	struct replicator *r = a->auditor->replicator;
	struct entry *entry;
	int sent = 0;

	pthread_mutex_lock(&r->lock);
	entry = entry_find(r, a->job->name);
	if (entry != NULL && entry->site != NULL) {
		site_send_again(
		    entry->site, e->bucket, e->key, e->record.version);
		sent = 1;
	}
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_lock(&a->auditor->lock);
	a->job->figures.sent_again += (uint64_t)sent;
	pthread_mutex_unlock(&a->auditor->lock);
}

/* No checksum says whether it is the same: of a Velero backup that is not
 * verified yet, the bytes do. */
static int
must_read(const struct auditing *a)
{
	return a->verifying.directory.len > 0 && !a->verifying.was_verified;
}

/* What is there now, asked: 1 the same, 0 not (told), -1 and a->err. *listed is
 * what the listing had said. */
static int
asked_same(struct auditing *a, const struct local_entry *e, int listed)
{
	struct remote_stat stat;
	char etag[ETAG_BYTES];
	int rc, same;

	if ((rc = ask(a, e->remote_key, &stat)) < 0)
		return -1;
	if (rc == 0) {
		audit_find(a, AUDIT_MISSING, e->remote_key, "it is not there");
		return 0;
	}
	object_etag(&e->record, etag);
	same = stat.size == e->record.size && !stat.side_lost &&
	    (strcmp(stat.original_etag, etag) == 0 ||
		strcmp(stat.etag, etag) == 0);
	if (!same)
		audit_find(a, AUDIT_DIFFERENT, e->remote_key,
		    "there it has %" PRIu64 " bytes and the ETag %s, here "
		    "%" PRIu64 " and %s",
		    stat.size,
		    stat.original_etag[0] != '\0' ? stat.original_etag
						  : stat.etag,
		    e->record.size, etag);
	buffer_free(&stat.memory);
	if (!same)
		return 0;
	/* Its facts are ours and its checksum is not: not every ETag that looks
	 * like an MD5 is one, so the bytes decide. */
	if (listed != 0 && !must_read(a)) {
		a->by_facts = 1;
		return 1;
	}
	if ((rc = compare_bytes(a, e)) == 1)
		audit_find(a, AUDIT_DIFFERENT, e->remote_key,
		    "its bytes are not those that are here");
	return rc < 0 ? -1 : !rc;
}

int
audit_object(struct auditing *a, const struct local_entry *e,
    const struct remote_entry *there)
{
	int listed = there == NULL ? 0 : listed_same(e, there), same, rc;

	a->compared = COMPARED_SAME;
	a->unread = a->by_facts = 0;
	if (listed == 1 && !a->job->options.read_data)
		return 0;
	if (!is_settled(a, e)) {
		a->compared = COMPARED_NOT;
		return 0;
	}
	same = listed == 1 ? 1 : asked_same(a, e, listed);
	if (same == 1 && a->job->options.read_data) {
		if ((rc = compare_bytes(a, e)) < 0)
			return -1;
		same = !rc;
		a->by_facts = 0;
		if (rc == 1 && is_settled(a, e))
			audit_find(a, AUDIT_DIFFERENT, e->remote_key,
			    "its bytes are not those that are here");
	}
	if (same < 0)
		return -1;
	if (a->unread)
		a->compared = COMPARED_NOT;
	if (same == 1)
		return 0;
	a->compared = COMPARED_DIFFERS;
	if (is_settled(a, e))
		send_again(a, e);
	return 0;
}

int
audit_foreign(struct auditing *a, const struct remote_entry *there)
{
	const char *source = a->settings->policy.source_bucket, *slash;
	struct replicator *r = a->auditor->replicator;
	struct buffer memory = BUFFER_INIT;
	struct slice bucket, key = there->key;
	struct object_record rec;
	struct entry *entry;
	int waits = 0;

	slash = memchr(key.at, '/', key.len);
	if (source != NULL)
		bucket = slice_text(source);
	else if (slash != NULL) {
		bucket = (struct slice){ key.at, (size_t)(slash - key.at) };
		key = (struct slice){ slash + 1, key.len - bucket.len - 1 };
	} else
		bucket = SLICE_NULL;
	if (bucket.len > 0) {
		/* Written here meanwhile, or deleted and not yet there. */
		waits = store_object(r->store, bucket, key, 0, &rec, &memory,
			    NULL, NULL, NULL) == 0;
		buffer_free(&memory);
		pthread_mutex_lock(&r->lock);
		entry = entry_find(r, a->job->name);
		if (!waits && entry != NULL && entry->site != NULL)
			waits = site_is_under_way(entry->site, bucket, key);
		pthread_mutex_unlock(&r->lock);
	}
	if (!waits)
		audit_find(a, AUDIT_FOREIGN, there->key,
		    "it is there alone, and left as it is");
	return 0;
}
