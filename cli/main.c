#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/nearest.h"

static int
is_word(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* "key" alone, or with a word that it does not know. */
static int
refuse_group(const char *group, const char *word)
{
	size_t len = strlen(group), i;

	if (word == NULL)
		fprintf(stderr,
		    "holdfast: `holdfast %s` needs one more word:\n", group);
	else
		fprintf(stderr,
		    "holdfast: there is no `holdfast %s %s`, but:\n", group,
		    word);
	for (i = 0; i < n_commands; i++)
		if (strncmp(commands[i].name, group, len) == 0 &&
		    commands[i].name[len] == ' ')
			fprintf(stderr, "  holdfast %-18s %s\n",
			    commands[i].name, commands[i].summary);
	return EXIT_USAGE;
}

static int
refuse_command(int argc, char **argv)
{
	struct nearest nearest;
	size_t i, len = strlen(argv[0]);

	for (i = 0; i < n_commands; i++)
		if (strncmp(commands[i].name, argv[0], len) == 0 &&
		    commands[i].name[len] == ' ')
			return refuse_group(argv[0], argc > 1 ? argv[1] : NULL);

	nearest_begin(&nearest, argv[0], len);
	for (i = 0; i < n_commands; i++)
		nearest_try(&nearest, commands[i].name);
	fprintf(stderr, "holdfast: there is no command \"%s\": ", argv[0]);
	if (nearest.found != NULL)
		fprintf(stderr, "did you mean `holdfast %s`?\n", nearest.found);
	else
		fprintf(stderr, "`holdfast help` lists them\n");
	return EXIT_USAGE;
}

static int
run(const struct command *command, int argc, char **argv)
{
	static struct arguments args;
	struct error err = ERROR_INIT;
	int i, status;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (is_word(argv[i], "--help", "-h"))
			return help_command(stdout, command);
	if (arguments_parse(&args, command, argc, argv, &err) != 0 ||
	    arguments_settings(&args, &err) != 0) {
		fprintf(stderr, "holdfast: %s\n", err.text);
		arguments_free(&args);
		return EXIT_USAGE;
	}
	status = command->run(&args);
	arguments_free(&args);
	if (fflush(stdout) != 0 && status == 0) {
		fprintf(
		    stderr, "holdfast: standard output cannot be written\n");
		return 1;
	}
	return status;
}

int
main(int argc, char **argv)
{
	const struct command *command;
	int taken;

	if (argc < 2) {
		help_overview(stderr);
		return EXIT_USAGE;
	}
	argc--;
	argv++;
	if (is_word(argv[0], "--help", "-h")) {
		help_overview(stdout);
		return 0;
	}
	if (is_word(argv[0], "--version", "-V"))
		return run_version(NULL);
	if ((command = command_find(argc, argv, &taken)) == NULL)
		return refuse_command(argc, argv);
	return run(command, argc - taken, argv + taken);
}
