#ifndef REPLICATOR_FIELDS_H
#define REPLICATOR_FIELDS_H

struct error;

/*
 * What people fill in, as all protocols read it: a destination's fields. Pure
 * functions; any thread. Errors name the field and the remedy.
 */

/* Neither NULL nor empty. */
int field_is_set(const char *text);
/* A copy in *to, which stays as it is when the field is not set. */
int field_copy(char **to, const char *text, struct error *err);
int field_ends(const char *text, const char *end);
/* The path: slashes at the ends go; what is left ends with one. */
int field_path(const char *text, char **path, struct error *err);
/* An endpoint, "https://host:port/base" or without a scheme, which then is
 * https. The host is in lower case, with its port unless that is the scheme's
 * own; the base is "" or "/...", without a slash at its end. form: how to write
 * it. */
int field_endpoint(const char *text, const char *form, int *https, char **host,
    char **base, struct error *err);

#endif
