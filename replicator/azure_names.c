#include <string.h>

#include "base/encode.h"
#include "replicator/azure_names.h"

void
azure_name_encode(struct slice name, struct buffer *out)
{
	int kopia = slice_is_nocase(name, "kopiamtime");
	unsigned char c;
	size_t i;

	for (i = 0; i < name.len; i++) {
		c = (unsigned char)name.at[i];
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		if (c == 'z')
			buffer_add_text(out, "zz");
		else if (((c >= 'a' && c < 'z') ||
			     (c >= '0' && c <= '9' && i > 0)) &&
		    !(kopia && i == 0))
			buffer_add_u8(out, c);
		else
			buffer_printf(out, "z%02x", c);
	}
}

static int
decode_hex(struct slice text, size_t at, struct buffer *out)
{
	uint8_t byte;

	if (text.len - at < 2 || hex_decode(text.at + at, 2, &byte, 1) != 0)
		return -1;
	buffer_add_u8(out, byte);
	return 0;
}

int
azure_name_decode(struct slice name, struct buffer *out)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < name.len; i++) {
		c = (unsigned char)name.at[i];
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		if (c != 'z')
			buffer_add_u8(out, c);
		else if (i + 1 < name.len &&
		    (name.at[i + 1] == 'z' || name.at[i + 1] == 'Z')) {
			buffer_add_u8(out, 'z');
			i++;
		} else if (decode_hex(name, i + 1, out) == 0)
			i += 2;
		else
			return -1;
	}
	return 0;
}

/* A blank at an end, or beside another, may be lost on the way. */
static int
is_safe_blank(struct slice value, size_t i)
{
	return i > 0 && i + 1 < value.len && value.at[i - 1] != ' ' &&
	    value.at[i + 1] != ' ';
}

void
azure_value_encode(struct slice value, struct buffer *out)
{
	unsigned char c;
	size_t i;

	if (value.len == 0)
		buffer_add_u8(out, '%');
	for (i = 0; i < value.len; i++) {
		c = (unsigned char)value.at[i];
		if ((c > ' ' && c <= '~' && c != '%') ||
		    (c == ' ' && is_safe_blank(value, i)))
			buffer_add_u8(out, c);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

int
azure_value_decode(struct slice value, struct buffer *out)
{
	size_t i;

	if (slice_is(value, "%"))
		return 0;
	for (i = 0; i < value.len; i++)
		if (value.at[i] != '%')
			buffer_add_u8(out, (uint8_t)value.at[i]);
		else if (decode_hex(value, i + 1, out) == 0)
			i += 2;
		else
			return -1;
	return 0;
}
