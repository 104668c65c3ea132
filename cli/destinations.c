#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/destination_members.h"
#include "cli/say.h"

/* holdfast destination */

/* ---- commands ---- */

static int
call(const struct arguments *args, const char *method, const char *path,
    const json_t *body, json_t **answer, struct error *err)
{
	return control_call(
	    arguments_text(args, "data", 0), method, path, body, answer, err);
}

int
run_destination_add(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *body, *answer;
	int failed;

	if ((body = destination_request(args, &err)) == NULL)
		return say_failure(&err);
	(void)json_object_set_new(body, "name", json_string(args->operands[0]));
	failed = call(args, "POST", "/v1/destinations", body, &answer, &err);
	json_decref(body);
	if (failed)
		return say_failure(&err);
	json_decref(answer);
	return 0;
}

/* PATCH or DELETE of one. */
static int
change_one(struct arguments *args, const char *method, json_t *body)
{
	struct error err = ERROR_INIT;
	json_t *answer = NULL;
	char *path;
	int failed;

	path = control_path("/v1/destinations/", args->operands[0]);
	failed = path == NULL ? error_nomem(&err)
			      : call(args, method, path, body, &answer, &err);
	free(path);
	json_decref(body);
	if (failed)
		return say_failure(&err);
	json_decref(answer);
	return 0;
}

int
run_destination_set(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *body;

	if ((body = destination_request(args, &err)) == NULL)
		return say_failure(&err);
	return change_one(args, "PATCH", body);
}

int
run_destination_remove(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *body;

	if ((body = destination_request(args, &err)) == NULL)
		return say_failure(&err);
	return change_one(args, "DELETE", body);
}

static int
pause_one(struct arguments *args, int pause)
{
	struct error err = ERROR_INIT;
	json_t *body;

	if ((body = destination_request(args, &err)) == NULL)
		return say_failure(&err);
	(void)json_object_set_new(body, "paused", json_boolean(pause));
	return change_one(args, "PATCH", body);
}

int
run_destination_pause(struct arguments *args)
{
	return pause_one(args, 1);
}

int
run_destination_resume(struct arguments *args)
{
	return pause_one(args, 0);
}

int
run_destination_test(struct arguments *args)
{
	struct error err = ERROR_INIT;
	const json_t *rows, *row;
	json_t *body, *answer;
	int failed, passed;
	size_t i;

	if ((body = destination_request(args, &err)) == NULL)
		return say_failure(&err);
	if (args->n_operands > 0)
		(void)json_object_set_new(
		    body, "name", json_string(args->operands[0]));
	failed =
	    call(args, "POST", "/v1/destination-tests", body, &answer, &err);
	json_decref(body);
	if (failed)
		return say_failure(&err);
	passed = json_is_true(json_object_get(answer, "passed"));
	if (arguments_flag(args, "json")) {
		(void)say_json(answer);
		return passed ? 0 : 1;
	}
	rows = json_object_get(answer, "rows");
	for (i = 0; i < json_array_size(rows); i++) {
		row = json_array_get(rows, i);
		printf("%-8s %-14s %6lld ms  %s\n", say_text(row, "result"),
		    say_text(row, "step"),
		    (long long)say_number(row, "us") / 1000,
		    say_text(row, "text"));
	}
	json_decref(answer);
	return passed ? 0 : 1;
}

static void
say_duration(long long seconds, char *text, size_t room)
{
	if (seconds < 120)
		snprintf(text, room, "%llds", seconds);
	else if (seconds < 7200)
		snprintf(text, room, "%lldm", seconds / 60);
	else
		snprintf(text, room, "%lldh", seconds / 3600);
}

void
print_destination(const json_t *d)
{
	const char *reason = say_text(d, "reason");
	long long total = (long long)say_number(d, "seed_total");
	char bytes[32], rate[32], lag[32];

	say_duration(
	    (long long)say_number(d, "lag_ms") / 1000, lag, sizeof(lag));
	printf("%s: %s%s%s\n", say_text(d, "name"), say_text(d, "state"),
	    *reason == '\0' ? "" : ": ", reason);
	printf("  to          %s\n", say_text(d, "place"));
	if (json_is_string(json_object_get(d, "safe_until")))
		printf("  safe until  %s\n", say_text(d, "safe_until"));
	else
		printf("  safe until  not yet: the first copy is not whole\n");
	printf("  behind      %s, %s, %lld changes; %s/s now\n", lag,
	    say_size(say_number(d, "lag_bytes"), bytes),
	    (long long)say_number(d, "lag_entries"),
	    say_size(say_number(d, "rate_bytes_per_second"), rate));
	if (strcmp(say_text(d, "state"), "seeding") == 0 && total > 0)
		printf("  seeded      %lld of %lld objects\n",
		    (long long)say_number(d, "seed_done"), total);
	if (say_number(d, "parked") > 0)
		printf("  parked      %lld objects could not be taken: "
		       "`holdfast destination list --json` names them\n",
		    (long long)say_number(d, "parked"));
	if (say_number(d, "held") > 0)
		printf("  held back   %lld backups are not whole yet\n",
		    (long long)say_number(d, "held"));
	if (*say_text(d, "last_error") != '\0')
		printf("  last error  %s: %s\n", say_text(d, "last_error_time"),
		    say_text(d, "last_error"));
}

int
run_destination_list(struct arguments *args)
{
	struct error err = ERROR_INIT;
	const json_t *list;
	json_t *answer;
	size_t i;

	if (call(args, "GET", "/v1/destinations", NULL, &answer, &err) != 0)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	list = json_object_get(answer, "destinations");
	if (json_array_size(list) == 0)
		puts("No destinations: `holdfast destination add NAME` makes "
		     "one.");
	for (i = 0; i < json_array_size(list); i++)
		print_destination(json_array_get(list, i));
	json_decref(answer);
	return 0;
}
