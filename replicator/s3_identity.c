#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/aws_sign.h"
#include "replicator/s3_private.h"
#include "store/record.h"

/* GetCallerIdentity of STS, which needs no permission. */

#define BODY "Action=GetCallerIdentity&Version=2011-06-15"
#define TYPE "application/x-www-form-urlencoded"

struct arn {
	char *text;
	size_t room;
};

static int
arn_leaf(const struct xml_element *e, void *arg)
{
	const char *path = e->path;
	struct slice text = e->text;
	struct arn *a = arg;
	const char *end = strrchr(path, '/');

	if (end != NULL && strcmp(end, "/Arn") == 0 && text.at != NULL)
		snprintf(a->text, a->room, "%.*s",
		    (int)(text.len < a->room ? text.len : a->room - 1),
		    text.at);
	return 0;
}

/* The endpoint's URL with '/' at its end, and its host. */
static void
address(struct s3_shared *s, const char *region, char *url, size_t url_room,
    char *host, size_t host_room)
{
	const char *at;

	if (s->sts_endpoint != NULL)
		snprintf(url, url_room, "%s/", s->sts_endpoint);
	else
		snprintf(url, url_room, "https://sts.%s.%s/", region,
		    aws_host_end(region));
	at = strstr(url, "://");
	at = at != NULL ? at + 3 : url;
	snprintf(host, host_room, "%.*s", (int)strcspn(at, "/"), at);
}

static int
ask(struct s3_session *s, const struct aws_keys *keys, struct http_call *call)
{
	struct buffer pairs = BUFFER_INIT, authorization = BUFFER_INIT;
	struct buffer token = BUFFER_INIT;
	char region[64], url[400], host[300], sha256[2 * SHA256_BYTES + 1];
	char time[CLOCK_TEXT_BYTES], date_line[64];
	struct slice lines[4];
	uint8_t sum[SHA256_BYTES];
	struct aws_request sign;
	int64_t now_ms;
	int rc = -1;

	pthread_mutex_lock(&s->shared->lock);
	memcpy(region, s->shared->region, sizeof(region));
	pthread_mutex_unlock(&s->shared->lock);
	address(s->shared, region, url, sizeof(url), host, sizeof(host));
	digest_once(DIGEST_SHA256, BODY, strlen(BODY), sum);
	hex_encode(sum, sizeof(sum), sha256);
	now_ms = clock_wall_ms() + atomic_load(&s->shared->clock_offset_ms);
	clock_basic(now_ms, time);

	pairs_add(&pairs, SLICE_LITERAL("host"), slice_text(host));
	pairs_add(&pairs, SLICE_LITERAL("content-type"), SLICE_LITERAL(TYPE));
	pairs_add(&pairs, SLICE_LITERAL("x-amz-date"), slice_text(time));
	if (keys->session_token != NULL) {
		pairs_add(&pairs, SLICE_LITERAL("x-amz-security-token"),
		    slice_text(keys->session_token));
		buffer_printf(
		    &token, "x-amz-security-token: %s", keys->session_token);
	}
	sign = (struct aws_request){ .method = "POST",
		.path = "/",
		.query = "",
		.headers = buffer_slice(&pairs),
		.payload = sha256,
		.region = region,
		.service = "sts",
		.wall_ms = now_ms };
	buffer_add_text(&authorization, "Authorization: ");
	aws_sign(&sign, keys, &authorization);
	snprintf(date_line, sizeof(date_line), "x-amz-date: %s", time);
	if (pairs.failed || authorization.failed || token.failed)
		goto done;

	lines[0] = buffer_slice(&authorization);
	lines[1] = slice_text(date_line);
	lines[2] = SLICE_LITERAL("Content-Type: " TYPE);
	lines[3] = buffer_slice(&token);
	call->method = "POST";
	call->url = url;
	call->headers = lines;
	call->n_headers = token.len > 0 ? 4 : 3;
	call->body = BODY;
	call->body_len = strlen(BODY);
	call->total_timeout_ms = 5000;
	rc = http_client_call(s->http, call);
	call->url = NULL;
	call->headers = NULL;

done:
	if (token.at != NULL)
		bytes_wipe(token.at, token.len);
	buffer_free(&pairs);
	buffer_free(&authorization);
	buffer_free(&token);
	return rc;
}

int
s3_identity(struct s3_session *s, char *arn, size_t room)
{
	struct http_call call = { .method = "POST" };
	struct aws_keys keys = { .expires_ms = 0 };
	struct fault ignored = FAULT_INIT;
	struct arn a = { arn, room };

	arn[0] = '\0';
	if (!s->shared->by_region && s->shared->sts_endpoint == NULL)
		return -1;
	if (aws_credentials_get(
		s->shared->credentials, s->http, &keys, &ignored) != 0)
		return -1;
	if (ask(s, &keys, &call) == 0 && call.status == 200)
		xml_read(buffer_slice(&call.answer), arn_leaf, &a);
	aws_keys_clear(&keys);
	http_call_clear(&call);
	return arn[0] != '\0' ? 0 : -1;
}
