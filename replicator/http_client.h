#ifndef REPLICATOR_HTTP_CLIENT_H
#define REPLICATOR_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "replicator/fault.h"

struct error;
struct http_client;
struct http_group;
struct http_trust;

/*
 * Outgoing HTTP by libcurl. A client belongs to one thread at a time and keeps
 * its connections; settings are shared and read-only while clients use them.
 * Calls block, so that a transfer is plain code and its memory is bounded.
 * Those who want many at once use many threads, or fibers of one
 * (base/fiber.h): the calls of clients that have joined a group let other
 * fibers run meanwhile.
 */

/* The certificates that are trusted: the system's, and those of ca_pem (NULL:
 * none) beside them. Read once and shared by all clients of a destination. NULL
 * and *err when ca_pem holds no certificate. Any thread may use it; freed when
 * its last user is. */
struct http_trust *http_trust_new(const char *ca_pem, struct error *err);
void http_trust_free(struct http_trust *); /* NULL is allowed */

/* Not owned: must outlive its clients. */
struct http_client_settings {
	const char *proxy; /* "http://user:password@host:port"; NULL: none.
			    * Never taken from the environment. */
	struct http_trust *trust;  /* NULL: the system's alone */
	uint64_t bytes_per_second; /* of each client; 0: unlimited */
	uint64_t connect_timeout_ms, stall_timeout_ms; /* 0: 10 s, 30 s */
	const char *user_agent; /* NULL: "holdfast/VERSION" */
	/* Another name resolution, for tests and private clouds:
	 * "host:port:address" lines, or "host:port:address:port". */
	const char *resolve;
	int (*stopped)(
	    void *arg); /* asked now and then; nonzero ends the call */
	void *stopped_arg;
};

/* Gives the next bytes of a request's body: how many were put into room, 0 at
 * the end, -1 to give up (with *fault set by the caller's own means). */
typedef long http_body_source(void *arg, char *room, size_t len);
/* Takes bytes of an answer's body: 0, or -1 to give up. Only called for a
 * successful status (2xx), which call->status has by then; the body of others
 * is kept in `answer`. */
typedef int http_body_sink(void *arg, const char *bytes, size_t len);

/* How far a call came. */
enum http_stage {
	HTTP_RESOLVE,
	HTTP_CONNECT,
	HTTP_TLS,
	HTTP_TALK
};

struct http_call {
	/* In. */
	const char *method;
	const char *url;             /* complete, encoded */
	const struct slice *headers; /* "Name: value" each */
	size_t n_headers;
	const void *body; /* the whole body; or NULL and a source */
	uint64_t body_len;
	http_body_source *source;
	int (*rewind)(void *arg); /* the source starts again; NULL: it cannot */
	void *source_arg;
	http_body_sink
	    *sink; /* NULL: the body goes into `answer` (at most 8 MiB) */
	void *sink_arg;
	uint64_t total_timeout_ms; /* 0: none but the stall timeout */
	uint64_t stall_timeout_ms; /* 0: the settings'; for requests that the
				    * server thinks about */
	int yields; /* in a group: lets other fibers run meanwhile, its caller
		     * having no lock */

	/* Out. */
	int status;                /* 0 when no answer came */
	struct buffer answer;      /* the body, or of an error at most 64 KiB */
	struct buffer headers_out; /* the answer's header lines, CRLF between */
	int64_t clock_offset_ms;   /* server's Date less ours */
	int has_clock;
	struct {
		uint64_t resolve_us, connect_us, tls_us, first_byte_us,
		    total_us;
	} times;
	char peer[64];         /* address that answered */
	enum http_stage stage; /* where it failed; HTTP_TALK else */
	/* Transport failures: sorted, with a sentence. When an answer came:
	 * status, retry_after_ms, request_id and fate_unknown, for the caller
	 * to go on from, with FAULT_NONE as kind. */
	struct fault fault;
};

/* Once per process, before threads. */
int http_client_global_init(struct error *err);

struct http_client *http_client_new(
    const struct http_client_settings *, struct error *err);
void http_client_free(struct http_client *);

/* Clients of one thread whose calls run at the same time. The clients that
 * joined must outlive it. */
struct http_group *http_group_new(size_t clients, struct error *err);
void http_group_free(struct http_group *); /* NULL is allowed; no call runs */
void http_client_join(struct http_client *, struct http_group *);
/* On the thread's own stack: waits for what comes, at most that long, and
 * resumes the fibers whose calls have ended. */
void http_group_run(struct http_group *, uint64_t wait_ms);
/* Ends http_group_run()'s wait, or its next one. Any thread. */
void http_group_wake(struct http_group *);

/* Does the call. 0 when an answer came, whatever its status; -1 and
 * call->fault. Redirects are not followed. A request that changes something and
 * went out whole is never sent again by itself: fate_unknown says so. */
int http_client_call(struct http_client *, struct http_call *);
/* Frees what the call holds; it may be used again. */
void http_call_clear(struct http_call *);
/* The value of an answer's header, or SLICE_NULL. Any case. */
struct slice http_call_header(const struct http_call *, const char *name);

/* What a status means when nothing more is known: 408, 429 and 5xx RETRY, 404
 * MISSING, 412 EXISTS, 401, 403 and redirects PERSON, other 4xx OBJECT. */
enum fault_kind http_status_fault(int status);
/* Whether a request with that method and answer may have been done all the
 * same, or may still be: something between gave up, or the server on its way. A
 * 503 is not among them: it is what servers say who have not begun. */
int http_status_fate(const char *method, int status);

#endif
