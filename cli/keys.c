#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/say.h"

/* holdfast key */

#define SECRET_LINE_BYTES 2048

/* The first line of a file or of standard input. */
static int
read_secret(const char *path, char line[SECRET_LINE_BYTES], struct error *err)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (f == NULL || fgets(line, SECRET_LINE_BYTES, f) == NULL)
		line[0] = '\0';
	if (f != NULL && f != stdin)
		(void)fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '\0')
		return error_set(err, ERR_INVALID,
		    "--secret-from: %s has no secret in its first line",
		    strcmp(path, "-") == 0 ? "standard input" : path);
	return 0;
}

static json_t *
rights_list(const char *text)
{
	json_t *array = json_array();
	size_t len;

	for (; *text != '\0'; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		(void)json_array_append_new(array, json_stringn(text, len));
	}
	return array;
}

static void
set_text(json_t *body, const char *name, const char *text)
{
	if (text != NULL)
		(void)json_object_set_new(body, name, json_string(text));
}

static json_t *
key_request(const struct arguments *args, const char *secret)
{
	json_t *body;

	body = json_pack("{s:s, s:o}", "name", args->operands[0], "rights",
	    rights_list(arguments_text(args, "rights", 0)));
	set_text(body, "bucket", arguments_text(args, "bucket", 0));
	set_text(body, "prefix", arguments_text(args, "prefix", 0));
	set_text(body, "access_key", arguments_text(args, "access-key", 0));
	set_text(body, "secret_key", secret);
	return body;
}

int
run_key_add(struct arguments *args)
{
	const char *from = arguments_text(args, "secret-from", 0);
	char line[SECRET_LINE_BYTES];
	struct error err = ERROR_INIT;
	json_t *body, *answer;
	int failed;

	if (from != NULL && read_secret(from, line, &err) != 0)
		return say_failure(&err);
	if ((body = key_request(args, from == NULL ? NULL : line)) == NULL) {
		error_set(&err, ERR_INVALID,
		    "names, prefixes and secrets are UTF-8 text");
		return say_failure(&err);
	}
	failed = control_call(arguments_text(args, "data", 0), "POST",
	    "/v1/keys", body, &answer, &err);
	json_decref(body);
	bytes_wipe(line, sizeof(line));
	if (failed)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	printf("access key: %s\nsecret key: %s\n",
	    say_text(answer, "access_key"), say_text(answer, "secret_key"));
	json_decref(answer);
	return 0;
}

static void
print_key(const json_t *key)
{
	const json_t *rights = json_object_get(key, "rights");
	const char *bucket = say_text(key, "bucket");
	char text[64] = "";
	size_t i, len = 0;

	for (i = 0; i < json_array_size(rights) && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
		    i == 0 ? "" : ",",
		    json_string_value(json_array_get(rights, i)));
	printf("%-20s  %-20s  %-28s  %s%s%s\n", say_text(key, "name"),
	    say_text(key, "access_key"), text, *bucket == '\0' ? "*" : bucket,
	    *bucket == '\0' ? "" : "/", say_text(key, "prefix"));
}

int
run_key_list(struct arguments *args)
{
	struct error err = ERROR_INIT;
	const json_t *keys;
	json_t *answer;
	size_t i;

	if (control_call(arguments_text(args, "data", 0), "GET", "/v1/keys",
		NULL, &answer, &err) != 0)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	keys = json_object_get(answer, "keys");
	if (json_array_size(keys) == 0)
		puts("No keys but the administrator's: `holdfast key add NAME` "
		     "makes one.");
	else
		printf("%-20s  %-20s  %-28s  %s\n", "NAME", "ACCESS KEY",
		    "RIGHTS", "WHERE");
	for (i = 0; i < json_array_size(keys); i++)
		print_key(json_array_get(keys, i));
	json_decref(answer);
	return 0;
}

int
run_key_remove(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *answer;
	char *path;
	int failed;

	if ((path = control_path("/v1/keys/", args->operands[0])) == NULL) {
		(void)error_nomem(&err);
		return say_failure(&err);
	}
	failed = control_call(arguments_text(args, "data", 0), "DELETE", path,
	    NULL, &answer, &err);
	free(path);
	if (failed)
		return say_failure(&err);
	json_decref(answer);
	return 0;
}
