#include <sys/ioctl.h>
#include <sys/socket.h>

#include <curl/curl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

/* What libcurl calls while a request runs. */

#define ANSWER_MAX_BYTES (8U << 20)
#define ERROR_ANSWER_MAX_BYTES (64U << 10)
#define HEADERS_MAX_BYTES (64U << 10)

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

static int
socket_opened(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct http_client *client = arg;
	size_t i;

	(void)purpose;
	for (i = 0; i < client->sockets.max; i++)
		if (client->sockets.all[i].fd < 0) {
			client->sockets.all[i] = (struct http_socket){ fd, 0 };
			break;
		}
	return CURL_SOCKOPT_OK;
}

static int
close_socket(void *arg, curl_socket_t fd)
{
	struct http_client *client = arg;
	size_t i;

	for (i = 0; i < client->sockets.max; i++)
		if (client->sockets.all[i].fd == fd)
			client->sockets.all[i].fd = -1;
	if (client->socket == fd)
		client->socket = -1;
	return close(fd);
}

static curl_socket_t
socket_of_port(const struct http_client *client, int port)
{
	struct sockaddr_storage address;
	struct http_socket *s;
	socklen_t len;
	size_t i;

	for (i = 0; i < client->sockets.max; i++) {
		s = &client->sockets.all[i];
		len = sizeof(address);
		/* The port lies at the same place in both families. */
		if (s->fd >= 0 && s->port == 0 &&
		    getsockname(s->fd, (struct sockaddr *)&address, &len) == 0)
			s->port =
			    ntohs(((struct sockaddr_in *)&address)->sin_port);
		if (s->fd >= 0 && s->port == port)
			return s->fd;
	}
	return -1;
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
	client->socket = socket_of_port(client, local_port);
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
		if (client->error_read > HTTP_ERROR_READ_MAX_BYTES)
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
kernel_queue(const struct http_client *client)
{
	int n = 0;

	if (client->socket < 0 || ioctl(client->socket, SIOCOUTQ, &n) != 0)
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
	queued = kernel_queue(client);
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

int
http_transfer_gives_up(struct http_client *client)
{
	curl_off_t up = 0, down = 0;

	curl_easy_getinfo(client->curl, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(client->curl, CURLINFO_SIZE_DOWNLOAD_T, &down);
	return watch(client, 0, down, 0, up);
}

void
http_transfer_body(struct http_client *client)
{
	CURL *curl = client->curl;

	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(curl, CURLOPT_READDATA, client);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, client);
}

void
http_transfer_watch(struct http_client *client)
{
	CURL *curl = client->curl;

	curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, socket_opened);
	curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, client);
	curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, client);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, client);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
}
