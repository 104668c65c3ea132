#ifndef BASE_LOG_JSON_H
#define BASE_LOG_JSON_H

#include <stddef.h>

struct buffer;
struct log_field;

/*
 * How the logs write JSON (RFC 8259). Any bytes make a valid string: control
 * characters are escaped, a byte that is not part of well-formed UTF-8 becomes
 * U+FFFD. Any thread, each with its own buffer.
 */

/* {"time":"2026-11-24T12:36:01.123Z" and no end yet. */
void log_json_start(struct buffer *);
/* A string in quotes, of NUL-terminated text. */
void log_json_text(struct buffer *, const char *text);
/* A field's value alone; null for LOG_T of NULL. */
void log_json_value(struct buffer *, const struct log_field *);
/* ,"name":value for each. */
void log_json_fields(
    struct buffer *, const struct log_field *fields, size_t n_fields);

#endif
