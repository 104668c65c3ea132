#ifndef REPLICATOR_AUDIT_H
#define REPLICATOR_AUDIT_H

#include <jansson.h>
#include <stddef.h>

struct error;

/* Who changed what: a JSON line each in DIR/audit.log (0600), made durable.
 * detail may be NULL and must hold no secret; it is released. A line that
 * cannot be written is logged instead. Any thread. */
void audit_write(const char *dir, const char *who, const char *what,
    const char *name, json_t *detail);

/* Each line; until visit returns nonzero. 0, or -1 and *err. */
int audit_read(const char *dir,
    int (*visit)(const char *line, size_t len, void *arg), void *arg,
    struct error *err);

#endif
