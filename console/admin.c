#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "console/admin.h"
#include "console/call.h"
#include "console/manage.h"
#include "console/metrics.h"
#include "console/ready.h"
#include "store/store.h"

struct admin {
	struct admin_sources sources;
	struct manage manage;
};

struct admin *
admin_new(const struct admin_sources *sources, struct error *err)
{
	struct admin *admin;

	if ((admin = calloc(1, sizeof(*admin))) == NULL) {
		(void)error_nomem(err);
		return NULL;
	}
	admin->sources = *sources;
	admin->manage.store = sources->store;
	admin->manage.server = sources->server;
	admin->manage.replicator = sources->replicator;
	admin->manage.bucket_name_valid = sources->bucket_name_valid;
	admin->manage.started_ms = clock_wall_ms();
	return admin;
}

void
admin_free(struct admin *admin)
{
	free(admin);
}

void
admin_set_addresses(
    struct admin *admin, const char *endpoints, const char *admin_address)
{
	snprintf(admin->manage.endpoints, sizeof(admin->manage.endpoints), "%s",
	    endpoints);
	snprintf(admin->manage.admin_address,
	    sizeof(admin->manage.admin_address), "%s", admin_address);
}

static void
work_metrics(struct call *call, void *context)
{
	struct admin *admin = context;

	call->content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(&call->answer, &admin->sources);
}

static void
work_ready(struct call *call, void *context)
{
	struct admin *admin = context;

	call->content_type = "text/plain; charset=utf-8";
	call->status = ready_write(&call->answer, admin->sources.store);
}

static const struct {
	const char *path;
	call_work *work; /* NULL: answered at once */
} pages[] = {
	{ "/healthz", NULL },
	{ "/readyz", work_ready },
	{ "/metrics", work_metrics },
};

void
admin_handle(struct http_request *req, void *context)
{
	const struct http_head *head = http_request_head(req);
	struct admin *admin = context;
	size_t i;

	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (slice_is(head->path, pages[i].path))
			break;
	if (i == sizeof(pages) / sizeof(pages[0]))
		call_text(req, 404,
		    "Here are /healthz, /readyz and /metrics. S3 has a port of "
		    "its own.\n");
	else if (!slice_is(head->method, "GET") &&
	    !slice_is(head->method, "HEAD"))
		call_text(req, 405, "Only GET and HEAD are served here.\n");
	else if (pages[i].work == NULL)
		call_text(req, 200, "The server runs.\n");
	else
		call_start(req, store_workers(admin->sources.store),
		    pages[i].work, admin);
}

static void
work_control(struct call *call, void *context)
{
	const struct admin *admin = context;
	struct manage manage = admin->manage;

	manage.peer_uid = call->peer_uid;
	call->status = manage_text(
	    &manage, call->method, call->path, call->body, &call->answer);
}

void
control_handle(struct http_request *req, void *context)
{
	struct admin *admin = context;

	call_start(
	    req, store_workers(admin->sources.store), work_control, admin);
}
