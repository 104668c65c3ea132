#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/site.h"
#include "replicator/source.h"
#include "store/store.h"

/* The calls to a destination that publish a change. No lock is held. */

#define ASK_FIRST_BYTES (1ULL << 20)

static enum outcome
outcome_of(int failed)
{
	return failed ? OUTCOME_FAULT : OUTCOME_DONE;
}

/* Whether our very version is there. */
static int
is_there(struct site *site, struct destination_session *session,
    const struct sending *s, struct fault *fault)
{
	struct remote_stat stat;
	int there;

	memset(&stat, 0, sizeof(stat));
	if (site->table->stat(
		destination_call(session), s->object.key, &stat, fault) != 0) {
		buffer_free(&stat.memory);
		if (fault->kind != FAULT_MISSING)
			return -1;
		memset(fault, 0, sizeof(*fault));
		return 0;
	}
	there = stat.size == s->object.size &&
	    stat.version == s->object.version &&
	    strcmp(stat.original_etag, s->object.etag) == 0;
	buffer_free(&stat.memory);
	return there;
}

static enum outcome
put_whole(struct site *site, struct destination_session *session,
    struct sending *s, uint64_t *bytes, struct fault *fault)
{
	int rc;

	if ((rc = sending_open(s, fault)) != 0)
		return rc > 0 ? OUTCOME_GONE : OUTCOME_FAULT;
	sending_sum(s);
	rc = site->table->put(
	    destination_call(session), &s->object, &s->source, 0, fault);
	*bytes = s->object.size;
	return outcome_of(rc);
}

static enum outcome
remove_key(struct site *site, struct destination_session *session,
    const struct item *item, struct fault *fault)
{
	struct buffer key = BUFFER_INIT;
	int failed;

	site_remote_key(site, item_bucket(item), item_key(item), &key);
	if (key.failed)
		return fault_set(fault, FAULT_RETRY, "no memory"),
		       OUTCOME_FAULT;
	failed = site->table->remove(
	    destination_call(session), buffer_slice(&key), fault);
	buffer_free(&key);
	return outcome_of(failed && fault->kind != FAULT_MISSING);
}

/* Whether an earlier run may have published the entry, so that asking comes
 * before sending much again. */
static int
may_be_there(const struct site *site, const struct item *item)
{
	return item->source == FROM_SEED ||
	    (item->source == FROM_JOURNAL && item->sequence <= site->begun_at);
}

static enum outcome
put_entry(struct site *site, struct destination_session *session,
    const struct item *item, uint64_t *bytes, struct fault *fault)
{
	enum outcome outcome = OUTCOME_FAULT;
	struct sending s;
	int rc;

	rc = sending_begin(&s, site, item, 0, fault);
	if (rc > 0)
		fault_set(fault, FAULT_OBJECT,
		    "the journal's entry %" PRIu64 " is gone", item->sequence);
	if (rc == 0 && may_be_there(site, item) &&
	    s.object.size >= ASK_FIRST_BYTES) {
		rc = is_there(site, session, &s, fault);
		if (rc > 0)
			outcome = OUTCOME_DONE;
	}
	if (rc == 0) {
		outcome = put_whole(site, session, &s, bytes, fault);
		if (outcome == OUTCOME_GONE) {
			fault_set(fault, FAULT_OBJECT,
			    "its content is gone, although the journal has "
			    "it");
			outcome = OUTCOME_FAULT;
		}
	}
	sending_end(&s);
	return outcome;
}

/* Tags of what is there; those of another version change nothing outside. */
static enum outcome
tag_entry(struct site *site, struct destination_session *session,
    const struct item *item, uint64_t *bytes, struct fault *fault)
{
	enum outcome outcome = OUTCOME_FAULT;
	struct remote_stat stat;
	struct sending s;
	int failed;

	memset(&stat, 0, sizeof(stat));
	if (sending_begin(&s, site, item, 0, fault) != 0)
		goto out;
	if (site->table->stat(
		destination_call(session), s.object.key, &stat, fault) != 0) {
		if (fault->kind == FAULT_MISSING)
			outcome = OUTCOME_DONE;
		goto out;
	}
	outcome = OUTCOME_DONE;
	/* Without one, it is what others wrote and a restore adopted. */
	if (stat.version != s.object.version &&
	    (stat.version != 0 || stat.size != s.object.size))
		goto out;
	sending_sum(&s);
	failed =
	    site->table->retag(destination_call(session), &s.object, fault);
	outcome = outcome_of(failed);
	if (failed && fault->kind == FAULT_OBJECT &&
	    s.object.size <= site->limits.single_put_max_bytes) {
		memset(fault, 0, sizeof(*fault));
		outcome = put_whole(site, session, &s, bytes, fault);
		if (outcome == OUTCOME_GONE)
			outcome = OUTCOME_DONE; /* overwritten meanwhile */
	}
out:
	buffer_free(&stat.memory);
	sending_end(&s);
	return outcome;
}

