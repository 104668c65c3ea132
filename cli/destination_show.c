#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/say.h"

/* What is told of destinations. */

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

static void
print_behind(const json_t *d)
{
	const json_t *estimate = json_object_get(d, "estimate_seconds");
	char bytes[32], rate[32], lag[32], left[32];

	say_duration(
	    (long long)say_number(d, "lag_ms") / 1000, lag, sizeof(lag));
	printf("  behind      %s, %s, %lld changes; %s/s now", lag,
	    say_size(say_number(d, "lag_bytes"), bytes),
	    (long long)say_number(d, "lag_entries"),
	    say_size(say_number(d, "rate_bytes_per_second"), rate));
	if (!json_is_integer(estimate))
		printf("; no telling when it is done");
	else if (json_integer_value(estimate) > 0) {
		say_duration((long long)json_integer_value(estimate), left,
		    sizeof(left));
		printf("; about %s to go", left);
	}
	putchar('\n');
}

static void
print_waiting(const json_t *d)
{
	long long total = (long long)say_number(d, "seed_total");

	if (strcmp(say_text(d, "state"), "seeding") == 0 && total > 0)
		printf("  seeded      %lld of %lld objects\n",
		    (long long)say_number(d, "seed_done"), total);
	if (say_number(d, "kept_back") > 0)
		printf("  kept back   %lld deletes: `holdfast hold` lists "
		       "them\n",
		    (long long)say_number(d, "kept_back"));
	if (say_number(d, "held") > 0)
		printf("  held back   %lld backups are not whole yet\n",
		    (long long)say_number(d, "held"));
}

/* The first few; parked: of all destinations. */
static void
print_parked(const json_t *d, const json_t *parked)
{
	const json_t *one;
	size_t i, shown = 0;

	if (say_number(d, "parked") == 0)
		return;
	printf("  parked      %lld objects could not be taken, and are tried "
	       "again hourly:\n",
	    (long long)say_number(d, "parked"));
	for (i = 0; i < json_array_size(parked) && shown < 10; i++) {
		one = json_array_get(parked, i);
		if (strcmp(say_text(one, "destination"), say_text(d, "name")) !=
		    0)
			continue;
		printf("              %s/%s: %s\n", say_text(one, "bucket"),
		    say_text(one, "key"), say_text(one, "reason"));
		shown++;
	}
	if (say_number(d, "parked") > (json_int_t)shown)
		puts("              and more: `holdfast destination list "
		     "--json` names 1,000");
}

void
print_destination(const json_t *d, const json_t *parked)
{
	const char *reason = say_text(d, "reason");
	long long clock = (long long)say_number(d, "clock_offset_ms");

	printf("%s: %s%s%s\n", say_text(d, "name"), say_text(d, "state"),
	    *reason == '\0' ? "" : ": ", reason);
	printf("  to          %s%s\n", say_text(d, "place"),
	    json_is_true(json_object_get(d, "from_config"))
		? " (set by the configuration file)"
		: "");
	if (json_is_string(json_object_get(d, "safe_until")))
		printf("  safe until  %s\n", say_text(d, "safe_until"));
	else
		printf("  safe until  not yet: the copy is no consistent past "
		       "of the store\n");
	print_behind(d);
	print_waiting(d);
	print_parked(d, parked);
	if (clock >= 5000 || clock <= -5000)
		printf("  clock       theirs is %+lld s from this machine's; "
		       "signatures are corrected\n",
		    clock / 1000);
	if (*say_text(d, "last_error") != '\0')
		printf("  last error  %s: %s\n", say_text(d, "last_error_time"),
		    say_text(d, "last_error"));
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

int
run_destination_list(struct arguments *args)
{
	const json_t *list;
	json_t *answer;
	int status;
	size_t i;

	if ((status = look(args, "/v1/destinations", &answer)) != 0)
		return status;
	if (arguments_flag(args, "json"))
		return say_json(answer);
	list = json_object_get(answer, "destinations");
	if (json_array_size(list) == 0)
		puts("No destinations: `holdfast destination add NAME` makes "
		     "one.");
	for (i = 0; i < json_array_size(list); i++)
		print_destination(
		    json_array_get(list, i), json_object_get(answer, "parked"));
	json_decref(answer);
	return 0;
}

/* "member: from -> to" or "member: value" of each, in one line. */
static void
print_detail(const json_t *detail)
{
	const char *name, *before = "";
	char *from, *to;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)detail, name, value)
	{
		to = json_dumps(json_is_object(value)
			? json_object_get(value, "to")
			: value,
		    JSON_ENCODE_ANY | JSON_COMPACT);
		from = json_dumps(json_object_get(value, "from"),
		    JSON_ENCODE_ANY | JSON_COMPACT);
		printf("%s%s: %s%s%s", before, name, from == NULL ? "" : from,
		    from == NULL ? "" : " -> ", to == NULL ? "" : to);
		free(from);
		free(to);
		before = ", ";
	}
}

int
run_destination_log(struct arguments *args)
{
	const json_t *list, *one;
	json_t *answer;
	int status;
	size_t i;

	if ((status = look(args, "/v1/changes", &answer)) != 0)
		return status;
	list = json_object_get(answer, "changes");
	for (i = args->n_operands > 0 ? json_array_size(list) : 0; i-- > 0;)
		if (strcmp(say_text(json_array_get(list, i), "name"),
			args->operands[0]) != 0)
			(void)json_array_remove((json_t *)(uintptr_t)list, i);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	for (i = 0; i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		printf("%s  %s  %s %s  ", say_text(one, "time"),
		    say_text(one, "who"), say_text(one, "what"),
		    say_text(one, "name"));
		print_detail(json_object_get(one, "detail"));
		putchar('\n');
	}
	json_decref(answer);
	return 0;
}
