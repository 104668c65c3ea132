#include <string.h>
#include <time.h>

#include "base/clock.h"

#define DAY_MS INT64_C(86400000)
#define ERA_DAYS 146097                      /* days in 400 Gregorian years */
#define EPOCH_DAYS 719468                    /* from 0000-03-01 to 1970-01-01 */
#define EARLIEST_MS INT64_C(-62167219200000) /* 0000-01-01T00:00:00Z */
#define LATEST_MS INT64_C(253402300799999)   /* 9999-12-31T23:59:59.999Z */

/* A moment in UTC as people write it. */
struct civil {
	int year;    /* 0 to 9999 */
	int month;   /* 1 to 12 */
	int day;     /* 1 to 31 */
	int weekday; /* 0 is Sunday */
	int hour, minute, second, ms;
};

static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May",
	"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char *const day_names[] = { "Sunday", "Monday", "Tuesday",
	"Wednesday", "Thursday", "Friday", "Saturday" };

static uint64_t
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t
clock_monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

uint64_t
clock_monotonic_us(void)
{
	return monotonic_us();
}

/*
 * Days since 1970-01-01 of a Gregorian date from year 0 on. Years are counted
 * from March, so that the leap day is a year's last and the months before any
 * month sum to (153 m + 2) / 5 days.
 */
static int64_t
days_of(int year, int month, int day)
{
	int64_t y, m;

	y = month > 2 ? year : year - 1;
	m = month > 2 ? month - 3 : month + 9;
	/* One era more keeps January of year 0 above zero. */
	y += 400;
	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day -
	    1 - EPOCH_DAYS - ERA_DAYS;
}

static void
civil_of(int64_t wall_ms, struct civil *c)
{
	int64_t days, ms, year, m, left;

	if (wall_ms < EARLIEST_MS)
		wall_ms = EARLIEST_MS;
	if (wall_ms > LATEST_MS)
		wall_ms = LATEST_MS;
	days = wall_ms / DAY_MS;
	ms = wall_ms % DAY_MS;
	if (ms < 0) {
		ms += DAY_MS;
		days--;
	}
	c->ms = (int)(ms % 1000);
	c->second = (int)(ms / 1000 % 60);
	c->minute = (int)(ms / 60000 % 60);
	c->hour = (int)(ms / 3600000);
	/* 1970-01-01 was a Thursday; 7 * ERA_DAYS keeps the sum positive. */
	c->weekday = (int)((days + 4 + INT64_C(7) * ERA_DAYS) % 7);

	/* The mean year is at most one too high or low: then step. */
	days += EPOCH_DAYS;
	year = (days * 400 + ERA_DAYS * INT64_C(400)) / ERA_DAYS - 400;
	while (days < days_of((int)year, 3, 1) + EPOCH_DAYS)
		year--;
	while (days >= days_of((int)year + 1, 3, 1) + EPOCH_DAYS)
		year++;
	left = days - (days_of((int)year, 3, 1) + EPOCH_DAYS);
	m = (5 * left + 2) / 153;
	c->day = (int)(left - (153 * m + 2) / 5 + 1);
	c->month = (int)(m < 10 ? m + 3 : m - 9);
	c->year = (int)(m < 10 ? year : year + 1);
}

/* Checks the ranges. A leap second, where allowed, is the next minute's start.
 */
static int
wall_of(const struct civil *c, int leap_second, int64_t *wall_ms)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30,
		31, 30, 31 };
	int days;

	if (c->month < 1 || c->month > 12)
		return -1;
	days = month_days[c->month - 1];
	if (c->month == 2 && c->year % 4 == 0 &&
	    (c->year % 100 != 0 || c->year % 400 == 0))
		days++;
	if (c->day < 1 || c->day > days || c->hour > 23 || c->minute > 59 ||
	    c->second > (leap_second ? 60 : 59))
		return -1;
	*wall_ms = days_of(c->year, c->month, c->day) * DAY_MS +
	    ((int64_t)c->hour * 3600 + c->minute * 60 + c->second) * 1000 +
	    c->ms;
	return *wall_ms > LATEST_MS ? -1 : 0;
}

