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

#endif
