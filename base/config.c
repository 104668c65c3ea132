#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "base/config.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

#define LINE_BYTES 4096  /* inih's buffer */
#define SECTION_BYTES 50 /* inih cuts longer names off */

struct config {
	char *path;
	size_t count;
	struct config_setting settings[CONFIG_SETTINGS_MAX];
};

/* What reading knows besides the settings so far. */
struct reading {
	struct config *config;
	const char *left; /* of the text, NUL-terminated */
	unsigned line;    /* that inih has been given last */
	struct error *err;
	int failed;
};

/* Sets "FILE:LINE: sentence" and ends the reading. */
static void __attribute__((format(printf, 2, 3)))
fail(struct reading *r, const char *fmt, ...)
{
	char sentence[ERROR_TEXT_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	error_set(r->err, ERR_INVALID, "%s:%u: %s", r->config->path, r->line,
	    sentence);
	r->failed = 1;
}

/* inih's fgets. It would take the rest of a long line for another line. */
static char *
next_line(char *line, int room, void *arg)
{
	struct reading *r = arg;
	size_t len;

	if (r->failed || *r->left == '\0')
		return NULL;
	r->line++;
	len = strcspn(r->left, "\n");
	if (r->left[len] == '\n')
		len++;
	if (len >= (size_t)room) {
		fail(r, "the line is longer than %d bytes", room - 2);
		return NULL;
	}
	memcpy(line, r->left, len);
	line[len] = '\0';
	r->left += len;
	return line;
}

/* inih's handler: 1, or 0 to stop. */
static int
take_setting(
    void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	const struct config_setting *before;
	struct config_setting *s;

	if (strlen(section) >= SECTION_BYTES - 1) {
		fail(r, "the section's name \"%s...\" is too long", section);
		return 0;
	}
	before = config_find(r->config, section, name);
	if (before != NULL) {
		fail(r, "%s is given again; it stands in line %u already", name,
		    before->line);
		return 0;
	}
	if (r->config->count == CONFIG_SETTINGS_MAX) {
		fail(r, "there are more than %d settings", CONFIG_SETTINGS_MAX);
		return 0;
	}

	/* Counted first, so that config_free() has what a failure leaves. */
	s = &r->config->settings[r->config->count++];
	s->line = r->line;
	s->section = strdup(section);
	s->name = strdup(name);
	s->value = strdup(value);
	if (s->section == NULL || s->name == NULL || s->value == NULL) {
		error_nomem(r->err);
		r->failed = 1;
		return 0;
	}
	return 1;
}

/* 0, or -1 and *err. */
static int
parse(struct config *c, const char *text, size_t len, struct error *err)
{
	struct reading r = { c, text, 0, err, 0 };
	int rc;

	if (memchr(text, '\0', len) != NULL)
		return error_set(err, ERR_INVALID,
		    "%s is not text: it holds a zero byte", c->path);

	/* A ';' within a value would cut off a password without a word, and a
	 * blank before a name would append it to the setting above. */
	ini_allow_inline_comments = false;
	ini_allow_multiline = false;
	ini_stop_on_first_error = true;
	ini_max_line = LINE_BYTES;
	rc = ini_parse_stream(next_line, &r, take_setting, &r);
	if (rc != 0 && !r.failed)
		fail(&r, "this is neither \"name = value\" nor \"[section]\"");
	return r.failed ? -1 : 0;
}

struct config *
config_read(const char *path, struct error *err)
{
	struct config *c;
	size_t len;
	char *text;
	int rc;

	if ((text = file_read(path, CONFIG_FILE_BYTES_MAX, &len, err)) == NULL)
		return NULL;
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->path = strdup(path)) == NULL) {
		rc = error_nomem(err);
	} else {
		rc = parse(c, text, len, err);
	}
	bytes_wipe(text, len);
	free(text);
	if (rc != 0) {
		config_free(c);
		return NULL;
	}
	return c;
}

static void
setting_free(struct config_setting *s)
{
	if (s->value != NULL)
		bytes_wipe((char *)s->value, strlen(s->value));
	free((char *)s->section);
	free((char *)s->name);
	free((char *)s->value);
}

void
config_free(struct config *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->count; i++)
		setting_free(&c->settings[i]);
	free(c->path);
	free(c);
}

const struct config_setting *
config_find(const struct config *c, const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < c->count; i++) {
		if (strcmp(c->settings[i].section, section) == 0 &&
		    strcmp(c->settings[i].name, name) == 0)
			return &c->settings[i];
	}
	return NULL;
}

const char *
config_get(const struct config *c, const char *section, const char *name)
{
	const struct config_setting *s;

	s = config_find(c, section, name);
	return s == NULL ? NULL : s->value;
}

size_t
config_count(const struct config *c)
{
	return c->count;
}

const struct config_setting *
config_at(const struct config *c, size_t i)
{
	return &c->settings[i];
}

int
config_refuse(const struct config *c, const struct config_setting *s,
    struct error *err, const char *fmt, ...)
{
	char sentence[ERROR_TEXT_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	return error_set(
	    err, ERR_INVALID, "%s:%u: %s", c->path, s->line, sentence);
}
