#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/say.h"

/* holdfast status */

static void
print_disk(const json_t *disk)
{
	const char *band = say_text(disk, "band");
	char all[32], left[32], reserve[32];

	printf("disk         %s free of %s; %s\n",
	    say_size(say_number(disk, "free_bytes"), left),
	    say_size(say_number(disk, "bytes"), all),
	    strcmp(band, "open") == 0 ? "all writes are taken"
		: strcmp(band, "reserve") == 0
		? "nearly full: only small writes and deletes are taken"
		: "full: only deletes are taken");
	printf("reserve      %s\n",
	    say_size(say_number(disk, "reserve_bytes"), reserve));
}

static void
print_server(const json_t *server)
{
	long long up = (long long)say_number(server, "uptime_seconds");
	char resident[32];

	if (!json_is_object(server)) {
		puts("server       none runs on this directory");
		return;
	}
	printf("server       holdfast %s, pid %lld, up %lldd "
	       "%02lld:%02lld:%02lld, "
	       "%s resident\n",
	    say_text(server, "version"), (long long)say_number(server, "pid"),
	    up / 86400, up / 3600 % 24, up / 60 % 60, up % 60,
	    say_size(say_number(server, "resident_bytes"), resident));
	printf("endpoint     %s\nadmin        %s\n",
	    say_text(server, "endpoint"), say_text(server, "admin"));
	printf("connections  %lld open, %lld accepted, %lld refused; %lld "
	       "requests\n",
	    (long long)say_number(server, "connections"),
	    (long long)say_number(server, "accepted"),
	    (long long)say_number(server, "refused"),
	    (long long)say_number(server, "requests"));
}

static void
print_counted(const json_t *status, const char *title, const char *count,
    const char *bytes)
{
	char size[32];

	printf("%-12s %lld, %s\n", title, (long long)say_number(status, count),
	    say_size(say_number(status, bytes), size));
}

static void
print_away(const json_t *status)
{
	json_int_t high = say_number(status, "tier_high_bytes");
	char size[32], mark[32];

	if (high == 0 && say_number(status, "away_contents") == 0)
		return;
	printf("outside only %lld contents, %s",
	    (long long)say_number(status, "away_contents"),
	    say_size(say_number(status, "away_bytes"), size));
	if (high == 0)
		puts("");
	else
		printf(
		    "; given up here above %s of use\n", say_size(high, mark));
}

int
run_status(struct arguments *args)
{
	struct error err = ERROR_INIT;
	long long damaged, healed;
	const json_t *list, *hold;
	json_t *answer;
	size_t i;

	if (control_call(arguments_text(args, "data", 0), "GET", "/v1/status",
		NULL, &answer, &err) != 0)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	print_server(json_object_get(answer, "server"));
	print_disk(json_object_get(answer, "disk"));
	printf("buckets      %lld\n", (long long)say_number(answer, "buckets"));
	print_counted(answer, "objects", "objects", "object_bytes");
	print_counted(answer, "old versions", "noncurrent_versions",
	    "noncurrent_version_bytes");
	print_counted(answer, "uploads", "uploads", "upload_bytes");
	print_away(answer);
	damaged = (long long)say_number(answer, "damaged_contents");
	healed = (long long)say_number(answer, "healed_contents");
	if (damaged == 0)
		puts("damage       none found");
	else if (healed >= damaged)
		printf("damage       %lld contents, all healed from outside\n",
		    damaged);
	else
		printf(
		    "damage       %lld contents: the log names them; stop the "
		    "server and run `holdfast check --read-data`\n",
		    damaged);
	hold = json_object_get(answer, "hold");
	if (json_is_true(json_object_get(hold, "active")))
		printf("hold         since %s; %lld deletes are kept back: "
		       "`holdfast hold` lists them\n",
		    say_text(hold, "since"),
		    (long long)say_number(hold, "kept_back"));
	list = json_object_get(answer, "destinations");
	for (i = 0; i < json_array_size(list); i++) {
		printf("destination  ");
		print_destination(
		    json_array_get(list, i), json_object_get(answer, "parked"));
	}
	json_decref(answer);
	return 0;
}
