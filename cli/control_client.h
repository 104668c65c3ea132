#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include <jansson.h>

struct error;

/*
 * How commands reach a store (console/manage.h): through the control socket of
 * the server that owns the data directory or, when none runs, by opening the
 * store for the moment.
 */

/* 0 and *answer (NULL when there is nothing to tell), which the caller
 * releases; or -1 and *err, the sentence of whoever refused. body may be NULL.
 */
int control_call(const char *dir, const char *method, const char *path,
    const json_t *body, json_t **answer, struct error *err);

/* A path with a percent-encoded name behind it; NULL without memory. The caller
 * frees it. */
char *control_path(const char *path, const char *name);

#endif
