#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/destination_members.h"
#include "cli/say.h"
#include "cli/who.h"

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
pause_one(struct arguments *args, int pause, int accept, struct error *err)
{
	char *path = control_path("/v1/destinations/", args->operands[0]);
	json_t *body, *answer = NULL;
	int failed;

	body = json_pack("{s:s, s:b, s:b}", "who", who_asks(), "paused", pause,
	    "accept_deletes", accept);
	failed = path == NULL ? error_nomem(err)
			      : call(args, "PATCH", path, body, &answer, err);
	free(path);
	json_decref(body);
	json_decref(answer);
	return failed;
}

int
run_destination_pause(struct arguments *args)
{
	struct error err = ERROR_INIT;

	return pause_one(args, 1, 0, &err) != 0 ? say_failure(&err) : 0;
}

int
run_destination_resume(struct arguments *args)
{
	int accept = arguments_flag(args, "accept-deletes");
	struct error err = ERROR_INIT;

	if (pause_one(args, 0, accept, &err) == 0)
		return 0;
	if (!accept && strstr(err.text, "--accept-deletes") != NULL) {
		fprintf(stderr, "%s\n", err.text);
		if (ask_person("Let the deletes follow? [y/N] ") != 'y')
			return 1;
		error_clear(&err);
		if (pause_one(args, 0, 1, &err) == 0)
			return 0;
	}
	return say_failure(&err);
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