/* Whether what the key holds now is to be left as it is outside: 1, 0, or -1
 * and *fault. */
static int
needs_nothing(struct site *site, struct destination_session *session,
    const struct item *item, const struct sending *s, struct fault *fault)
{
	switch (item->source) {
	case FROM_DEFERRED:
		return 1;
	case FROM_HELD:
	case FROM_PARKED:
		/* Another version has an entry of its own. */
		return item->version != s->record.version;
	case FROM_SEED:
		return site->blank && item->attempts == 0
		    ? 0
		    : is_there(site, session, s, fault);
	default:
		return 0;
	}
}

static enum outcome
publish_current(struct site *site, struct destination_session *session,
    struct job *job, uint64_t *bytes, struct fault *fault)
{
	const struct item *item = job->item;
	enum outcome outcome = OUTCOME_FAULT;
	struct sending s;
	int rc;

	rc = sending_begin(&s, site, item, 1, fault);
	if (rc > 0) {
		/* Only what a journalled delete took away is removed. */
		outcome = item->source == FROM_DIRTY ||
			item->source == FROM_DEFERRED ||
			(item->source == FROM_PARKED &&
			    item->what == JOURNAL_DELETE)
		    ? remove_key(site, session, item, fault)
		    : OUTCOME_DONE;
	} else if (rc == 0) {
		rc = needs_nothing(site, session, item, &s, fault);
		if (rc > 0)
			outcome = OUTCOME_DONE;
		else if (rc == 0 && job->small &&
		    s.record.size > SITE_SMALL_BYTES)
			outcome = OUTCOME_THREADS;
		else if (rc == 0 &&
		    s.record.size > site->limits.single_put_max_bytes) {
			job->version = s.record.version;
			job->size = s.record.size;
			outcome = OUTCOME_LARGE;
		} else if (rc == 0)
			outcome = put_whole(site, session, &s, bytes, fault);
	}
	sending_end(&s);
	return outcome;
}

/* ---- in parts ---- */

struct resuming {
	struct item_upload *upload;
	size_t prefix_len;
};

static int
resume_part(struct slice key, struct slice value, void *arg)
{
	struct resuming *r = arg;
	uint8_t number[4];
	uint32_t i;

	(void)value;
	if (key.len != r->prefix_len + 8 ||
	    hex_decode(key.at + r->prefix_len, 8, number, 4) != 0)
		return 0;
	i = be32_get(number);
	if (i < r->upload->n_parts && r->upload->parts[i] != PART_DONE) {
		r->upload->parts[i] = PART_DONE;
		r->upload->n_done++;
	}
	return 0;
}

/* An upload that an earlier run began: 1, or 0 when there is none; -1 when one
 * may have been begun whose name was not written down. */
static int
resume(struct site *site, struct item *item)
{
	struct item_upload *u = item->upload;
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	struct resuming r = { u, 0 };
	struct slice state;
	struct reader in;
	int found = 0, nameless = 0;

	note_upload(&site->names, item->version, key);
	if (store_note(site->store, slice_text(key), &value, NULL) == 0) {
		in = reader_of(value.at, value.len);
		if (reader_u8(&in) == 1) {
			u->remote.part_bytes = reader_be64(&in);
			(void)reader_slice16(&in);
			state = reader_slice16(&in);
			nameless = !in.failed && state.len == 0;
			found = !in.failed && u->remote.part_bytes > 0 &&
			    state.len > 0 &&
			    state.len < sizeof(u->remote.state);
		}
		if (found) {
			memcpy(u->remote.state, state.at, state.len);
			u->remote.state[state.len] = '\0';
			found = upload_size(u, item->size) == 0;
		}
	}
	buffer_free(&value);
	if (!found)
		return nameless ? -1 : 0;
	note_part(&site->names, item->version, 0, key);
	r.prefix_len = strlen(key) - 8;
	key[r.prefix_len] = '\0';
	return store_notes(site->store, slice_text(key), SLICE_NULL,
		   resume_part, &r, NULL) == 0;
}

