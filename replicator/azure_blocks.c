#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "replicator/azure_private.h"

/*
 * Large objects as blocks. A block's id is a random prefix of the upload
 * followed by the block's number in four bytes, in base64; the upload's state
 * is the prefix in hex. Azure wants all unfinished blocks of a name to have ids
 * of one length, so ids are ID_BYTES long for ever; where another program left
 * unfinished blocks with ids of another length, that length is taken, since
 * there is no way to clear them that does not show to readers. The prefix keeps
 * them, and those of our own earlier uploads, out of what is committed.
 *
 * Writing the blob in any way makes Azure forget its unfinished blocks: an
 * upload that was overtaken answers FAULT_MISSING, and begins again.
 */

#define ID_BYTES 24
#define ID_LEAST_BYTES 8
#define ID_MAX_BYTES 64
#define NUMBER_BYTES 4
/* The first of them is enough. */
#define BLOCK_LIST_MAX_BYTES 4096
/* Azure takes up to a minute to put a blob together. */
#define COMMIT_TIMEOUT_MS 120000

static int
take_start(void *arg, const char *bytes, size_t len)
{
	struct buffer *b = arg;

	if (len > BLOCK_LIST_MAX_BYTES - b->len)
		len = BLOCK_LIST_MAX_BYTES - b->len;
	buffer_add(b, bytes, len);
	return 0;
}

/* The length of the ids of unfinished blocks: ID_BYTES where there are none. */
static int
id_bytes(
    struct azure_session *s, struct slice key, size_t *len, struct fault *fault)
{
	struct buffer list = BUFFER_INIT;
	struct azure_request req = { .op = AZURE_READ,
		.method = "GET",
		.key = key,
		.sink = take_start,
		.sink_arg = &list };
	uint8_t id[ID_MAX_BYTES];
	const char *at, *end;
	int n, rc = 0;

	*len = ID_BYTES;
	azure_query(&req, "blocklisttype", "uncommitted");
	azure_query(&req, "comp", "blocklist");
	if (azure_send(s, &req, fault) != 0) {
		buffer_free(&list);
		if (fault->kind != FAULT_MISSING)
			return -1;
		*fault = (struct fault)FAULT_INIT;
		return 0;
	}
	buffer_add_u8(&list, '\0');
	if (list.failed)
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
	else if ((at = strstr(list.at, "<Name>")) != NULL &&
	    (end = strchr(at += strlen("<Name>"), '<')) != NULL) {
		n = base64_decode(at, (size_t)(end - at), id, sizeof(id));
		if (n >= ID_LEAST_BYTES)
			*len = (size_t)n;
		else
			rc = fault_set(fault, FAULT_OBJECT,
			    "Another program left unfinished blocks under this "
			    "name, with ids too short to use: delete the blob, "
			    "or wait a week, after which Azure forgets them.");
	}
	buffer_free(&list);
	return rc;
}

int
azure_begin(void *session, const struct remote_object *o,
    struct remote_upload *upload, struct fault *fault)
{
	uint8_t prefix[ID_MAX_BYTES];
	uint64_t least;
	size_t len;

	if (upload->part_bytes == 0)
		upload->part_bytes = AZURE_PART_BYTES;
	least = (o->size + AZURE_PARTS_MAX - 1) / AZURE_PARTS_MAX;
	if (upload->part_bytes < least)
		upload->part_bytes = (least + (1U << 20) - 1) >> 20 << 20;
	if (upload->part_bytes > AZURE_PART_MAX_BYTES)
		return fault_set(fault, FAULT_OBJECT,
		    "The object is larger than Azure takes.");
	if (id_bytes(session, o->key, &len, fault) != 0)
		return -1;
	bytes_random(prefix, len - NUMBER_BYTES);
	hex_encode(prefix, len - NUMBER_BYTES, upload->state);
	return 0;
}

/* The id in base64. 0, or -1 when the state is none of ours. */
static int
block_id(const struct remote_upload *upload, uint32_t number,
    char text[BASE64_BYTES(ID_MAX_BYTES)], struct fault *fault)
{
	size_t len = strlen(upload->state) / 2;
	uint8_t id[ID_MAX_BYTES];

	if (len == 0 || len > ID_MAX_BYTES - NUMBER_BYTES ||
	    hex_decode(upload->state, 2 * len, id, len) != 0)
		return fault_set(fault, FAULT_MISSING,
		    "The upload's state is not readable: begin it again.");
	be32_put(id + len, number);
	base64_encode(id, len + NUMBER_BYTES, text);
	return 0;
}

int
azure_part(void *session, const struct remote_object *o,
    const struct remote_upload *upload, uint32_t number, uint64_t offset,
    uint64_t len, const struct remote_source *source, struct remote_part *part,
    struct fault *fault)
{
	struct azure_session *s = session;
	struct azure_request req = {
		.op = AZURE_WRITE, .method = "PUT", .key = o->key
	};
	char id[BASE64_BYTES(ID_MAX_BYTES)];
	uint8_t md5[MD5_BYTES];
	struct payload p;
	int rc;

