#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/destination_members.h"
#include "cli/who.h"

#define TEXT_MAX_BYTES (64 * 1024)

static void
member_name(const char *option, char *name, size_t room)
{
	size_t i;

	snprintf(name, room, "%s", option);
	for (i = 0; name[i] != '\0'; i++)
		if (name[i] == '-')
			name[i] = '_';
}

/* The whole file's text as a member, or its first line. */
static int
add_file(json_t *body, const char *name, const char *path, int whole,
    struct error *err)
{
	size_t len, used;
	char *text;
	int failed;

	text = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path,
	    TEXT_MAX_BYTES, &len, err);
	if (text == NULL)
		return error_add(err, "%s", name);
	used = whole ? len : strcspn(text, "\r\n");
	failed = json_object_set_new(body, name, json_stringn(text, used));
	bytes_wipe(text, len);
	free(text);
	return failed
	    ? error_set(err, ERR_INVALID, "%s: %s is not a text", name, path)
	    : 0;
}

int
destination_clear(json_t *body, const char *option, struct error *err)
{
	static const char *const durations[] = { "delete-delay", "fold-age" };
	char name[80];
	size_t len, i;

	member_name(option, name, sizeof(name) - sizeof("_ms"));
	len = strlen(name);
	if (len > 5 && strcmp(name + len - 5, "_file") == 0)
		name[len - 5] = '\0';
	for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		if (strcmp(option, durations[i]) == 0)
			strncat(name, "_ms", sizeof(name) - len - 1);
	return json_object_set_new(body, name, json_null()) == 0
	    ? 0
	    : error_nomem(err);
}

int
destination_member(json_t *body, const struct option *option, const char *text,
    struct error *err)
{
	char name[80];
	uint64_t number = 0;
	size_t len;
	int failed;

	member_name(option->name, name, sizeof(name));
	len = strlen(name);
	/* To exclude nothing is a setting, too. */
	if (*text == '\0' && strcmp(name, "exclude") != 0)
		return destination_clear(body, option->name, err);
	if (strcmp(name, "service_account_json") == 0 ||
	    strcmp(name, "ca_cert") == 0)
		return add_file(body, name, text, 1, err);
	if (len > 5 && strcmp(name + len - 5, "_file") == 0) {
		name[len - 5] = '\0';
		return add_file(body, name, text, 0, err);
	}
	switch (option->type) {
	case OPTION_FLAG:
		failed = json_object_set_new(
		    body, name, json_boolean(option_is_yes(text)));
		break;
	case OPTION_DURATION:
	case OPTION_NUMBER:
	case OPTION_SIZE:
		if (option->type == OPTION_DURATION)
			snprintf(name + len, sizeof(name) - len, "_ms");
		(void)option_quantity(option, text, &number);
		failed = json_object_set_new(
		    body, name, json_integer((json_int_t)number));
		break;
	default:
		failed = json_object_set_new(body, name, json_string(text));
	}
	return failed
	    ? error_set(err, ERR_INVALID, "--%s is not a text", option->name)
	    : 0;
}

static int
is_field(const struct option *option)
{
	static const char *const others[] = { "data", "json", "from", "wait",
		"look", "clear" };
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(option->name, others[i]) == 0)
			return 0;
	return 1;
}

/* --clear: names of options, separated by commas. */
static int
clear_named(const struct arguments *args, const char *names, json_t *body,
    struct error *err)
{
	const struct option *option;
	char name[64];
	size_t i, n;

	for (; *names != '\0'; names += n + (names[n] == ',')) {
		n = strcspn(names, ",");
		snprintf(name, sizeof(name), "%.*s", (int)n, names);
		for (i = 0; i < args->command->n_options; i++) {
			option = &args->command->options[i];
			if (is_field(option) && strcmp(option->name, name) == 0)
				break;
		}
		if (i == args->command->n_options)
			return error_set(err, ERR_INVALID,
			    "--clear: there is no setting \"%s\": `holdfast "
			    "help destination set` lists them",
			    name);
		if (destination_clear(body, name, err) != 0)
			return -1;
	}
	return 0;
}

static int
add_options(const struct arguments *args, json_t *body, struct error *err)
{
	const struct option *option;
	size_t i, n;

	for (i = 0; i < args->command->n_options; i++) {
		option = &args->command->options[i];
		if (strcmp(option->name, "clear") == 0)
			for (n = 0; n < args->given[i].n; n++)
				if (clear_named(args,
					args->given[i].values[n].text, body,
					err) != 0)
					return -1;
		if (is_field(option) && args->given[i].n > 0 &&
		    destination_member(
			body, option, args->given[i].values[0].text, err) != 0)
			return -1;
	}
	return 0;
}

json_t *
destination_request(const struct arguments *args, struct error *err)
{
	json_t *body = json_pack("{s:s}", "who", who_asks());

	if (add_options(args, body, err) == 0)
		return body;
	json_decref(body);
	return NULL;
}
