#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/encode.h"
#include "replicator/google_private.h"
#include "replicator/side_object.h"
#include "store/record.h"

#define READ_BYTES (256U << 10)
/* The frame around the resource and the bytes. */
#define BOUNDARY_BYTES 16
#define REWRITE_STALL_MS (2 * 60 * 1000)

int
google_bytes_read(struct google_bytes *b, const struct remote_source *source,
    uint64_t offset, size_t len, struct fault *fault)
{
	size_t at, n;

	memset(b, 0, sizeof(*b));
	b->len = len;
	if ((b->at = malloc(len + 1)) == NULL)
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	for (at = 0; at < len; at += n) {
		n = len - at < READ_BYTES ? len - at : READ_BYTES;
		if (source->read(
			source->arg, offset + at, b->at + at, n, fault) != 0) {
			google_bytes_free(b);
			return -1;
		}
		b->crc32c = crc32c(b->crc32c, b->at + at, n);
	}
	return 0;
}

void
google_bytes_free(struct google_bytes *b)
{
	free(b->at);
	b->at = NULL;
}

/* A body of several runs of bytes. */
struct runs {
	struct slice run[3];
	size_t at; /* of them all */
};

static long
give(void *arg, char *room, size_t len)
{
	struct runs *r = arg;
	size_t i, from = r->at, n;

	for (i = 0; i < 3; i++) {
		if (from < r->run[i].len) {
			n = r->run[i].len - from;
			if (n > len)
				n = len;
			memcpy(room, r->run[i].at + from, n);
			r->at += n;
			return (long)n;
		}
		from -= r->run[i].len;
	}
	return 0;
}

static int
start_again(void *arg)
{
	struct runs *r = arg;

	r->at = 0;
	return 0;
}

/* A line that is in none of the parts, but by a chance of 2^-128. */
static void
make_boundary(char text[2 * BOUNDARY_BYTES + 1])
{
	uint8_t random[BOUNDARY_BYTES];

	bytes_random(random, sizeof(random));
	hex_encode(random, sizeof(random), text);
}

int
google_insert(struct google_session *s, struct slice key, json_t *resource,
    const struct google_bytes *b, int if_absent, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_CREATE, .method = "POST" };
	struct buffer head = BUFFER_INIT;
	char boundary[2 * BOUNDARY_BYTES + 1], text[96], tail[64];
	const char *type;
	struct runs runs;
	int rc;

	make_boundary(boundary);
	google_set_crc32c(resource, b->crc32c);
	google_set_md5(resource, b->md5);
	type = json_string_value(json_object_get(resource, "contentType"));
	buffer_printf(&head,
	    "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n",
	    boundary);
	google_resource_text(resource, &head);
	buffer_printf(&head, "\r\n--%s\r\nContent-Type: ", boundary);
	buffer_add_text(&head, type != NULL ? type : "binary/octet-stream");
	buffer_add_text(&head, "\r\n\r\n");
	snprintf(tail, sizeof(tail), "\r\n--%s--\r\n", boundary);
	if (head.failed) {
		buffer_free(&head);
		return fault_set(fault, FAULT_RETRY, "There is no memory.");
	}
	runs = (struct runs){
		{ buffer_slice(&head), { b->at, b->len }, slice_text(tail) }, 0
	};

	google_url_upload(s->shared, &req, "multipart");
	if (if_absent)
		google_query(&req, "ifGenerationMatch", slice_text("0"));
	snprintf(
	    text, sizeof(text), "multipart/related; boundary=%s", boundary);
	google_header(&req, "Content-Type", text);
	req.source = give;
	req.rewind = start_again;
	req.source_arg = &runs;
	req.body_len = head.len + b->len + strlen(tail);
	rc = google_send(s, &req, fault);
	if (rc == 0)
		rc = google_verify(s, key, b->len, b->crc32c, b->md5, fault);
	buffer_free(&head);
	return rc;
}

int
google_put(void *session, const struct remote_object *o,
    const struct remote_source *source, int if_absent, struct fault *fault)
{
	struct google_session *s = session;
	struct buffer side = BUFFER_INIT;
	struct google_bytes b;
	json_t *resource = NULL;
	int rc = -1;

	if (o->size > GOOGLE_CHUNK_BYTES)
		return fault_set(fault, FAULT_OBJECT,
		    "The object is too large for one request.");
	if (google_bytes_read(&b, source, 0, (size_t)o->size, fault) != 0)
		return -1;
	digest_once(DIGEST_MD5, b.at, b.len, b.md5);
	if (o->has_md5 && memcmp(o->md5, b.md5, MD5_BYTES) != 0) {
		fault_set(fault, FAULT_OBJECT,
		    "The bytes to send are not those that were stored: their "
		    "checksum differs.");
		goto done;
	}
	if ((resource = google_resource(s->shared, o, &side)) == NULL) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	if (side.len > 0 && google_side_put(s, o, &side, fault) != 0)
		goto done;
	rc = google_insert(s, o->key, resource, &b, if_absent, fault);
	if (rc == 0)
		google_side_clear(s, o->key, side.len > 0 ? o->version : 0);

done:
	json_decref(resource);
	buffer_free(&side);
	google_bytes_free(&b);
	return rc;
}

