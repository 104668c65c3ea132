#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "base/clock.h"
#include "s3api/xml.h"

/* A CompleteMultipartUpload of 10,000 parts with ETags and SHA-256 checksums
 * has 2 MB, a DeleteObjects of 1,000 keys of 1,024 bytes 1.2 MB. */
#define DOCUMENT_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define DEPTH_MAX 8
#define PATH_BYTES 512

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void
xml_begin(struct buffer *out, const char *root)
{
	buffer_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
	buffer_add_text(out, root);
	buffer_add_text(
	    out, " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
}

void
xml_open(struct buffer *out, const char *name)
{
	buffer_add(out, "<", 1);
	buffer_add_text(out, name);
	buffer_add(out, ">", 1);
}

void
xml_close(struct buffer *out, const char *name)
{
	buffer_add(out, "</", 2);
	buffer_add_text(out, name);
	buffer_add(out, ">", 1);
}

/* The bytes of the well-formed character at p that XML 1.0 can carry; 0 if
 * there is none. */
static size_t
utf8_length(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t i, n;

	if (p[0] >= 0xf0 && p[0] < 0xf8) {
		n = 4;
		c = p[0] & 0x07;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		n = 3;
		c = p[0] & 0x0f;
	} else if (p[0] >= 0xc0 && p[0] < 0xe0) {
		n = 2;
		c = p[0] & 0x1f;
	} else {
		return 0;
	}
	if (len < n)
		return 0;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ||
	    c == 0xfffe || c == 0xffff)
		return 0;
	return n;
}

/* What stands for the ASCII byte in text; NULL if it stands for itself. */
static const char *
ascii_escape(uint8_t byte)
{
	switch (byte) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\t':
	case '\n':
		return NULL;
	case '\r':
		return "&#13;"; /* a reader would make a raw one a line feed */
	default:
		return byte < 0x20 ? REPLACEMENT : NULL;
	}
}

static void
add_escaped(struct buffer *out, struct slice text)
{
	const uint8_t *p = (const uint8_t *)text.at;
	const char *escape;
	size_t plain = 0, i = 0, n;

	while (i < text.len) {
		escape = NULL;
		n = 1;
		if (p[i] < 0x80)
			escape = ascii_escape(p[i]);
		else if ((n = utf8_length(p + i, text.len - i)) == 0) {
			escape = REPLACEMENT;
			n = 1;
		}
		if (escape != NULL) {
			buffer_add(out, p + plain, i - plain);
			buffer_add_text(out, escape);
			plain = i + n;
		}
		i += n;
	}
	if (i > plain)
		buffer_add(out, p + plain, i - plain);
}

void
xml_text(struct buffer *out, const char *name, struct slice text)
{
	xml_open(out, name);
	add_escaped(out, text);
	xml_close(out, name);
}

void
xml_string(struct buffer *out, const char *name, const char *text)
{
	xml_text(out, name, slice_text(text));
}

void
xml_u64(struct buffer *out, const char *name, uint64_t value)
{
	xml_open(out, name);
	buffer_printf(out, "%" PRIu64, value);
	xml_close(out, name);
}

void
xml_bool(struct buffer *out, const char *name, int value)
{
	xml_string(out, name, value ? "true" : "false");
}

void
xml_time(struct buffer *out, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_BYTES];

	clock_iso8601(wall_ms, text);
	xml_string(out, name, text);
}

/* The state of one xml_parse(). */
struct xml_reading {
	XML_Parser parser;
	const struct xml_handler *handler;
	struct s3_error *s3err;
	struct buffer text;
	int stopped;
	int depth;
	int has_child[DEPTH_MAX + 1];
	size_t path_len[DEPTH_MAX + 1]; /* before the element of that depth */
	size_t path_end;
	char path[PATH_BYTES];
};

