#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/who.h"

/* holdfast audit */

#define LOOK_MS 200

enum {
	AUDIT_SAME = 0,
	AUDIT_DIFFERS = 1,
	AUDIT_IMPOSSIBLE = 3
};

static int
impossible(const struct error *err)
{
	(void)say_failure(err);
	return AUDIT_IMPOSSIBLE;
}

static int
begin(struct arguments *args, const char *path, struct error *err)
{
	json_t *body, *answer = NULL;
	int failed;

	body = json_pack("{s:s, s:b, s:I}", "who", who_asks(), "read_data",
	    arguments_flag(args, "read-data"), "bytes_per_second",
	    (json_int_t)arguments_number(args, "rate"));
	failed = control_call(
	    arguments_text(args, "data", 0), "POST", path, body, &answer, err);
	json_decref(body);
	json_decref(answer);
	return failed;
}

/* Until it has ended; its last state in *answer. */
static int
follow(struct arguments *args, const char *path, json_t **answer,
    struct error *err)
{
	static const struct timespec nap = { 0, LOOK_MS * 1000000L };
	unsigned long long done, total;
	char note[120], size[32], left[40];

	for (;;) {
		if (control_call(arguments_text(args, "data", 0), "GET", path,
			NULL, answer, err) != 0)
			return -1;
		if (!json_is_true(json_object_get(*answer, "running")))
			break;
		done = (unsigned long long)say_number(*answer, "objects");
		total = (unsigned long long)say_number(*answer, "total");
		snprintf(note, sizeof(note), "objects, %s read%s",
		    say_size(say_number(*answer, "bytes_read"), size),
		    progress_left(done, total, left));
		progress_show(done, total, note);
		json_decref(*answer);
		*answer = NULL;
		(void)nanosleep(&nap, NULL);
	}
	progress_end();
	return 0;
}

static int
status_of(const json_t *answer)
{
	if (*say_text(answer, "error") != '\0')
		return AUDIT_IMPOSSIBLE;
	return say_number(answer, "missing") + say_number(answer, "different") >
		0
	    ? AUDIT_DIFFERS
	    : AUDIT_SAME;
}

static void
print_result(const json_t *answer)
{
	const json_t *findings = json_object_get(answer, "findings"), *one;
	char size[32];
	size_t i;

	for (i = 0; i < json_array_size(findings); i++) {
		one = json_array_get(findings, i);
		printf("%s: %s: %s\n", say_text(one, "finding"),
		    say_text(one, "key"), say_text(one, "text"));
	}
	printf("%lld objects compared, %s read: %lld missing, %lld different, "
	       "%lld there alone; %lld sent again\n",
	    (long long)say_number(answer, "objects"),
	    say_size(say_number(answer, "bytes_read"), size),
	    (long long)say_number(answer, "missing"),
	    (long long)say_number(answer, "different"),
	    (long long)say_number(answer, "foreign"),
	    (long long)say_number(answer, "sent_again"));
	if (say_number(answer, "pending") > 0)
		printf("%lld were left out: changes of them are on their way\n",
		    (long long)say_number(answer, "pending"));
	if (say_number(answer, "parked") > 0)
		printf("%lld were left out: the destination could not take "
		       "them\n",
		    (long long)say_number(answer, "parked"));
}

int
run_audit(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *answer = NULL;
	char *path;
	int status;

	path = control_path("/v1/audits/", args->operands[0]);
	if (path == NULL) {
		error_nomem(&err);
		return impossible(&err);
	}
	status = begin(args, path, &err) != 0 ||
	    follow(args, path, &answer, &err) != 0;
	free(path);
	if (status != 0)
		return impossible(&err);
	status = status_of(answer);
	if (arguments_flag(args, "json")) {
		(void)say_json(answer);
		return status;
	}
	print_result(answer);
	if (status == AUDIT_IMPOSSIBLE)
		fprintf(stderr,
		    "holdfast: the audit did not come to its end: %s\n",
		    say_text(answer, "error"));
	json_decref(answer);
	return status;
}
