#include "s3api/await.h"

#include "s3api/http.h"
#include "store/remote.h"

/* How long an import of listings takes is not known; clients ask again. */
#define RETRY_AFTER_SECONDS 2

struct awaiting {
	struct error err;
	int failed;
};

static void
come_again(struct s3_request *req, const char *why)
{
	http_out_header_u64(&req->headers, "Retry-After", RETRY_AFTER_SECONDS);
	s3_fail_code(req, S3_SLOW_DOWN, "%s", why);
}

static void
ask(struct s3_request *req)
{
	struct awaiting *w = req->state;

	w->failed = store_want(req->store, req->bucket, req->key, &w->err);
}

static void
asked(struct s3_request *req)
{
	const struct awaiting *w = req->state;

	req->state = NULL;
	if (w->failed)
		come_again(req, w->err.text);
	else
		req->operation->run(req);
}

/* Whether its answer depends on keys of its bucket that may not be known yet.
 */
static int
needs_keys(const struct s3_request *req, struct slice *prefix)
{
	*prefix = SLICE_NULL;
	if (req->bucket.len == 0 || req->key.len > 0)
		return 0;
	if (req->operation->right == RIGHT_LIST) {
		*prefix = target_get(&req->target, "prefix");
		return 1;
	}
	/* DeleteObjects, DeleteBucket */
	return req->method == M_POST ||
	    (req->method == M_DELETE && req->operation->subresource == NULL);
}

void
s3_await(struct s3_request *req)
{
	struct slice prefix;

	if (!store_is_incomplete(req->store)) {
		req->operation->run(req);
		return;
	}
	/* A copy's source may be in any bucket; and before the path is taken
	 * not even the buckets are known. */
	if (http_header_get(req->head, "x-amz-copy-source").len > 0 ||
	    !store_knows(req->store, SLICE_NULL, SLICE_NULL) ||
	    (needs_keys(req, &prefix) &&
		!store_knows(req->store, req->bucket, prefix))) {
		come_again(req,
		    "The store is being restored, and what is there is not all "
		    "known yet: come again.");
		return;
	}
	if (req->key.len == 0) {
		req->operation->run(req);
		return;
	}
	if ((req->state = s3_memory(req, sizeof(struct awaiting))) == NULL) {
		s3_fail_nomem(req);
		return;
	}
	s3_work(req, ask, asked);
}
