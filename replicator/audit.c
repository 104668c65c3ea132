#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "replicator/audit.h"

static int
append(const char *dir, const char *line, struct error *err)
{
	char path[4096];
	int fd, failed;

	snprintf(path, sizeof(path), "%s/audit.log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd == -1)
		return error_sys(err, errno, "%s", path);
	failed = write_full(fd, line, strlen(line), err);
	if (!failed && fdatasync(fd) != 0)
		failed = error_sys(err, errno, "%s", path);
	(void)close(fd);
	return failed;
}

void
audit_write(const char *dir, const char *who, const char *what,
    const char *name, json_t *detail)
{
	struct error err = ERROR_INIT;
	char time[CLOCK_TEXT_BYTES], *text = NULL, *line = NULL;
	json_t *entry;
	size_t len;

	clock_iso8601(clock_wall_ms(), time);
	entry = json_pack("{s:s, s:s, s:s, s:s, s:o*}", "time", time, "who",
	    who == NULL ? "" : who, "what", what, "name", name, "detail",
	    detail);
	if (entry != NULL)
		text = json_dumps(entry, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(entry);
	if (text != NULL && (line = malloc((len = strlen(text)) + 2)) != NULL) {
		memcpy(line, text, len);
		memcpy(line + len, "\n", 2);
		if (append(dir, line, &err) != 0)
			log_line(LOG_ERROR, "audit", "%s: %s", err.text, text);
	}
	free(line);
	free(text);
}

int
audit_read(const char *dir,
    int (*visit)(const char *line, size_t len, void *arg), void *arg,
    struct error *err)
{
	char path[4096], *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/audit.log", dir);
	if ((f = fopen(path, "re")) == NULL)
		return errno == ENOENT ? 0 : error_sys(err, errno, "%s", path);
	while ((n = getline(&line, &room, f)) > 0)
		if (visit(line, (size_t)n, arg))
			break;
	free(line);
	(void)fclose(f);
	return 0;
}
