#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/who.h"

/* holdfast hold */

static int
call(struct arguments *args, const char *method, const char *path,
    const char *kept, json_t **answer, struct error *err)
{
	json_t *body;
	int failed;

	body = json_pack("{s:s, s:s*}", "who", who_asks(), "kept", kept);
	failed = control_call(
	    arguments_text(args, "data", 0), method, path, body, answer, err);
	json_decref(body);
	return failed;
}

static void
print_kept(const json_t *answer)
{
	const json_t *kept = json_object_get(answer, "kept"), *one;
	long long n = (long long)say_number(answer, "kept_back");
	size_t i;

	printf("%lld deletes are kept back.\n", n);
	for (i = 0; i < json_array_size(kept); i++) {
		one = json_array_get(kept, i);
		printf("  %s/%s at %s until %s\n", say_text(one, "bucket"),
		    say_text(one, "key"), say_text(one, "destination"),
		    say_text(one, "until"));
	}
}

int
run_hold(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *answer = NULL;
	long long seconds;

	if (call(args, "GET", "/v1/hold", NULL, &answer, &err) != 0)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	seconds = (long long)say_number(answer, "keep_seconds");
	if (!json_is_true(json_object_get(answer, "active")))
		puts("No recovery hold.");
	else if (seconds % 86400 == 0)
		printf("Recovery hold since %s: deletes are kept back for "
		       "%lld days.\n",
		    say_text(answer, "since"), seconds / 86400);
	else
		printf("Recovery hold since %s: deletes are kept back for "
		       "%lld seconds.\n",
		    say_text(answer, "since"), seconds);
	print_kept(answer);
	json_decref(answer);
	return 0;
}

static int
undelete(struct arguments *args, const char *name, struct error *err)
{
	char *path = control_path("/v1/hold/", name);
	json_t *answer = NULL;
	int failed;

	if (path == NULL)
		return error_nomem(err);
	failed = call(args, "POST", path, NULL, &answer, err);
	json_decref(answer);
	free(path);
	return failed;
}

static int
give_back(struct arguments *args, const json_t *kept, struct error *err)
{
	size_t room = strlen(say_text(kept, "bucket")) +
	    strlen(say_text(kept, "key")) + 2;
	char *name = malloc(room);
	int failed;

	if (name == NULL)
		return error_nomem(err);
	snprintf(name, room, "%s/%s", say_text(kept, "bucket"),
	    say_text(kept, "key"));
	failed = undelete(args, name, err);
	free(name);
	/* Another destination kept it back, too. */
	if (failed && err->kind == ERR_NOT_FOUND) {
		error_clear(err);
		failed = 0;
	}
	return failed;
}

/* Gives back all that is kept back, a page at a time. */
static int
drop_kept(struct arguments *args, struct error *err)
{
	unsigned long long done = 0, total;
	json_t *answer = NULL, *kept;
	size_t i, n = 1;
	int failed = 0;

	while (!failed && n > 0) {
		if (call(args, "GET", "/v1/hold", NULL, &answer, err) != 0)
			return -1;
		kept = json_object_get(answer, "kept");
		n = json_array_size(kept);
		total =
		    done + (unsigned long long)say_number(answer, "kept_back");
		for (i = 0; i < n && !failed; i++) {
			failed = give_back(args, json_array_get(kept, i), err);
			progress_show(++done, total, "objects are back");
		}
		json_decref(answer);
		answer = NULL;
	}
	progress_end();
	return failed;
}

/* "send", "wait", "drop"; NULL when nobody said. */
static const char *
ask_kept(const struct error *why)
{
	fprintf(stderr, "%s\n", why->text);
	switch (ask_person("send, wait or drop? ")) {
	case 's':
		return "send";
	case 'w':
		return "wait";
	case 'd':
		return "drop";
	default:
		return NULL;
	}
}

int
run_hold_end(struct arguments *args)
{
	const char *kept = arguments_text(args, "kept", 0), *said = NULL;
	struct error err = ERROR_INIT;
	json_t *answer = NULL;
	int failed;

	for (;;) {
		if (kept != NULL && strcmp(kept, "drop") == 0 &&
		    drop_kept(args, &err) != 0)
			return say_failure(&err);
		failed = call(args, "DELETE", "/v1/hold",
		    kept != NULL && strcmp(kept, "drop") != 0 ? kept : NULL,
		    &answer, &err);
		json_decref(answer);
		answer = NULL;
		if (!failed)
			return 0;
		if (err.kind != ERR_EXISTS || said != NULL)
			return say_failure(&err);
		/* With drop: what was deleted meanwhile. */
		if (kept == NULL && (said = ask_kept(&err)) == NULL)
			return EXIT_USAGE;
		if (said != NULL)
			kept = said;
		error_clear(&err);
	}
}

int
run_hold_undelete(struct arguments *args)
{
	struct error err = ERROR_INIT;

	return undelete(args, args->operands[0], &err) != 0 ? say_failure(&err)
							    : 0;
}
