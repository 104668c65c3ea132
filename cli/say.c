#include <stdio.h>

#include "base/encode.h"
#include "base/error.h"
#include "cli/options.h"
#include "cli/say.h"

int
say_failure(const struct error *err)
{
	fprintf(stderr, "holdfast: %s\n", err->text);
	return err->kind == ERR_INVALID ? EXIT_USAGE : 1;
}

int
say_json(json_t *answer)
{
	if (answer != NULL) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(answer);
	return 0;
}

const char *
say_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

json_int_t
say_number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

const char *
say_size(json_int_t bytes, char *text)
{
	format_size((uint64_t)bytes, text, 32);
	return text;
}
