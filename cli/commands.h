#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stddef.h>

#include "cli/options.h"

/* All commands in the order in which help shows them. */
extern const struct command commands[];
extern const size_t n_commands;

/* The command that words name ("key", "add"), and how many of them its name
 * took; NULL: none. */
const struct command *command_find(int argc, char **argv, int *taken);

/* What each of them does: its exit status. */
int run_serve(struct arguments *);
int run_key_add(struct arguments *);
int run_key_list(struct arguments *);
int run_key_remove(struct arguments *);
int run_bucket_add(struct arguments *);
int run_bucket_list(struct arguments *);
int run_bucket_remove(struct arguments *);
int run_bucket_quota(struct arguments *);
int run_bucket_versioning(struct arguments *);
int run_destination_add(struct arguments *);
int run_destination_set(struct arguments *);
int run_destination_test(struct arguments *);
int run_destination_list(struct arguments *);
int run_destination_pause(struct arguments *);
int run_destination_resume(struct arguments *);
int run_destination_remove(struct arguments *);
int run_destination_log(struct arguments *);
int run_destination_wait(struct arguments *);
int run_backup_list(struct arguments *);
int run_status(struct arguments *);
int run_audit(struct arguments *);
int run_restore(struct arguments *);
int run_hold(struct arguments *);
int run_hold_end(struct arguments *);
int run_hold_undelete(struct arguments *);
int run_check(struct arguments *);
int run_rebuild(struct arguments *);
int run_help(struct arguments *);
int run_version(struct arguments *);

/* A destination's state for people, from the control API's answer. */
struct json_t;
void print_destination(const struct json_t *, const struct json_t *parked);

#endif
