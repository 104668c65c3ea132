#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fiber.h"
#include "base/version.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

#define CONNECT_TIMEOUT_MS 10000
#define STALL_TIMEOUT_MS 30000
/* The services that tell a machine or pod its credentials are on its own link,
 * and what they say is nobody else's matter. */
#define METADATA_HOSTS \
	"169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254," \
	"fd00:ec2::23,metadata.google.internal"
#define IO_BUFFER_BYTES 65536L
#define GROUP_BUFFER_BYTES 16384L /* of each of many */

int
http_client_global_init(struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERR_INTERNAL, "cannot start libcurl");
	return 0;
}

/* A line of `resolve` with a port at its end names where to connect to. */
static int
add_resolve(struct http_client *client, const char *text)
{
	struct curl_slist *grown;
	int colons, bracket;
	size_t len, i;
	char line[512];

	for (; *text != '\0'; text += len + (text[len] != '\0')) {
		len = strcspn(text, "\n");
		if (len == 0 || len >= sizeof(line))
			continue;
		memcpy(line, text, len);
		line[len] = '\0';
		for (i = 0, colons = 0, bracket = 0; i < len; i++) {
			if (line[i] == '[' || line[i] == ']')
				bracket = line[i] == '[';
			colons += line[i] == ':' && !bracket;
		}
		grown = curl_slist_append(
		    colons == 3 ? client->connect_to : client->resolve, line);
		if (grown == NULL)
			return -1;
		if (colons == 3)
			client->connect_to = grown;
		else
			client->resolve = grown;
	}
	return 0;
}

struct http_client *
http_client_new(const struct http_client_settings *settings, struct error *err)
{
	struct http_client *client;
	size_t i;

	if ((client = calloc(1, sizeof(*client))) == NULL ||
	    (client->curl = curl_easy_init()) == NULL) {
		error_nomem(err);
		goto fail;
	}
	for (i = 0; i < HTTP_SOCKETS_MAX; i++)
		client->own[i].fd = -1;
	client->sockets =
	    (struct http_sockets){ HTTP_SOCKETS_MAX, client->own };
	client->socket = -1;
	client->settings = settings;
	if (settings->trust == NULL &&
	    (client->own_trust = http_trust_new(NULL, err)) == NULL)
		goto fail;
	if (settings->resolve != NULL &&
	    add_resolve(client, settings->resolve) != 0) {
		error_nomem(err);
		goto fail;
	}
	return client;

fail:
	http_client_free(client);
	return NULL;
}

void
http_client_free(struct http_client *client)
{
	if (client == NULL)
		return;
	if (client->curl != NULL)
		curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->resolve);
	curl_slist_free_all(client->connect_to);
	http_trust_free(client->own_trust);
	free(client);
}

/* What holds for every request. The handle keeps its connections over a reset.
 */
static void
set_common(struct http_client *client)
{
	const struct http_client_settings *s = client->settings;
	CURL *curl = client->curl;
	int https = strncmp(client->call->url, "https:", 6) == 0;
	long buffer_bytes =
	    client->group != NULL ? GROUP_BUFFER_BYTES : IO_BUFFER_BYTES;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, client);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->curl_text);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(
	    curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
	    s->user_agent != NULL ? s->user_agent
				  : "holdfast/" HOLDFAST_VERSION);

	/* An empty proxy, unlike none, keeps the environment out. */
	curl_easy_setopt(curl, CURLOPT_PROXY, s->proxy != NULL ? s->proxy : "");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, METADATA_HOSTS);
	curl_easy_setopt(curl, CURLOPT_PROXYAUTH,
	    https ? (long)CURLAUTH_ANY : (long)CURLAUTH_BASIC);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

	curl_easy_setopt(
	    curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(
	    curl, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, NULL);
	curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, http_trust_apply);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA,
	    s->trust != NULL ? s->trust : client->own_trust);

	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(s->connect_timeout_ms != 0 ? s->connect_timeout_ms
					      : CONNECT_TIMEOUT_MS));
	curl_easy_setopt(
	    curl, CURLOPT_TIMEOUT_MS, (long)client->call->total_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_MAX_SEND_SPEED_LARGE,
	    (curl_off_t)s->bytes_per_second);
	curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE,
	    (curl_off_t)s->bytes_per_second);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, buffer_bytes);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, buffer_bytes);
	if (client->resolve != NULL)
		curl_easy_setopt(curl, CURLOPT_RESOLVE, client->resolve);
	if (client->connect_to != NULL)
		curl_easy_setopt(curl, CURLOPT_CONNECT_TO, client->connect_to);

	http_transfer_watch(client);
}

static void
set_method(struct http_client *client)
{
	const struct http_call *call = client->call;
	CURL *curl = client->curl;

	client->changes = strcmp(call->method, "GET") != 0 &&
	    strcmp(call->method, "HEAD") != 0;
	if (strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (strcmp(call->method, "PUT") == 0 ||
	    strcmp(call->method, "POST") == 0 ||
	    strcmp(call->method, "PATCH") == 0 || call->body_len > 0) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		http_transfer_body(client);
		curl_easy_setopt(
		    curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_len);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	} else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(curl, CURLOPT_URL, call->url);
}

