#include <string.h>

#include "replicator/range_read.h"
#include "replicator/s3_private.h"
#include "store/record.h"

int
s3_get(void *session, struct slice key, uint64_t offset, uint64_t len,
    void *bytes, struct fault *fault)
{
	struct s3_session *s = session;
	struct range_read r = {
		.call = &s->call, .offset = offset, .bytes = bytes, .len = len
	};
	struct s3_request req = { .op = S3_GET,
		.method = "GET",
		.key = key,
		.sink = range_take,
		.sink_arg = &r };
	char range[RANGE_TEXT_BYTES];

	if (len == 0)
		return 0;
	range_text(&r, range);
	s3_header(&req, "range", range);
	return range_end(&r, s3_send(s, &req, fault), fault);
}

int
s3_remove(void *session, struct slice key, struct fault *fault)
{
	struct s3_request req = {
		.op = S3_DELETE, .method = "DELETE", .key = key
	};
	struct s3_session *s = session;

	if (s3_send(s, &req, fault) != 0 && fault->kind != FAULT_MISSING)
		return -1;
	s3_side_clear(s, key, 0);
	return 0;
}

static void
add_xml(struct buffer *out, struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		switch (text.at[i]) {
		case '&':
			buffer_add_text(out, "&amp;");
			break;
		case '<':
			buffer_add_text(out, "&lt;");
			break;
		case '>':
			buffer_add_text(out, "&gt;");
			break;
		default:
			buffer_add_u8(out, (uint8_t)text.at[i]);
			break;
		}
}

static void
write_tags(struct buffer *body, struct slice tags)
{
	struct slice name, value;

	buffer_add_text(body, "<Tagging><TagSet>");
	while (pairs_next(&tags, &name, &value) == 1) {
		buffer_add_text(body, "<Tag><Key>");
		add_xml(body, name);
		buffer_add_text(body, "</Key><Value>");
		add_xml(body, value);
		buffer_add_text(body, "</Value></Tag>");
	}
	buffer_add_text(body, "</TagSet></Tagging>");
}

static int
read_buffer(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	const struct buffer *b = arg;

	(void)fault;
	memcpy(bytes, b->at + offset, len);
	return 0;
}

/* Tags that the store keeps as such are changed in place. Where they travel in
 * the metadata the object is put again: a copy onto itself would be shorter,
 * but not every store survives it. */
int
s3_retag(void *session, const struct remote_object *o, struct fault *fault)
{
	struct s3_session *s = session;
	struct buffer body = BUFFER_INIT;
	struct remote_source source = { read_buffer, &body };
	struct s3_request req = { .op = S3_PUT_TAGS,
		.method = "PUT",
		.key = o->key,
		.query = "tagging" };
	struct payload p;
	struct remote_stat st;
	int side, tag_count, rc;

	if (atomic_load(&s->shared->can->tags) != S3_YES)
		return fault_set(fault, FAULT_OBJECT,
		    "The store keeps no tags beside an object.");
	{
		struct s3_request head = {
			.op = S3_HEAD, .method = "HEAD", .key = o->key
		};

		memset(&st, 0, sizeof(st));
		if (s3_send(s, &head, fault) != 0 ||
		    s3_stat_read(s, &st, &side, &tag_count, fault) != 0)
			return -1;
	}
	rc = side || st.tags.len > 0 || st.version != o->version;
	buffer_free(&st.memory);
	if (rc)
		return fault_set(fault, FAULT_OBJECT,
		    "The object's tags are kept in its metadata.");

	write_tags(&body, o->tags);
	if (body.failed)
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
	else if ((rc = payload_open_sha256(&p, &source, 0, body.len, fault)) ==
	    0) {
		s3_payload_attach(s, &p, &req);
		rc = s3_payload_send(s, &p, &req, fault);
		payload_close(&p);
	}
	buffer_free(&body);
	return rc;
}
