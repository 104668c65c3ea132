#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/azure_private.h"
#include "replicator/side_keep.h"
#include "store/record.h"

static int
check_bytes(
    const struct remote_object *o, const struct payload *p, struct fault *fault)
{
	if (o->has_md5 && memcmp(o->md5, p->md5, MD5_BYTES) != 0)
		return fault_set(fault, FAULT_OBJECT,
		    "The bytes to send are not those that were stored: their "
		    "checksum differs.");
	return 0;
}

static int
put_bytes(struct azure_session *s, struct azure_request *req, struct payload *p,
    struct fault *fault)
{
	uint8_t md5[MD5_BYTES];

	req->op = AZURE_WRITE;
	req->method = "PUT";
	req->payload = p;
	azure_header(req, "x-ms-blob-type", "BlockBlob");
	azure_header_md5(req, "content-md5", p->md5);
	if (s->shared->tier != NULL)
		azure_header(req, "x-ms-access-tier", s->shared->tier);
	if (azure_send(s, req, fault) != 0)
		return -1;
	if (azure_answer_md5(s, "content-md5", md5) &&
	    memcmp(md5, p->md5, MD5_BYTES) != 0)
		return fault_set(fault, FAULT_RETRY,
		    "Azure stored other bytes than were sent: its checksum "
		    "differs.");
	return 0;
}

int
azure_put(void *session, const struct remote_object *o,
    const struct remote_source *source, int if_absent, struct fault *fault)
{
	struct azure_session *s = session;
	struct azure_request req = { .key = o->key };
	struct buffer side = BUFFER_INIT;
	struct payload p;
	int rc = -1;

	if (payload_open(&p, source, 0, o->size, fault) != 0)
		return -1;
	if (check_bytes(o, &p, fault) != 0)
		goto done;
	azure_object_properties(o, &req.headers);
	azure_object_metadata(o, &req.headers, &side);
	if (if_absent)
		azure_header(&req, "if-none-match", "*");
	if (side.len > 0 && azure_side_put(s, o, &side, fault) != 0) {
		buffer_free(&req.headers);
		goto done;
	}
	if (put_bytes(s, &req, &p, fault) != 0)
		goto done;
	azure_side_clear(s, o->key, side.len > 0 ? o->version : 0);
	rc = 0;

done:
	buffer_free(&side);
	payload_close(&p);
	return rc;
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

int
azure_side_put(struct azure_session *s, const struct remote_object *o,
    const struct buffer *side, struct fault *fault)
{
	struct azure_request req = { .op = AZURE_WRITE };
	struct buffer contents = *side, key = BUFFER_INIT;
	struct remote_source source = { read_buffer, &contents };
	struct payload p;
	int rc;

	if (side->failed)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	if (payload_open(&p, &source, 0, side->len, fault) != 0)
		return -1;
	side_object_key(o->key, o->version, &key);
	req.key = buffer_slice(&key);
	azure_header(&req, "x-ms-blob-content-type", "application/json");
	rc = put_bytes(s, &req, &p, fault);
	if (rc == 0)
		atomic_store(&s->shared->sides, SIDES_SOME);
	payload_close(&p);
	buffer_free(&key);
	return rc;
}

void
azure_side_clear(struct azure_session *s, struct slice key, uint64_t keep)
{
	side_keep_clear(&destination_azure, s, &s->shared->sides, key, keep);
}

static int
same_properties(const struct remote_object *o, const struct remote_stat *st)
{
	struct remote_object there = { .attributes = st->attributes };
	struct buffer wanted = BUFFER_INIT, have = BUFFER_INIT;
	struct slice rest, name, value;
	int same;

	azure_object_properties(o, &wanted);
	azure_object_properties(&there, &have);
	same = !wanted.failed && !have.failed &&
	    pairs_count(buffer_slice(&wanted)) ==
		pairs_count(buffer_slice(&have));
	for (rest = buffer_slice(&wanted);
	     same && pairs_next(&rest, &name, &value) == 1;) {
		char *text = slice_copy(name);

		same = text != NULL &&
		    slice_equal(pairs_get(buffer_slice(&have), text), value);
		free(text);
	}
	buffer_free(&wanted);
	buffer_free(&have);
	return same;
}

static void
if_match(struct azure_request *req, const char *etag)
{
	char quoted[96];

	snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
	azure_header(req, "if-match", quoted);
}

/* The properties first, and the metadata last, since it names the version. */
static int
set_in_place(struct azure_session *s, const struct remote_object *o,
    const struct remote_stat *st, struct fault *fault)
{
	struct azure_request req = {
		.op = AZURE_WRITE, .method = "PUT", .key = o->key
	};
	struct buffer side = BUFFER_INIT;
	char etag[72];
	int rc;

	memcpy(etag, st->etag, sizeof(etag));
	if (!same_properties(o, st)) {
		azure_query(&req, "comp", "properties");
		azure_object_properties(o, &req.headers);
		if (st->has_md5)
			azure_header_md5(
			    &req, "x-ms-blob-content-md5", st->md5);
		if_match(&req, etag);
		if (azure_send(s, &req, fault) != 0)
			return -1;
		azure_answer_etag(s, etag, sizeof(etag));
	}
	req = (struct azure_request){
		.op = AZURE_WRITE, .method = "PUT", .key = o->key
	};
	azure_query(&req, "comp", "metadata");
	azure_object_metadata(o, &req.headers, &side);
	if_match(&req, etag);
	if (side.len > 0 && azure_side_put(s, o, &side, fault) != 0) {
		buffer_free(&req.query);
		buffer_free(&req.headers);
		rc = -1;
	} else if ((rc = azure_send(s, &req, fault)) == 0)
		azure_side_clear(s, o->key, side.len > 0 ? o->version : 0);
	buffer_free(&side);
	return rc;
}

int
azure_retag(void *session, const struct remote_object *o, struct fault *fault)
{
	struct azure_session *s = session;
	struct remote_stat st;
	int rc;

	if (azure_stat(s, o->key, &st, fault) != 0)
		return -1;
	if (st.version == 0 || st.size != o->size ||
	    strcmp(st.original_etag, o->etag) != 0)
		rc = fault_set(fault, FAULT_OBJECT,
		    "The blob there has other bytes, so that it must be sent "
		    "again.");
	else
		rc = set_in_place(s, o, &st, fault);
	buffer_free(&st.memory);
	return rc;
}
