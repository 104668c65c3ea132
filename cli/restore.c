#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/progress.h"
#include "cli/say.h"

/* holdfast restore, holdfast hold */

static int
change(struct arguments *args, const char *method, const char *path)
{
	const char *who = getenv("SUDO_USER");
	struct error err = ERROR_INIT;
	json_t *body, *answer = NULL;
	int failed;

	if (who == NULL)
		who = getenv("USER");
	body = json_pack("{s:s}", "who", who == NULL ? "command line" : who);
	failed = control_call(
	    arguments_text(args, "data", 0), method, path, body, &answer, &err);
	json_decref(body);
	json_decref(answer);
	return failed ? say_failure(&err) : 0;
}

static int
look(struct arguments *args, const char *path, json_t **answer)
{
	struct error err = ERROR_INIT;

	if (control_call(arguments_text(args, "data", 0), "GET", path, NULL,
		answer, &err) == 0)
		return 0;
	return say_failure(&err);
}

/* Until all is known, or with --wait here. */
static int
follow(struct arguments *args, json_t **answer)
{
	static const struct timespec nap = { 0, 200000000 };
	int all = arguments_flag(args, "wait");

	for (;;) {
		if (look(args, "/v1/restore", answer) != 0)
			return 1;
		if (json_is_true(
			json_object_get(*answer, all ? "done" : "known_all")) ||
		    !json_is_true(json_object_get(*answer, "active")))
			break;
		if (json_is_true(json_object_get(*answer, "known_all")))
			progress_show((unsigned long long)say_number(
					  *answer, "fill_done"),
			    (unsigned long long)say_number(
				*answer, "fill_total"),
			    "objects are here");
		else
			progress_show(
			    (unsigned long long)say_number(*answer, "known"), 0,
			    "objects are known");
		json_decref(*answer);
		*answer = NULL;
		(void)nanosleep(&nap, NULL);
	}
	progress_end();
	return 0;
}

int
run_restore(struct arguments *args)
{
	const char *from = arguments_text(args, "from", 0);
	json_t *answer = NULL;
	char *path;
	int status;

	if (from != NULL) {
		if ((path = control_path("/v1/restore/", from)) == NULL)
			return 1;
		status = change(args, "POST", path);
		free(path);
		if (status != 0 || follow(args, &answer) != 0)
			return 1;
	} else if (look(args, "/v1/restore", &answer) != 0)
		return 1;
	if (arguments_flag(args, "json"))
		return say_json(answer);
	if (!json_is_true(json_object_get(answer, "active")))
		puts("No restore was begun since the start.");
	else
		printf("from %s: %s; %lld objects known, %lld of %lld here, "
		       "%lld failed%s%s\n",
		    say_text(answer, "destination"), say_text(answer, "phase"),
		    (long long)say_number(answer, "known"),
		    (long long)say_number(answer, "fill_done"),
		    (long long)say_number(answer, "fill_total"),
		    (long long)say_number(answer, "failed"),
		    *say_text(answer, "error") == '\0' ? "" : ": ",
		    say_text(answer, "error"));
	json_decref(answer);
	return 0;
}

int
run_hold(struct arguments *args)
{
	json_t *answer = NULL;

	if (look(args, "/v1/hold", &answer) != 0)
		return 1;
	if (arguments_flag(args, "json"))
		return say_json(answer);
	if (json_is_true(json_object_get(answer, "active")))
		printf("Recovery hold since %s: deletes are kept back for "
		       "%lld days.\n",
		    say_text(answer, "since"),
		    (long long)say_number(answer, "days"));
	else
		puts("No recovery hold.");
	printf("%lld deletes are kept back.\n",
	    (long long)say_number(answer, "kept_back"));
	json_decref(answer);
	return 0;
}

int
run_hold_end(struct arguments *args)
{
	return change(args, "DELETE", "/v1/hold");
}

int
run_hold_undelete(struct arguments *args)
{
	char *path = control_path("/v1/hold/", args->operands[0]);
	int status;

	if (path == NULL)
		return 1;
	status = change(args, "POST", path);
	free(path);
	return status;
}
