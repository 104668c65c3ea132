#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/xml_read.h"

#define PATH_BYTES 256
#define TEXT_MAX_BYTES (64U << 10)
#define ATTRIBUTES_MAX 4 /* more of one element are not looked at */

struct reading {
	XML_Parser parser;
	xml_visit *visit;
	void *arg;
	char path[PATH_BYTES];
	size_t path_len;
	struct buffer text;
	char *attributes[2 * ATTRIBUTES_MAX + 1];
	int has_children;
	int failed;
};

static void
give_up(struct reading *r)
{
	r->failed = 1;
	XML_StopParser(r->parser, XML_FALSE);
}

static void
forget_attributes(struct reading *r)
{
	size_t i;

	for (i = 0; r->attributes[i] != NULL; i++) {
		free(r->attributes[i]);
		r->attributes[i] = NULL;
	}
}

static void
keep_attributes(struct reading *r, const XML_Char **attributes)
{
	size_t i;

	forget_attributes(r);
	for (i = 0; i < (size_t)2 * ATTRIBUTES_MAX && attributes[i] != NULL;
	     i++)
		if ((r->attributes[i] = strdup(attributes[i])) == NULL) {
			give_up(r);
			return;
		}
}

static void
element_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *r = arg;
	const char *colon = strrchr(name, ':');
	size_t len;

	if (colon != NULL)
		name = colon + 1;
	len = strlen(name);
	if (r->path_len + len + 2 > PATH_BYTES) {
		give_up(r);
		return;
	}
	if (r->path_len > 0)
		r->path[r->path_len++] = '/';
	memcpy(r->path + r->path_len, name, len + 1);
	r->path_len += len;
	buffer_clear(&r->text);
	r->has_children = 0;
	keep_attributes(r, attributes);
}

static void
element_end(void *arg, const XML_Char *name)
{
	struct reading *r = arg;
	struct xml_element element = { .path = r->path, .text = SLICE_NULL };
	char *slash;

	(void)name;
	if (!r->has_children) {
		buffer_add_u8(&r->text, '\0');
		if (r->text.failed) {
			give_up(r);
			return;
		}
		element.text = (struct slice){ r->text.at, r->text.len - 1 };
		element.attributes = (const char *const *)r->attributes;
	}
	if (r->visit(&element, r->arg) != 0)
		give_up(r);
	slash = strrchr(r->path, '/');
	r->path_len = slash != NULL ? (size_t)(slash - r->path) : 0;
	r->path[r->path_len] = '\0';
	buffer_clear(&r->text);
	r->has_children = 1;
}

static void
characters(void *arg, const XML_Char *bytes, int len)
{
	struct reading *r = arg;

	if (r->text.len + (size_t)len > TEXT_MAX_BYTES)
		give_up(r);
	else
		buffer_add(&r->text, bytes, (size_t)len);
}

/* No store's answer has one, and what it could define is not wanted. */
static void
doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
    const XML_Char *public_id, int internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)internal;
	give_up(arg);
}

int
xml_read(struct slice body, xml_visit *visit, void *arg)
{
	struct reading r = { .visit = visit, .arg = arg };
	int ok;

	if (body.len > INT_MAX || (r.parser = XML_ParserCreate(NULL)) == NULL)
		return -1;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, element_start, element_end);
	XML_SetCharacterDataHandler(r.parser, characters);
	XML_SetStartDoctypeDeclHandler(r.parser, doctype);
	ok = XML_Parse(r.parser, body.at != NULL ? body.at : "", (int)body.len,
		 1) == XML_STATUS_OK;
	XML_ParserFree(r.parser);
	forget_attributes(&r);
	buffer_free(&r.text);
	return ok && !r.failed ? 0 : -1;
}

const char *
xml_attribute(const struct xml_element *element, const char *name)
{
	size_t i;

	if (element->attributes == NULL)
		return NULL;
	for (i = 0; element->attributes[i] != NULL; i += 2)
		if (strcmp(element->attributes[i], name) == 0)
			return element->attributes[i + 1];
	return NULL;
}
