#include "replicator/s3_private.h"
#include "replicator/xml_read.h"

struct visiting {
	s3_xml_visit *visit;
	void *arg;
};

static int
pass_on(const struct xml_element *element, void *arg)
{
	const struct visiting *v = arg;

	return v->visit(element->path, element->text, v->arg);
}

int
s3_xml_read(struct slice body, s3_xml_visit *visit, void *arg)
{
	struct visiting v = { visit, arg };

	return xml_read(body, pass_on, &v);
}
