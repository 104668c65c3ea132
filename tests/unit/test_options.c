#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "cli/options.h"

static int
run_nothing(struct arguments *args)
{
	(void)args;
	return 0;
}

static const struct option options[] = {
	{ "config", "FILE", OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0, "" },
	{ "listen", "ADDRESS:PORT", OPTION_ADDRESS,
	    OPTION_SETTING | OPTION_REPEATED, "127.0.0.1:9000", NULL, 0, 0,
	    "" },
	{ "secret", "SECRET", OPTION_TEXT, OPTION_SETTING | OPTION_SECRET, NULL,
	    NULL, 0, 0, "" },
	{ "names", "NAMES", OPTION_TEXT, OPTION_SETTING | OPTION_OPTIONAL, NULL,
	    NULL, 0, 0, "" },
	{ "level", "LEVEL", OPTION_CHOICE, OPTION_SETTING, "low", "low|high", 0,
	    0, "" },
	{ "count", "N", OPTION_NUMBER, OPTION_SETTING, "4", NULL, 1, 256, "" },
	{ "size", "SIZE", OPTION_SIZE, OPTION_SETTING, NULL, NULL, 1024, 0,
	    "" },
	{ "time", "TIME", OPTION_DURATION, OPTION_SETTING, "30s", NULL, 100,
	    60000, "" },
	{ "quiet", NULL, OPTION_FLAG, OPTION_SETTING, NULL, NULL, 0, 0, "" },
	{ "local", "TEXT", OPTION_TEXT, 0, NULL, NULL, 0, 0, "" },
};

static const struct command command = { "try", "NAME [OTHER]", 1, 2, "", NULL,
	options, sizeof(options) / sizeof(options[0]), run_nothing };

static struct arguments args;
static struct error err;

/* Parses words separated by blanks, which must stay. */
static int
parse(char *line)
{
	char *argv[32], *rest;
	int argc = 0;

	error_clear(&err);
	for (argv[argc] = strtok_r(line, " ", &rest); argv[argc] != NULL;
	     argv[argc] = strtok_r(NULL, " ", &rest))
		argc++;
	return arguments_parse(&args, &command, argc, argv, &err);
}

#define PARSE(text) parse((char[]){ text })

static void
assert_refused(char *line, const char *says, const char *also)
{
	assert_int_equal(parse(line), -1);
	assert_int_equal(err.kind, ERR_INVALID);
	if (strstr(err.text, says) == NULL || strstr(err.text, also) == NULL)
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.text, says, also);
	arguments_free(&args);
}

#define REFUSED(text, says, also) assert_refused((char[]){ text }, says, also)

static void
values_come_from_either_form_of_the_line(void **state)
{
	(void)state;
	assert_int_equal(
	    PARSE("one --count=7 --size 64KiB --quiet two --time 500ms"), 0);
	assert_int_equal(args.n_operands, 2);
	assert_string_equal(args.operands[1], "two");
	assert_int_equal(arguments_number(&args, "count"), 7);
	assert_int_equal(arguments_number(&args, "size"), 65536);
	assert_int_equal(arguments_number(&args, "time"), 500);
	assert_true(arguments_flag(&args, "quiet"));
	arguments_free(&args);
}

static void
defaults_stand_in_for_what_is_not_given(void **state)
{
	(void)state;
	assert_int_equal(PARSE("one"), 0);
	assert_int_equal(arguments_number(&args, "count"), 4);
	assert_int_equal(arguments_number(&args, "size"), 0);
	assert_string_equal(
	    arguments_text(&args, "listen", 0), "127.0.0.1:9000");
	assert_null(arguments_text(&args, "listen", 1));
	assert_null(arguments_text(&args, "names", 0));
	assert_int_equal(arguments_count(&args, "listen"), 0);
	assert_false(arguments_flag(&args, "quiet"));
	arguments_free(&args);
}

static void
repeated_options_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(PARSE("one --listen a:1 --listen [::]:2"), 0);
	assert_int_equal(arguments_count(&args, "listen"), 2);
	assert_string_equal(arguments_text(&args, "listen", 1), "[::]:2");
	arguments_free(&args);
}

static void
a_value_may_be_left_out_where_the_table_says_so(void **state)
{
	(void)state;
	assert_int_equal(PARSE("one --names --quiet"), 0);
	assert_string_equal(arguments_text(&args, "names", 0), "");
	arguments_free(&args);
	assert_int_equal(PARSE("one --names a,b"), 0);
	assert_string_equal(arguments_text(&args, "names", 0), "a,b");
	arguments_free(&args);
}

static void
two_dashes_end_the_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-- --count -"), 0);
	assert_string_equal(args.operands[0], "--count");
	assert_string_equal(args.operands[1], "-");
	arguments_free(&args);
}

