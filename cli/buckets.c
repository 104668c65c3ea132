#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/say.h"

/* holdfast bucket */

/* Calls for the bucket that the first operand names; releases body. */
static int
call_bucket(const struct arguments *args, const char *method, json_t *body)
{
	struct error err = ERROR_INIT;
	json_t *answer = NULL;
	char *path;
	int failed = -1;

	if ((path = control_path("/v1/buckets/", args->operands[0])) == NULL)
		(void)error_nomem(&err);
	else
		failed = control_call(arguments_text(args, "data", 0), method,
		    path, body, &answer, &err);
	free(path);
	json_decref(body);
	json_decref(answer);
	return failed ? say_failure(&err) : 0;
}

int
run_bucket_add(struct arguments *args)
{
	struct error err = ERROR_INIT;
	json_t *body, *answer;
	int failed;

	body = json_pack("{s:s}", "name", args->operands[0]);
	if (arguments_count(args, "quota") > 0)
		(void)json_object_set_new(body, "quota_bytes",
		    json_integer((json_int_t)arguments_number(args, "quota")));
	if (arguments_flag(args, "versioning"))
		(void)json_object_set_new(
		    body, "versioning", json_string("enabled"));
	failed = control_call(arguments_text(args, "data", 0), "POST",
	    "/v1/buckets", body, &answer, &err);
	json_decref(body);
	if (!failed)
		json_decref(answer);
	else if (err.kind == ERR_EXISTS && arguments_flag(args, "if-missing"))
		failed = 0;
	return failed ? say_failure(&err) : 0;
}

static void
print_bucket(const json_t *b)
{
	char size[32], quota[32];
	json_int_t bytes;

	bytes = say_number(b, "object_bytes") +
	    say_number(b, "noncurrent_version_bytes") +
	    say_number(b, "upload_bytes");
	printf("%-32s  %12lld  %12s  %12s  %s\n", say_text(b, "name"),
	    (long long)say_number(b, "objects"), say_size(bytes, size),
	    say_number(b, "quota_bytes") == 0
		? "none"
		: say_size(say_number(b, "quota_bytes"), quota),
	    say_text(b, "versioning"));
}

int
run_bucket_list(struct arguments *args)
{
	struct error err = ERROR_INIT;
	const json_t *buckets;
	json_t *answer;
	size_t i;

	if (control_call(arguments_text(args, "data", 0), "GET", "/v1/buckets",
		NULL, &answer, &err) != 0)
		return say_failure(&err);
	if (arguments_flag(args, "json"))
		return say_json(answer);
	buckets = json_object_get(answer, "buckets");
	if (json_array_size(buckets) == 0)
		puts("No buckets: `holdfast bucket add NAME` makes one.");
	else
		printf("%-32s  %12s  %12s  %12s  %s\n", "BUCKET", "OBJECTS",
		    "SIZE", "QUOTA", "VERSIONING");
	for (i = 0; i < json_array_size(buckets); i++)
		print_bucket(json_array_get(buckets, i));
	json_decref(answer);
	return 0;
}

int
run_bucket_remove(struct arguments *args)
{
	return call_bucket(args, "DELETE", NULL);
}

int
run_bucket_quota(struct arguments *args)
{
	const char *text = args->operands[1];
	struct error err = ERROR_INIT;
	uint64_t bytes = 0;

	if (strcmp(text, "none") != 0 &&
	    (parse_size(text, &bytes) != 0 || bytes == 0)) {
		error_set(&err, ERR_INVALID,
		    "\"%s\" is not a quota: give a size such as 500GiB, or "
		    "none",
		    text);
		return say_failure(&err);
	}
	return call_bucket(args, "PATCH",
	    json_pack("{s:I}", "quota_bytes", (json_int_t)bytes));
}

int
run_bucket_versioning(struct arguments *args)
{
	return call_bucket(
	    args, "PATCH", json_pack("{s:s}", "versioning", args->operands[1]));
}
