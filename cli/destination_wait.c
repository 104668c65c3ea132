#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/progress.h"
#include "cli/say.h"

/* holdfast destination wait */

#define LOOK_NS 200000000

static const json_t *
find_one(const json_t *answer, const char *name)
{
	const json_t *list = json_object_get(answer, "destinations"), *one;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		if (strcmp(say_text(one, "name"), name) == 0)
			return one;
	}
	return NULL;
}

static void
show(const json_t *d, unsigned long long *most)
{
	unsigned long long done, total, behind;
	char note[160], left[40], rate[32];

	behind = (unsigned long long)say_number(d, "lag_entries");
	if (behind > *most)
		*most = behind;
	if (strcmp(say_text(d, "state"), "seeding") == 0) {
		done = (unsigned long long)say_number(d, "seed_done");
		total = (unsigned long long)say_number(d, "seed_total");
	} else {
		done = *most - behind;
		total = *most;
	}
	snprintf(note, sizeof(note), "%s, %s/s%s", say_text(d, "state"),
	    say_size(say_number(d, "rate_bytes_per_second"), rate),
	    progress_left(done, total, left));
	progress_show(done, total, note);
}

/* 1: it has caught up; 0: not yet; -1: it will not. */
static int
look_at(const json_t *d)
{
	const char *state = say_text(d, "state");

	if (strcmp(state, "paused") == 0 || strcmp(state, "stopped") == 0)
		return -1;
	return strcmp(state, "consistent") == 0 &&
	    say_number(d, "lag_entries") == 0;
}

int
run_destination_wait(struct arguments *args)
{
	static const struct timespec nap = { 0, LOOK_NS };
	const char *name = args->operands[0];
	struct error err = ERROR_INIT;
	unsigned long long most = 0;
	json_t *answer = NULL;
	const json_t *d;
	int there = 0;

	while (there == 0) {
		if (control_call(arguments_text(args, "data", 0), "GET",
			"/v1/destinations", NULL, &answer, &err) != 0)
			break;
		if ((d = find_one(answer, name)) == NULL)
			error_set(&err, ERR_NOT_FOUND,
			    "there is no destination \"%s\": `holdfast "
			    "destination list` shows them",
			    name);
		else if ((there = look_at(d)) == 0)
			show(d, &most);
		else if (there < 0)
			error_set(&err, ERR_CONFLICT, "%s is %s: %s", name,
			    say_text(d, "state"), say_text(d, "reason"));
		json_decref(answer);
		answer = NULL;
		if (err.kind != ERR_NONE)
			break;
		if (there == 0)
			(void)nanosleep(&nap, NULL);
	}
	progress_end();
	return there == 1 ? 0 : say_failure(&err);
}
