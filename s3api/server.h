#ifndef S3API_SERVER_H
#define S3API_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/workers.h"
#include "s3api/http.h"

struct error;
struct http_server;
struct http_request;
struct tls_context; /* s3api/tls.h */

/*
 * The HTTP server: N event-loop threads, each with a listener of its own for
 * every address (SO_REUSEPORT; a unix socket is listened on by the first loop).
 * A connection lives on one loop.
 *
 * A request is handed to its listener's handler once its head is complete; no
 * body has been read, and no 100 Continue sent. Every function below that takes
 * a request is called on its loop's thread, except http_request_post(). The
 * handler ends each request by exactly one of http_respond(), http_end() and
 * http_cut(), after which it may not touch the request.
 *
 * Callbacks never nest: one that can be made at once comes from within the
 * call, but when that call is made from the handler or from another callback,
 * after it has returned. After the final call, a read or send that was pending
 * is forgotten, and its callback does not come.
 *
 * When the client is gone, nothing is called: the pending read or send calls
 * back with -1, later ones do so at once (through the loop, never from within
 * the call), and the final call is still due. So a handler has one way out.
 */

typedef void http_handler(struct http_request *, void *context);

struct http_limits {
	size_t connections; /* beyond: 503 and closed */
	uint64_t
	    head_timeout_ms; /* from the first byte of a head to its last */
	uint64_t idle_timeout_ms;      /* between requests */
	uint64_t min_bytes_per_second; /* of a body, each way, over stall_ms */
	uint64_t stall_ms;
};

extern const struct http_limits http_limits_default;

struct http_listener {
	const char
	    *address; /* "127.0.0.1:9000", "[::1]:9000", or "unix:/path" */
	struct tls_context *tls; /* NULL: plain. Not owned */
	http_handler *handler;
	void *context;
	/* Writes the body of a refusal that the server makes itself (a bad
	 * head, too many connections), so that S3's port answers in S3's form.
	 * NULL: a line of text. Sets *content_type to a static string. */
	void (*refusal_body)(struct buffer *, int status, const char *reason,
	    const char **content_type);
};

/* Figures for metrics; monotonic but for `connections`. */
struct http_counters {
	uint64_t connections, accepted, refused, requests, bytes_in, bytes_out,
	    timeouts;
};

/* NULL and *err on failure. loops 0: one a processor. */
struct http_server *http_server_new(
    size_t loops, const struct http_limits *, struct error *err);
/* Binds and listens; the listener is copied, but for what it points to. Before
 * http_server_run(). Port 0 binds a free one. 0, or -1 and *err. */
int http_server_listen(
    struct http_server *, const struct http_listener *, struct error *err);
/* The port that the n-th listener got. */
int http_server_port(struct http_server *, size_t n);
/* Starts the loops' threads. 0, or -1 and *err. */
int http_server_run(struct http_server *, struct error *err);
/* Stops accepting, closes idle connections, lets requests end (answers carry
 * Connection: close) for at most timeout_ms, then cuts the rest. Returns when
 * the loops have ended. Not from a loop's thread. */
void http_server_drain(struct http_server *, uint64_t timeout_ms);
void http_server_free(struct http_server *);
void http_server_counters(struct http_server *, struct http_counters *);
size_t http_server_loops(struct http_server *);

/* The request. */
const struct http_head *http_request_head(struct http_request *);
/* "127.0.0.1:50412"; valid as long as the request. */
const char *http_request_peer(struct http_request *);
/* Who is at the other end of a unix socket: a user id, and -1 of others. */
long http_request_peer_uid(struct http_request *);
int http_request_is_tls(struct http_request *);
/* 0 .. loops-1: which loop's thread serves it; for per-thread state. */
size_t http_request_loop(struct http_request *);
/* Runs the job on the request's loop's thread. Any thread. */
void http_request_post(struct http_request *, struct job *);

/*
 * Reads the body, transfer coding removed, into bytes until room is full or the
 * body ends, straight from the socket where that is possible; then calls back
 * on the loop with the number of bytes and whether the body has ended, or with
 * -1 when the client is gone, was too slow, or broke the framing; an answer
 * then is still sent, if the client can take it, and the connection closed. The
 * first call answers 100 Continue if the client waits for it. One read at a
 * time. The memory is the caller's and must stay until the callback. The
 * callback may come from within the call when everything is there already.
 */
typedef void http_body_done(struct http_request *, long n, int end, void *arg);
void http_body_read(struct http_request *, void *bytes, size_t room,
    http_body_done *, void *arg);

/* Headers of a response: lines "Name: value\r\n" put together by these. Names
 * must be constants; control characters in a value become blanks. */
void http_out_header(struct buffer *, const char *name, struct slice value);
void http_out_header_text(struct buffer *, const char *name, const char *value);
void http_out_header_u64(struct buffer *, const char *name, uint64_t value);

/*
 * Answers whole. The server writes the status line, Content-Length, Date,
 * Server and Connection; headers (may be NULL) has the rest and is copied, as
 * body is. To HEAD, and with 204 and 304, no body goes out. A body of the
 * request that was not read is dropped (up to 256 KiB, else the connection
 * closes after the answer). http_respond_head() is for HEAD: declares a length
 * without a body.
 */
void http_respond(struct http_request *, int status,
    const struct buffer *headers, const void *body, size_t len);
void http_respond_head(struct http_request *, int status,
    const struct buffer *headers, uint64_t content_length);

/*
 * Answers in pieces: begin with the exact length, send until it is reached,
 * end. With content_length HTTP_LENGTH_UNKNOWN the answer is chunked (or ended
 * by closing, to HTTP/1.0). Sends do not copy: memory and descriptors stay the
 * caller's until the callback. done(req, 0) when written, -1 when the client is
 * gone. The head goes out together with the first piece, in one write.
 */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX
typedef void http_sent(struct http_request *, int failed, void *arg);
void http_begin(struct http_request *, int status, const struct buffer *headers,
    uint64_t content_length);
void http_send(struct http_request *, const void *bytes, size_t len,
    http_sent *, void *arg);
/* From a file, by sendfile where the connection is plain. */
void http_send_file(struct http_request *, int fd, uint64_t offset, size_t len,
    http_sent *, void *arg);
/* All was sent: the connection goes on with its next request. If less than the
 * declared length was sent, the connection is cut. */
void http_end(struct http_request *);
/* Closes the connection at once, with a reset, so that the client cannot take
 * what it got for the whole. */
void http_cut(struct http_request *);

/* For the access log: what has been written and read, after a head. */
uint64_t http_request_bytes_in(struct http_request *);
uint64_t http_request_bytes_out(struct http_request *);

#endif
