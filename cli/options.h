#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct config;

/*
 * Commands and their options, as tables: parsing, --help, and the man page are
 * made from the same rows (cli/commands.c). An option's value comes from the
 * command line, else from the environment, else from the configuration file,
 * else it is the default.
 */

enum option_type {
	OPTION_FLAG,     /* yes, or what stands behind =: yes or no */
	OPTION_TEXT,     /* any but the empty text */
	OPTION_CHOICE,   /* one of `choices`, separated by '|' */
	OPTION_NUMBER,   /* min to max */
	OPTION_SIZE,     /* min to max bytes */
	OPTION_DURATION, /* min to max milliseconds */
	OPTION_ADDRESS   /* ADDRESS:PORT */
};

enum {
	OPTION_REPEATED = 1, /* may be given again; commas elsewhere */
	OPTION_OPTIONAL = 2, /* its value may be left out */
	OPTION_SETTING = 4,  /* also from the environment and the file */
	OPTION_SECRET = 8,   /* never on the command line */
	OPTION_HIDDEN = 16   /* for those who work on holdfast */
};

struct option {
	const char *name;     /* without the dashes */
	const char *argument; /* what its value is called; NULL: a flag */
	enum option_type type;
	unsigned flags;
	const char
	    *standard; /* the default as it would be written; NULL: none */
	const char *choices; /* OPTION_CHOICE */
	uint64_t min, max;   /* numbers, sizes, durations; max 0: any */
	const char *help;    /* sentences */
};

struct arguments;

struct command {
	const char *name;     /* "key add" */
	const char *operands; /* "NAME"; NULL: none */
	size_t operands_min, operands_max;
	const char *summary; /* half a sentence */
	const char *details; /* paragraphs, separated by an empty line; NULL */
	const struct option *options;
	size_t n_options;
	/* The exit status. */
	int (*run)(struct arguments *);
};

/* What a command was given. */
#define OPTION_VALUES_MAX 16
#define OPERANDS_MAX 4
#define OPTIONS_MAX 64

struct option_value {
	const char *text;
	const char *origin; /* "--listen", "HOLDFAST_LISTEN", "FILE:12" */
};

struct arguments {
	const struct command *command;
	const char *operands[OPERANDS_MAX];
	size_t n_operands;
	struct {
		struct option_value values[OPTION_VALUES_MAX];
		size_t n;
	} given[OPTIONS_MAX];
	struct config *config;
	char *owned[OPTIONS_MAX * 4];
	size_t n_owned;
};

#define EXIT_USAGE 2

/* Fills in what the words behind the command's name say; argv[0] is the first.
 * 0, or -1 and *err, a sentence that names option, value and remedy. */
int arguments_parse(struct arguments *, const struct command *, int argc,
    char **argv, struct error *err);
/* Adds what the environment and the configuration file (the value of --config)
 * say. 0, or -1 and *err. */
int arguments_settings(struct arguments *, struct error *err);
void arguments_free(struct arguments *); /* wipes */

/* How often it was given, defaults not counted. */
size_t arguments_count(const struct arguments *, const char *name);
/* The n-th value or, for n = 0, the default; NULL: none. A text that was left
 * out is "". */
const char *arguments_text(
    const struct arguments *, const char *name, size_t n);
/* Where it comes from, for refusals that need to look further. */
const char *arguments_origin(const struct arguments *, const char *name);
int arguments_flag(const struct arguments *, const char *name);
/* A number, a size in bytes, or a duration in milliseconds; 0 without one. */
uint64_t arguments_number(const struct arguments *, const char *name);

/* Whether a text is a value of an option: 0, or -1 and *err, which names it by
 * its origin. */
int option_check(const struct option *, const char *origin, const char *text,
    struct error *err);
/* What a valid text means. */
int option_quantity(const struct option *, const char *text, uint64_t *value);
int option_is_yes(const char *text);

/* HOLDFAST_NAME. */
void option_environment(const struct option *, char *name, size_t room);

#endif
