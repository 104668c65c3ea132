#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "cli/nearest.h"
#include "cli/options.h"

static const struct option *
find_option(const struct command *command, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < command->n_options; i++)
		if (strlen(command->options[i].name) == len &&
		    memcmp(command->options[i].name, name, len) == 0)
			return &command->options[i];
	return NULL;
}

static size_t
index_of(const struct arguments *args, const char *name)
{
	const struct option *option;

	option = find_option(args->command, name, strlen(name));
	if (option == NULL) {
		/* A command asks only for options of its own table. */
		abort();
	}
	return (size_t)(option - args->command->options);
}

static int
in_choices(const char *choices, const char *text)
{
	size_t len = strlen(text), n;

	for (; *choices != '\0'; choices += n + (choices[n] == '|')) {
		n = strcspn(choices, "|");
		if (n == len && memcmp(choices, text, n) == 0)
			return 1;
	}
	return 0;
}

/* "one of debug, info, warn and error" */
static void
say_choices(const char *choices, char *text, size_t room)
{
	size_t at, n, len = 0;

	text[0] = '\0';
	for (at = 0; choices[at] != '\0' && len < room;
	     at += n + (choices[at + n] == '|')) {
		n = strcspn(choices + at, "|");
		len += (size_t)snprintf(text + len, room - len, "%s%.*s",
		    at == 0                      ? ""
			: choices[at + n] == '|' ? ", "
						 : " or ",
		    (int)n, choices + at);
	}
}

static int
is_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	return colon != NULL && colon != text &&
	    parse_u64(colon + 1, strlen(colon + 1), 0, 65535, &port) == 0;
}

static int
flag_value(const char *text)
{
	if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 ||
	    strcmp(text, "on") == 0 || strcmp(text, "1") == 0)
		return 1;
	if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0 ||
	    strcmp(text, "off") == 0 || strcmp(text, "0") == 0)
		return 0;
	return -1;
}

int
option_is_yes(const char *text)
{
	return flag_value(text) == 1;
}

int
option_quantity(const struct option *option, const char *text, uint64_t *value)
{
	switch (option->type) {
	case OPTION_SIZE:
		return parse_size(text, value);
	case OPTION_DURATION:
		return parse_duration(text, value);
	default:
		return parse_u64(text, strlen(text), 0, UINT64_MAX, value);
	}
}

static void
say_limit(const struct option *option, uint64_t value, char *text, size_t room)
{
	if (option->type == OPTION_SIZE)
		format_size(value, text, room);
	else if (option->type == OPTION_DURATION && value % 1000 == 0)
		snprintf(text, room, "%llus", (unsigned long long)value / 1000);
	else if (option->type == OPTION_DURATION)
		snprintf(text, room, "%llums", (unsigned long long)value);
	else
		snprintf(text, room, "%llu", (unsigned long long)value);
}

static int
check_quantity(const struct option *option, const char *origin,
    const char *text, struct error *err)
{
	static const char *const forms[] = {
		[OPTION_NUMBER] = "a number such as 16",
		[OPTION_SIZE] = "a size such as 64KiB or 10GiB",
		[OPTION_DURATION] = "a time such as 500ms, 30s, 10m, 24h or 7d",
	};
	char least[32], most[32];
	uint64_t value;

	if (option_quantity(option, text, &value) != 0)
		return error_set(err, ERR_INVALID, "%s: \"%s\" is not %s",
		    origin, text, forms[option->type]);
	if (value >= option->min && (option->max == 0 || value <= option->max))
		return 0;
	say_limit(option, option->min, least, sizeof(least));
	say_limit(option, option->max, most, sizeof(most));
	if (option->max == 0)
		return error_set(err, ERR_INVALID,
		    "%s: %s is too little: give at least %s", origin, text,
		    least);
	return error_set(err, ERR_INVALID,
	    "%s: %s is out of range: give %s to %s", origin, text, least, most);
}

