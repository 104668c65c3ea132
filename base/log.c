#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_json.h"

#define MESSAGE_BYTES 1024
#define EVENT_BYTES 48
#define EVENTS 64 /* a power of two */

/* How often an event was seen in the current second. */
struct event_count {
	char event[EVENT_BYTES]; /* "" is free */
	uint64_t second;
	uint64_t seen;
	uint64_t dropped;
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* Guards what follows and keeps lines whole. Taken alone. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct event_count counts[EVENTS];
static size_t n_dropping; /* counts with dropped > 0 */
static struct buffer line;

static _Atomic int least = LOG_INFO;

static void
put_json_line(struct buffer *b, enum log_level level, const char *event,
    const char *message, const struct log_field *fields, size_t n_fields)
{
	log_json_start(b);
	buffer_add_text(b, ",\"level\":\"");
	buffer_add_text(b, level_names[level]);
	buffer_add_text(b, "\",\"event\":");
	log_json_text(b, event);
	buffer_add_text(b, ",\"message\":");
	log_json_text(b, message);
	log_json_fields(b, fields, n_fields);
	buffer_add_text(b, "}\n");
}

/* "2026-11-24T12:36:01.123Z warn The disk is nearly full free=12 path="/data""
 */
static void
put_terminal_line(struct buffer *b, enum log_level level, const char *message,
    const struct log_field *fields, size_t n_fields)
{
	char time[CLOCK_TEXT_BYTES];
	size_t i, start;

	clock_iso8601(clock_wall_ms(), time);
	buffer_printf(b, "%s %-5s ", time, level_names[level]);
	/* Escaped, but without the quotes. */
	start = b->len;
	log_json_text(b, message);
	if (b->failed)
		return;
	b->len -= 2;
	memmove(b->at + start, b->at + start + 1, b->len - start);
	for (i = 0; i < n_fields; i++) {
		buffer_add_u8(b, ' ');
		buffer_add_text(b, fields[i].name);
		buffer_add_u8(b, '=');
		log_json_value(b, &fields[i]);
	}
	buffer_add_u8(b, '\n');
}

/* As much as fd takes. A log that cannot be written has nowhere to say so. */
static void
write_out(int fd, const struct buffer *b)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < b->len; done += (size_t)n) {
		n = write(fd, b->at + done, b->len - done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return;
	}
}

/* Needs the lock. */
static void
write_line(enum log_level level, const char *event, const char *message,
    const struct log_field *fields, size_t n_fields)
{
	static const char no_memory[] =
	    "{\"level\":\"error\",\"event\":\"log\","
	    "\"message\":\"no memory for a log line\"}\n";

	buffer_clear(&line);
	if (isatty(STDERR_FILENO))
		put_terminal_line(&line, level, message, fields, n_fields);
	else
		put_json_line(&line, level, event, message, fields, n_fields);
	if (line.failed) {
		buffer_clear(&line);
		if (write(STDERR_FILENO, no_memory, sizeof(no_memory) - 1) < 0)
			return;
	}
	write_out(STDERR_FILENO, &line);
}

/* Says how many lines of the event were dropped. Needs the lock. */
static void
report(struct event_count *c)
{
	const struct log_field fields[] = {
		LOG_T("of", c->event),
		LOG_N("dropped", c->dropped),
	};

	if (c->dropped == 0)
		return;
	c->dropped = 0;
	n_dropping--;
	write_line(LOG_WARN, "log.dropped",
	    "too many lines of one event in a second", fields, 2);
}

/* Reports what was dropped in seconds that have passed. Needs the lock. */
static void
report_passed(uint64_t second)
{
	size_t i;

	for (i = 0; i < EVENTS && n_dropping > 0; i++) {
		if (counts[i].dropped > 0 && counts[i].second != second)
			report(&counts[i]);
	}
}

/* The event's count: its own, else a free one, else the oldest's. */
static struct event_count *
count_of(const char *event)
{
	struct event_count *c, *oldest;
	size_t i, at;

	at = 0;
	for (i = 0; i < EVENT_BYTES - 1 && event[i] != '\0'; i++)
		at = at * 31 + (unsigned char)event[i];
	oldest = &counts[at % EVENTS];
	for (i = 0; i < EVENTS; i++) {
		c = &counts[(at + i) % EVENTS];
		if (c->event[0] == '\0' ||
		    strncmp(c->event, event, EVENT_BYTES - 1) == 0)
			break;
		if (c->second < oldest->second)
			oldest = c;
	}
	if (i == EVENTS)
		c = oldest;
	if (strncmp(c->event, event, EVENT_BYTES - 1) != 0) {
		report(c);
		*c = (struct event_count){ 0 };
		strncpy(c->event, event, EVENT_BYTES - 1);
	}
	return c;
}

/* Whether the event may still write in this second. Needs the lock. */
static int
admit(const char *event)
{
	struct event_count *c;
	uint64_t second;

	second = clock_monotonic_ms() / 1000;
	report_passed(second);
	c = count_of(event);
	if (c->second != second) {
		c->second = second;
		c->seen = 0;
	}
	if (c->seen++ < LOG_BURST)
		return 1;
	if (c->dropped++ == 0)
		n_dropping++;
	return 0;
}

void
log_set_level(enum log_level level)
{
	least = (int)level;
}

void
log_fields(enum log_level level, const char *event, const char *message,
    const struct log_field *fields, size_t n_fields)
{
	int saved;

	if ((int)level < least)
		return;
	saved = errno;
	pthread_mutex_lock(&lock);
	if (admit(event))
		write_line(level, event, message, fields, n_fields);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

void
log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	char message[MESSAGE_BYTES];
	va_list ap;

	if ((int)level < least)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_fields(level, event, message, NULL, 0);
}

void
log_report_dropped(void)
{
	pthread_mutex_lock(&lock);
	report_passed(clock_monotonic_ms() / 1000);
	pthread_mutex_unlock(&lock);
}
