#include <stdio.h>

#include <jansson.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "store/rebuild.h"

/* holdfast rebuild */

enum {
	REBUILD_WHOLE = 0,
	REBUILD_PARTLY = 1,
	REBUILD_IMPOSSIBLE = 3
};

struct report {
	json_t *sentences;
	int print;
};

static void
take_sentence(const char *sentence, void *arg)
{
	struct report *report = arg;

	if (report->print)
		puts(sentence);
	(void)json_array_append_new(report->sentences, json_string(sentence));
}

static void
print_result(const struct rebuild_result *r)
{
	if (*r->copy == '\0')
		puts("There was no copy of the index to begin with.");
	else
		printf("From the index's copy %s: %llu objects and versions, "
		       "of which "
		       "%llu are dropped, their contents being gone.\n",
		    r->copy, (unsigned long long)r->from_copy,
		    (unsigned long long)r->dropped);
	printf(
	    "From files: %llu objects, %llu parts of uploads, %llu buckets.\n",
	    (unsigned long long)r->added, (unsigned long long)r->added_parts,
	    (unsigned long long)r->buckets_made);
	if (r->set_aside > 0)
		printf("%llu files could not be placed and are in lost/.\n",
		    (unsigned long long)r->set_aside);
	puts("The new index is in place. Run `holdfast check` next.");
}

static void
json_result(const struct rebuild_result *r, json_t *sentences)
{
	(void)say_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:O}",
	    "copy", r->copy, "from_copy", (json_int_t)r->from_copy, "dropped",
	    (json_int_t)r->dropped, "added", (json_int_t)r->added,
	    "added_parts", (json_int_t)r->added_parts, "set_aside",
	    (json_int_t)r->set_aside, "buckets_made",
	    (json_int_t)r->buckets_made, "report", sentences));
}

int
run_rebuild(struct arguments *args)
{
	struct rebuild_options options = { .force =
					       arguments_flag(args, "force") };
	struct report report = { json_array(), !arguments_flag(args, "json") };
	struct rebuild_result result = { 0 };
	struct error err = ERROR_INIT;
	int status = REBUILD_WHOLE;

	log_set_level(LOG_WARN);
	if (store_rebuild(args->operands[0], &options, take_sentence, &report,
		&result, &err) != 0) {
		fprintf(stderr, "holdfast: %s\n", err.text);
		json_decref(report.sentences);
		return REBUILD_IMPOSSIBLE;
	}
	if (json_array_size(report.sentences) > 0)
		status = REBUILD_PARTLY;
	if (report.print)
		print_result(&result);
	else
		json_result(&result, report.sentences);
	json_decref(report.sentences);
	return status;
}
