#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "replicator/importer.h"
#include "replicator/replicator_private.h"

/* The listing, page by page: first what is below backups/, then all. */

#define RETRY_MS 2000
#define PERSON_MS 10000

/* ---- buckets ---- */

static int
take_first(const struct remote_entry *entry, void *arg)
{
	struct buffer *first = arg;

	buffer_clear(first);
	buffer_add_slice(first, entry->key);
	return 1;
}

int
import_buckets(const struct settings *settings,
    const struct destination_protocol *table, void *call,
    import_bucket_visit *visit, void *arg, struct fault *fault)
{
	struct buffer after = BUFFER_INIT, first = BUFFER_INIT;
	struct slice bucket, key;
	int rc = 0;

	if (settings->policy.source_bucket != NULL)
		return visit(
		    slice_text(settings->policy.source_bucket), arg, fault);
	for (;;) {
		buffer_clear(&first);
		rc = table->list(call, SLICE_NULL, buffer_slice(&after),
		    take_first, &first, fault);
		if (rc != 0 || first.len == 0)
			break;
		buffer_clear(&after);
		switch (import_split(
		    settings, buffer_slice(&first), &bucket, &key)) {
		case 1:
			buffer_add_text(&after, "plugins/holdfast0");
			break;
		case 0:
			if ((rc = visit(bucket, arg, fault)) != 0)
				goto out;
			buffer_add_slice(&after, bucket);
			buffer_add_u8(&after, '/' + 1);
			break;
		default:
			buffer_add_slice(&after, buffer_slice(&first));
		}
	}
out:
	buffer_free(&after);
	buffer_free(&first);
	return rc;
}

/* ---- pages ---- */

#define SKIPPED_TOLD 100 /* the log names so many of them */

struct taking {
	struct importer *im;
	struct buffer last;
	size_t n;
	uint64_t skipped;
};

static void
skip(struct taking *t, struct slice key)
{
	if (t->im->skipped + t->skipped++ < SKIPPED_TOLD)
		log_fields(LOG_WARN, "replicator.restore",
		    "what is there under this name cannot be an object here, "
		    "and stays there",
		    (const struct log_field[]){
			LOG_T("destination", t->im->name),
			LOG_B("key", key.at, key.len) },
		    2);
}

static int
take_entry(const struct remote_entry *entry, void *arg)
{
	struct taking *t = arg;
	struct slice bucket, key;

	if (t->n++ == IMPORT_PAGE)
		return 1;
	buffer_clear(&t->last);
	buffer_add_slice(&t->last, entry->key);
	switch (import_split(t->im->settings, entry->key, &bucket, &key)) {
	case 0:
		importer_add(t->im, bucket, key, entry->size);
		break;
	case -1:
		skip(t, entry->key);
	}
	return 0;
}

/* Waits for what went wrong to pass. -1 when stopping. */
static int
wait_for(struct importer *im, const struct fault *fault)
{
	pthread_mutex_lock(&im->lock);
	snprintf(im->error, sizeof(im->error), "%s", fault->text);
	pthread_mutex_unlock(&im->lock);
	log_fields(LOG_WARN, "replicator.restore", fault->text,
	    (const struct log_field[]){ LOG_T("destination", im->name) }, 1);
	return importer_rest(
	    im, fault->kind == FAULT_PERSON ? PERSON_MS : RETRY_MS);
}

/* One page behind *after: 1 when there may be more, 0 at the end, -1 when
 * stopping. *skipped: names in it that are no objects' here. */
static int
do_page(struct importer *im, struct slice prefix, struct buffer *after,
    uint64_t *skipped)
{
	struct taking t = { .im = im };
	struct fault fault = FAULT_INIT;
	struct error err = ERROR_INIT;
	struct lent *l;
	int rc = -1;

	for (;;) {
		importer_clear(im);
		t.n = 0;
		t.skipped = 0;
		l = lent_take(im->replicator, im->name, &err);
		rc = l == NULL
		    ? fault_set(&fault, FAULT_RETRY, "%s", err.text)
		    : destination_table(l->destination)
			  ->list(destination_call(l->session), prefix,
			      buffer_slice(after), take_entry, &t, &fault);
		if (l != NULL)
			lent_give(im->replicator, l);
		if (rc == 0)
			break;
		if (wait_for(im, &fault) != 0)
			goto out;
	}
	if ((rc = importer_do_page(im, 0)) != 0)
		goto out;
	if (t.last.len > 0) {
		buffer_clear(after);
		buffer_add_slice(after, buffer_slice(&t.last));
	}
	*skipped = t.skipped;
	rc = t.n > IMPORT_PAGE;
out:
	buffer_free(&t.last);
	return rc;
}

