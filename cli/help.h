#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

struct command;

/* What `holdfast help` prints. */
void help_overview(FILE *);
/* What `holdfast help COMMAND` prints. Returns 0, an exit status. */
int help_command(FILE *, const struct command *);
/* The manual page, in roff with man(7)'s macros. */
void help_manual(FILE *);

#endif
