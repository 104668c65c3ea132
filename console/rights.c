#include <string.h>

#include "base/error.h"
#include "console/rights.h"
#include "store/record.h"

static const struct {
	const char *name;
	uint8_t bits;
} names[] = {
	{ "read", RIGHT_READ },
	{ "write", RIGHT_WRITE },
	{ "list", RIGHT_LIST },
	{ "delete", RIGHT_DELETE },
	{ "admin", RIGHT_ADMIN },
};

#define NAMES (sizeof(names) / sizeof(names[0]))

json_t *
rights_json(uint8_t rights)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < NAMES; i++)
		if (rights & names[i].bits &&
		    json_array_append_new(array, json_string(names[i].name)) !=
			0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

int
rights_of_json(const json_t *array, uint8_t *rights, struct error *err)
{
	const char *text;
	size_t i, j;

	*rights = RIGHT_READ | RIGHT_WRITE | RIGHT_LIST | RIGHT_DELETE;
	if (array == NULL || json_is_null(array))
		return 0;
	*rights = 0;
	for (i = 0; i < json_array_size(array); i++) {
		text = json_string_value(json_array_get(array, i));
		for (j = 0; j < NAMES; j++)
			if (text != NULL && strcmp(text, names[j].name) == 0)
				break;
		if (j == NAMES)
			return error_set(err, ERR_INVALID,
			    "\"%s\" is no right: give some of read, write, "
			    "list, "
			    "delete and admin",
			    text == NULL ? "" : text);
		*rights |= names[j].bits;
	}
	if (*rights == 0)
		return error_set(err, ERR_INVALID,
		    "a key needs a right: give some of read, write, list, "
		    "delete "
		    "and admin");
	return 0;
}
