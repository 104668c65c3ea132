#ifndef FUZZ_ANSWERS_H
#define FUZZ_ANSWERS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/destination.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

/*
 * A destination's protocol as a whole against what a hostile or broken service
 * could answer. The HTTP client is replaced by one that answers from the input:
 *
 *     OPERATION MEANS NEWLINE ANSWER ("\n====\n" ANSWER)*
 *
 * OPERATION and MEANS are a character each (see fuzz_operation() and the
 * target), an answer is its status, header lines, an empty line and a body.
 * Behind the last one no connection can be made.
 */

#define FUZZ_SEPARATOR "\n====\n"

static struct slice fuzz_rest;
static int fuzz_calls;

int
http_client_global_init(struct error *err)
{
	(void)err;
	return 0;
}

struct http_client *
http_client_new(const struct http_client_settings *settings, struct error *err)
{
	(void)settings;
	(void)err;
	return NULL;
}

void
http_client_free(struct http_client *client)
{
	(void)client;
}

void
http_call_clear(struct http_call *call)
{
	buffer_free(&call->answer);
	buffer_free(&call->headers_out);
	memset(call, 0, sizeof(*call));
}

static struct slice
fuzz_next(void)
{
	const size_t mark = sizeof(FUZZ_SEPARATOR) - 1;
	struct slice all = fuzz_rest;
	const char *end = NULL;

	if (all.len > 0)
		end = memmem(all.at, all.len, FUZZ_SEPARATOR, mark);
	if (end == NULL) {
		fuzz_rest = SLICE_NULL;
		return all;
	}
	fuzz_rest = (struct slice){ end + mark,
		all.len - (size_t)(end - all.at) - mark };
	return (struct slice){ all.at, (size_t)(end - all.at) };
}

static void
fuzz_drain(struct http_call *call)
{
	char room[4096];
	uint64_t left = call->body_len;
	long n;

	if (call->source == NULL)
		return;
	while (left > 0 &&
	    (n = call->source(call->source_arg, room,
		 left < sizeof(room) ? (size_t)left : sizeof(room))) > 0)
		left -= (uint64_t)n;
}

int
http_client_call(struct http_client *client, struct http_call *call)
{
	struct slice answer = fuzz_next(), line;
	const char *eol;

	(void)client;
	call->status = 0;
	call->has_clock = 0;
	buffer_clear(&call->answer);
	buffer_clear(&call->headers_out);
	memset(&call->fault, 0, sizeof(call->fault));
	if (call->url == NULL || call->method == NULL || ++fuzz_calls > 200)
		abort();
	fuzz_drain(call);
	if (answer.len < 3)
		return fault_set(&call->fault, FAULT_RETRY, "Nobody is there.");
	if (answer.at[0] >= '1' && answer.at[0] <= '5')
		call->status = (answer.at[0] - '0') * 100 +
		    (answer.at[1] & 0xf) * 10 + (answer.at[2] & 0xf);
	else
		call->status = 200;
	for (;;) {
		eol = memchr(answer.at, '\n', answer.len);
		line = (struct slice){ answer.at,
			eol != NULL ? (size_t)(eol - answer.at) : answer.len };
		answer.at += line.len + (eol != NULL);
		answer.len -= line.len + (eol != NULL);
		if (line.len == 0 || eol == NULL)
			break;
		if (memchr(line.at, ':', line.len) == NULL)
			continue;
		buffer_add_slice(&call->headers_out, line);
		buffer_add_text(&call->headers_out, "\r\n");
	}
	if (call->sink != NULL && call->status / 100 == 2) {
		if (answer.len > 0 &&
		    call->sink(call->sink_arg, answer.at, answer.len) != 0)
			return fault_set(
			    &call->fault, FAULT_RETRY, "It is not wanted.");
	} else if (answer.len > 0)
		buffer_add_slice(&call->answer, answer);
	http_answer_facts(call);
	return 0;
}

static int
fuzz_read(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	(void)arg;
	(void)offset;
	(void)fault;
	memset(bytes, 'x', len);
	return 0;
}

struct fuzz_list {
	struct buffer last;
};

