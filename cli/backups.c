#include <stdio.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/say.h"

/* holdfast backup */

static void
print_backup(const json_t *b)
{
	const char *phase = say_text(b, "phase"), *name;
	const json_t *verified, *states = json_object_get(b, "destinations");
	json_t *state;
	char size[32];

	printf("%s/%s%s: %s, %lld objects, %s, since %s\n",
	    say_text(b, "bucket"), say_text(b, "prefix"), say_text(b, "name"),
	    *phase == '\0' ? "no phase" : phase,
	    (long long)say_number(b, "objects"),
	    say_size(say_number(b, "bytes"), size), say_text(b, "started"));
	json_object_foreach((json_t *)(uintptr_t)states, name, state)
	{
		verified =
		    json_object_get(json_object_get(b, "verified"), name);
		printf("  %s: %s", name, json_string_value(state));
		if (verified != NULL)
			printf(" at %s by %s", say_text(verified, "at"),
			    say_text(verified, "by"));
		putchar('\n');
	}
}

int
run_backup_list(struct arguments *args)
{
	struct error err = ERROR_INIT;
	const json_t *list;
	json_t *answer;
	size_t i;

	if (control_call(arguments_text(args, "data", 0), "GET", "/v1/backups",
		NULL, &answer, &err) != 0)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	list = json_object_get(answer, "backups");
	if (json_array_size(list) == 0)
		puts("No Velero backups.");
	for (i = 0; i < json_array_size(list); i++)
		print_backup(json_array_get(list, i));
	json_decref(answer);
	return 0;
}