/* The request's header lines, NULL without memory. */
static struct curl_slist *
header_list(const struct http_call *call)
{
	struct curl_slist *list, *grown;
	char *line;
	size_t i;

	/* Bodies follow at once: waiting for 100 Continue costs a round trip,
	 * and some servers do not know it. */
	if ((list = curl_slist_append(NULL, "Expect:")) == NULL)
		return NULL;
	for (i = 0; i < call->n_headers; i++) {
		if ((line = slice_copy(call->headers[i])) == NULL)
			goto fail;
		grown = curl_slist_append(list, line);
		free(line);
		if (grown == NULL)
			goto fail;
		list = grown;
	}
	return list;

fail:
	curl_slist_free_all(list);
	return NULL;
}

static uint64_t
time_us(CURL *curl, CURLINFO what)
{
	curl_off_t us = 0;

	curl_easy_getinfo(curl, what, &us);
	return us > 0 ? (uint64_t)us : 0;
}

/* What happened, from what libcurl and the callbacks say. */
static int
conclude(struct http_client *client, CURLcode code)
{
	struct http_call *call = client->call;
	const char *proxy = client->settings->proxy;
	struct fault *f = &call->fault;

	if (call->answer.failed || call->headers_out.failed)
		return fault_set(f, FAULT_RETRY, "There is no memory.");
	if (code == CURLE_OK ||
	    (code == CURLE_WRITE_ERROR &&
		client->error_read > HTTP_ERROR_READ_MAX_BYTES)) {
		http_answer_facts(call);
		if (call->status != 407 || proxy == NULL)
			return 0;
		return fault_set(f, FAULT_PERSON,
		    "The proxy asks for a name and password, or refuses those "
		    "that were given: write them into the proxy's address as "
		    "http://name:password@host:port.");
	}
	f->fate_unknown = client->changes && client->asked && client->whole;
	if (client->stopped)
		return fault_set(f, FAULT_STOPPED, "Stopped.");
	if (client->source_failed)
		return fault_set(
		    f, FAULT_RETRY, "The bytes to send cannot be read.");
	if (client->sink_failed)
		return fault_set(
		    f, FAULT_RETRY, "The bytes of the answer are not wanted.");
	if (client->too_large)
		return fault_set(f, FAULT_RETRY,
		    "The answer is larger than any that was expected.");
	if (client->again)
		return fault_set(f, FAULT_RETRY,
		    "The connection was closed before an answer came.");
	if (client->stalled)
		return fault_set(f, FAULT_RETRY,
		    "The connection stood still for %llu seconds.",
		    (unsigned long long)(client->stall_ms / 1000));
	http_transport_fault(
	    client->curl, code, client->curl_text, proxy, call);
	return -1;
}

int
http_client_call(struct http_client *client, struct http_call *call)
{
	const struct http_client_settings *s = client->settings;
	struct curl_slist *headers;
	long status = 0;
	CURLcode code;
	int rc;

	call->status = 0;
	call->has_clock = 0;
	call->peer[0] = '\0';
	call->stage = HTTP_TALK;
	buffer_clear(&call->answer);
	buffer_clear(&call->headers_out);
	memset(&call->fault, 0, sizeof(call->fault));

	client->call = call;
	client->sent = 0;
	client->asked = client->whole = client->again = 0;
	client->source_failed = client->sink_failed = 0;
	client->stopped = client->stalled = client->too_large = 0;
	client->error_read = 0;
	client->moved = 0;
	client->queued = 0;
	client->progress_ms = clock_monotonic_ms();
	client->stall_ms = call->stall_timeout_ms != 0 ? call->stall_timeout_ms
	    : s->stall_timeout_ms != 0                 ? s->stall_timeout_ms
						       : STALL_TIMEOUT_MS;
	client->curl_text[0] = '\0';

	if ((headers = header_list(call)) == NULL)
		return fault_set(
		    &call->fault, FAULT_RETRY, "There is no memory.");
	set_common(client);
	set_method(client);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);

	code = client->group != NULL && fiber_current() != NULL && call->yields
	    ? http_group_perform(client)
	    : curl_easy_perform(client->curl);

	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	call->status = (int)status;
	call->times.resolve_us =
	    time_us(client->curl, CURLINFO_NAMELOOKUP_TIME_T);
	call->times.connect_us = time_us(client->curl, CURLINFO_CONNECT_TIME_T);
	call->times.tls_us = time_us(client->curl, CURLINFO_APPCONNECT_TIME_T);
	call->times.first_byte_us =
	    time_us(client->curl, CURLINFO_STARTTRANSFER_TIME_T);
	call->times.total_us = time_us(client->curl, CURLINFO_TOTAL_TIME_T);
	rc = conclude(client, code);

	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	client->call = NULL;
	return rc;
}

void
http_call_clear(struct http_call *call)
{
	buffer_free(&call->answer);
	buffer_free(&call->headers_out);
	memset(call, 0, sizeof(*call));
}
