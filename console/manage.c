#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "console/manage.h"
#include "console/manage_routes.h"

static const struct {
	const char *method;
	const char *path;
	int named; /* a name follows the path */
	manage_route *run;
} routes[] = {
	{ "GET", "/v1/keys", 0, manage_list_keys },
	{ "POST", "/v1/keys", 0, manage_add_key },
	{ "DELETE", "/v1/keys/", 1, manage_remove_key },
	{ "GET", "/v1/buckets", 0, manage_list_buckets },
	{ "POST", "/v1/buckets", 0, manage_add_bucket },
	{ "PATCH", "/v1/buckets/", 1, manage_set_bucket },
	{ "DELETE", "/v1/buckets/", 1, manage_remove_bucket },
	{ "GET", "/v1/destinations", 0, manage_list_destinations },
	{ "POST", "/v1/destinations", 0, manage_add_destination },
	{ "PATCH", "/v1/destinations/", 1, manage_set_destination },
	{ "DELETE", "/v1/destinations/", 1, manage_remove_destination },
	{ "POST", "/v1/destination-tests", 0, manage_test_destination },
	{ "GET", "/v1/changes", 0, manage_list_changes },
	{ "POST", "/v1/audits/", 1, manage_audit },
	{ "GET", "/v1/audits/", 1, manage_audit_status },
	{ "GET", "/v1/backups", 0, manage_list_backups },
	{ "POST", "/v1/restore/", 1, manage_restore },
	{ "POST", "/v1/restore", 0, manage_restore_from },
	{ "POST", "/v1/restore-surveys", 0, manage_survey },
	{ "GET", "/v1/restore", 0, manage_restore_status },
	{ "GET", "/v1/hold", 0, manage_hold_status },
	{ "DELETE", "/v1/hold", 0, manage_hold_end },
	{ "POST", "/v1/hold/", 1, manage_undelete },
	{ "GET", "/v1/status", 0, manage_status },
};

#define NAME_MAX_BYTES 1024

static int
status_of(const struct error *err)
{
	switch (err->kind) {
	case ERR_INVALID:
		return 400;
	case ERR_NOT_FOUND:
	case ERR_NO_BUCKET:
		return 404;
	case ERR_EXISTS:
	case ERR_NOT_EMPTY:
	case ERR_CONFLICT:
		return 409;
	case ERR_DISK_FULL:
	case ERR_QUOTA:
		return 507;
	case ERR_NOMEM:
	case ERR_BUSY:
	case ERR_CLOSING:
	case ERR_AWAY:
		return 503;
	default:
		return 500;
	}
}

static json_t *
failure(const char *sentence)
{
	json_t *answer;

	answer = json_pack("{s:s}", "error", sentence);
	if (answer == NULL)
		answer = json_pack("{s:s}", "error",
		    "the reason has bytes that are not UTF-8");
	return answer;
}

static int
matches(size_t i, struct slice path, struct slice *name)
{
	size_t len = strlen(routes[i].path);

	if (!routes[i].named) {
		*name = SLICE_NULL;
		return slice_is(path, routes[i].path);
	}
	if (path.len <= len || !slice_starts(path, routes[i].path))
		return 0;
	name->at = path.at + len;
	name->len = path.len - len;
	return 1;
}

int
manage_json(struct manage *manage, struct slice method, struct slice path,
    const json_t *body, json_t **answer)
{
	struct error err = ERROR_INIT;
	char decoded[NAME_MAX_BYTES];
	struct slice name;
	int status, known = 0;
	size_t i;
	long len;

	*answer = NULL;
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!matches(i, path, &name))
			continue;
		known = 1;
		if (slice_is(method, routes[i].method))
			break;
	}
	if (i == sizeof(routes) / sizeof(routes[0])) {
		*answer = failure(known ? "this method is not served here"
					: "there is no such path");
		return known ? 405 : 404;
	}
	if (routes[i].named) {
		len = name.len <= sizeof(decoded)
		    ? uri_decode(name.at, name.len, 0, decoded)
		    : -1;
		if (len < 0) {
			*answer = failure("the name in the path is not one");
			return 400;
		}
		name = (struct slice){ decoded, (size_t)len };
	}
	status = routes[i].run(manage, name, body, answer, &err);
	if (status > 0)
		return status;
	json_decref(*answer);
	*answer = failure(err.text);
	return status_of(&err);
}

int
manage_text(struct manage *manage, struct slice method, struct slice path,
    struct slice body, struct buffer *out)
{
	json_t *request = NULL, *answer = NULL;
	json_error_t problem;
	char *text;
	int status;

	if (body.len > 0) {
		request = json_loadb(body.at, body.len, 0, &problem);
		if (request == NULL) {
			buffer_add_text(
			    out, "{\"error\": \"the body is not JSON\"}\n");
			return 400;
		}
	}
	status = manage_json(manage, method, path, request, &answer);
	json_decref(request);
	if (answer == NULL)
		return status;
	text = json_dumps(answer, JSON_INDENT(2));
	json_decref(answer);
	if (text == NULL) {
		buffer_add_text(out, "{\"error\": \"there is no memory\"}\n");
		return 503;
	}
	buffer_add_text(out, text);
	buffer_add_u8(out, '\n');
	bytes_wipe(text, strlen(text));
	free(text);
	return status;
}

int
manage_string(
    const json_t *body, const char *name, const char **text, struct error *err)
{
	const json_t *value = json_object_get(body, name);

	*text = NULL;
	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return error_set(
		    err, ERR_INVALID, "\"%s\" is not a text", name);
	*text = json_string_value(value);
	return 0;
}
