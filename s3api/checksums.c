#include <stdio.h>
#include <string.h>

#include "s3api/checksums.h"
#include "s3api/server.h"
#include "s3api/xml.h"

const char *
checksum_type(const struct checksum *checksum)
{
	return checksum->composite ? "COMPOSITE" : "FULL_OBJECT";
}

enum checksum_kind
checksum_by_element(struct slice name)
{
	enum checksum_kind kind;

	for (kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++)
		if (slice_is(name, checksum_element(kind)))
			return kind;
	return CHECKSUM_NONE;
}

void
checksum_show(const struct checksum *checksum, unsigned parts,
    char text[CHECKSUM_SHOWN_BYTES])
{
	char value[CHECKSUM_TEXT_BYTES];

	checksum_encode(checksum, value);
	if (checksum->composite && parts > 0)
		snprintf(text, CHECKSUM_SHOWN_BYTES, "%s-%u", value, parts);
	else
		snprintf(text, CHECKSUM_SHOWN_BYTES, "%s", value);
}

int
checksum_read(
    enum checksum_kind kind, struct slice text, struct checksum *checksum)
{
	const char *dash = NULL;

	if (text.len > 0 && (dash = memchr(text.at, '-', text.len)) != NULL)
		text.len = (size_t)(dash - text.at);
	if (checksum_decode(kind, text, checksum) != 0)
		return -1;
	checksum->composite = dash != NULL;
	return 0;
}

void
checksum_to_headers(
    struct buffer *headers, const struct checksum *checksum, unsigned parts)
{
	char text[CHECKSUM_SHOWN_BYTES];

	if (checksum->kind == CHECKSUM_NONE)
		return;
	checksum_show(checksum, parts, text);
	http_out_header_text(
	    headers, checksum_header((enum checksum_kind)checksum->kind), text);
	http_out_header_text(
	    headers, "x-amz-checksum-type", checksum_type(checksum));
}

void
checksum_to_xml(struct buffer *out, const struct checksum *checksum,
    unsigned parts, int type)
{
	char text[CHECKSUM_SHOWN_BYTES];

	if (checksum->kind == CHECKSUM_NONE)
		return;
	checksum_show(checksum, parts, text);
	xml_string(
	    out, checksum_element((enum checksum_kind)checksum->kind), text);
	if (type)
		xml_string(out, "ChecksumType", checksum_type(checksum));
}
