#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/workers.h"
#include "console/call.h"

/* What belongs to a call that is under way. */
struct call_own {
	struct call call;
	struct job job;
	struct http_request *req;
	struct workers *workers;
	call_work *work;
	void *context;
	char *body;
	size_t len;
};

static struct call_own *
own_of(struct job *job)
{
	return (
	    struct call_own *)((char *)job - offsetof(struct call_own, job));
}

static void
end(struct call_own *own)
{
	/* Bodies and answers may hold secrets. */
	bytes_wipe(own->body, own->len);
	free(own->body);
	if (own->call.answer.at != NULL)
		bytes_wipe(own->call.answer.at, own->call.answer.room);
	buffer_free(&own->call.answer);
	free(own);
}

static void
answer(struct job *job)
{
	struct call_own *own = own_of(job);
	struct call *call = &own->call;
	struct buffer headers = BUFFER_INIT;

	if (call->answer.failed) {
		call_text(
		    own->req, 503, "There is no memory for the answer.\n");
		end(own);
		return;
	}
	http_out_header_text(&headers, "Content-Type", call->content_type);
	http_out_header_text(&headers, "Cache-Control", "no-store");
	http_respond(own->req, call->status, &headers, call->answer.at,
	    call->answer.len);
	buffer_free(&headers);
	end(own);
}

static void
work(struct job *job)
{
	struct call_own *own = own_of(job);

	own->work(&own->call, own->context);
	own->job.run = answer;
	http_request_post(own->req, &own->job);
}

static void
body_done(struct http_request *req, long n, int ended, void *arg)
{
	struct call_own *own = arg;

	if (n < 0) {
		http_cut(req);
		end(own);
		return;
	}
	own->len += (size_t)n;
	if (!ended && own->len <= CALL_BODY_MAX_BYTES) {
		http_body_read(req, own->body + own->len,
		    CALL_BODY_MAX_BYTES + 1 - own->len, body_done, own);
		return;
	}
	if (own->len > CALL_BODY_MAX_BYTES) {
		call_text(req, 413, "The body is too large.\n");
		end(own);
		return;
	}
	own->call.body = (struct slice){ own->body, own->len };
	own->job.run = work;
	workers_submit(own->workers, &own->job);
}

void
call_start(struct http_request *req, struct workers *workers, call_work *run,
    void *context)
{
	const struct http_head *head = http_request_head(req);
	struct call_own *own;

	if ((own = calloc(1, sizeof(*own))) == NULL ||
	    (own->body = malloc(CALL_BODY_MAX_BYTES + 1)) == NULL) {
		free(own);
		call_text(req, 503, "There is no memory for this request.\n");
		return;
	}
	own->req = req;
	own->workers = workers;
	own->work = run;
	own->context = context;
	own->call.method = head->method;
	own->call.path = head->path;
	own->call.peer_uid = http_request_peer_uid(req);
	own->call.status = 200;
	own->call.content_type = "application/json";
	http_body_read(req, own->body, CALL_BODY_MAX_BYTES + 1, body_done, own);
}

void
call_text(struct http_request *req, int status, const char *text)
{
	struct buffer headers = BUFFER_INIT;

	http_out_header_text(
	    &headers, "Content-Type", "text/plain; charset=utf-8");
	http_out_header_text(&headers, "Cache-Control", "no-store");
	http_respond(req, status, &headers, text, strlen(text));
	buffer_free(&headers);
}
