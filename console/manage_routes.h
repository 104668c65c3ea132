#ifndef CONSOLE_MANAGE_ROUTES_H
#define CONSOLE_MANAGE_ROUTES_H

#include <jansson.h>

#include "console/manage.h"

struct error;

/* What manage.c's table calls, for the files of console/manage*.c alone. Each
 * returns the HTTP status of its success, or -1 and *err. */
typedef int manage_route(struct manage *, struct slice name, const json_t *body,
    json_t **answer, struct error *err);

manage_route manage_list_keys, manage_add_key, manage_remove_key;
manage_route manage_list_buckets, manage_add_bucket, manage_set_bucket,
    manage_remove_bucket;
manage_route manage_list_destinations, manage_add_destination,
    manage_set_destination, manage_remove_destination, manage_test_destination;
manage_route manage_list_changes;
manage_route manage_audit, manage_audit_status;
manage_route manage_list_backups;
manage_route manage_restore, manage_restore_from, manage_survey,
    manage_restore_status, manage_hold_status, manage_hold_end, manage_undelete;
manage_route manage_status;

/* Adds "destinations" and "parked" to the answer. */
int destinations_json(struct replicator *, json_t *answer, struct error *err);

/* Who asks, for the log of changes: the peer of the control socket, and for
 * whom it says to ask ("who" of the body). */
#define MANAGE_WHO_BYTES 200
void manage_who(
    const struct manage *, const json_t *body, char who[MANAGE_WHO_BYTES]);

/* A time of the wall clock; null for 0. */
json_t *manage_time(int64_t wall_ms);

/* A member that may be missing (NULL). 0, or -1 and *err if it is no text. */
int manage_string(
    const json_t *body, const char *name, const char **text, struct error *err);

#endif
