#ifndef REPLICATOR_HTTP_PRIVATE_H
#define REPLICATOR_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "replicator/http_client.h"

/* Between the files of the HTTP client. */

/* Lets a TLS context of libcurl use the shared certificates. */
CURLcode http_trust_apply(CURL *, void *ssl_ctx, void *trust);

/* Sorts a transport failure into call->fault, with a sentence. */
void http_transport_fault(CURL *, CURLcode, const char *curl_text,
    const char *proxy, struct http_call *);

/* Reads from the answer's header lines what every caller wants: clock offset,
 * Retry-After, the request's id. */
void http_answer_facts(struct http_call *);

#endif