int
option_check(const struct option *option, const char *origin, const char *text,
    struct error *err)
{
	char choices[128];

	switch (option->type) {
	case OPTION_FLAG:
		if (flag_value(text) != -1)
			return 0;
		return error_set(err, ERR_INVALID,
		    "%s: \"%s\" is neither yes nor no", origin, text);
	case OPTION_TEXT:
		if (*text != '\0' || option->flags & OPTION_OPTIONAL)
			return 0;
		return error_set(err, ERR_INVALID, "%s: give %s, not nothing",
		    origin, option->argument);
	case OPTION_CHOICE:
		if (in_choices(option->choices, text))
			return 0;
		say_choices(option->choices, choices, sizeof(choices));
		return error_set(err, ERR_INVALID,
		    "%s: \"%s\" is unknown: give %s", origin, text, choices);
	case OPTION_ADDRESS:
		if (is_address(text))
			return 0;
		return error_set(err, ERR_INVALID,
		    "%s: \"%s\" is not an address and a port: write for "
		    "example "
		    "127.0.0.1:9000, 0.0.0.0:9000 or [::]:9000",
		    origin, text);
	default:
		return check_quantity(option, origin, text, err);
	}
}

static char *
own(struct arguments *args, const char *text, struct error *err)
{
	char *copy;

	if (args->n_owned == sizeof(args->owned) / sizeof(args->owned[0]) ||
	    (copy = strdup(text)) == NULL) {
		(void)error_nomem(err);
		return NULL;
	}
	args->owned[args->n_owned++] = copy;
	return copy;
}

/* Of a command that can also clear settings, an empty value does so. */
static int
may_be_empty(const struct arguments *args, const struct option *option)
{
	return option->flags & OPTION_OPTIONAL ||
	    (option->type != OPTION_FLAG &&
		find_option(args->command, "clear", strlen("clear")) != NULL);
}

static int
add_value(struct arguments *args, const struct option *option,
    const char *origin, const char *text, struct error *err)
{
	size_t i = (size_t)(option - args->command->options);

	if (!(*text == '\0' && may_be_empty(args, option)) &&
	    option_check(option, origin, text, err) != 0)
		return -1;
	if (args->given[i].n > 0 && !(option->flags & OPTION_REPEATED))
		return error_set(err, ERR_INVALID,
		    "%s is given twice (\"%s\" and \"%s\"): give it once",
		    origin, args->given[i].values[0].text, text);
	if (args->given[i].n == OPTION_VALUES_MAX)
		return error_set(err, ERR_INVALID,
		    "%s is given more than %d times", origin,
		    OPTION_VALUES_MAX);
	args->given[i].values[args->given[i].n].text = text;
	args->given[i].values[args->given[i].n++].origin = origin;
	return 0;
}

static int
unknown_option(const struct command *command, const char *word, size_t len,
    struct error *err)
{
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, word + 2, len - 2);
	for (i = 0; i < command->n_options; i++)
		if (!(command->options[i].flags &
			(OPTION_HIDDEN | OPTION_SECRET)))
			nearest_try(&nearest, command->options[i].name);
	if (nearest.found != NULL)
		return error_set(err, ERR_INVALID,
		    "%.*s is no option of `holdfast %s`: did you mean --%s?",
		    (int)len, word, command->name, nearest.found);
	return error_set(err, ERR_INVALID,
	    "%.*s is no option of `holdfast %s`: `holdfast help %s` lists them",
	    (int)len, word, command->name, command->name);
}

