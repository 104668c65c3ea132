#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/s3_private.h"
#include "store/record.h"

/* Unfinished uploads that a listing names: nobody else does when the answer to
 * their beginning was lost. */
struct looking {
	struct slice prefix; /* with the path */
	int exactly;
	int64_t before_ms;
	size_t path_len;

	/* Of the one that is being read. */
	char key[KEY_MAX_BYTES + 1], id[REMOTE_STATE_BYTES];
	int64_t begun_ms;
	struct buffer found; /* key below the path and id, each with its NUL */
};

static void
end_upload(struct looking *l)
{
	struct slice key = slice_text(l->key);
	const char *below = l->key + l->path_len;

	if (l->id[0] != '\0' && l->begun_ms < l->before_ms &&
	    (l->exactly ? slice_equal(key, l->prefix)
			: key.len >= l->prefix.len &&
			memcmp(key.at, l->prefix.at, l->prefix.len) == 0)) {
		buffer_add(&l->found, below, strlen(below) + 1);
		buffer_add(&l->found, l->id, strlen(l->id) + 1);
	}
	l->key[0] = l->id[0] = '\0';
	l->begun_ms = INT64_MAX - 1;
}

static void
copy_text(char *to, size_t room, struct slice text)
{
	to[0] = '\0';
	if (text.len < room && memchr(text.at, '\0', text.len) == NULL)
		snprintf(to, room, "%.*s", (int)text.len, text.at);
}

static int
see_upload(const struct xml_element *e, void *arg)
{
	static const char at[] = "ListMultipartUploadsResult/Upload";
	const char *leaf = e->path + sizeof(at) - 1;
	struct looking *l = arg;

	if (strncmp(e->path, at, sizeof(at) - 1) != 0)
		return 0;
	if (leaf[0] == '\0')
		end_upload(l);
	else if (strcmp(leaf, "/Key") == 0)
		copy_text(l->key, sizeof(l->key), e->text);
	else if (strcmp(leaf, "/UploadId") == 0)
		copy_text(l->id, sizeof(l->id), e->text);
	else if (strcmp(leaf, "/Initiated") == 0 &&
	    clock_parse_iso8601(e->text.at, e->text.len, &l->begun_ms) != 0)
		l->begun_ms = INT64_MAX - 1;
	return 0;
}

/* 0 and what was found, or -1 and *fault. */
static int
look(struct s3_session *s, struct looking *l, struct fault *fault)
{
	struct s3_request req = { .op = S3_LIST_UPLOADS, .method = "GET" };
	char encoded[3 * KEY_MAX_BYTES + 1], query[sizeof(encoded) + 24];

	uri_encode(l->prefix.at, l->prefix.len, 0, encoded);
	snprintf(query, sizeof(query), "prefix=%s&uploads=", encoded);
	req.query = query;
	if (s3_send(s, &req, fault) != 0)
		return -1;
	return xml_read(buffer_slice(&s->call.answer), see_upload, l) == 0 &&
		!l->found.failed
	    ? 0
	    : fault_set(fault, FAULT_RETRY,
		  "The store's list of unfinished uploads cannot be read.");
}

int
s3_uploads_end(struct s3_session *s, struct slice key, int exactly,
    int64_t before_ms, struct fault *fault)
{
	struct looking l = { .exactly = exactly,
		.before_ms = before_ms,
		.path_len = strlen(s->shared->path),
		.begun_ms = INT64_MAX - 1 };
	struct remote_upload upload = { .part_bytes = 0 };
	struct buffer whole = BUFFER_INIT;
	const char *at, *id;
	int rc = 0;

	buffer_add_text(&whole, s->shared->path);
	buffer_add_slice(&whole, key);
	l.prefix = buffer_slice(&whole);
	if (!whole.failed && whole.len <= KEY_MAX_BYTES &&
	    (rc = look(s, &l, fault)) == 0 && l.found.len > 0)
		for (at = l.found.at; rc == 0 && at < l.found.at + l.found.len;
		     at = id + strlen(id) + 1) {
			id = at + strlen(at) + 1;
			snprintf(upload.state, sizeof(upload.state), "%s", id);
			rc = s3_abort(s, slice_text(at), &upload, fault);
		}
	buffer_free(&l.found);
	buffer_free(&whole);
	return rc;
}
