#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/schedule.h"

#define ZONE_FILE_MAX_BYTES (1024 * 1024)
#define DAY_MINUTES (24 * 60)

/* The 64-bit part of a TZif file (RFC 8536): a head, the old 32-bit data,
 * another head, then transition times (be64), their types (u8), and types
 * {offset be32, daylight u8, name u8}. What lies behind the last transition
 * (some fifteen years ahead) keeps its offset. */
static int
read_zone(struct schedule *s, const uint8_t *bytes, size_t len)
{
	uint32_t isut, isstd, leap, times, types, chars;
	struct reader r = reader_of(bytes, len);
	struct slice at, kind, type, head;
	size_t i, which;
	int version;

	for (version = 1; version <= 2; version++) {
		head = reader_take(&r, 20);
		if (r.failed || memcmp(head.at, "TZif", 4) != 0)
			return -1;
		isut = reader_be32(&r);
		isstd = reader_be32(&r);
		leap = reader_be32(&r);
		times = reader_be32(&r);
		types = reader_be32(&r);
		chars = reader_be32(&r);
		if (times > 10000 || types > 256 || leap > 1000 ||
		    chars > 10000 || isut > 256 || isstd > 256)
			return -1;
		if (version == 1)
			(void)reader_take(&r,
			    (size_t)times * 5 + (size_t)types * 6 + chars +
				(size_t)leap * 8 + isstd + isut);
	}
	at = reader_take(&r, (size_t)times * 8);
	kind = reader_take(&r, times);
	type = reader_take(&r, (size_t)types * 6);
	if (r.failed || types == 0)
		return -1;
	s->zone = calloc(times + 1, sizeof(*s->zone));
	if (s->zone == NULL)
		return -1;
	s->n_zone = times + 1;
	s->zone[0].from_s = INT64_MIN;
	s->zone[0].offset_s = (int32_t)be32_get((const uint8_t *)type.at);
	for (i = 0; i < times; i++) {
		which = (uint8_t)kind.at[i];
		if (which >= types)
			return -1;
		s->zone[i + 1].from_s =
		    (int64_t)be64_get((const uint8_t *)at.at + i * 8);
		s->zone[i + 1].offset_s =
		    (int32_t)be32_get((const uint8_t *)type.at + which * 6);
	}
	return 0;
}

static int
open_zone(struct schedule *s, const char *name, struct error *err)
{
	char path[256], *bytes;
	const char *p;
	size_t len;
	int failed;

	if (strcmp(name, "UTC") == 0)
		return 0;
	for (p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("/_+-", *p) == NULL)
			break;
	if (*p != '\0' || name[0] == '/' || strlen(name) > 100)
		return error_set(err, ERR_INVALID,
		    "window: \"%s\" is no time zone: write one like "
		    "Europe/Berlin, or UTC",
		    name);
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	bytes = file_read(path, ZONE_FILE_MAX_BYTES, &len, err);
	if (bytes == NULL)
		return error_set(err, ERR_INVALID,
		    "window: the time zone \"%s\" is not known here: write one "
		    "like Europe/Berlin (the package tzdata has them), or UTC",
		    name);
	failed = read_zone(s, (const uint8_t *)bytes, len);
	free(bytes);
	if (failed)
		return error_set(err, ERR_INVALID,
		    "window: %s is not a time zone's file", path);
	return 0;
}

static int
parse_time(const char **text, int *minutes)
{
	int hour, minute, n = 0;

	if (sscanf(*text, "%2d:%2d%n", &hour, &minute, &n) != 2 || n < 4 ||
	    hour < 0 || hour > 24 || minute < 0 || minute > 59)
		return -1;
	*minutes = hour * 60 + minute;
	*text += n;
	return *minutes > DAY_MINUTES ? -1 : 0;
}

int
schedule_parse(struct schedule *s, const char *text, struct error *err)
{
	memset(s, 0, sizeof(*s));
	if (text == NULL || *text == '\0')
		return 0;
	for (;;) {
		if (s->n_spans == SCHEDULE_SPANS ||
		    parse_time(&text, &s->spans[s->n_spans].from) != 0 ||
		    *text++ != '-' ||
		    parse_time(&text, &s->spans[s->n_spans].to) != 0)
			goto refuse;
		s->n_spans++;
		if (*text != ',')
			break;
		text += 1 + strspn(text + 1, " ");
	}
	if (*text != '\0' && *text != ' ')
		goto refuse;
	text += strspn(text, " ");
	if (*text == '\0' || open_zone(s, text, err) == 0)
		return 0;
	schedule_free(s);
	return -1;

refuse:
	schedule_free(s);
	return error_set(err, ERR_INVALID,
	    "window: write it like \"22:00-06:00 Europe/Berlin\"");
}

void
schedule_free(struct schedule *s)
{
	free(s->zone);
	memset(s, 0, sizeof(*s));
}

int
schedule_is_open(const struct schedule *s, int64_t wall_ms)
{
	int64_t now_s = wall_ms / 1000, day;
	size_t i, low = 0, high = s->n_zone, middle;
	int minute;

	if (s->n_spans == 0)
		return 1;
	while (high - low > 1) {
		middle = (low + high) / 2;
		if (s->zone[middle].from_s <= now_s)
			low = middle;
		else
			high = middle;
	}
	if (s->zone != NULL)
		now_s += s->zone[low].offset_s;
	day = now_s % 86400;
	minute = (int)((day < 0 ? day + 86400 : day) / 60);
	for (i = 0; i < s->n_spans; i++)
		if (s->spans[i].from <= s->spans[i].to
			? minute >= s->spans[i].from && minute < s->spans[i].to
			: minute >= s->spans[i].from || minute < s->spans[i].to)
			return 1;
	return 0;
}
