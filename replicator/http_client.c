#include <sys/ioctl.h>

#include <curl/curl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/version.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

#define ANSWER_MAX_BYTES (8U << 20)
#define ERROR_ANSWER_MAX_BYTES (64U << 10)
/* Beyond this an error's body is not even read to its end. */
#define ERROR_READ_MAX_BYTES (1U << 20)
#define HEADERS_MAX_BYTES (64U << 10)
#define CONNECT_TIMEOUT_MS 10000
#define STALL_TIMEOUT_MS 30000
#define IO_BUFFER_BYTES 65536L

struct http_client {
	CURL *curl;
	const struct http_client_settings *settings;
	struct http_trust *own_trust;
	struct curl_slist *resolve, *connect_to;
	char curl_text[CURL_ERROR_SIZE];

	/* Of the running call. */
	struct http_call *call;
	int changes;   /* the method changes something */
	uint64_t sent; /* bytes of the body given to libcurl */
	int asked;     /* a request was begun on a connection */
	int whole;     /* its body was given to libcurl to the end */
	int source_failed, sink_failed, stopped, stalled, again;
	int too_large;
	size_t error_read;
	uint64_t stall_ms, progress_ms;
	curl_off_t moved;
	int queued;
};

int
http_client_global_init(struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERR_INTERNAL, "cannot start libcurl");
	return 0;
}

static size_t
give_body(char *room, size_t size, size_t n, void *arg)
{
	struct http_client *client = arg;
	struct http_call *call = client->call;
	uint64_t left = call->body_len - client->sent;
	size_t len = size * n;
	long got;

	if (len > left)
		len = (size_t)left;
	if (len == 0)
		return 0;
	if (call->body != NULL) {
		memcpy(room, (const char *)call->body + client->sent, len);
		got = (long)len;
	} else if ((got = call->source(call->source_arg, room, len)) <= 0 ||
	    (size_t)got > len) {
		client->source_failed = 1;
		return CURL_READFUNC_ABORT;
	}
	client->sent += (uint64_t)got;
	if (client->sent == call->body_len)
		client->whole = 1;
	return (size_t)got;
}

/* libcurl starts a body again when a kept connection turned out to be closed.
 */
static int
seek_body(void *arg, curl_off_t offset, int origin)
{
	struct http_client *client = arg;
	struct http_call *call = client->call;

	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	if (client->sent > 0 && call->body == NULL &&
	    (call->rewind == NULL || call->rewind(call->source_arg) != 0)) {
		client->source_failed = call->rewind != NULL;
		return CURL_SEEKFUNC_FAIL;
	}
	client->sent = 0;
	return CURL_SEEKFUNC_OK;
}

/* Before a request goes out on a connection. libcurl sends one again when a
 * kept connection closed without an answer; one that changes something may
 * have been done by then, so that is left to the caller. */
static int
before_request(
    void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct http_client *client = arg;

	(void)local_ip;
	(void)local_port;
	if (client->asked && client->changes && client->whole) {
		client->again = 1;
		return CURL_PREREQFUNC_ABORT;
	}
	client->asked = 1;
	if (client->call->body_len == 0)
		client->whole = 1;
	snprintf(client->call->peer, sizeof(client->call->peer),
	    strchr(peer_ip, ':') != NULL ? "[%.48s]:%d" : "%.48s:%d", peer_ip,
	    peer_port);
	return CURL_PREREQFUNC_OK;
}

static size_t
take_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_client *client = arg;
	struct buffer *lines = &client->call->headers_out;
	size_t len = size * n;

	/* Each status line begins an answer: of 100 Continue, of a proxy, and
	 * of the request at last. */
	if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
		buffer_clear(lines);
	if (lines->len + len + 2 > HEADERS_MAX_BYTES) {
		client->too_large = 1;
		return 0;
	}
	while (len > 0 && (bytes[len - 1] == '\r' || bytes[len - 1] == '\n'))
		len--;
	if (len > 0) {
		buffer_add(lines, bytes, len);
		buffer_add_text(lines, "\r\n");
	}
	return size * n;
}

static size_t
take_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_client *client = arg;
	struct http_call *call = client->call;
	size_t len = size * n, kept = len;
	long status = 0;

	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	call->status = (int)status; /* for the sink */
	if (status / 100 != 2) {
		if (client->error_read > ERROR_READ_MAX_BYTES)
			return 0;
		client->error_read += len;
		if (kept > ERROR_ANSWER_MAX_BYTES - call->answer.len)
			kept = ERROR_ANSWER_MAX_BYTES - call->answer.len;
		buffer_add(&call->answer, bytes, kept);
		return len;
	}
	if (call->sink != NULL) {
		if (call->sink(call->sink_arg, bytes, len) == 0)
			return len;
		client->sink_failed = 1;
		return 0;
	}
	if (len > ANSWER_MAX_BYTES - call->answer.len) {
		client->too_large = 1;
		return 0;
	}
	buffer_add(&call->answer, bytes, len);
	return len;
}

/* Bytes that the kernel has not got acknowledged yet: a slow link goes on
 * sending long after the last byte was handed over. */
static int
kernel_queue(CURL *curl)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	int n = 0;

	if (curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD || ioctl(fd, SIOCOUTQ, &n) != 0)
		return 0;
	return n;
}

static int
watch(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
    curl_off_t ul)
{
	struct http_client *client = arg;
	const struct http_client_settings *s = client->settings;
	uint64_t now_ms = clock_monotonic_ms();
	int queued;

	(void)dl_total;
	(void)ul_total;
	if (s->stopped != NULL && s->stopped(s->stopped_arg)) {
		client->stopped = 1;
		return 1;
	}
	if (dl + ul != client->moved) {
		client->moved = dl + ul;
		client->progress_ms = now_ms;
		return 0;
	}
	if (now_ms - client->progress_ms < 1000)
		return 0;
	queued = kernel_queue(client->curl);
	if (queued != client->queued) {
		client->queued = queued;
		client->progress_ms = now_ms;
	}
	if (now_ms - client->progress_ms > client->stall_ms) {
		client->stalled = 1;
		return 1;
	}
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

	if ((client = calloc(1, sizeof(*client))) == NULL ||
	    (client->curl = curl_easy_init()) == NULL) {
		error_nomem(err);
		goto fail;
	}
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

	curl_easy_reset(curl);
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
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
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
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
	curl_easy_setopt(curl, CURLOPT_MAX_SEND_SPEED_LARGE,
	    (curl_off_t)s->bytes_per_second);
	curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE,
	    (curl_off_t)s->bytes_per_second);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, IO_BUFFER_BYTES);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, IO_BUFFER_BYTES);
	if (client->resolve != NULL)
		curl_easy_setopt(curl, CURLOPT_RESOLVE, client->resolve);
	if (client->connect_to != NULL)
		curl_easy_setopt(curl, CURLOPT_CONNECT_TO, client->connect_to);

	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, client);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
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
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(curl, CURLOPT_READDATA, client);
		curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
		curl_easy_setopt(curl, CURLOPT_SEEKDATA, client);
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
		client->error_read > ERROR_READ_MAX_BYTES)) {
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

	code = curl_easy_perform(client->curl);

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