static char *
put_digits(char *p, int value, int width)
{
	int i;

	for (i = width - 1; i >= 0; i--) {
		p[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return p + width;
}

static char *
put_text(char *p, const char *text, size_t len)
{
	memcpy(p, text, len);
	return p + len;
}

/* "12:36:01" */
static char *
put_time(char *p, const struct civil *c)
{
	p = put_digits(p, c->hour, 2);
	*p++ = ':';
	p = put_digits(p, c->minute, 2);
	*p++ = ':';
	return put_digits(p, c->second, 2);
}

void
clock_iso8601(int64_t wall_ms, char text[CLOCK_TEXT_BYTES])
{
	struct civil c;
	char *p = text;

	civil_of(wall_ms, &c);
	p = put_digits(p, c.year, 4);
	*p++ = '-';
	p = put_digits(p, c.month, 2);
	*p++ = '-';
	p = put_digits(p, c.day, 2);
	*p++ = 'T';
	p = put_time(p, &c);
	*p++ = '.';
	p = put_digits(p, c.ms, 3);
	*p++ = 'Z';
	*p = '\0';
}

void
clock_basic(int64_t wall_ms, char text[CLOCK_TEXT_BYTES])
{
	struct civil c;
	char *p = text;

	civil_of(wall_ms, &c);
	p = put_digits(p, c.year, 4);
	p = put_digits(p, c.month, 2);
	p = put_digits(p, c.day, 2);
	*p++ = 'T';
	p = put_digits(p, c.hour, 2);
	p = put_digits(p, c.minute, 2);
	p = put_digits(p, c.second, 2);
	*p++ = 'Z';
	*p = '\0';
}

void
clock_http_date(int64_t wall_ms, char text[CLOCK_TEXT_BYTES])
{
	struct civil c;
	char *p = text;

	civil_of(wall_ms, &c);
	p = put_text(p, day_names[c.weekday], 3);
	p = put_text(p, ", ", 2);
	p = put_digits(p, c.day, 2);
	*p++ = ' ';
	p = put_text(p, month_names[c.month - 1], 3);
	*p++ = ' ';
	p = put_digits(p, c.year, 4);
	*p++ = ' ';
	p = put_time(p, &c);
	put_text(p, " GMT", sizeof(" GMT"));
}

/*
 * What is left of a text that is being parsed. After the first mismatch
 * `failed` is set and nothing more is taken, so that a parser checks once.
 */
struct cursor {
	const char *at;
	const char *end;
	int failed;
};

static int
take_digits(struct cursor *c, int width)
{
	int value, i;

	value = 0;
	for (i = 0; i < width && !c->failed; i++) {
		if (c->at == c->end || *c->at < '0' || *c->at > '9')
			c->failed = 1;
		else
			value = value * 10 + (*c->at++ - '0');
	}
	return value;
}

static int
starts_with(const struct cursor *c, const char *text, size_t len)
{
	return (size_t)(c->end - c->at) >= len && memcmp(c->at, text, len) == 0;
}

static void
take_text(struct cursor *c, const char *text)
{
	size_t len;

	len = strlen(text);
	if (c->failed || !starts_with(c, text, len))
		c->failed = 1;
	else
		c->at += len;
}

/* Which of the names comes next, of each its first len bytes (0: all). */
static int
take_name(struct cursor *c, const char *const *names, int n, size_t len)
{
	size_t name_len;
	int i;

	for (i = 0; i < n && !c->failed; i++) {
		name_len = len == 0 ? strlen(names[i]) : len;
		if (starts_with(c, names[i], name_len)) {
			c->at += name_len;
			return i;
		}
	}
	c->failed = 1;
	return 0;
}

static void
take_time(struct cursor *c, struct civil *t)
{
	t->hour = take_digits(c, 2);
	take_text(c, ":");
	t->minute = take_digits(c, 2);
	take_text(c, ":");
	t->second = take_digits(c, 2);
}

int
clock_parse_basic(const char *text, size_t len, int64_t *wall_ms)
{
	struct cursor c = { text, text + len, 0 };
	struct civil t = { 0 };

	t.year = take_digits(&c, 4);
	t.month = take_digits(&c, 2);
	t.day = take_digits(&c, 2);
	take_text(&c, "T");
	t.hour = take_digits(&c, 2);
	t.minute = take_digits(&c, 2);
	t.second = take_digits(&c, 2);
	take_text(&c, "Z");
	if (c.failed || c.at != c.end)
		return -1;
	return wall_of(&t, 0, wall_ms);
}

/* An optional point and one to nine digits; what is below a ms is cut off. */
static int
take_fraction_ms(struct cursor *c)
{
	int ms, digits;

	if (c->failed || c->at == c->end || *c->at != '.')
		return 0;
	c->at++;
	ms = take_digits(c, 1);
	for (digits = 1; digits < 9 && c->at < c->end && *c->at != 'Z';
	     digits++) {
		if (digits < 3)
			ms = ms * 10 + take_digits(c, 1);
		else
			take_digits(c, 1);
	}
	for (; digits < 3; digits++)
		ms *= 10;
	return ms;
}

int
clock_parse_iso8601(const char *text, size_t len, int64_t *wall_ms)
{
	struct cursor c = { text, text + len, 0 };
	struct civil t = { 0 };

	t.year = take_digits(&c, 4);
	take_text(&c, "-");
	t.month = take_digits(&c, 2);
	take_text(&c, "-");
	t.day = take_digits(&c, 2);
	take_text(&c, "T");
	take_time(&c, &t);
	t.ms = take_fraction_ms(&c);
	take_text(&c, "Z");
	if (c.failed || c.at != c.end)
		return -1;
	return wall_of(&t, 0, wall_ms);
}

/* "Tue, 24 Nov 2026 12:36:01 GMT" */
static void
take_imf_fixdate(struct cursor *c, struct civil *t)
{
	take_name(c, day_names, 7, 3);
	take_text(c, ", ");
	t->day = take_digits(c, 2);
	take_text(c, " ");
	t->month = take_name(c, month_names, 12, 0) + 1;
	take_text(c, " ");
	t->year = take_digits(c, 4);
	take_text(c, " ");
	take_time(c, t);
	take_text(c, " GMT");
}

/* "Tuesday, 24-Nov-26 12:36:01 GMT". A year that looks more than 50 years
 * ahead is the latest past one with the same digits. */
static void
take_rfc850(struct cursor *c, struct civil *t)
{
	struct civil now;

	take_name(c, day_names, 7, 0);
	take_text(c, ", ");
	t->day = take_digits(c, 2);
	take_text(c, "-");
	t->month = take_name(c, month_names, 12, 0) + 1;
	take_text(c, "-");
	t->year = take_digits(c, 2);
	take_text(c, " ");
	take_time(c, t);
	take_text(c, " GMT");

	civil_of(clock_wall_ms(), &now);
	t->year += now.year / 100 * 100;
	if (t->year > now.year + 50)
		t->year -= 100;
}

/* "Tue Nov 24 12:36:01 2026"; a day below ten has a blank for its first digit.
 */
static void
take_asctime(struct cursor *c, struct civil *t)
{
	take_name(c, day_names, 7, 3);
	take_text(c, " ");
	t->month = take_name(c, month_names, 12, 0) + 1;
	take_text(c, " ");
	if (!c->failed && starts_with(c, " ", 1)) {
		c->at++;
		t->day = take_digits(c, 1);
	} else {
		t->day = take_digits(c, 2);
	}
	take_text(c, " ");
	take_time(c, t);
	take_text(c, " ");
	t->year = take_digits(c, 4);
}

int
clock_parse_http_date(const char *text, size_t len, int64_t *wall_ms)
{
	static void (*const forms[])(struct cursor *,
	    struct civil *) = { take_imf_fixdate, take_rfc850, take_asctime };
	struct cursor c;
	struct civil t;
	size_t i;

	for (i = 0; len > 0 && i < sizeof(forms) / sizeof(forms[0]); i++) {
		c = (struct cursor){ text, text + len, 0 };
		t = (struct civil){ 0 };
		forms[i](&c, &t);
		if (!c.failed && c.at == c.end)
			return wall_of(&t, 1, wall_ms);
	}
	return -1;
}
