#ifndef CONSOLE_MANAGE_H
#define CONSOLE_MANAGE_H

#include <stdint.h>

#include "base/buffer.h"

struct http_server;
struct replicator;
struct json_t;
struct store;

/*
 * The control API: what a person may do to a running store, as JSON over a
 * method and a path. The control socket serves it, and the command line calls
 * it directly when no server runs, so that both do the same. May wait for the
 * disk; any thread.
 *
 *     GET    /v1/keys                 {"keys": [...]}
 *     POST   /v1/keys                 {"name", "access_key", "secret_key",
 *                                      "rights": [...], "bucket", "prefix"},
 *                                     all but the name optional; answers with
 *                                     the secret, once
 *     DELETE /v1/keys/KEY             an access key, or a key's name
 *     GET    /v1/buckets              {"buckets": [...]}
 *     POST   /v1/buckets              {"name", "quota_bytes", "versioning"}
 *     PATCH  /v1/buckets/BUCKET       {"quota_bytes", "versioning"}
 *     DELETE /v1/buckets/BUCKET
 *     GET    /v1/destinations         {"destinations": [...], "parked": [...]}
 *     POST   /v1/destinations         {"name", "provider", ...}: the fields by
 *                                     their names, "take_over"
 *     PATCH  /v1/destinations/NAME    some of them, null to take one away; or
 *                                     {"paused": true|false}, with
 *                                     "accept_deletes" behind the brake
 *     DELETE /v1/destinations/NAME    nothing outside is changed
 *     POST   /v1/destination-tests    {"name"} of a saved one, or fields;
 *                                     {"passed", "rows": [...]}
 *     GET    /v1/changes              {"changes": [...]}: who changed what of
 *                                     destinations, the newest last
 *     POST   /v1/audits/NAME          {"read_data", "bytes_per_second"}: begins
 *                                     to compare a destination
 *     GET    /v1/audits/NAME          how far it is, and what it has found
 *     GET    /v1/backups              {"backups": [...]}: Velero's, and how
 *                                     far each is outside, by destination
 *     POST   /v1/restore-surveys      {"name"} of a saved destination, or the
 *                                     fields of one; what is there, and why a
 *                                     restore would be refused
 *     POST   /v1/restore              the same body, "take_over": makes the
 *                                     empty store anew from there; with fields,
 *                                     the destination is added
 *     POST   /v1/restore/NAME         {"take_over"}, of a saved one
 *     GET    /v1/restore              how far that is
 *     GET    /v1/hold                 the recovery hold, and which deletes are
 *                                     kept back
 *     DELETE /v1/hold                 ends it; {"kept": "send"|"wait"} says
 *                                     what becomes of these
 *     POST   /v1/hold/BUCKET/KEY      gives back what was deleted under it
 *     GET    /v1/status
 *
 * A failure answers {"error": SENTENCE}. Names in paths are percent-encoded.
 */

struct manage {
	struct store *store;
	struct http_server *server;    /* NULL: no server runs */
	struct replicator *replicator; /* NULL: likewise */
	int64_t started_ms;
	char endpoints[512], admin_address[300];
	int (*bucket_name_valid)(struct slice);
	/* Whose request it is, as the control socket knows it; -1: unknown. */
	long peer_uid;
};

/* An HTTP status, and the answer (NULL for 204), which the caller releases.
 * body may be NULL. */
int manage_json(struct manage *, struct slice method, struct slice path,
    const struct json_t *body, struct json_t **answer);

/* The same in text. */
int manage_text(struct manage *, struct slice method, struct slice path,
    struct slice body, struct buffer *answer);

#endif