static int
remember_upload(struct site *site, const struct item *item,
    const struct sending *s, struct fault *fault)
{
	const struct remote_upload *remote = &item->upload->remote;
	struct note_batch batch = { 0 };
	struct error err = ERROR_INIT;
	struct buffer value = BUFFER_INIT;
	char key[NOTE_KEY_BYTES];
	int failed;

	buffer_add_u8(&value, 1);
	buffer_add_be64(&value, remote->part_bytes);
	buffer_add_be16(&value, (uint16_t)s->object.key.len);
	buffer_add_slice(&value, s->object.key);
	buffer_add_be16(&value, (uint16_t)strlen(remote->state));
	buffer_add_text(&value, remote->state);
	note_upload(&site->names, item->version, key);
	batch_set(&batch, key, buffer_slice(&value));
	failed = batch_commit(&batch, site->store, &err);
	batch_free(&batch);
	buffer_free(&value);
	return failed ? fault_of_error(fault, &err) : 0;
}

static enum outcome
begin_upload(struct site *site, struct destination_session *session,
    struct item *item, struct sending *s, struct fault *fault)
{
	struct item_upload *u = item->upload;
	char key[NOTE_KEY_BYTES];
	int there, resumed = 0;

	note_upload(&site->names, item->version, key);
	if (item->anew)
		(void)notes_clear(site->store, key, NULL);
	else if ((resumed = resume(site, item)) > 0)
		return OUTCOME_GOES_ON;
	else if (may_be_there(site, item)) {
		there = is_there(site, session, s, fault);
		if (there != 0)
			return there > 0 ? OUTCOME_DONE : OUTCOME_FAULT;
	}
	item->anew = 0;
	memset(&u->remote, 0, sizeof(u->remote));
	if (resumed < 0 &&
	    site->table->abort(destination_call(session), s->object.key,
		&u->remote, fault) != 0)
		return OUTCOME_FAULT;
	u->remote.part_bytes = upload_part_bytes(item->size, &site->limits);
	/* One whose name is lost, by a kill or with the answer, would lie there
	 * for ever, and cost. */
	if (resumed == 0 && site->limits.abort_finds &&
	    remember_upload(site, item, s, fault) != 0)
		return OUTCOME_FAULT;
	sending_sum(s);
	if (site->table->begin(
		destination_call(session), &s->object, &u->remote, fault) != 0)
		return OUTCOME_FAULT;
	if (upload_size(u, item->size) != 0)
		return fault_set(fault, FAULT_RETRY, "no memory"),
		       OUTCOME_FAULT;
	return remember_upload(site, item, s, fault) == 0 ? OUTCOME_GOES_ON
							  : OUTCOME_FAULT;
}

static enum outcome
send_part(struct site *site, struct destination_session *session,
    const struct item *item, uint32_t i, struct sending *s, uint64_t *bytes,
    struct fault *fault)
{
	const struct remote_upload *remote = &item->upload->remote;
	struct note_batch batch = { 0 };
	struct error err = ERROR_INIT;
	struct remote_part part = { 0 };
	char key[NOTE_KEY_BYTES];
	uint64_t offset = i * remote->part_bytes, len;
	int rc;

	len = item->size - offset < remote->part_bytes ? item->size - offset
						       : remote->part_bytes;
	if ((rc = sending_open(s, fault)) != 0)
		return rc > 0 ? OUTCOME_GONE : OUTCOME_FAULT;
	if (site->table->part(destination_call(session), &s->object, remote,
		i + 1, offset, len, &s->source, &part, fault) != 0)
		return fault->kind == FAULT_MISSING ? OUTCOME_ANEW
						    : OUTCOME_FAULT;
	*bytes = len;
	note_part(&site->names, item->version, i, key);
	batch_set(&batch, key, slice_text(part.etag));
	rc = batch_commit(&batch, site->store, &err);
	batch_free(&batch);
	if (rc != 0)
		return fault_of_error(fault, &err), OUTCOME_FAULT;
	return OUTCOME_GOES_ON;
}