int
google_delete(struct google_session *s, struct slice key, uint64_t generation,
    struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_DELETE, .method = "DELETE" };

	google_url_object(s->shared, &req, key);
	if (generation != 0)
		google_query_number(&req, "ifGenerationMatch", generation);
	if (google_send(s, &req, fault) == 0)
		return 0;
	if (fault->kind != FAULT_MISSING)
		return -1;
	*fault = (struct fault)FAULT_INIT;
	return 0;
}

int
google_remove(void *session, struct slice key, struct fault *fault)
{
	struct google_session *s = session;

	if (google_delete(s, key, 0, fault) != 0)
		return -1;
	google_side_clear(s, key, 0);
	return 0;
}

/* What is there: 0 when it is our version, with the resource. */
static int
fetch_same(struct google_session *s, const struct remote_object *o,
    json_t **resource, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_GET, .method = "GET" };
	struct remote_stat st;
	int side, same;

	google_url_object(s->shared, &req, o->key);
	if (google_send(s, &req, fault) != 0 ||
	    (*resource = google_answer(s, fault)) == NULL)
		return -1;
	memset(&st, 0, sizeof(st));
	if (google_stat_read(*resource, &st, &side, fault) != 0) {
		buffer_free(&st.memory);
		return -1;
	}
	same = st.version != 0 && st.size == o->size &&
	    strcmp(st.original_etag, o->etag) == 0;
	buffer_free(&st.memory);
	if (!same)
		return fault_set(fault, FAULT_OBJECT,
		    "The object there has other bytes, so that it must be "
		    "sent again.");
	return 0;
}

/* One step of a copy of the object onto itself with another resource; *token
 * says how far it is, empty at its end. */
static int
rewrite_step(struct google_session *s, const struct remote_object *o,
    const struct buffer *text, const struct google_object *known,
    struct buffer *token, struct fault *fault)
{
	struct google_request req = { .op = GOOGLE_UPDATE,
		.method = "POST",
		.stall_timeout_ms = REWRITE_STALL_MS };
	struct google_object there;
	const char *next;
	json_t *answer;
	int rc = 0;

	google_url_object(s->shared, &req, o->key);
	google_url_rewrite_to(s->shared, &req, o->key);
	if (known->generation != 0) {
		google_query_number(
		    &req, "ifSourceGenerationMatch", known->generation);
		google_query_number(
		    &req, "ifGenerationMatch", known->generation);
	}
	if (s->shared->kms_key != NULL)
		google_query(&req, "destinationKmsKeyName",
		    slice_text(s->shared->kms_key));
	if (token->len > 0)
		google_query(&req, "rewriteToken", buffer_slice(token));
	google_header(&req, "Content-Type", "application/json; charset=UTF-8");
	if (text->failed || token->failed)
		req.url.failed = 1;
	req.body = text->at;
	req.body_len = text->len;
	if (google_send(s, &req, fault) != 0 ||
	    (answer = google_answer(s, fault)) == NULL)
		return -1;
	buffer_clear(token);
	next = json_string_value(json_object_get(answer, "rewriteToken"));
	if (json_is_true(json_object_get(answer, "done"))) {
		if (google_object_read(
			json_object_get(answer, "resource"), &there) != 0 ||
		    there.size != known->size ||
		    (there.has_crc32c && known->has_crc32c &&
			there.crc32c != known->crc32c))
			rc = fault_set(fault, FAULT_RETRY,
			    "Google copied other bytes than were there.");
	} else if (next != NULL && next[0] != '\0')
		buffer_add_text(token, next);
	else
		rc = fault_set(
		    fault, FAULT_RETRY, "Google's copying does not go on.");
	json_decref(answer);
	return rc;
}

/* To change metadata in place Google asks for a scope that also changes who
 * may do what; a copy onto itself needs no more than writing does. */
static int
rewrite(struct google_session *s, const struct remote_object *o,
    json_t *resource, json_t *there, struct fault *fault)
{
	struct buffer text = BUFFER_INIT, token = BUFFER_INIT;
	struct google_object known;
	int rc;

	/* The name is in the address. */
	json_object_del(resource, "name");
	google_resource_text(resource, &text);
	if (google_object_read(there, &known) != 0)
		rc = fault_set(fault, FAULT_RETRY,
		    "Google does not say how large the object is.");
	else
		do {
			rc = rewrite_step(s, o, &text, &known, &token, fault);
		} while (rc == 0 && token.len > 0);
	buffer_free(&text);
	buffer_free(&token);
	return rc;
}

int
google_retag(void *session, const struct remote_object *o, struct fault *fault)
{
	struct google_session *s = session;
	struct buffer side = BUFFER_INIT;
	json_t *there = NULL, *resource = NULL;
	int rc = -1;

	if (fetch_same(s, o, &there, fault) != 0)
		goto done;
	if ((resource = google_resource(s->shared, o, &side)) == NULL) {
		fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	if (side.len > 0 && google_side_put(s, o, &side, fault) != 0)
		goto done;
	rc = rewrite(s, o, resource, there, fault);
	if (rc == 0)
		google_side_clear(s, o->key, side.len > 0 ? o->version : 0);

done:
	json_decref(there);
	json_decref(resource);
	buffer_free(&side);
	return rc;
}