/* One option at argv[0]; how many words it took, or -1. */
static int
parse_option(struct arguments *args, int argc, char **argv, struct error *err)
{
	const char *word = argv[0], *equals = strchr(word, '='), *value,
		   *origin;
	size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
	const struct option *option;
	char name[64];
	int taken = 1;

	option = len < 3 || word[1] != '-'
	    ? NULL
	    : find_option(args->command, word + 2, len - 2);
	if (option == NULL && len >= 2 && word[1] == '-')
		return unknown_option(args->command, word, len, err);
	if (option == NULL)
		return error_set(err, ERR_INVALID,
		    "%s is no option: options begin with two dashes; "
		    "`holdfast help %s` lists them",
		    word, args->command->name);
	/* The value is not repeated: it may be one. */
	if (option->flags & OPTION_SECRET)
		return error_set(err, ERR_INVALID,
		    "--%s is not taken on the command line, where every user "
		    "of "
		    "the machine could read it: use the environment, "
		    "--credentials-file or the configuration file",
		    option->name);

	value = equals == NULL ? NULL : equals + 1;
	if (value == NULL && option->type == OPTION_FLAG)
		value = "yes";
	if (value == NULL && argc > 1 &&
	    (argv[1][0] != '\0' || may_be_empty(args, option)) &&
	    (argv[1][0] != '-' || strcmp(argv[1], "-") == 0)) {
		value = argv[1];
		taken = 2;
	}
	if (value == NULL && option->flags & OPTION_OPTIONAL)
		value = "";
	if (value == NULL)
		return error_set(err, ERR_INVALID,
		    "--%s needs a value: --%s %s", option->name, option->name,
		    option->argument);
	snprintf(name, sizeof(name), "--%s", option->name);
	if ((origin = own(args, name, err)) == NULL)
		return -1;
	return add_value(args, option, origin, value, err) == 0 ? taken : -1;
}

int
arguments_parse(struct arguments *args, const struct command *command, int argc,
    char **argv, struct error *err)
{
	int taken, only_operands = 0;

	memset(args, 0, sizeof(*args));
	args->command = command;
	while (argc > 0) {
		if (!only_operands && strcmp(argv[0], "--") == 0) {
			only_operands = 1;
			taken = 1;
		} else if (!only_operands && argv[0][0] == '-' &&
		    argv[0][1] != '\0') {
			taken = parse_option(args, argc, argv, err);
			if (taken < 0)
				return -1;
		} else if (args->n_operands == command->operands_max) {
			return error_set(err, ERR_INVALID,
			    "\"%s\" is one word too many: holdfast %s%s%s "
			    "[OPTIONS]",
			    argv[0], command->name,
			    command->operands == NULL ? "" : " ",
			    command->operands == NULL ? "" : command->operands);
		} else {
			args->operands[args->n_operands++] = argv[0];
			taken = 1;
		}
		argc -= taken;
		argv += taken;
	}
	if (args->n_operands < command->operands_min)
		return error_set(err, ERR_INVALID,
		    "something is missing: holdfast %s %s", command->name,
		    command->operands);
	return 0;
}

void
option_environment(const struct option *option, char *name, size_t room)
{
	size_t i;

	snprintf(name, room, "HOLDFAST_%s", option->name);
	for (i = 0; name[i] != '\0'; i++)
		name[i] = name[i] == '-'
		    ? '_'
		    : (char)toupper((unsigned char)name[i]);
}

/* A value that is not from the command line: repeated ones are in one text,
 * with commas between them. */
static int
add_setting(struct arguments *args, const struct option *option,
    const char *origin, const char *text, struct error *err)
{
	char *copy, *kept, *word, *rest;

	if ((kept = own(args, origin, err)) == NULL ||
	    (copy = own(args, text, err)) == NULL)
		return -1;
	if (!(option->flags & OPTION_REPEATED))
		return add_value(args, option, kept, copy, err);
	for (word = strtok_r(copy, ", ", &rest); word != NULL;
	     word = strtok_r(NULL, ", ", &rest))
		if (add_value(args, option, kept, word, err) != 0)
			return -1;
	return 0;
}

