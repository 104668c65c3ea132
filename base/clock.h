#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Wall time is milliseconds since 1970-01-01 UTC; durations come from the
 * monotonic clock. Any thread.
 */

int64_t clock_wall_ms(void);
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);

#define CLOCK_TEXT_BYTES 40

/* "2026-11-24T12:36:01.123Z" (S3's XML, ISO 8601). */
void clock_iso8601(int64_t wall_ms, char text[CLOCK_TEXT_BYTES]);
/* "20261124T123601Z" (SigV4's x-amz-date). */
void clock_basic(int64_t wall_ms, char text[CLOCK_TEXT_BYTES]);
/* "Tue, 24 Nov 2026 12:36:01 GMT" (RFC 9110 section 5.6.7, IMF-fixdate). */
void clock_http_date(int64_t wall_ms, char text[CLOCK_TEXT_BYTES]);

/* Parsers: 0 and *wall_ms, or -1 when the text is anything else. No locale, no
 * time zone other than UTC/GMT. */
int clock_parse_basic(const char *text, size_t len, int64_t *wall_ms);
int clock_parse_iso8601(const char *text, size_t len, int64_t *wall_ms);
/* All three forms of RFC 9110 section 5.6.7 (IMF-fixdate, RFC 850, asctime). */
int clock_parse_http_date(const char *text, size_t len, int64_t *wall_ms);

#endif
