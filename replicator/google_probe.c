#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/probe_steps.h"

/* What is Google's own about the Test button. */

static struct http_call *
call(void *session)
{
	return &((struct google_session *)session)->call;
}

static int
knock(void *session)
{
	struct google_session *s = session;
	struct http_call *c = &s->call;

	c->method = "GET";
	c->url = s->shared->origin;
	c->headers = NULL;
	c->n_headers = 0;
	c->body = NULL;
	c->body_len = 0;
	c->source = NULL;
	c->sink = NULL;
	if (http_client_call(s->http, c) == 0 && c->has_clock)
		atomic_store(&s->shared->clock_offset_ms, c->clock_offset_ms);
	c->url = NULL;
	return s->shared->https;
}

static int
credentials(void *session, struct fault *fault)
{
	struct google_session *s = session;
	struct buffer header = BUFFER_INIT;
	int rc;

	rc = token_get(s->shared->tokens, s->http, &header, NULL, fault);
	if (header.at != NULL)
		bytes_wipe(header.at, header.len);
	buffer_free(&header);
	return rc;
}

static int
is_of_authentication(const struct fault *f)
{
	return f->status == 401;
}

static int
is_list_denied(const struct fault *f)
{
	return f->status == 403;
}

static void
identity(void *session, char *text, size_t room)
{
	struct google_session *s = session;

	snprintf(text, room, "As %s.", token_principal(s->shared->tokens));
}

static void
bucket_row(void *session, struct probe_writer *rows)
{
	probe_ok(rows, "bucket", "%s",
	    ((struct google_session *)session)->shared->bucket);
}

static const char *
put_text(void *session)
{
	(void)session;
	return "Google's checksums were compared.";
}

static int
rules(void *session, struct probe_writer *rows)
{
	struct google_rules found = { .known = 0 };

	google_probe_rules(session, rows, &found);
	return found.retention_s > 0;
}

/* A generation is asked for once. */
static int
version(void *session, char *name, size_t room)
{
	struct google_session *s = session;
	uint64_t generation = s->generation;

	s->generation = 0;
	snprintf(name, room, "%" PRIu64, generation);
	return generation != 0;
}

static int
remove_version(
    void *session, struct slice key, const char *name, struct fault *fault)
{
	struct google_session *s = session;
	struct google_request req = { .op = GOOGLE_DELETE, .method = "DELETE" };

	google_url_object(s->shared, &req, key);
	google_query(&req, "generation", slice_text(name));
	return google_send(s, &req, fault);
}

int
google_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	static const struct probe_protocol protocol = {
		.table = &destination_google,
		.call = call,
		.knock = knock,
		.credentials = credentials,
		.is_of_authentication = is_of_authentication,
		.is_list_denied = is_list_denied,
		.list_permission = "storage.objects.list",
		.identity = identity,
		.bucket = bucket_row,
		.put = put_text,
		.multipart =
		    "A resumable upload was finished, and one given up.",
		.rules = rules,
		.version = version,
		.remove_version = remove_version,
	};

	return probe_steps(&protocol, session,
	    ((struct google_session *)session)->shared, visit, arg, fault);
}