static int
add_environment(struct arguments *args, struct error *err)
{
	const struct option *option;
	const char *value;
	char name[64];
	size_t i;

	for (i = 0; i < args->command->n_options; i++) {
		option = &args->command->options[i];
		if (!(option->flags & OPTION_SETTING) || args->given[i].n > 0)
			continue;
		option_environment(option, name, sizeof(name));
		/* Set to nothing is how many scripts and unit files unset it.
		 */
		if ((value = getenv(name)) == NULL || *value == '\0')
			continue;
		if (add_setting(args, option, name, value, err) != 0)
			return -1;
	}
	return 0;
}

static int
unknown_setting(const struct arguments *args,
    const struct config_setting *setting, struct error *err)
{
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, setting->name, strlen(setting->name));
	for (i = 0; i < args->command->n_options; i++)
		if (args->command->options[i].flags & OPTION_SETTING)
			nearest_try(&nearest, args->command->options[i].name);
	if (nearest.found != NULL)
		return config_refuse(args->config, setting, err,
		    "there is no setting \"%s\": did you mean %s?",
		    setting->name, nearest.found);
	return config_refuse(args->config, setting, err,
	    "there is no setting \"%s\": `holdfast help serve` lists them",
	    setting->name);
}

static int
add_config(struct arguments *args, const char *path, struct error *err)
{
	const struct config_setting *setting;
	const struct option *option;
	char origin[512];
	size_t i, at;

	if ((args->config = config_read(path, err)) == NULL)
		return error_add(err, "--config");
	for (i = 0; i < config_count(args->config); i++) {
		setting = config_at(args->config, i);
		if (strncmp(setting->section, "destination ", 12) == 0)
			continue; /* cli/presets.h */
		if (setting->section[0] != '\0')
			return config_refuse(args->config, setting, err,
			    "there are no sections but [destination NAME]: "
			    "take out [%s]",
			    setting->section);
		option = find_option(
		    args->command, setting->name, strlen(setting->name));
		if (option == NULL || !(option->flags & OPTION_SETTING) ||
		    strcmp(option->name, "config") == 0)
			return unknown_setting(args, setting, err);
		at = (size_t)(option - args->command->options);
		if (args->given[at].n > 0)
			continue;
		snprintf(origin, sizeof(origin), "%s:%u: %s", path,
		    setting->line, setting->name);
		if (add_setting(args, option, origin, setting->value, err) != 0)
			return -1;
	}
	return 0;
}

int
arguments_settings(struct arguments *args, struct error *err)
{
	const char *path;

	if (add_environment(args, err) != 0)
		return -1;
	if (find_option(args->command, "config", strlen("config")) == NULL ||
	    (path = arguments_text(args, "config", 0)) == NULL)
		return 0;
	return add_config(args, path, err);
}

void
arguments_free(struct arguments *args)
{
	while (args->n_owned > 0) {
		args->n_owned--;
		bytes_wipe(args->owned[args->n_owned],
		    strlen(args->owned[args->n_owned]));
		free(args->owned[args->n_owned]);
	}
	config_free(args->config);
	memset(args, 0, sizeof(*args));
}

size_t
arguments_count(const struct arguments *args, const char *name)
{
	return args->given[index_of(args, name)].n;
}

const char *
arguments_text(const struct arguments *args, const char *name, size_t n)
{
	size_t i = index_of(args, name);

	if (n < args->given[i].n)
		return args->given[i].values[n].text;
	return n == 0 ? args->command->options[i].standard : NULL;
}

const char *
arguments_origin(const struct arguments *args, const char *name)
{
	size_t i = index_of(args, name);

	return args->given[i].n > 0 ? args->given[i].values[0].origin
				    : args->command->options[i].name;
}

int
arguments_flag(const struct arguments *args, const char *name)
{
	const char *text = arguments_text(args, name, 0);

	return text != NULL && flag_value(text) == 1;
}

uint64_t
arguments_number(const struct arguments *args, const char *name)
{
	const char *text = arguments_text(args, name, 0);
	uint64_t value;

	if (text == NULL ||
	    option_quantity(&args->command->options[index_of(args, name)], text,
		&value) != 0)
		return 0;
	return value;
}
