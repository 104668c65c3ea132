#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "replicator/fields.h"

#define PATH_MAX_BYTES 512
#define HOST_MAX_BYTES 255

int
field_is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

int
field_copy(char **to, const char *text, struct error *err)
{
	if (!field_is_set(text))
		return 0;
	return (*to = strdup(text)) != NULL ? 0 : error_nomem(err);
}

int
field_ends(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcmp(text + a - b, end) == 0;
}

int
field_path(const char *text, char **path, struct error *err)
{
	size_t len, segment;
	const char *at;

	text = text != NULL ? text : "";
	while (*text == '/')
		text++;
	len = strlen(text);
	while (len > 0 && text[len - 1] == '/')
		len--;
	for (at = text; at < text + len; at += segment + 1) {
		segment = strcspn(at, "/");
		if (segment > (size_t)(text + len - at))
			segment = (size_t)(text + len - at);
		if (segment == 0 || (segment == 1 && at[0] == '.') ||
		    (segment == 2 && at[0] == '.' && at[1] == '.'))
			return error_set(err, ERR_INVALID,
			    "path: \"%.200s\" has an empty part, \".\" or "
			    "\"..\": write it as one/two/three",
			    text);
	}
	if (len > PATH_MAX_BYTES)
		return error_set(err, ERR_INVALID,
		    "path: it is longer than %d bytes", PATH_MAX_BYTES);
	if ((*path = malloc(len + 2)) == NULL)
		return error_nomem(err);
	snprintf(*path, len + 2, "%.*s%s", (int)len, text, len > 0 ? "/" : "");
	return 0;
}

int
field_endpoint(const char *text, const char *form, int *https, char **host,
    char **base, struct error *err)
{
	const char *own_port;
	size_t len, i;

	*https = strncasecmp(text, "http://", 7) != 0;
	if (!*https)
		text += 7;
	else if (strncasecmp(text, "https://", 8) == 0)
		text += 8;
	len = strcspn(text, "/?#");
	if (len == 0 || len > HOST_MAX_BYTES || strstr(text, "://") != NULL ||
	    memchr(text, '@', len) != NULL || strpbrk(text, "?# ") != NULL)
		return error_set(err, ERR_INVALID, "endpoint: %s", form);
	if ((*host = strndup(text, len)) == NULL ||
	    (*base = strdup(text + len)) == NULL)
		return error_nomem(err);
	for (i = 0; i < len; i++)
		(*host)[i] = (char)tolower((unsigned char)(*host)[i]);
	own_port = *https ? ":443" : ":80";
	if (field_ends(*host, own_port))
		(*host)[len - strlen(own_port)] = '\0';
	for (i = strlen(*base); i > 0 && (*base)[i - 1] == '/'; i--)
		(*base)[i - 1] = '\0';
	return 0;
}
