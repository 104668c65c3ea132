#ifndef REPLICATOR_HTTP_PRIVATE_H
#define REPLICATOR_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "replicator/http_client.h"

/* Between the files of the HTTP client. */

#define HTTP_SOCKETS_MAX 8
/* The sockets that libcurl has open, of a client or of a group, since it does
 * not tell which one a request uses. */
struct http_sockets {
	size_t max;
	struct http_socket {
		curl_socket_t fd; /* -1: none */
		int port;         /* its own; 0: not looked at */
	} * all;
};

/* Beyond this an error's body is not even read to its end. */
#define HTTP_ERROR_READ_MAX_BYTES (1U << 20)

struct http_client {
	CURL *curl;
	const struct http_client_settings *settings;
	struct http_trust *own_trust;
	struct curl_slist *resolve, *connect_to;
	char curl_text[CURL_ERROR_SIZE];
	struct http_socket own[HTTP_SOCKETS_MAX];
	struct http_sockets sockets; /* own, or the group's */
	curl_socket_t socket;        /* of the running call, or -1 */

	struct http_group *group;        /* NULL: alone */
	struct fiber *fiber;             /* waits for the running call */
	struct http_client *prev, *next; /* in the group, waiting */
	int ended;
	CURLcode code;

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

/* Sets what libcurl calls to give a request's body (http_transfer_body) and to
 * take the answer and watch over progress (http_transfer_watch). */
void http_transfer_body(struct http_client *);
void http_transfer_watch(struct http_client *);

/* Whether a call of a group that is silent is to be given up. */
int http_transfer_gives_up(struct http_client *);
/* curl_easy_perform() in a group, from a fiber. */
CURLcode http_group_perform(struct http_client *);

/* Lets a TLS context of libcurl use the shared certificates. */
CURLcode http_trust_apply(CURL *, void *ssl_ctx, void *trust);

/* Sorts a transport failure into call->fault, with a sentence. */
void http_transport_fault(CURL *, CURLcode, const char *curl_text,
    const char *proxy, struct http_call *);

/* Reads from the answer's header lines what every caller wants: clock offset,
 * Retry-After, the request's id. */
void http_answer_facts(struct http_call *);

#endif
