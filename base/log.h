#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

/*
 * The log: one JSON object a line on standard error, or "time level message
 * key=value" when standard error is a terminal. Any thread. A line is written
 * with one write(2), so lines never mix. Lines of the same `event` beyond
 * LOG_BURST within a second are counted, not written; the count is reported
 * with the next line of any event or by log_report_dropped().
 *
 * Secrets never come here: callers pass names of keys, not keys.
 */

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR
};

#define LOG_BURST 50

/* Lines below this level are dropped; LOG_INFO at start. */
void log_set_level(enum log_level);

/* One field of a line. Made by the macros below; the text is not kept. Any
 * bytes will do: a byte that is not part of well-formed UTF-8 is written as
 * U+FFFD, a control character as its escape. */
struct log_field {
	const char *name;
	enum {
		LOG_TEXT,
		LOG_NUMBER,
		LOG_BYTES_TEXT
	} type;
	const void
	    *text; /* LOG_TEXT: NUL-terminated; LOG_BYTES_TEXT: len bytes */
	size_t len;
	int64_t number;
};

#define LOG_T(name_, text_) \
	{ \
		(name_), LOG_TEXT, (text_), 0, 0 \
	}
#define LOG_B(name_, bytes_, len_) \
	{ \
		(name_), LOG_BYTES_TEXT, (bytes_), (len_), 0 \
	}
#define LOG_N(name_, number_) \
	{ \
		(name_), LOG_NUMBER, NULL, 0, (int64_t)(number_) \
	}

/* Writes a line: event is a short constant name ("scrub.damage"), message a
 * sentence for people. */
void log_fields(enum log_level, const char *event, const char *message,
    const struct log_field *fields, size_t n_fields);

/* The same with a formatted message and no fields. */
void log_line(enum log_level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes the counts of lines that were dropped in seconds that have passed; for
 * a timer of about a second. */
void log_report_dropped(void);

/*
 * The access log: one JSON line per request, its time in front, to its own
 * descriptor; buffered and written by whoever fills the buffer (64 KiB), and by
 * log_access_flush(), which someone calls once a second. fd -1 turns it off
 * (the start state).
 */
void log_access_open(int fd);
void log_access(const struct log_field *fields, size_t n_fields);
void log_access_flush(void);

#endif