	if (block_id(upload, number, id, fault) != 0 ||
	    payload_open(&p, source, offset, len, fault) != 0)
		return -1;
	req.payload = &p;
	azure_query(&req, "blockid", id);
	azure_query(&req, "comp", "block");
	azure_header_md5(&req, "content-md5", p.md5);
	rc = azure_send(s, &req, fault);
	if (rc == 0 && azure_answer_md5(s, "content-md5", md5) &&
	    memcmp(md5, p.md5, MD5_BYTES) != 0)
		rc = fault_set(fault, FAULT_RETRY,
		    "Azure stored other bytes than were sent: its checksum "
		    "differs.");
	if (rc == 0) {
		part->number = number;
		hex_encode(p.md5, MD5_BYTES, part->etag);
	}
	payload_close(&p);
	return rc;
}

/* Is what is there what was to be committed? */
static int
check_committed(
    struct azure_session *s, const struct remote_object *o, struct fault *fault)
{
	struct remote_stat st;
	int rc = 0;

	if (azure_stat(s, o->key, &st, fault) != 0)
		return -1;
	if (st.version != o->version || strcmp(st.original_etag, o->etag) != 0)
		rc = fault_set(fault, FAULT_MISSING,
		    "The blob was written by another request meanwhile.");
	else if (st.size != o->size ||
	    (o->has_md5 && st.has_md5 &&
		memcmp(st.md5, o->md5, MD5_BYTES) != 0))
		rc = fault_set(fault, FAULT_RETRY,
		    "The blob that was put together has another size or "
		    "checksum than was sent.");
	buffer_free(&st.memory);
	return rc;
}

static int
commit(struct azure_session *s, const struct remote_object *o,
    const struct buffer *list, size_t *side_len, struct fault *fault)
{
	struct azure_request req = { .op = AZURE_WRITE,
		.method = "PUT",
		.key = o->key,
		.body = list->at,
		.body_len = list->len,
		.stall_timeout_ms = COMMIT_TIMEOUT_MS };
	struct buffer side = BUFFER_INIT;
	uint8_t md5[MD5_BYTES];
	int rc;

	digest_once(DIGEST_MD5, list->at, list->len, md5);
	azure_query(&req, "comp", "blocklist");
	azure_header_md5(&req, "content-md5", md5);
	if (o->has_md5)
		azure_header_md5(&req, "x-ms-blob-content-md5", o->md5);
	if (s->shared->tier != NULL)
		azure_header(&req, "x-ms-access-tier", s->shared->tier);
	azure_object_properties(o, &req.headers);
	azure_object_metadata(o, &req.headers, &side);
	*side_len = side.len;
	if (side.len > 0 && azure_side_put(s, o, &side, fault) != 0) {
		buffer_free(&req.query);
		buffer_free(&req.headers);
		rc = -1;
	} else
		rc = azure_send(s, &req, fault);
	buffer_free(&side);
	return rc;
}

int
azure_finish(void *session, const struct remote_object *o,
    const struct remote_upload *upload, const struct remote_part *parts,
    size_t n, struct fault *fault)
{
	struct azure_session *s = session;
	struct buffer list = BUFFER_INIT;
	char id[BASE64_BYTES(ID_MAX_BYTES)];
	struct fault other = FAULT_INIT;
	size_t i, side_len = 0;
	int rc = -1;

	buffer_add_text(
	    &list, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (i = 0; i < n; i++) {
		if (block_id(upload, parts[i].number, id, fault) != 0)
			goto done;
		buffer_printf(&list, "<Uncommitted>%s</Uncommitted>", id);
	}
	buffer_add_text(&list, "</BlockList>");
	if (list.failed) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	if ((rc = commit(s, o, &list, &side_len, fault)) == 0)
		rc = check_committed(s, o, fault);
	else if (fault->kind == FAULT_MISSING &&
	    strcmp(fault->code, "InvalidBlockList") == 0 &&
	    check_committed(s, o, &other) == 0) {
		/* An earlier try's answer was lost. */
		*fault = (struct fault)FAULT_INIT;
		rc = 0;
	}
	if (rc == 0)
		azure_side_clear(s, o->key, side_len > 0 ? o->version : 0);

done:
	buffer_free(&list);
	return rc;
}

/* Azure has no request that forgets unfinished blocks alone; it does so after a
 * week, and when the blob is written. */
int
azure_abort(void *session, struct slice key, const struct remote_upload *upload,
    struct fault *fault)
{
	(void)session;
	(void)key;
	(void)upload;
	(void)fault;
	return 0;
}