struct collecting {
	struct remote_part *parts;
	uint32_t n, n_parts;
};

static int
collect_part(struct slice key, struct slice value, void *arg)
{
	struct collecting *c = arg;

	(void)key;
	if (c->n == c->n_parts || value.len >= sizeof(c->parts[c->n].etag))
		return 1;
	memcpy(c->parts[c->n].etag, value.at, value.len);
	c->parts[c->n].number = c->n + 1;
	c->n++;
	return 0;
}

static enum outcome
finish_upload(struct site *site, struct destination_session *session,
    struct item *item, struct sending *s, struct fault *fault)
{
	struct item_upload *u = item->upload;
	struct remote_upload remote = u->remote;
	struct collecting c = { NULL, 0, u->n_parts };
	enum outcome outcome = OUTCOME_FAULT;
	char key[NOTE_KEY_BYTES];
	int rc;

	if (site->limits.finish_sends) {
		if ((rc = sending_open(s, fault)) != 0)
			return rc > 0 ? OUTCOME_GONE : OUTCOME_FAULT;
		remote.source = &s->source;
	}
	if ((c.parts = calloc(u->n_parts, sizeof(*c.parts))) == NULL)
		return fault_set(fault, FAULT_RETRY, "no memory"),
		       OUTCOME_FAULT;
	note_part(&site->names, item->version, 0, key);
	key[strlen(key) - 8] = '\0';
	if (store_notes(site->store, slice_text(key), SLICE_NULL, collect_part,
		&c, NULL) != 0 ||
	    c.n != u->n_parts) {
		outcome = OUTCOME_ANEW;
		goto out;
	}
	sending_sum(s);
	if (site->table->finish(destination_call(session), &s->object, &remote,
		c.parts, c.n, fault) == 0)
		outcome = OUTCOME_DONE;
	else if (fault->kind == FAULT_MISSING) {
		/* Either it is long gone, or an earlier call finished it. */
		memset(fault, 0, sizeof(*fault));
		rc = is_there(site, session, s, fault);
		outcome = rc > 0 ? OUTCOME_DONE
		    : rc == 0    ? OUTCOME_ANEW
				 : OUTCOME_FAULT;
	}
out:
	free(c.parts);
	return outcome;
}

static enum outcome
upload_job(struct site *site, struct destination_session *session,
    const struct job *job, uint64_t *bytes, struct fault *fault)
{
	struct item *item = job->item;
	enum outcome outcome = OUTCOME_FAULT;
	struct sending s;
	int rc;

	rc = sending_begin(&s, site, item, 0, fault);
	if (rc > 0 && item->source == FROM_JOURNAL)
		fault_set(fault, FAULT_OBJECT,
		    "the journal's entry %" PRIu64 " is gone", item->sequence);
	else if (rc > 0)
		outcome = OUTCOME_GONE;
	else if (rc == 0 && job->type == JOB_BEGIN)
		outcome = begin_upload(site, session, item, &s, fault);
	else if (rc == 0 && job->type == JOB_PART)
		outcome =
		    send_part(site, session, item, job->part, &s, bytes, fault);
	else if (rc == 0)
		outcome = finish_upload(site, session, item, &s, fault);
	sending_end(&s);
	return outcome;
}

enum outcome
transfer_job(struct site *site, struct destination_session *session,
    struct job *job, uint64_t *bytes, struct fault *fault)
{
	struct item *item = job->item;

	*bytes = 0;
	if (job->type != JOB_PUBLISH)
		return upload_job(site, session, job, bytes, fault);
	switch (item->kind) {
	case ITEM_PUT:
		return put_entry(site, session, item, bytes, fault);
	case ITEM_DELETE:
		return remove_key(site, session, item, fault);
	case ITEM_TAGS:
		return tag_entry(site, session, item, bytes, fault);
	default:
		return publish_current(site, session, job, bytes, fault);
	}
}
