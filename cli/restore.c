#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/destination_members.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/who.h"

/* holdfast restore */

#define BUCKETS_SAID 10

static int
look(struct arguments *args, const char *path, json_t **answer)
{
	struct error err = ERROR_INIT;

	if (control_call(arguments_text(args, "data", 0), "GET", path, NULL,
		answer, &err) == 0)
		return 0;
	return say_failure(&err);
}

static void
show_filling(const json_t *answer)
{
	long long left = (long long)say_number(answer, "estimate_seconds");
	char done[32], total[32], note[120];

	(void)say_size(say_number(answer, "fill_done_bytes"), done);
	(void)say_size(say_number(answer, "fill_total_bytes"), total);
	if (left > 0)
		snprintf(note, sizeof(note),
		    "objects are here, %s of %s; %lld s to go", done, total,
		    left);
	else
		snprintf(note, sizeof(note), "objects are here, %s of %s", done,
		    total);
	progress_show((unsigned long long)say_number(answer, "fill_done"),
	    (unsigned long long)say_number(answer, "fill_total"), note);
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
			show_filling(*answer);
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

/* What is there, on the stream that takes no part in --json. */
static void
say_survey(FILE *to, const json_t *s)
{
	const json_t *buckets = json_object_get(s, "buckets");
	long long total = (long long)say_number(s, "buckets_total");
	const char *more =
	    json_is_true(json_object_get(s, "more")) ? "more than " : "";
	char bytes[32];
	size_t i;

	fprintf(to, "There: %s%lld objects, %s%s, in %lld bucket%s", more,
	    (long long)say_number(s, "objects"), more,
	    say_size(say_number(s, "bytes"), bytes), total,
	    total == 1 ? "" : "s");
	for (i = 0; i < json_array_size(buckets) && i < BUCKETS_SAID; i++)
		fprintf(to, "%s%s", i == 0 ? " (" : ", ",
		    json_string_value(json_array_get(buckets, i)));
	fprintf(to, "%s.\n",
	    i == 0                     ? ""
		: (long long)i < total ? ", ...)"
				       : ")");
	if (say_number(s, "backups") > 0)
		fprintf(to, "Velero backups: %lld, the newest is %s.\n",
		    (long long)say_number(s, "backups"),
		    say_text(s, "newest_backup"));
	else
		fputs("No Velero backups.\n", to);
	if (*say_text(s, "last_written") != '\0')
		fprintf(to, "Last written: %s.\n", say_text(s, "last_written"));
	if (json_is_true(json_object_get(s, "owner_is_this")))
		fputs("The path is this store's own.\n", to);
	else if (*say_text(s, "owner") != '\0')
		fprintf(to, "The path belongs to the store %s, since %s.\n",
		    say_text(s, "owner"), say_text(s, "owner_since"));
	else
		fputs("The path belongs to no store.\n", to);
}

/* Says what is there, and then takes it. */
static int
adopt(struct arguments *args, json_t *body)
{
	const char *dir = arguments_text(args, "data", 0), *refusal;
	int look_only = arguments_flag(args, "look");
	int json = arguments_flag(args, "json");
	struct error err = ERROR_INIT;
	json_t *survey = NULL, *answer = NULL;

	if (control_call(
		dir, "POST", "/v1/restore-surveys", body, &survey, &err) != 0)
		return say_failure(&err);
	refusal = say_text(survey, "refusal");
	if (*refusal != '\0')
		error_set(&err, ERR_CONFLICT, "%s", refusal);
	if (!json || !look_only)
		say_survey(json ? stderr : stdout, survey);
	if (json && look_only)
		return say_json(survey);
	json_decref(survey);
	if (err.kind != ERR_NONE)
		return say_failure(&err);
	if (look_only)
		return 0;
	(void)fflush(stdout);
	if (control_call(dir, "POST", "/v1/restore", body, &answer, &err) != 0)
		return say_failure(&err);
	json_decref(answer);
	return 0;
}

static void
say_restore(const json_t *answer)
{
	char done[32], total[32];

	if (!json_is_true(json_object_get(answer, "active"))) {
		puts("No restore was begun since the start.");
		return;
	}
	printf("from %s: %s; %lld objects known, %lld of %lld here (%s of "
	       "%s)",
	    say_text(answer, "destination"), say_text(answer, "phase"),
	    (long long)say_number(answer, "known"),
	    (long long)say_number(answer, "fill_done"),
	    (long long)say_number(answer, "fill_total"),
	    say_size(say_number(answer, "fill_done_bytes"), done),
	    say_size(say_number(answer, "fill_total_bytes"), total));
	if (say_number(answer, "estimate_seconds") > 0)
		printf(", %lld s to go",
		    (long long)say_number(answer, "estimate_seconds"));
	puts("");
	if (say_number(answer, "failed") + say_number(answer, "skipped") > 0)
		printf("%lld could not be adopted, %lld have names that are "
		       "none here: the log names them; they stay there\n",
		    (long long)say_number(answer, "failed"),
		    (long long)say_number(answer, "skipped"));
	if (say_number(answer, "unfilled") > 0)
		printf("%lld could not be fetched so far\n",
		    (long long)say_number(answer, "unfilled"));
	if (*say_text(answer, "error") != '\0')
		printf("last error: %s\n", say_text(answer, "error"));
}

int
run_restore(struct arguments *args)
{
	const char *from = arguments_text(args, "from", 0);
	struct error err = ERROR_INIT;
	json_t *answer = NULL, *body;
	int status;

	if (from != NULL || arguments_text(args, "provider", 0) != NULL) {
		if ((body = destination_request(args, &err)) == NULL)
			return say_failure(&err);
		if (from != NULL)
			(void)json_object_set_new(
			    body, "name", json_string(from));
		status = adopt(args, body);
		json_decref(body);
		if (status != 0 || arguments_flag(args, "look"))
			return status;
		if (follow(args, &answer) != 0)
			return 1;
	} else if (look(args, "/v1/restore", &answer) != 0)
		return 1;
	if (arguments_flag(args, "json"))
		return say_json(answer);
	say_restore(answer);
	json_decref(answer);
	return 0;
}
