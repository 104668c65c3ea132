#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "replicator/auditor.h"
#include "replicator/replicator_private.h"

/* One audit: two sorted lists side by side. A page of the listing is taken
 * whole before it is looked at, so that no connection waits. */

#define PAGE_ENTRIES 1000
#define PAGE_US 200000 /* five pages a second */
#define OURS "plugins/holdfast/"

struct page {
	struct remote_entry entries[PAGE_ENTRIES];
	size_t key_at[PAGE_ENTRIES];
	size_t n;
	struct buffer keys, after;
};

static int
take_entry(const struct remote_entry *entry, void *arg)
{
	struct page *p = arg;

	if (p->n == PAGE_ENTRIES)
		return 1;
	p->entries[p->n] = *entry;
	p->key_at[p->n++] = p->keys.len;
	buffer_add_slice(&p->keys, entry->key);
	return 0;
}

static int
is_stopping(void *arg)
{
	const struct auditing *a = arg;

	return audit_is_stopping(a);
}

int
audit_is_stopping(const struct auditing *a)
{
	return atomic_load(&a->auditor->stopping);
}

int
audit_pay(struct auditing *a, uint64_t us)
{
	uint64_t now = clock_monotonic_us(), wait;
	struct timespec nap;

	if (a->paid_us < now)
		a->paid_us = now;
	a->paid_us += us;
	while (!audit_is_stopping(a) &&
	    a->paid_us > (now = clock_monotonic_us()) + 50000) {
		wait = a->paid_us - now;
		if (wait > 100000)
			wait = 100000;
		nap = (struct timespec){ 0, (long)wait * 1000 };
		(void)nanosleep(&nap, NULL);
	}
	return audit_is_stopping(a);
}

static int
next_page(struct auditing *a, struct page *p)
{
	struct fault fault = FAULT_INIT;
	int tries = 0;

	do {
		if (audit_pay(a, tries == 0 ? PAGE_US : 1000000))
			return error_set(
			    &a->err, ERR_CLOSING, "the server is stopping");
		p->n = 0;
		buffer_clear(&p->keys);
		if (destination_table(a->destination)
			->list(destination_call(a->session), SLICE_NULL,
			    buffer_slice(&p->after), take_entry, p,
			    &fault) == 0)
			break;
		if (fault.kind != FAULT_RETRY || ++tries > 5)
			return error_set(&a->err, ERR_IO, "%s", fault.text);
	} while (!audit_is_stopping(a));
	if (p->keys.failed)
		return error_nomem(&a->err);
	return 0;
}

static int
compare_object(struct auditing *a, const struct local_entry *e,
    const struct remote_entry *there)
{
	if (verify_enter(a, e) != 0 || audit_object(a, e, there) != 0)
		return -1;
	verify_result(a, e);
	pthread_mutex_lock(&a->auditor->lock);
	a->job->figures.objects++;
	pthread_mutex_unlock(&a->auditor->lock);
	local_walk_step(a->walk);
	return 0;
}

/* What is here and comes before the key (NULL: all that is left) is missing
 * there. */
static int
pass_missing(struct auditing *a, const struct slice *before)
{
	const struct local_entry *e;

	while ((e = local_walk_at(a->walk, &a->err)) != NULL &&
	    (before == NULL || slice_compare(e->remote_key, *before) < 0)) {
		if (compare_object(a, e, NULL) != 0)
			return -1;
	}
	return a->err.kind == ERR_NONE ? 0 : -1;
}

static int
compare_entry(struct auditing *a, const struct remote_entry *there)
{
	const struct local_entry *e;

	if (slice_starts(there->key, OURS))
		return 0;
	if (pass_missing(a, &there->key) != 0)
		return -1;
	e = local_walk_at(a->walk, &a->err);
	if (e == NULL || !slice_equal(e->remote_key, there->key))
		return a->err.kind == ERR_NONE ? audit_foreign(a, there) : -1;
	return compare_object(a, e, there);
}

static int
compare(struct auditing *a)
{
	struct page *p;
	size_t i, end;
	int rc = 0;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return error_nomem(&a->err);
	while (rc == 0 && (rc = next_page(a, p)) == 0 && p->n > 0) {
		for (i = 0; i < p->n; i++) {
			end = i + 1 < p->n ? p->key_at[i + 1] : p->keys.len;
			p->entries[i].key =
			    (struct slice){ p->keys.at + p->key_at[i],
				    end - p->key_at[i] };
		}
		buffer_clear(&p->after);
		buffer_add_slice(&p->after, p->entries[p->n - 1].key);
		for (i = 0; i < p->n && rc == 0; i++)
			rc = audit_is_stopping(a)
			    ? error_set(&a->err, ERR_CLOSING,
				  "the server is stopping")
			    : compare_entry(a, &p->entries[i]);
	}
	if (rc == 0)
		rc = pass_missing(a, NULL);
	if (rc == 0)
		rc = verify_end(a);
	buffer_free(&p->keys);
	buffer_free(&p->after);
	free(p);
	return rc;
}

/* The destination's settings, copied, so that nobody waits for the audit. */
static int
take_settings(struct auditing *a)
{
	struct replicator *r = a->auditor->replicator;
	struct destination_fields none = { 0 };
	struct entry *e;

	pthread_mutex_lock(&r->lock);
	e = entry_find(r, a->job->name);
	if (e == NULL)
		error_set(&a->err, ERR_NOT_FOUND, "it was removed");
	else if (e->site == NULL)
		error_set(&a->err, ERR_CONFLICT, "%s", e->reason);
	else {
		none.provider = e->settings->fields.provider;
		a->settings = settings_make(e->settings, &none, NULL, &a->err);
	}
	pthread_mutex_unlock(&r->lock);
	return a->settings == NULL ? -1 : 0;
}

int
audit_run(struct auditing *a)
{
	struct store *store = a->auditor->replicator->store;
	int rc = -1;

	if (take_settings(a) != 0 ||
	    (a->destination =
		    destination_open(&a->settings->fields, &a->err)) == NULL ||
	    (a->session = destination_session_new(
		 a->destination, is_stopping, a, &a->err)) == NULL ||
	    (a->walk = local_walk_new(store, a->settings, &a->err)) == NULL)
		goto out;
	if ((a->room = malloc(2 * AUDIT_CHUNK_BYTES)) == NULL) {
		error_nomem(&a->err);
		goto out;
	}
	pthread_mutex_lock(&a->auditor->lock);
	a->job->figures.total = local_walk_total(a->walk);
	pthread_mutex_unlock(&a->auditor->lock);
	rc = compare(a);
out:
	verify_free(a);
	local_walk_free(a->walk);
	destination_session_free(a->session);
	destination_close(a->destination);
	settings_free(a->settings);
	free(a->room);
	return rc;
}
