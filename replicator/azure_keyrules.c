#include <string.h>

#include "replicator/azure_private.h"

#define NAME_MAX_UNITS 1024
#define SEGMENTS_MAX 254

/* Decodes one character of well-formed UTF-8: its bytes, or 0. */
static size_t
character(const uint8_t *p, size_t len, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;

	n = p[0] < 0x80   ? 1
	    : p[0] < 0xc2 ? 0
	    : p[0] < 0xe0 ? 2
	    : p[0] < 0xf0 ? 3
	    : p[0] < 0xf5 ? 4
			  : 0;
	if (n == 0 || n > len)
		return 0;
	*c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000)
	    ? 0
	    : n;
}

/* UTF-16 units, in which Azure counts; -1 and *fault for what it cannot hold.
 */
static long
count_units(struct slice text, struct fault *fault)
{
	const uint8_t *p = (const uint8_t *)text.at;
	size_t i, n;
	uint32_t c;
	long units = 0;

	for (i = 0; i < text.len; i += n) {
		if ((n = character(p + i, text.len - i, &c)) == 0)
			return fault_set(fault, FAULT_OBJECT,
			    "The key is not UTF-8, which Azure asks for.");
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffe ||
		    c == 0xffff)
			return fault_set(fault, FAULT_OBJECT,
			    "The key has a control character, which Azure "
			    "cannot hold.");
		if (c == '\\')
			return fault_set(fault, FAULT_OBJECT,
			    "The key has a '\\', of which Azure makes a '/'.");
		units += c > 0xffff ? 2 : 1;
	}
	return units;
}

static int
check_segments(struct slice key, struct fault *fault)
{
	const char *at, *end = key.at + key.len, *slash;
	size_t n = 0;

	for (at = key.at;; at = slash + 1) {
		slash = memchr(at, '/', (size_t)(end - at));
		if (slash == NULL)
			slash = end;
		if (++n > SEGMENTS_MAX)
			return fault_set(fault, FAULT_OBJECT,
			    "The key has more than %d parts between slashes, "
			    "which Azure cannot hold.",
			    SEGMENTS_MAX);
		if (slash > at && slash[-1] == '.')
			return fault_set(fault, FAULT_OBJECT,
			    "A part of the key ends with a dot, which Azure "
			    "takes away.");
		if (slash == end)
			return 0;
	}
}

int
azure_check_key(void *shared, struct slice key, struct fault *fault)
{
	const struct azure_shared *s = shared;
	long units, path_units;

	if (key.len == 0)
		return fault_set(fault, FAULT_OBJECT, "The key is empty.");
	if ((path_units = count_units(slice_text(s->path), fault)) < 0 ||
	    (units = count_units(key, fault)) < 0)
		return -1;
	if (path_units + units > NAME_MAX_UNITS)
		return fault_set(fault, FAULT_OBJECT,
		    "With the path in front the key is longer than 1,024 "
		    "characters: configure a shorter path.");
	if (key.at[key.len - 1] == '/')
		return fault_set(fault, FAULT_OBJECT,
		    "The key ends with a slash, which Azure takes away.");
	if (key.at[0] == '/' && s->path[0] == '\0')
		return fault_set(fault, FAULT_OBJECT,
		    "The key starts with a slash: configure a path to put it "
		    "under.");
	return check_segments(key, fault);
}