static int
fuzz_entry(const struct remote_entry *e, void *arg)
{
	struct fuzz_list *l = arg;

	if (e->key.len == 0 ||
	    (l->last.len > 0 &&
		slice_compare(e->key, buffer_slice(&l->last)) <= 0) ||
	    memchr(e->etag, '\0', sizeof(e->etag)) == NULL)
		__builtin_trap();
	buffer_clear(&l->last);
	buffer_add_slice(&l->last, e->key);
	return 0;
}

static void
fuzz_row(const struct probe_row *row, void *arg)
{
	(void)arg;
	if (memchr(row->text, '\0', sizeof(row->text)) == NULL ||
	    memchr(row->step, '\0', sizeof(row->step)) == NULL)
		__builtin_trap();
}

static int
fuzz_upload(const struct destination_protocol *table, void *session,
    const struct remote_object *o, const struct remote_source *source,
    struct fault *fault)
{
	struct remote_upload upload = { .part_bytes = 0 };
	struct remote_part part = { 1, "" };

	upload.source = source;
	if (table->begin(session, o, &upload, fault) != 0)
		return -1;
	if (memchr(upload.state, '\0', sizeof(upload.state)) == NULL)
		__builtin_trap();
	if (table->part(session, o, &upload, 1, 0, o->size, source, &part,
		fault) == 0 &&
	    table->finish(session, o, &upload, &part, 1, fault) == 0)
		return 0;
	*fault = (struct fault)FAULT_INIT;
	return table->abort(session, o->key, &upload, fault);
}

static int
fuzz_call(const struct destination_protocol *table, void *session,
    char operation, struct fault *fault)
{
	const struct remote_source source = { fuzz_read, NULL };
	const struct remote_object o = { .key = SLICE_LITERAL("a/key"),
		.size = 40,
		.etag = "0123456789abcdef0123456789abcdef",
		.version = 7,
		.mtime_ms = 1700000000000 };
	struct fuzz_list list = { BUFFER_INIT };
	struct remote_stat stat;
	char bytes[64];
	int rc;

	switch (operation) {
	case 's':
		memset(&stat, 0, sizeof(stat));
		rc = table->stat(session, o.key, &stat, fault);
		if (memchr(stat.etag, '\0', sizeof(stat.etag)) == NULL ||
		    memchr(stat.original_etag, '\0',
			sizeof(stat.original_etag)) == NULL)
			__builtin_trap();
		buffer_free(&stat.memory);
		return rc;
	case 'g':
		return table->get(session, o.key, 3, 20, bytes, fault);
	case 'p':
		return table->put(session, &o, &source, 0, fault);
	case 'i':
		return table->put(session, &o, &source, 1, fault);
	case 'b':
		return fuzz_upload(table, session, &o, &source, fault);
	case 'r':
		return table->remove(session, o.key, fault);
	case 't':
		return table->retag(session, &o, fault);
	case 'P':
		return table->probe(session, fuzz_row, NULL, fault);
	default:
		rc = table->list(
		    session, SLICE_NULL, SLICE_NULL, fuzz_entry, &list, fault);
		buffer_free(&list.last);
		return rc;
	}
}

/* One run of the input against a destination with these fields. */
static void
fuzz_operation(const struct destination_protocol *table,
    const struct destination_fields *fields, const uint8_t *bytes, size_t len)
{
	struct fault fault = FAULT_INIT;
	void *shared, *session;
	int rc;

	if (len < 3)
		return;
	fuzz_rest = (struct slice){ (const char *)bytes + 3, len - 3 };
	fuzz_calls = 0;
	if ((shared = table->open(fields, NULL)) == NULL ||
	    (session = table->session(shared, NULL)) == NULL)
		abort();
	rc = fuzz_call(table, session, (char)bytes[0], &fault);
	if ((rc != 0) != (fault.kind != FAULT_NONE && rc != 0) ||
	    memchr(fault.text, '\0', sizeof(fault.text)) == NULL ||
	    memchr(fault.code, '\0', sizeof(fault.code)) == NULL)
		__builtin_trap();
	table->session_close(session);
	table->close(shared);
}

#endif
