#include <stdio.h>

#include <jansson.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "store/check.h"

/* holdfast check */

enum {
	CHECK_SOUND = 0,
	CHECK_DAMAGE = 1,
	CHECK_IMPOSSIBLE = 3
};

static void
print_finding(const char *sentence, void *arg)
{
	(void)arg;
	puts(sentence);
}

static void
keep_finding(const char *sentence, void *arg)
{
	(void)json_array_append_new(arg, json_string(sentence));
}

static int
print_result(const struct check_result *r, int read_data)
{
	char read[32];

	printf("%llu buckets, %llu objects, %llu other versions, %llu uploads "
	       "with "
	       "%llu parts, %llu extents, %llu files",
	    (unsigned long long)r->buckets, (unsigned long long)r->objects,
	    (unsigned long long)r->versions, (unsigned long long)r->uploads,
	    (unsigned long long)r->parts, (unsigned long long)r->extents,
	    (unsigned long long)r->files);
	if (read_data)
		printf("; %s of contents read",
		    say_size((json_int_t)r->bytes_read, read));
	putchar('\n');
	if (r->damage == 0)
		puts(read_data
			? "Sound."
			: "Sound, as far as the index and the files' sizes "
			  "tell; --read-data reads the contents, too.");
	else
		printf("Damage: %llu findings. Reading what is damaged fails; "
		       "everything else can be used.\n",
		    (unsigned long long)r->damage);
	return r->damage == 0 ? CHECK_SOUND : CHECK_DAMAGE;
}

static int
json_result(const struct check_result *r, json_t *findings)
{
	(void)say_json(json_pack(
	    "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
	    "sound", r->damage == 0, "damage", (json_int_t)r->damage, "notes",
	    (json_int_t)r->notes, "buckets", (json_int_t)r->buckets, "objects",
	    (json_int_t)r->objects, "versions", (json_int_t)r->versions,
	    "uploads", (json_int_t)r->uploads, "parts", (json_int_t)r->parts,
	    "extents", (json_int_t)r->extents, "files", (json_int_t)r->files,
	    "journal_entries", (json_int_t)r->journal_entries, "bytes_read",
	    (json_int_t)r->bytes_read, "findings", findings));
	return r->damage == 0 ? CHECK_SOUND : CHECK_DAMAGE;
}

int
run_check(struct arguments *args)
{
	struct check_options options = { .read_data = arguments_flag(
					     args, "read-data") };
	int json = arguments_flag(args, "json");
	struct check_result result = { 0 };
	struct error err = ERROR_INIT;
	json_t *findings = json_array();

	log_set_level(LOG_WARN);
	if (store_check(args->operands[0], &options,
		json ? keep_finding : print_finding, findings, &result,
		&err) != 0) {
		fprintf(stderr, "holdfast: %s\n", err.text);
		json_decref(findings);
		return CHECK_IMPOSSIBLE;
	}
	if (json)
		return json_result(&result, findings);
	json_decref(findings);
	return print_result(&result, options.read_data);
}
