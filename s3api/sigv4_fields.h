#ifndef S3API_SIGV4_FIELDS_H
#define S3API_SIGV4_FIELDS_H

#include <string.h>

#include "base/buffer.h"

/* Text in fields, for the two halves of Signature Version 4 and for nobody
 * else. */

/* Takes what stands before the separator from *rest; 0 when nothing is left. */
static inline int
sigv4_next_field(struct slice *rest, char separator, struct slice *field)
{
	const char *end;

	if (rest->at == NULL || rest->len == 0)
		return 0;
	field->at = rest->at;
	if ((end = memchr(rest->at, separator, rest->len)) == NULL) {
		field->len = rest->len;
		rest->len = 0;
		return 1;
	}
	field->len = (size_t)(end - rest->at);
	rest->at = end + 1;
	rest->len -= field->len + 1;
	return 1;
}

static inline void
sigv4_split_parameter(
    struct slice field, struct slice *name, struct slice *value)
{
	const char *equals;

	*name = field;
	*value = SLICE_LITERAL("");
	if ((equals = memchr(field.at, '=', field.len)) == NULL)
		return;
	name->len = (size_t)(equals - field.at);
	value->at = equals + 1;
	value->len = field.len - name->len - 1;
}

#endif
