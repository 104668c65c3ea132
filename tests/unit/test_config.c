#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/config.h"
#include "base/error.h"
#include "base/file.h"

static char path[] = "/tmp/holdfast-test-config-XXXXXX";
static struct error err;

static int
make_file(void **state)
{
	int fd;

	(void)state;
	if ((fd = mkstemp(path)) == -1)
		return -1;
	return close(fd);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static struct config *
read_bytes(const char *bytes, size_t len)
{
	error_clear(&err);
	assert_int_equal(file_write(path, bytes, len, 0600, NULL), 0);
	return config_read(path, &err);
}

static struct config *
read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

/* The text is refused with the file's name and then this. */
static void
assert_refused(const char *text, const char *reason)
{
	assert_null(read_text(text));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
	assert_string_equal(err.text + strlen(path), reason);
}

static void
settings_are_found_by_section_and_name(void **state)
{
	const struct config_setting *s;
	struct config *c;

	(void)state;
	c = read_text("data = /srv\n\n# note\n[server]\n"
		      "listen=127.0.0.1:9000\n; more\n"
		      "  workers = 4  \r\n[tls]\ncert =\n");
	assert_non_null(c);
	assert_int_equal(config_count(c), 4);
	assert_string_equal(config_get(c, "", "data"), "/srv");
	assert_string_equal(
	    config_get(c, "server", "listen"), "127.0.0.1:9000");
	assert_string_equal(config_get(c, "server", "workers"), "4");
	assert_string_equal(config_get(c, "tls", "cert"), "");
	assert_null(config_get(c, "tls", "listen"));
	assert_null(config_get(c, "", "listen"));
	s = config_at(c, 2);
	assert_string_equal(s->section, "server");
	assert_string_equal(s->name, "workers");
	assert_int_equal(s->line, 7);
	config_free(c);
}

static void
a_semicolon_within_a_value_belongs_to_it(void **state)
{
	struct config *c;

	(void)state;
	c = read_text("[key]\nsecret = a ;b # c = d\n");
	assert_non_null(c);
	assert_string_equal(config_get(c, "key", "secret"), "a ;b # c = d");
	config_free(c);
}

static void
a_last_line_needs_no_newline(void **state)
{
	struct config *c;

	(void)state;
	c = read_text("a = 1\nb = 2");
	assert_non_null(c);
	assert_string_equal(config_get(c, "", "b"), "2");
	config_free(c);
}

static void
an_empty_file_has_no_settings(void **state)
{
	struct config *c;

	(void)state;
	c = read_text("");
	assert_non_null(c);
	assert_int_equal(config_count(c), 0);
	config_free(c);
}

static void
a_line_that_is_no_setting_is_named(void **state)
{
	(void)state;
	assert_refused("a = 1\nnonsense\n",
	    ":2: this is neither \"name = value\" nor \"[section]\"");
	assert_refused("[open\n",
	    ":1: this is neither \"name = value\" nor \"[section]\"");
}

static void
a_setting_given_twice_is_refused_with_both_lines(void **state)
{
	(void)state;
	assert_refused("[a]\nx = 1\n[b]\nx = 2\n[a]\nx = 3\n",
	    ":6: x is given again; it stands in line 2 already");
}

static void
a_line_that_is_too_long_is_refused_not_split(void **state)
{
	struct config *c;
	char text[6000];

	(void)state;
	memset(text, 'v', sizeof(text));
	memcpy(text, "a = ", 4);
	memcpy(text + 4090, "\nb = 1\n", 8);
	c = read_text(text);
	assert_non_null(c);
	assert_string_equal(config_get(c, "", "b"), "1");
	config_free(c);
	memset(text, 'v', sizeof(text));
	memcpy(text, "a = ", 4);
	text[sizeof(text) - 1] = '\0';
	assert_refused(text, ":1: the line is longer than 4094 bytes");
}

static void
a_section_name_that_would_be_cut_off_is_refused(void **state)
{
	(void)state;
	assert_null(read_text("[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			      "aaaaaaaaa]\nx = 1\n"));
	assert_non_null(strstr(err.text, ":2: the section's name \"aaa"));
}

static void
too_many_settings_are_refused(void **state)
{
	static char text[20000];
	size_t len;
	int i;

	(void)state;
	len = 0;
	for (i = 0; i <= CONFIG_SETTINGS_MAX; i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "n%d = 1\n", i);
	assert_refused(text, ":1001: there are more than 1000 settings");
}

static void
a_zero_byte_is_refused(void **state)
{
	(void)state;
	assert_null(read_bytes("a = 1\0b\n", 8));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_non_null(strstr(err.text, "zero byte"));
}

static void
a_file_above_the_limit_is_refused(void **state)
{
	char *text;

	(void)state;
	text = malloc(CONFIG_FILE_BYTES_MAX + 1);
	assert_non_null(text);
	memset(text, '\n', CONFIG_FILE_BYTES_MAX + 1);
	assert_null(read_bytes(text, CONFIG_FILE_BYTES_MAX + 1));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
	free(text);
}

static void
a_missing_file_is_named(void **state)
{
	(void)state;
	error_clear(&err);
	assert_null(config_read("/nonexistent/holdfast.conf", &err));
	assert_string_equal(err.text,
	    "/nonexistent/holdfast.conf: cannot open: "
	    "No such file or directory");
}

static void
a_refusal_names_file_and_line(void **state)
{
	struct config *c;
	char expected[200];

	(void)state;
	c = read_text("\n[server]\nworkerz = 4\n");
	assert_non_null(c);
	assert_int_equal(config_refuse(c, config_at(c, 0), &err,
			     "there is no setting %s", "workerz"),
	    -1);
	snprintf(expected, sizeof(expected),
	    "%s:3: there is no setting workerz", path);
	assert_string_equal(err.text, expected);
	assert_int_equal(err.kind, ERR_INVALID);
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_found_by_section_and_name),
		cmocka_unit_test(a_semicolon_within_a_value_belongs_to_it),
		cmocka_unit_test(a_last_line_needs_no_newline),
		cmocka_unit_test(an_empty_file_has_no_settings),
		cmocka_unit_test(a_line_that_is_no_setting_is_named),
		cmocka_unit_test(
		    a_setting_given_twice_is_refused_with_both_lines),
		cmocka_unit_test(a_line_that_is_too_long_is_refused_not_split),
		cmocka_unit_test(
		    a_section_name_that_would_be_cut_off_is_refused),
		cmocka_unit_test(too_many_settings_are_refused),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(a_file_above_the_limit_is_refused),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(a_refusal_names_file_and_line),
	};

	return cmocka_run_group_tests_name(
	    "config", tests, make_file, remove_file);
}
