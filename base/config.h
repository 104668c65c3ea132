#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stddef.h>

struct error;
struct config;

/*
 * A configuration file: an INI file as a list of its settings. Which of them
 * exist and what they mean is the caller's; it looks up those that it knows and
 * walks the list to refuse the others.
 *
 *     [section]
 *     # a comment, also with ';', only at the start of a line
 *     name = value
 *
 * A value is the rest of its line without the blanks around it. Once read, a
 * config does not change: any thread may look into it. Reading is for one
 * thread at a time.
 */
struct config_setting {
	const char *section; /* "" before the first section */
	const char *name;
	const char *value;
	unsigned line;
};

#define CONFIG_FILE_BYTES_MAX (1024 * 1024)
#define CONFIG_SETTINGS_MAX 1000

/* NULL and *err if there is no such file, if it is larger than the limits, if a
 * line is neither setting, section nor comment, or if a setting is given twice.
 * The caller frees it. */
struct config *config_read(const char *path, struct error *err);
/* The values may be secrets and are wiped. NULL is allowed. */
void config_free(struct config *);

/* The setting, or NULL if the file does not have it. */
const struct config_setting *config_find(
    const struct config *, const char *section, const char *name);
/* Its value, or NULL. */
const char *config_get(
    const struct config *, const char *section, const char *name);

/* All settings in the order of the file: 0 to config_count() - 1. */
size_t config_count(const struct config *);
const struct config_setting *config_at(const struct config *, size_t);

/* Refuses a setting: ERR_INVALID and "FILE:LINE: sentence". Returns -1. */
int config_refuse(const struct config *, const struct config_setting *,
    struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
