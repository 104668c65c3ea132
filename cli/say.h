#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <jansson.h>

struct error;

/* How commands speak. */

/* The error as a line on standard error. Returns the exit status. */
int say_failure(const struct error *);
/* An answer as JSON on standard output; releases it. Returns 0. */
int say_json(json_t *);
/* Members, with "" and 0 for those that are missing. */
const char *say_text(const json_t *, const char *name);
json_int_t say_number(const json_t *, const char *name);
/* A size for people; the text is the caller's (32 bytes). */
const char *say_size(json_int_t bytes, char *text);

#endif
