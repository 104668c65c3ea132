#include <stdlib.h>

#include "base/log.h"
#include "s3api/download.h"
#include "store/content.h"

#define TRIES_MAX 4
/* Small enough for malloc() to use it again: above 128 KiB each request would
 * have its pages made anew. It stays in the processor's cache, too. */
#define BUFFER_BYTES CONTENT_BLOCK_BYTES

struct download {
	struct content *content;
	int status, begun;
	uint64_t first, at, end;
	char *memory; /* page-aligned, room bytes */
	size_t room;
	const char *bytes; /* what was read, to be sent */
	long n;
	struct error err;
};

static void
download_free(struct download *download)
{
	content_close(download->content);
	free(download->memory);
}

/* Instead of the object, whose headers are not those of the error. */
static void
fail(struct s3_request *req, const struct error *err)
{
	buffer_clear(&req->headers);
	s3_fail_store(req, err);
}

/* Why it ends early: the client is gone, or the bytes are not to be had. */
static void
log_cut(struct s3_request *req, const struct download *download)
{
	const struct log_field fields[] = {
		LOG_T("request", req->id),
		LOG_B("bucket", req->bucket.at, req->bucket.len),
		LOG_B("key", req->key.at, req->key.len),
		LOG_N("at", download->at),
	};

	log_fields(LOG_ERROR, "s3.cut", download->err.text, fields,
	    sizeof(fields) / sizeof(fields[0]));
}

/* The one way out. */
static void
end(struct s3_request *req, enum s3_code code)
{
	struct download *download = req->state;
	uint64_t sent = download->at - download->first;
	int status = download->status;
	struct error err = download->err;

	if (download->begun && code == S3_INTERNAL_ERROR)
		log_cut(req, download);
	download_free(download);
	if (download->begun)
		s3_sent(req, status, code, sent);
	else
		fail(req, &err);
}

static void read_more(struct s3_request *req);

static void
sent(struct http_request *http, int failed, void *arg)
{
	struct s3_request *req = arg;
	struct download *download = req->state;

	(void)http;
	if (failed) {
		end(req, S3_REQUEST_TIMEOUT);
		return;
	}
	download->at += (uint64_t)download->n;
	if (download->at == download->end)
		end(req, S3_OK);
	else
		read_more(req);
}

static void
have_read(struct s3_request *req)
{
	struct download *download = req->state;

	if (download->n <= 0) {
		end(req, S3_INTERNAL_ERROR);
		return;
	}
	if (!download->begun) {
		download->begun = 1;
		s3_begin(
		    req, download->status, download->end - download->first);
	}
	http_send(req->http, download->bytes, (size_t)download->n, sent, req);
}

static void
read_here(struct s3_request *req, int nowait)
{
	struct download *download = req->state;

	download->n = content_read(download->content, download->at,
	    download->end, download->memory, download->room, nowait,
	    &download->bytes, &download->err);
}

static void
read_on_worker(struct s3_request *req)
{
	read_here(req, 0);
}

static void
read_more(struct s3_request *req)
{
	struct download *download = req->state;

	read_here(req, 1);
	if (download->n == CONTENT_WOULD_BLOCK)
		(content_is_away(download->content) ? s3_work_far : s3_work)(
		    req, read_on_worker, have_read);
	else
		have_read(req);
}

void
download_start(struct s3_request *req, int status, uint64_t extent,
    uint64_t first, uint64_t last, s3_step *again)
{
	struct download *download;
	struct error err = ERROR_INIT;

	if ((download = s3_memory(req, sizeof(*download))) == NULL)
		goto nomem;
	download->status = status;
	download->first = download->at = first;
	download->end = last;
	download->room = BUFFER_BYTES;
	download->memory = aligned_alloc(4096, download->room);
	if (download->memory == NULL)
		goto nomem;
	download->content = content_open(req->store, extent, &err);
	if (download->content == NULL) {
		free(download->memory);
		if (err.kind == ERR_NOT_FOUND && again != NULL &&
		    req->tries++ < TRIES_MAX)
			again(req);
		else
			fail(req, &err);
		return;
	}
	if (content_name(download->content, req->bucket, req->key) != 0) {
		download_free(download);
		goto nomem;
	}
	req->state = download;
	read_more(req);
	return;

nomem:
	s3_fail_nomem(req);
}
