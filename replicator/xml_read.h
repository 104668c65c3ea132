#ifndef REPLICATOR_XML_READ_H
#define REPLICATOR_XML_READ_H

#include "base/buffer.h"

/*
 * XML answers of stores, read by expat; what a hostile document could use (a
 * DTD, depth, size) is refused. Pure; any thread.
 */

struct xml_element {
	/* The names from the root joined by '/', without namespaces. */
	const char *path;
	/* Of an element without children, NUL-terminated; at == NULL: this is
	 * the end of one that has some. */
	struct slice text;
	/* Its attributes: name, value, name, value, ..., NULL; only of an
	 * element without children. */
	const char *const *attributes;
};
/* 0, or -1 to give up. */
typedef int xml_visit(const struct xml_element *, void *arg);

/* Visits at the end of each element. 0, or -1: not well-formed, or the visitor
 * gave up. */
int xml_read(struct slice body, xml_visit *, void *arg);
/* The value of an attribute, or NULL. */
const char *xml_attribute(const struct xml_element *, const char *name);

#endif
