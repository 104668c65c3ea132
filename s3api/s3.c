#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "s3api/await.h"
#include "s3api/s3.h"
#include "s3api/s3own.h"
#include "s3api/xml.h"

#define SKEW_MS_DEFAULT (15 * 60 * 1000)

/* It goes into answers as it is. */
static int
region_valid(const char *region)
{
	return region[0] != '\0' &&
	    strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") ==
	    strlen(region);
}

struct s3 *
s3_new(const struct s3_options *options, struct store *store, struct error *err)
{
	struct s3 *s3;
	size_t i;

	if (options->region != NULL && !region_valid(options->region)) {
		error_set(err, ERR_INVALID,
		    "the region \"%s\" is not made of lower-case letters, "
		    "digits and hyphens",
		    options->region);
		return NULL;
	}
	if ((s3 = calloc(1, sizeof(*s3))) == NULL)
		goto nomem;
	s3->store = store;
	s3->replication_status = options->replication_status;
	s3->replication = options->replication;
	s3->skew_ms =
	    options->skew_ms == 0 ? SKEW_MS_DEFAULT : options->skew_ms;
	hex_encode(store_id(store), 16, s3->owner_id);
	if (options->domain != NULL &&
	    (s3->domain = strdup(options->domain)) == NULL)
		goto nomem;
	if (options->region != NULL &&
	    (s3->region = strdup(options->region)) == NULL)
		goto nomem;
	if (s3metrics_init(&s3->metrics, s3_operations_count) != 0)
		goto nomem;
	if ((s3->loops = calloc(options->loops, sizeof(*s3->loops))) == NULL)
		goto nomem;
	s3->n_loops = options->loops;
	for (i = 0; i < s3->n_loops; i++) {
		s3->loops[i].access = access_new(store,
		    options->admin_access_key, options->admin_secret, err);
		if (s3->loops[i].access == NULL)
			goto fail;
	}
	return s3;

nomem:
	error_nomem(err);
fail:
	s3_free(s3);
	return NULL;
}

void
s3_free(struct s3 *s3)
{
	size_t i;

	if (s3 == NULL)
		return;
	for (i = 0; i < s3->n_loops; i++) {
		requests_drop(&s3->loops[i]);
		access_free(s3->loops[i].access);
	}
	free(s3->loops);
	s3metrics_free(&s3->metrics);
	free(s3->region);
	free(s3->domain);
	free(s3);
}

static const char *
row_name(size_t row)
{
	return row < s3_operations_count ? s3_operations[row].name : "none";
}

void
s3_metrics(struct s3 *s3, struct buffer *out)
{
	s3metrics_text(&s3->metrics, row_name, out);
}

static enum s3_method
method_of(struct slice method)
{
	static const struct {
		const char *name;
		enum s3_method method;
	} methods[] = { { "GET", M_GET }, { "HEAD", M_HEAD }, { "PUT", M_PUT },
		{ "POST", M_POST }, { "DELETE", M_DELETE } };
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (slice_is(method, methods[i].name))
			return methods[i].method;
	return M_OTHER;
}

/* Whose request it is, proven. An access key that does not exist is verified
 * against a secret made up, so that the time taken does not tell. */
static int
authenticate(struct s3_request *req, struct s3_error *s3err)
{
	struct s3_loop *loop = &req->s3->loops[http_request_loop(req->http)];
	struct sigv4_rules rules;
	int verdict;

	if (sigv4_parse(req->head, &req->sig, s3err) != 0)
		return -1;
	if (req->sig.anonymous)
		return s3_error_set(s3err, S3_ACCESS_DENIED,
		    "Anonymous requests are not served: sign the request with "
		    "an access key.");
	req->who = access_find(loop->access, req->sig.access_key, s3err);
	if (req->who == NULL)
		return -1;
	req->sig_key = *access_derive(req->who, &req->sig);
	rules.now_ms = clock_wall_ms();
	rules.skew_ms = req->s3->skew_ms;
	rules.region = SLICE_NULL;
	if (req->s3->region != NULL)
		rules.region = slice_text(req->s3->region);
	verdict =
	    sigv4_verify(req->head, &req->sig, &req->sig_key, &rules, s3err);
	if (req->who->unknown)
		return s3_error_set(s3err, S3_INVALID_ACCESS_KEY_ID, NULL);
	return verdict;
}

static int
authorise(struct s3_request *req, struct s3_error *s3err)
{
	enum key_right right = req->operation->right;
	struct slice name = req->key;

	if (right == RIGHT_SELF)
		return 0;
	if (right == RIGHT_LIST)
		name = target_get(&req->target, "prefix");
	if (access_allows(req->who, right, req->bucket, name))
		return 0;
	return s3_error_set(s3err, S3_ACCESS_DENIED,
	    "The access key has no right to %s here.", req->operation->name);
}

void
s3_handle(struct http_request *http, void *context)
{
	struct s3_request *req;
	struct s3_error s3err = S3_ERROR_INIT;
	enum s3_resource on;

	if ((req = request_new(context, http)) == NULL) {
		http_respond(http, 503, NULL, NULL, 0);
		return;
	}
	req->method = method_of(req->head->method);
	if (target_parse(req->head, req->s3->domain, &req->text, &req->target,
		&s3err) != 0)
		goto fail;
	req->bucket = req->target.bucket;
	req->key = req->target.key;
	on = req->key.len > 0     ? ON_OBJECT
	    : req->bucket.len > 0 ? ON_BUCKET
				  : ON_SERVICE;
	if (authenticate(req, &s3err) != 0)
		goto fail;
	req->operation =
	    s3_operation_find(req->method, on, &req->target, req->head, &s3err);
	if (req->operation == NULL || authorise(req, &s3err) != 0)
		goto fail;
	s3_await(req);
	return;

fail:
	s3_fail(req, &s3err);
}

void
s3_refusal_body(struct buffer *out, int status, const char *reason,
    const char **content_type)
{
	struct s3_error s3err = S3_ERROR_INIT;
	enum s3_code code = S3_INVALID_REQUEST;
	struct slice none = SLICE_NULL;

	if (status == 503)
		code = S3_SLOW_DOWN;
	else if (status == 501)
		code = S3_NOT_IMPLEMENTED;
	else if (status == 411)
		code = S3_MISSING_CONTENT_LENGTH;
	else if (status == 405)
		code = S3_METHOD_NOT_ALLOWED;
	else if (status == 408)
		code = S3_REQUEST_TIMEOUT;
	else if (status == 414)
		code = S3_INVALID_URI;
	s3_error_set(&s3err, code, "%s", reason);
	s3_error_xml(out, &s3err, none, none, "");
	*content_type = "application/xml";
}