static void
what_is_wrong_is_named(void **state)
{
	(void)state;
	REFUSED("one --cuont 3", "--cuont", "--count");
	REFUSED("one --xyzzy 3", "--xyzzy", "help try");
	REFUSED("one -c", "-c", "two dashes");
	REFUSED("one --count", "--count", "N");
	REFUSED("one --count 0", "--count", "1 to 256");
	REFUSED("one --count 257", "257", "1 to 256");
	REFUSED("one --count 99999999999999999999", "--count", "number");
	REFUSED("one --size 1KB", "1KB", "64KiB");
	REFUSED("one --size 5", "too little", "1 KiB");
	REFUSED("one --time 1h", "1h", "100ms to 60s");
	REFUSED("one --time 5", "\"5\"", "30s");
	REFUSED("one --level middle", "middle", "low or high");
	REFUSED("one --listen 9000", "9000", "127.0.0.1:9000");
	REFUSED("one --listen :9000", ":9000", "127.0.0.1:9000");
	REFUSED("one --count 1 --count 2", "--count", "twice");
	REFUSED("one --quiet=perhaps", "--quiet", "neither yes nor no");
	REFUSED("one two three", "three", "too many");
	REFUSED("--quiet", "missing", "NAME");
}

static void
a_secret_is_refused_without_repeating_it(void **state)
{
	(void)state;
	REFUSED("one --secret xyz", "--secret", "command line");
	assert_null(strstr(err.text, "xyz"));
	REFUSED("one --secret=xyz", "--secret", "command line");
	assert_null(strstr(err.text, "xyz"));
}

static void
write_config(char path[64], const char *text)
{
	FILE *f;
	int fd;

	snprintf(path, 64, "/tmp/holdfast-options.XXXXXX");
	assert_true((fd = mkstemp(path)) != -1);
	assert_non_null(f = fdopen(fd, "w"));
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
the_line_wins_over_the_environment_and_that_over_the_file(void **state)
{
	char path[64], line[128];

	(void)state;
	write_config(path,
	    "count = 10\ntime = 10s\nlevel = high\nsecret = abc\n"
	    "listen = a:1, b:2\nquiet = on\n");
	snprintf(line, sizeof(line), "one --config %s --count 12", path);
	assert_int_equal(setenv("HOLDFAST_TIME", "11s", 1), 0);
	assert_int_equal(setenv("HOLDFAST_COUNT", "11", 1), 0);
	assert_int_equal(setenv("HOLDFAST_LEVEL", "", 1), 0);
	assert_int_equal(setenv("HOLDFAST_LOCAL", "no setting", 1), 0);
	assert_int_equal(parse(line), 0);
	assert_int_equal(arguments_settings(&args, &err), 0);
	assert_int_equal(arguments_number(&args, "count"), 12);
	assert_int_equal(arguments_number(&args, "time"), 11000);
	assert_string_equal(arguments_text(&args, "level", 0), "high");
	assert_string_equal(arguments_text(&args, "secret", 0), "abc");
	assert_int_equal(arguments_count(&args, "listen"), 2);
	assert_string_equal(arguments_text(&args, "listen", 1), "b:2");
	assert_true(arguments_flag(&args, "quiet"));
	assert_null(arguments_text(&args, "local", 0));
	assert_string_equal(arguments_origin(&args, "time"), "HOLDFAST_TIME");
	assert_non_null(strstr(arguments_origin(&args, "level"), ":3: level"));
	arguments_free(&args);
	unsetenv("HOLDFAST_TIME");
	unsetenv("HOLDFAST_COUNT");
	unsetenv("HOLDFAST_LEVEL");
	unsetenv("HOLDFAST_LOCAL");
	unlink(path);
}

static void
a_file_is_refused_by_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "count = 1\ncuont = 2\n",
		    ":2: there is no setting \"cuont\"" },
		{ "local = x\n", ":1:" },
		{ "config = x\n", ":1:" },
		{ "count = none\n", ":1: count: \"none\"" },
		{ "[part]\ncount = 1\n", ":2:" },
		{ "quiet = perhaps\n", "perhaps" },
	};
	char path[64], line[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_config(path, cases[i].text);
		snprintf(line, sizeof(line), "one --config %s", path);
		assert_int_equal(parse(line), 0);
		assert_int_equal(arguments_settings(&args, &err), -1);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg(
			    "\"%s\" lacks \"%s\"", err.text, cases[i].says);
		arguments_free(&args);
		unlink(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_from_either_form_of_the_line),
		cmocka_unit_test(defaults_stand_in_for_what_is_not_given),
		cmocka_unit_test(repeated_options_keep_their_order),
		cmocka_unit_test(
		    a_value_may_be_left_out_where_the_table_says_so),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(a_secret_is_refused_without_repeating_it),
		cmocka_unit_test(
		    the_line_wins_over_the_environment_and_that_over_the_file),
		cmocka_unit_test(a_file_is_refused_by_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
