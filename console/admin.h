#ifndef CONSOLE_ADMIN_H
#define CONSOLE_ADMIN_H

#include <stdint.h>

#include "base/buffer.h"
#include "s3api/server.h"

struct admin;
struct error;
struct replicator;
struct store;

/*
 * Two doors for whoever runs the server. The admin port, which may be open to a
 * network: /healthz, /readyz, /metrics; nothing secret, nothing that changes.
 * And the control socket, which the file system guards: /v1/..., by which the
 * command line reaches a running server (console/manage.h).
 */

/* What they tell of and act upon; nothing is owned. */
struct admin_sources {
	struct store *store;
	struct http_server *server;
	struct replicator *replicator;
	/* Appends the figures of the S3 door. */
	void (*door_metrics)(void *door, struct buffer *);
	void *door;
	/* Days that the TLS certificate has left; NULL: there is none. */
	long (*certificate_days)(void *certificate);
	void *certificate;
	int (*bucket_name_valid)(struct slice);
};

/* The sources are copied. NULL without memory. */
struct admin *admin_new(const struct admin_sources *, struct error *err);
/* After the HTTP server has been freed. NULL is allowed. */
void admin_free(struct admin *);

/* Where the server listens, for people: "http://127.0.0.1:9000". Before it
 * runs. The texts are copied, and cut if they are very long. */
void admin_set_addresses(
    struct admin *, const char *endpoints, const char *admin_address);

/* For struct http_listener; their context is the struct admin. */
http_handler admin_handle;
http_handler control_handle;

#endif
