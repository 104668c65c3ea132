#ifndef CLI_DESTINATION_MEMBERS_H
#define CLI_DESTINATION_MEMBERS_H

#include <jansson.h>

#include "cli/options.h"

struct error;

/* Adds what an option of a destination says to a request of the control API,
 * whose members have the options' names with underscores; files are read.
 * text: as it was written, valid for the option. 0, or -1 and *err. */
int destination_member(json_t *body, const struct option *option,
    const char *text, struct error *err);

/* The same for an option whose setting is to be taken away. */
int destination_clear(json_t *body, const char *option, struct error *err);

/* The request of a command whose options are a destination's, and some of the
 * command's own; who asks is in it. NULL and *err. */
json_t *destination_request(const struct arguments *, struct error *err);

#endif
