#ifndef S3API_XML_H
#define S3API_XML_H

#include "base/buffer.h"
#include "s3api/s3error.h"

/*
 * XML out: one writer that escapes. XML in: expat, with everything that a
 * hostile document could use (DTD, entities, depth, size) refused.
 */

/* The XML declaration, a line feed, and the root's start tag in S3's namespace.
 */
void xml_begin(struct buffer *, const char *root);
void xml_open(struct buffer *, const char *name);
void xml_close(struct buffer *, const char *name);
/* <name>text</name>, escaped; bytes that XML 1.0 cannot carry become U+FFFD. */
void xml_text(struct buffer *, const char *name, struct slice text);
void xml_string(struct buffer *, const char *name, const char *text);
void xml_u64(struct buffer *, const char *name, uint64_t value);
void xml_bool(struct buffer *, const char *name, int value);
/* ISO 8601 with milliseconds. */
void xml_time(struct buffer *, const char *name, int64_t wall_ms);

/*
 * Reads a document: path is the names from the root joined by '/', without
 * namespaces ("Delete/Object/Key"). leaf is called at the end of each element
 * that has no child elements, with its text; end at the end of each that has.
 * Either returns 0, or -1 to stop (having set the error). text is valid during
 * the call and NUL-terminated.
 */
struct xml_handler {
	int (*leaf)(void *context, const char *path, struct slice text,
	    struct s3_error *);
	int (*end)(void *context, const char *path, struct s3_error *);
	void *context;
};

/* 0, or -1 and *s3err (MalformedXML unless the handler said otherwise). */
int xml_parse(const void *bytes, size_t len, const struct xml_handler *,
    struct s3_error *s3err);

#endif