struct names {
	struct buffer last;
	int found;
};

static int
take_bucket(struct slice name, const struct bucket_record *rec, void *arg)
{
	struct names *n = arg;

	(void)rec;
	buffer_clear(&n->last);
	buffer_add_slice(&n->last, name);
	n->found = 1;
	return 1;
}

static int
import_backups(struct importer *im)
{
	struct buffer prefix = BUFFER_INIT, after = BUFFER_INIT,
		      bucket = BUFFER_INIT;
	struct names names = { BUFFER_INIT, 0 };
	uint64_t skipped; /* seen again with all the others */
	int rc = 0;

	while (rc == 0) {
		names.found = 0;
		if (store_buckets(im->replicator->store, buffer_slice(&bucket),
			take_bucket, &names, NULL) != 0 ||
		    !names.found)
			break;
		buffer_clear(&bucket);
		buffer_add_slice(&bucket, buffer_slice(&names.last));
		buffer_clear(&prefix);
		buffer_clear(&after);
		if (im->settings->policy.source_bucket == NULL) {
			buffer_add_slice(&prefix, buffer_slice(&bucket));
			buffer_add_u8(&prefix, '/');
		}
		buffer_add_text(&prefix, "backups/");
		while ((rc = do_page(
			    im, buffer_slice(&prefix), &after, &skipped)) > 0)
			;
	}
	buffer_free(&names.last);
	buffer_free(&prefix);
	buffer_free(&after);
	buffer_free(&bucket);
	return rc;
}

static void
enter(struct importer *im, enum import_phase phase)
{
	pthread_mutex_lock(&im->lock);
	im->phase = phase;
	im->error[0] = '\0';
	pthread_mutex_unlock(&im->lock);
	importer_save(im);
}

int
import_take(struct importer *im)
{
	struct fault fault = FAULT_INIT;
	int owned = 0;

	if (im->phase != IMPORT_TAKE)
		return 0;
	while (restore_take(im->replicator, im->name, im->settings, im->begin,
		   &owned, &fault) != 0)
		if (wait_for(im, &fault) != 0)
			return -1;
	enter(im, IMPORT_BACKUPS);
	return 0;
}

int
import_listing(struct importer *im)
{
	struct buffer after = BUFFER_INIT;
	uint64_t skipped = 0;
	int rc = 0;

	if (im->phase == IMPORT_BACKUPS) {
		if (import_backups(im) != 0)
			return -1;
		enter(im, IMPORT_ALL);
	}
	if (im->phase == IMPORT_ALL) {
		buffer_add_slice(&after, buffer_slice(&im->cursor));
		do {
			rc = do_page(im, SLICE_NULL, &after, &skipped);
			if (rc < 0)
				break;
			pthread_mutex_lock(&im->lock);
			im->skipped += skipped;
			buffer_clear(&im->cursor);
			buffer_add_slice(&im->cursor, buffer_slice(&after));
			im->error[0] = '\0';
			pthread_mutex_unlock(&im->lock);
			importer_save(im);
		} while (rc > 0);
		buffer_free(&after);
		if (rc < 0)
			return -1;
		enter(im, IMPORT_FILL);
		store_set_incomplete(im->replicator->store, 0);
		log_fields(LOG_INFO, "replicator.restore",
		    "all that is outside is known here",
		    (const struct log_field[]){ LOG_T("destination", im->name),
			LOG_N("objects", im->known),
			LOG_N("failed", im->failed),
			LOG_N("skipped", im->skipped) },
		    4);
	}
	return 0;
}
