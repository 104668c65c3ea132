#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/help.h"

#define COLUMNS 79

/* Writes text in lines, the first of which begins at column `at`. */
static void
wrap(FILE *out, const char *text, int indent, int at)
{
	int n;

	while (*text != '\0') {
		n = (int)strcspn(text, " \n");
		if (at > indent && at + 1 + n > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', out);
			at++;
		}
		fwrite(text, 1, (size_t)n, out);
		at += n;
		text += n;
		if (strncmp(text, "\n\n", 2) == 0) {
			fprintf(out, "\n\n%*s", indent, "");
			at = indent;
			text++;
		}
		if (*text != '\0')
			text++;
	}
	fputc('\n', out);
}

/* "--listen ADDRESS:PORT", "--tls-self-signed [NAMES]" */
static void
say_option(const struct option *option, char *text, size_t room)
{
	const char *open = option->flags & OPTION_OPTIONAL ? "[" : "";
	const char *close = option->flags & OPTION_OPTIONAL ? "]" : "";

	if (option->flags & OPTION_SECRET)
		option_environment(option, text, room);
	else if (option->argument == NULL)
		snprintf(text, room, "--%s", option->name);
	else
		snprintf(text, room, "--%s %s%s%s", option->name, open,
		    option->argument, close);
}

static void
help_option(FILE *out, const struct option *option)
{
	char text[512], name[64];
	int n;

	if (option->flags & OPTION_HIDDEN)
		return;
	say_option(option, name, sizeof(name));
	snprintf(text, sizeof(text), "%s%s%s%s", option->help,
	    option->standard == NULL ? "" : " Default: ",
	    option->standard == NULL ? "" : option->standard,
	    option->standard == NULL ? "" : ".");
	n = fprintf(out, "  %s", name);
	if (n > 30) {
		fprintf(out, "\n%32s", "");
		n = 32;
	} else {
		fprintf(out, "%*s", 32 - n, "");
		n = 32;
	}
	wrap(out, text, 32, n);
}

int
help_command(FILE *out, const struct command *command)
{
	size_t i;

	fprintf(out, "Usage: holdfast %s%s%s%s\n\n", command->name,
	    command->operands == NULL ? "" : " ",
	    command->operands == NULL ? "" : command->operands,
	    command->n_options == 0 ? "" : " [OPTIONS]");
	fprintf(out, "  %s\n", command->summary);
	if (command->details != NULL) {
		fputc('\n', out);
		wrap(out, command->details, 0, 0);
	}
	if (command->n_options > 0)
		fputs("\nOptions:\n", out);
	for (i = 0; i < command->n_options; i++)
		help_option(out, &command->options[i]);
	return 0;
}

void
help_overview(FILE *out)
{
	char name[64];
	size_t i;

	fputs("holdfast keeps objects on local disk and serves them over S3, "
	      "as a "
	      "backup target.\n\nUsage: holdfast COMMAND "
	      "[OPTIONS]\n\nCommands:\n",
	    out);
	for (i = 0; i < n_commands; i++) {
		snprintf(name, sizeof(name), "%s%s%s", commands[i].name,
		    commands[i].operands == NULL ? "" : " ",
		    commands[i].operands == NULL ? "" : commands[i].operands);
		if (strlen(name) > 24)
			snprintf(name, sizeof(name), "%s", commands[i].name);
		fprintf(out, "  %-26s%s\n", name, commands[i].summary);
	}
	fputs("\n`holdfast help COMMAND` explains one and its options.\n", out);
}

int
run_help(struct arguments *args)
{
	const struct command *command;
	char *words[OPERANDS_MAX];
	size_t i;
	int taken;

	if (arguments_flag(args, "man")) {
		help_manual(stdout);
		return 0;
	}
	if (args->n_operands == 0) {
		help_overview(stdout);
		return 0;
	}
	for (i = 0; i < args->n_operands; i++)
		words[i] = (char *)args->operands[i];
	command = command_find((int)args->n_operands, words, &taken);
	if (command != NULL && (size_t)taken == args->n_operands)
		return help_command(stdout, command);

	/* All of a group: `holdfast help key`. */
	taken = 0;
	for (i = 0; i < n_commands && args->n_operands == 1; i++)
		if (strncmp(commands[i].name, words[0], strlen(words[0])) ==
			0 &&
		    commands[i].name[strlen(words[0])] == ' ') {
			if (taken++ > 0)
				fputs("\n\n", stdout);
			(void)help_command(stdout, &commands[i]);
		}
	if (taken > 0)
		return 0;
	fprintf(stderr,
	    "holdfast: there is no command \"%s\" to explain: `holdfast help` "
	    "lists them\n",
	    words[0]);
	return EXIT_USAGE;
}

int
run_version(struct arguments *args)
{
	(void)args;
	printf("holdfast %s\n", HOLDFAST_VERSION);
	return 0;
}
