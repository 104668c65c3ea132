#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"

#define THREADS 4
#define LINES 40
#define ACCESS_LINES 5000

/* Standard error goes to this file between begin() and end(). */
static int log_fd = -1;
static int stderr_fd = -1;
static char *text;

static void
begin(void)
{
	log_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(log_fd, -1);
	stderr_fd = dup(STDERR_FILENO);
	assert_int_not_equal(dup2(log_fd, STDERR_FILENO), -1);
}

/* All that fd has, as text that the next call or the teardown frees. */
static const char *
contents(int fd)
{
	off_t len;

	len = lseek(fd, 0, SEEK_END);
	assert_true(len >= 0);
	free(text);
	text = malloc((size_t)len + 1);
	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)len, 0), len);
	text[len] = '\0';
	return text;
}

static const char *
end(void)
{
	assert_int_not_equal(dup2(stderr_fd, STDERR_FILENO), -1);
	close(stderr_fd);
	contents(log_fd);
	close(log_fd);
	return text;
}

static int
free_text(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

/* The next line as JSON, which the caller releases; NULL at the end. */
static json_t *
next_line(const char **at)
{
	json_error_t error;
	const char *newline;
	json_t *line;

	if (**at == '\0')
		return NULL;
	newline = strchr(*at, '\n');
	assert_non_null(newline);
	line = json_loadb(*at, (size_t)(newline - *at), JSON_ALLOW_NUL, &error);
	if (line == NULL)
		fail_msg("%s in: %.*s", error.text, (int)(newline - *at), *at);
	*at = newline + 1;
	return line;
}

static const char *
text_of(json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

/* Whole seconds bound what a test may log of one event. */
static void
wait_for_next_second(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	usleep((useconds_t)((1000000000 - now.tv_nsec) / 1000 + 1000));
}

static void
a_line_is_one_json_object(void **state)
{
	const struct log_field fields[] = {
		LOG_T("bucket", "velero"),
		LOG_N("bytes", INT64_MIN),
		LOG_N("count", 0),
		LOG_B("key", "a\0b", 3),
		LOG_T("none", NULL),
	};
	const char *at;
	json_t *line;

	(void)state;
	begin();
	log_fields(LOG_WARN, "scrub.damage", "a block is damaged", fields, 5);
	at = end();
	line = next_line(&at);
	assert_non_null(line);
	assert_int_equal(
	    strlen(text_of(line, "time")), strlen("2026-11-24T12:36:01.123Z"));
	assert_string_equal(text_of(line, "level"), "warn");
	assert_string_equal(text_of(line, "event"), "scrub.damage");
	assert_string_equal(text_of(line, "message"), "a block is damaged");
	assert_string_equal(text_of(line, "bucket"), "velero");
	assert_int_equal(
	    json_integer_value(json_object_get(line, "bytes")), INT64_MIN);
	assert_int_equal(json_integer_value(json_object_get(line, "count")), 0);
	assert_true(json_is_null(json_object_get(line, "none")));
	assert_non_null(strstr(text, "\"key\":\"a\\u0000b\""));
	json_decref(line);
	assert_null(next_line(&at));
}

static void
any_bytes_become_a_valid_string(void **state)
{
	static const struct {
		const char *bytes;
		const char *json;
	} rows[] = {
		{ "quote \" and \\", "\"quote \\\" and \\\\\"" },
		{ "tab\tnew\nline\x1b[31m",
		    "\"tab\\u0009new\\u000aline\\u001b[31m\"" },
		{ "\x7f", "\"\\u007f\"" },
		{ "\xc2\x85", "\"\\u0085\"" },
		{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		    "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
		{ "\xff", "\"\\ufffd\"" },
		{ "a\x80z", "\"a\\ufffdz\"" },
		{ "\xc3", "\"\\ufffd\"" },
		{ "\xc3z", "\"\\ufffdz\"" },
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },
		{ "\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf8\x88\x80\x80\x80",
		    "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xe2\x82", "\"\\ufffd\\ufffd\"" },
	};
	struct log_field field;
	const char *at;
	json_t *line;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		field = (struct log_field)LOG_T("x", rows[i].bytes);
		begin();
		log_fields(LOG_INFO, "bytes", "any", &field, 1);
		at = end();
		line = next_line(&at);
		assert_non_null(strstr(text, rows[i].json));
		json_decref(line);
	}
}

static void
lines_below_the_level_are_dropped(void **state)
{
	const char *at;
	json_t *line;

	(void)state;
	begin();
	log_line(LOG_DEBUG, "level", "no");
	log_set_level(LOG_ERROR);
	log_line(LOG_WARN, "level", "no");
	log_line(LOG_ERROR, "level", "yes %d", 1);
	log_set_level(LOG_DEBUG);
	log_line(LOG_DEBUG, "level", "yes %d", 2);
	log_set_level(LOG_INFO);
	at = end();
	line = next_line(&at);
	assert_string_equal(text_of(line, "message"), "yes 1");
	json_decref(line);
	line = next_line(&at);
	assert_string_equal(text_of(line, "message"), "yes 2");
	json_decref(line);
	assert_null(next_line(&at));
}

static void
a_burst_is_counted_and_reported_and_hides_no_other_event(void **state)
{
	const char *at;
	json_t *line;
	int i, other;

	(void)state;
	wait_for_next_second();
	begin();
	for (i = 0; i < LOG_BURST + 30; i++)
		log_line(LOG_INFO, "burst", "number %d", i);
	log_line(LOG_INFO, "other", "heard");
	wait_for_next_second();
	log_report_dropped();
	log_report_dropped();
	log_line(LOG_INFO, "burst", "again");
	at = end();
	for (i = 0; i < LOG_BURST; i++) {
		line = next_line(&at);
		assert_string_equal(text_of(line, "event"), "burst");
		json_decref(line);
	}
	line = next_line(&at);
	assert_string_equal(text_of(line, "event"), "other");
	json_decref(line);
	line = next_line(&at);
	assert_string_equal(text_of(line, "event"), "log.dropped");
	assert_string_equal(text_of(line, "of"), "burst");
	assert_int_equal(
	    json_integer_value(json_object_get(line, "dropped")), 30);
	json_decref(line);
	line = next_line(&at);
	assert_string_equal(text_of(line, "message"), "again");
	json_decref(line);
	other = next_line(&at) != NULL;
	assert_false(other);
}

static void
more_events_than_are_counted_are_still_written(void **state)
{
	char event[16];
	const char *at;
	json_t *line;
	int i;

	(void)state;
	begin();
	for (i = 0; i < 200; i++) {
		snprintf(event, sizeof(event), "event.%d", i);
		log_line(LOG_INFO, event, "x");
	}
	at = end();
	for (i = 0; i < 200; i++) {
		snprintf(event, sizeof(event), "event.%d", i);
		line = next_line(&at);
		assert_non_null(line);
		assert_string_equal(text_of(line, "event"), event);
		json_decref(line);
	}
}

static void *
log_many(void *arg)
{
	const char *event = arg;
	struct log_field field = LOG_T("who", event);
	int i;

	for (i = 0; i < LINES; i++)
		log_fields(LOG_INFO, event, "from many threads", &field, 1);
	return NULL;
}

static void
lines_of_many_threads_never_mix(void **state)
{
	static char events[THREADS][2] = { "a", "b", "c", "d" };
	int counts[THREADS] = { 0 };
	pthread_t threads[THREADS];
	const char *at;
	json_t *line;
	int i;

	(void)state;
	begin();
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, log_many, events[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	at = end();
	while ((line = next_line(&at)) != NULL) {
		counts[text_of(line, "who")[0] - 'a']++;
		json_decref(line);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(counts[i], LINES);
}

static void
a_terminal_gets_text_for_people(void **state)
{
	const struct log_field fields[] = {
		LOG_T("path", "/a b"),
		LOG_N("free", 12),
	};
	char bytes[512];
	int master, slave = -1;
	ssize_t n;

	(void)state;
	if ((master = posix_openpt(O_RDWR | O_NOCTTY)) == -1)
		skip();
	if (grantpt(master) != 0 || unlockpt(master) != 0 ||
	    (slave = open(ptsname(master), O_RDWR | O_NOCTTY)) == -1) {
		close(master);
		skip();
	}
	stderr_fd = dup(STDERR_FILENO);
	dup2(slave, STDERR_FILENO);
	log_fields(LOG_WARN, "disk", "nearly \x1b[2J full", fields, 2);
	dup2(stderr_fd, STDERR_FILENO);
	close(stderr_fd);
	n = read(master, bytes, sizeof(bytes) - 1);
	assert_true(n > 25);
	bytes[n] = '\0';
	assert_string_equal(bytes + 24,
	    " warn  nearly \\u001b[2J full path=\"/a b\" free=12\r\n");
	close(slave);
	close(master);
}

static void
access_lines_wait_in_the_buffer_until_flushed(void **state)
{
	const struct log_field field = LOG_B("key", "a/b", 3);
	const char *at;
	json_t *line;
	int fd;

	(void)state;
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	log_access(&field, 1);
	log_access_flush();
	log_access_open(fd);
	log_access(&field, 1);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	log_access_flush();
	log_access_flush();
	at = contents(fd);
	line = next_line(&at);
	assert_string_equal(text_of(line, "key"), "a/b");
	assert_non_null(text_of(line, "time"));
	json_decref(line);
	assert_null(next_line(&at));
	log_access(&field, 1);
	log_access_open(-1);
	log_access(&field, 1);
	log_access_flush();
	at = contents(fd);
	json_decref(next_line(&at));
	json_decref(next_line(&at));
	assert_null(next_line(&at));
	close(fd);
}

static void *
access_many(void *arg)
{
	struct log_field fields[] = { LOG_T("who", arg), LOG_N("i", 0) };
	int i;

	for (i = 0; i < ACCESS_LINES; i++) {
		fields[1].number = i;
		log_access(fields, 2);
		if (i % 1000 == 0)
			log_access_flush();
	}
	return NULL;
}

static void
access_lines_of_each_thread_stay_whole_and_in_order(void **state)
{
	static char names[THREADS][2] = { "a", "b", "c", "d" };
	int next[THREADS] = { 0 };
	pthread_t threads[THREADS];
	const char *at;
	json_t *line;
	int i, who, fd;

	(void)state;
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	log_access_open(fd);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, access_many, names[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_access_open(-1);
	at = contents(fd);
	while ((line = next_line(&at)) != NULL) {
		who = text_of(line, "who")[0] - 'a';
		assert_int_equal(json_integer_value(json_object_get(line, "i")),
		    next[who]++);
		json_decref(line);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(next[i], ACCESS_LINES);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_one_json_object),
		cmocka_unit_test(any_bytes_become_a_valid_string),
		cmocka_unit_test(lines_below_the_level_are_dropped),
		cmocka_unit_test(
		    a_burst_is_counted_and_reported_and_hides_no_other_event),
		cmocka_unit_test(
		    more_events_than_are_counted_are_still_written),
		cmocka_unit_test(lines_of_many_threads_never_mix),
		cmocka_unit_test(a_terminal_gets_text_for_people),
		cmocka_unit_test(access_lines_wait_in_the_buffer_until_flushed),
		cmocka_unit_test(
		    access_lines_of_each_thread_stay_whole_and_in_order),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, free_text);
}