static void
stop(struct xml_reading *r)
{
	r->stopped = 1;
	XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL
element_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct xml_reading *r = arg;
	const char *local;
	size_t len;

	(void)attributes;
	if (r->stopped)
		return;
	if ((local = strrchr(name, ':')) != NULL)
		local++;
	else
		local = name;
	len = strlen(local);
	if (r->depth == DEPTH_MAX || r->path_end + 1 + len >= PATH_BYTES) {
		s3_error_set(r->s3err, S3_MALFORMED_XML,
		    "The XML in the body is nested too deeply.");
		stop(r);
		return;
	}

	r->has_child[r->depth] = 1;
	r->depth++;
	r->has_child[r->depth] = 0;
	r->path_len[r->depth] = r->path_end;
	if (r->path_end > 0)
		r->path[r->path_end++] = '/';
	memcpy(r->path + r->path_end, local, len + 1);
	r->path_end += len;
	buffer_clear(&r->text);
}

static void XMLCALL
element_end(void *arg, const XML_Char *name)
{
	struct xml_reading *r = arg;
	struct slice text;
	int result = 0;

	(void)name;
	if (r->stopped)
		return;
	if (!r->has_child[r->depth]) {
		buffer_add(&r->text, "", 1);
		if (r->text.failed) {
			s3_error_set(r->s3err, S3_INTERNAL_ERROR, "No memory.");
			result = -1;
		} else if (r->handler->leaf != NULL) {
			text = buffer_slice(&r->text);
			text.len--;
			result = r->handler->leaf(
			    r->handler->context, r->path, text, r->s3err);
		}
	} else if (r->handler->end != NULL) {
		result =
		    r->handler->end(r->handler->context, r->path, r->s3err);
	}
	if (result != 0) {
		stop(r);
		return;
	}
	r->path_end = r->path_len[r->depth];
	r->path[r->path_end] = '\0';
	r->depth--;
	buffer_clear(&r->text);
}

static void XMLCALL
characters(void *arg, const XML_Char *text, int len)
{
	struct xml_reading *r = arg;

	if (!r->stopped && !r->has_child[r->depth])
		buffer_add(&r->text, text, (size_t)len);
}

static void XMLCALL
doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int has_internal_subset)
{
	struct xml_reading *r = arg;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)has_internal_subset;
	s3_error_set(r->s3err, S3_MALFORMED_XML,
	    "The XML in the body has a DOCTYPE, which is not accepted.");
	stop(r);
}

static void XMLCALL
declaration(void *arg, const XML_Char *version, const XML_Char *encoding,
    int standalone)
{
	struct xml_reading *r = arg;
	struct slice name;

	(void)version;
	(void)standalone;
	if (encoding == NULL)
		return;
	name = slice_text(encoding);
	if (slice_is_nocase(name, "UTF-8") || slice_is_nocase(name, "US-ASCII"))
		return;
	s3_error_set(
	    r->s3err, S3_MALFORMED_XML, "The XML in the body is not UTF-8.");
	stop(r);
}

int
xml_parse(const void *bytes, size_t len, const struct xml_handler *handler,
    struct s3_error *s3err)
{
	struct xml_reading *r;
	int result = -1;

	if (len > DOCUMENT_MAX_BYTES)
		return s3_error_set(s3err, S3_MALFORMED_XML,
		    "The XML in the body has more than 4 MiB.");
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return s3_error_set(s3err, S3_INTERNAL_ERROR, "No memory.");
	/* The encoding given here overrides the document's own. */
	if ((r->parser = XML_ParserCreate("UTF-8")) == NULL) {
		s3_error_set(s3err, S3_INTERNAL_ERROR, "No memory.");
		goto out;
	}
	r->handler = handler;
	r->s3err = s3err;
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, element_start, element_end);
	XML_SetCharacterDataHandler(r->parser, characters);
	XML_SetStartDoctypeDeclHandler(r->parser, doctype);
	XML_SetXmlDeclHandler(r->parser, declaration);

	if (XML_Parse(r->parser, bytes, (int)len, XML_TRUE) == XML_STATUS_OK &&
	    !r->stopped)
		result = 0;
	else if (!r->stopped &&
	    XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY)
		s3_error_set(s3err, S3_INTERNAL_ERROR, "No memory.");
	else if (!r->stopped)
		s3_error_set(s3err, S3_MALFORMED_XML,
		    "The XML in the body is not well-formed: line %lu: %s.",
		    (unsigned long)XML_GetCurrentLineNumber(r->parser),
		    XML_ErrorString(XML_GetErrorCode(r->parser)));

out:
	if (r->parser != NULL)
		XML_ParserFree(r->parser);
	buffer_free(&r->text);
	free(r);
	return result;
}
