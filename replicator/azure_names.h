#ifndef REPLICATOR_AZURE_NAMES_H
#define REPLICATOR_AZURE_NAMES_H

#include "base/buffer.h"

/*
 * Names and values of metadata in what Azure takes: names are C# identifiers
 * without regard to case, values are printable ASCII.
 *
 * A name keeps its letters a to y (capitals become small) and digits; 'z'
 * becomes "zz"; every other byte, a digit in front, and the 'k' of the name
 * "kopiamtime" (which kopia trusts) become 'z' and two hex digits. There is no
 * '_', although Azure allows it: its place in the order of a signature's
 * headers depends on whom one asks. Our own names start with "zh", which no
 * encoded name does.
 *
 * A value keeps printable ASCII but '%', and single blanks inside; every other
 * byte becomes '%' and two hex digits; the empty value is "%".
 *
 * Pure functions; any thread.
 */

void azure_name_encode(struct slice name, struct buffer *out);
/* 0, or -1 when it was not encoded so; out may then hold some bytes. */
int azure_name_decode(struct slice name, struct buffer *out);
void azure_value_encode(struct slice value, struct buffer *out);
int azure_value_decode(struct slice value, struct buffer *out);

#endif
